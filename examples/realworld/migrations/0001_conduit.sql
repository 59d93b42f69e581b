-- Names of unique constraints and indexes are `<table>_<field>_key`: a violation then names the field to the client.

create table users (
  id bigint generated always as identity primary key,
  email text not null,
  username text not null constraint users_username_key unique,
  password_hash text not null,
  bio text check (bio <> ''),
  image text check (image <> ''),
  created_at timestamptz(3) not null default now()
);
-- An address is one account, however it is capitalised. Shown as it was given.
create unique index users_email_key on users (lower(email));

create table follows (
  follower_id bigint not null constraint follows_me_fkey references users on delete cascade,
  followed_id bigint not null references users on delete cascade,
  primary key (follower_id, followed_id)
);
create index follows_followed_id_idx on follows (followed_id);

-- The number at its end makes every slug unique without asking, and keeps "feed" out of the way of /articles/feed.
create function slug_of(title text, id bigint) returns text language sql immutable parallel safe
  return trim(both '-' from left(regexp_replace(lower(title), '[^[:alnum:]]+', '-', 'g'), 100) || '-' || id);

create table articles (
  id bigint generated always as identity primary key,
  author_id bigint not null constraint articles_me_fkey references users on delete cascade,
  slug text not null generated always as (slug_of(title, id)) stored constraint articles_slug_key unique,
  title text not null,
  description text not null,
  body text not null,
  tag_list text[] not null default '{}',
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now()
);
create index articles_newest_idx on articles (created_at desc, id desc);
create index articles_of_author_idx on articles (author_id, created_at desc, id desc);
create index articles_with_tag_idx on articles using gin (tag_list);

create table favorites (
  article_id bigint not null references articles on delete cascade,
  user_id bigint not null constraint favorites_me_fkey references users on delete cascade,
  primary key (article_id, user_id)  -- counts the favorites of an article
);
create index favorites_of_user_idx on favorites (user_id, article_id);

create table comments (
  id bigint generated always as identity primary key,
  article_id bigint not null references articles on delete cascade,
  author_id bigint not null constraint comments_me_fkey references users on delete cascade,
  body text not null,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now()
);
create index comments_of_article_idx on comments (article_id, id);
create index comments_author_id_idx on comments (author_id);
