-- A catalog that is legal in every line and expected by nobody.
CREATE TYPE mood AS ENUM ('happy', 'so so', 'SAD', '3rd', 'true', 'naïve');
CREATE TYPE address AS (street text, "zip code" varchar(10));
CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
CREATE DOMAIN strict_email AS email NOT NULL;
CREATE TYPE float_range AS RANGE (subtype = float8);

CREATE TABLE "select" ("from" int PRIMARY KEY, "where" text, "order" int, "limit" text, "and" text, _and text, _or text, _not text);
CREATE TABLE "Upper Case" ("Id" serial PRIMARY KEY, "First Name" text NOT NULL, "first_name" text, "firstName" text, "1st" int, "ünï" text, "quote""d" text, "back\slash" text, "__double" text, "emoji🎸" text);
CREATE TABLE "Query" (id int PRIMARY KEY, "__typename" text);
CREATE TABLE "Mutation" (id int PRIMARY KEY);
CREATE TABLE "String" (id int PRIMARY KEY, "Int" int);
CREATE TABLE "users" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mail email UNIQUE, backup strict_email, manager_id bigint REFERENCES users, deputy_id bigint REFERENCES users);
CREATE TABLE "user" (id int PRIMARY KEY);
CREATE TABLE user_filter (id int PRIMARY KEY);
CREATE TABLE cycle_a (id int PRIMARY KEY, b_id int);
CREATE TABLE cycle_b (id int PRIMARY KEY, a_id int REFERENCES cycle_a);
ALTER TABLE cycle_a ADD FOREIGN KEY (b_id) REFERENCES cycle_b;
CREATE TABLE composite_key (tenant int, number int, note text, PRIMARY KEY (tenant, number), UNIQUE (number, note));
CREATE TABLE composite_child (id int PRIMARY KEY, tenant int NOT NULL, number int NOT NULL, FOREIGN KEY (tenant, number) REFERENCES composite_key);
CREATE TABLE flight (id int PRIMARY KEY, origin_id int NOT NULL REFERENCES "user", destination_id int NOT NULL REFERENCES "user", flight int REFERENCES flight, flights int);
CREATE TABLE kinds (
    id uuid PRIMARY KEY, small smallint, big bigint, num numeric(30,10), r4 real, r8 double precision, flag boolean,
    txt text, vc varchar(5), ch char(3), js json, jb jsonb, d date, t time, tz timetz, ts timestamp, tstz timestamptz,
    iv interval, raw bytea, feeling mood, feelings mood[], ints int[], words text[], bigs bigint[], raws bytea[], home address, homes address[],
    span int4range, period tstzrange, floats float_range, ip inet, mac macaddr, bits bit(3), money money, x xml,
    doubled int GENERATED ALWAYS AS (small * 2) STORED, moods mood[] DEFAULT '{}', mails email[]
);
CREATE TABLE no_key (a int, b text);
CREATE TABLE no_columns ();
CREATE TABLE part (id int, day date NOT NULL, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE part_2026 PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE people (id int PRIMARY KEY, name text);
CREATE TABLE person (id int PRIMARY KEY, people_id int REFERENCES people);
CREATE TABLE series (id int PRIMARY KEY, name text UNIQUE);
CREATE TABLE deferred (id int PRIMARY KEY, code text, CONSTRAINT later UNIQUE (code) DEFERRABLE INITIALLY DEFERRED);
CREATE UNIQUE INDEX partial_unique ON series (name) WHERE id > 5;
CREATE UNIQUE INDEX expression_unique ON series (lower(name));
CREATE VIEW v_people AS SELECT p.id, p.name, s.id AS series_id FROM people p JOIN series s ON s.id = p.id;
CREATE VIEW v_maybe AS SELECT p.id, s.id AS series_id FROM people p LEFT JOIN series s ON s.id = p.id;
CREATE VIEW v_on_view AS SELECT id, name FROM v_people WHERE id > 0;
CREATE VIEW v_union AS SELECT id FROM people UNION ALL SELECT id FROM series;
CREATE VIEW v_simple AS SELECT id, name FROM people;
CREATE MATERIALIZED VIEW mv_people AS SELECT id, name FROM people;
CREATE FUNCTION add_person(id int, name text DEFAULT 'nobody') RETURNS people LANGUAGE sql AS $$ INSERT INTO people VALUES ($1, $2) RETURNING * $$;
CREATE FUNCTION find_people(pattern text) RETURNS SETOF people LANGUAGE sql STABLE AS $$ SELECT * FROM people WHERE name LIKE pattern $$;
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT $1 * 2 $$;
CREATE FUNCTION pairs(OUT a int, OUT b text) RETURNS SETOF record LANGUAGE sql STABLE AS $$ SELECT 1, 'x' $$;
CREATE FUNCTION nothing() RETURNS void LANGUAGE sql AS $$ $$;
CREATE FUNCTION overloaded(a int) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
CREATE FUNCTION overloaded(a text) RETURNS int LANGUAGE sql AS $$ SELECT 2 $$;
COMMENT ON TABLE people IS 'People with """quotes""" and a \ backslash
and a second line';
COMMENT ON COLUMN people.name IS 'ends with a quote"';
DO $$ BEGIN
    FOR n IN 1..200 LOOP
        EXECUTE format('CREATE TABLE many_%s (id int PRIMARY KEY, label text, previous_id int %s)', n,
            CASE WHEN n > 1 THEN format('REFERENCES many_%s', n - 1) ELSE '' END);
    END LOOP;
END $$;
