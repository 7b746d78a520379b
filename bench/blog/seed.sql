-- 10,000 users with 5 posts each, 3 comments on each post.

CREATE TABLE users (id integer PRIMARY KEY, name text NOT NULL, email text NOT NULL, bio text NOT NULL);
CREATE TABLE posts (id integer PRIMARY KEY, author_id integer NOT NULL REFERENCES users, title text NOT NULL, body text NOT NULL);
CREATE TABLE comments (id integer PRIMARY KEY, post_id integer NOT NULL REFERENCES posts, author_id integer NOT NULL REFERENCES users, body text NOT NULL);

INSERT INTO users SELECT n, 'User ' || n, 'user' || n || '@example.com', repeat('bio ', 10) FROM generate_series(1, 10000) AS n;
INSERT INTO posts SELECT n, 1 + (n - 1) / 5, 'Post ' || n, repeat('lorem ipsum ', 8) FROM generate_series(1, 50000) AS n;
INSERT INTO comments SELECT n, 1 + (n - 1) / 3, 1 + (n * 7919) % 10000, repeat('dolor sit ', 6) FROM generate_series(1, 150000) AS n;

CREATE INDEX ON posts (author_id);
CREATE INDEX ON comments (post_id);
CREATE INDEX ON comments (author_id);
ANALYZE;
