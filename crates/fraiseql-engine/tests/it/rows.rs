//! Functions whose rows belong to no relation: RETURNS TABLE, OUT parameters, composites; VARIADIC.

use crate::world::World;

const TABLES: &str = r#"
CREATE TABLE artist (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE play (artist_id int NOT NULL REFERENCES artist, at timestamptz NOT NULL, n bigint NOT NULL);
CREATE INDEX ON play (artist_id);
INSERT INTO artist VALUES (1, 'a'), (2, 'b'), (3, 'c');
INSERT INTO play VALUES (1, '2026-01-01', 9007199254740993), (2, '2026-01-01', 5), (2, '2026-01-02', 6), (3, '2026-01-02', 1);
CREATE TYPE mood AS ENUM ('happy', 'sad');
CREATE FUNCTION top_artists(min_plays bigint DEFAULT 0) RETURNS TABLE (artist_id int, plays bigint, last timestamptz, mood mood, tags text[], raw bytea)
  LANGUAGE sql STABLE AS $$
    SELECT p.artist_id, sum(n)::bigint, max(at), CASE WHEN sum(n) > 5 THEN 'happy'::mood END, ARRAY['x', NULL], '\x00ff'::bytea
    FROM play p GROUP BY 1 HAVING sum(n) >= min_plays ORDER BY 1 $$;
CREATE FUNCTION range(OUT low bigint, OUT high bigint) LANGUAGE sql STABLE AS $$ SELECT min(n), max(n) FROM play $$;
CREATE FUNCTION play_all(amount bigint) RETURNS TABLE (artist_id int, plays bigint, last timestamptz, mood mood, tags text[], raw bytea)
  LANGUAGE plpgsql AS $$ BEGIN UPDATE play SET n = play.n + amount; RETURN QUERY SELECT * FROM top_artists(); END $$;
CREATE TYPE spot AS (x int, y float8);
CREATE FUNCTION spots() RETURNS SETOF spot LANGUAGE sql STABLE AS $$ VALUES (1, 1.5::float8), (2, 'NaN'), (NULL, NULL) $$;
CREATE FUNCTION total(base int, VARIADIC more int[]) RETURNS bigint LANGUAGE sql STABLE AS $$ SELECT base + coalesce(sum(m), 0) FROM unnest(more) m $$;
"#;

const SCHEMA: &str = r#"
type Query {
  artists: [Artist!]!
  topArtists(minPlays: BigInt): [TopArtist!]! @function(name: "top_artists")
  range: Range @function(name: "range")
  spots: [Spot!]! @function(name: "spots")
  total(more: [Int!]!, base: Int!): BigInt @function(name: "total")
}
type Mutation { playAll(amount: BigInt!): [TopArtist!]! @function(name: "play_all") }
type Artist @relation(name: "artist") { id: Int! name: String! }
enum Mood { happy sad }
type TopArtist {
  artistId: Int! @neverNull plays: BigInt last: DateTime mood: Mood tags: [String] raw: Bytes
  artist: Artist @reference(columns: ["artist_id"], target: ["id"])
}
type Range { low: BigInt high: BigInt }
type Spot { x: Int y: Float }
"#;

async fn world() -> World {
    World::made(TABLES, |_| SCHEMA.to_owned()).await
}

#[tokio::test]
async fn rows_of_a_function_are_filtered_ordered_and_paged() {
    let w = world().await;
    let all = "artist_id as \"artistId\", plays::text, last, mood, tags, encode(raw, 'base64') as raw, json_build_object('name', name) as artist";
    w.check(
        "{topArtists(orderBy:{plays:DESC}){artistId plays last mood tags raw artist{name}}}",
        "{}",
        &format!("select json_build_object('topArtists', json_agg(r)) from (select {all} from top_artists() t join artist a on a.id = artist_id order by t.plays desc) r"),
    )
    .await;
    w.check(
        r#"query($l:BigInt){topArtists(minPlays:$l,where:{artist:{name:{neq:"a"}},plays:{lt:"100"}},orderBy:{artist:{name:DESC}},limit:1,offset:1){artistId}}"#,
        r#"{"l":"1"}"#,
        r#"select '{"topArtists":[{"artistId":2}]}'::json"#,
    )
    .await;
    w.check("{range{low high __typename} spots(where:{x:{isnull:false}}){x y}}", "{}",
        r#"select '{"range":{"low":"1","high":"9007199254740993","__typename":"Range"},"spots":[{"x":1,"y":1.5},{"x":2,"y":null}]}'::json"#).await;
}

#[tokio::test]
async fn a_mutation_returns_such_rows_after_its_own_write() {
    let w = world().await;
    w.check(
        r#"mutation{playAll(amount:"1"){artistId plays last mood tags raw artist{name}}}"#,
        "{}",
        r#"select '{"playAll":[
            {"artistId":1,"plays":"9007199254740994","last":"2026-01-01T00:00:00+00:00","mood":"happy","tags":["x",null],"raw":"AP8=","artist":{"name":"a"}},
            {"artistId":2,"plays":"13","last":"2026-01-02T00:00:00+00:00","mood":"happy","tags":["x",null],"raw":"AP8=","artist":{"name":"b"}},
            {"artistId":3,"plays":"2","last":"2026-01-02T00:00:00+00:00","mood":null,"tags":["x",null],"raw":"AP8=","artist":{"name":"c"}}]}'::json"#,
    )
    .await;
    assert_eq!(
        w.scalar("select string_agg(n::text, ' ' order by artist_id, at) from play").await,
        "9007199254740994 6 7 2"
    );
}

#[tokio::test]
async fn a_variadic_parameter_takes_a_list() {
    let w = world().await;
    for (list, expected) in [("[1,2,3]", "16"), ("[]", "10"), ("5", "15")] {
        let sql = format!(r#"select '{{"total":"{expected}"}}'::json"#);
        w.check(&format!("{{total(base:10,more:{list})}}"), "{}", &sql).await;
        let variables = format!(r#"{{"m":{list}}}"#);
        w.check("query($m:[Int!]!){total(base:10,more:$m)}", &variables, &sql).await;
    }
}
