-- 1 time
select id, author_id, title from books order by id

-- name_of_author, 2 times
select name from authors where id = $1
