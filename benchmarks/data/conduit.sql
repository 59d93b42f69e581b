-- What GET /api/articles reads in the benchmark: 50 authors, 500 articles, 5000 favorites.
insert into users (email, username, password_hash, bio, image)
  select 'user' || i || '@example.org', 'user' || i, '-', 'I write about stones, number ' || i, 'https://example.org/' || i || '.png'
  from generate_series(1, 50) i;
insert into articles (author_id, title, description, body, tag_list, created_at, updated_at)
  select 1 + i % 50, 'How to lay course number ' || i, 'What we learned about mortar, levels and patience, part ' || i,
         repeat('Set the stone, tap it level, go on. ', 20), array['stone', 'course' || i % 10, 'how-to'],
         timestamptz '2026-01-01 00:00:00Z' + i * interval '1 minute', timestamptz '2026-01-01 00:00:00Z' + i * interval '1 minute'
  from generate_series(1, 500) i;
insert into favorites (user_id, article_id) select u, 1 + (u * 7 + k * 13) % 500 from generate_series(1, 50) u, generate_series(1, 100) k;
vacuum analyze;
