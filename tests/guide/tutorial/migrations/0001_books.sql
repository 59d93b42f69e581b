create table books (
  id bigint generated always as identity primary key,
  title text not null unique,
  price numeric(10, 2) not null,
  stock bigint not null default 10 check (stock >= 0)
);
create table sales (
  book_id bigint not null references books,
  copies bigint not null
);
-- migrate:down
drop table sales, books;
