select matches.total, page.* from (select count(*) as total from articles a where true) matches
  left join (select a.id, a.slug, a.title, a.description, a.tag_list, a.created_at, a.updated_at,
               exists (select from favorites where article_id = a.id and user_id = $1) as favorited,
               (select count(*) from favorites where article_id = a.id) as favorites_count,
               u.username, u.bio, u.image,
               exists (select from follows where follower_id = $1 and followed_id = u.id) as following
             from articles a join users u on u.id = a.author_id where true
             order by a.created_at desc, a.id desc limit $2 offset $3) page on true
  order by page.created_at desc, page.id desc
