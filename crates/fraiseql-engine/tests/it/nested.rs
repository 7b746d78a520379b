//! Nested inserts: the rows that a plain query finds afterwards, and keys in both directions.

use serde_json::Value;

use crate::world::World;

const TABLES: &str = "
CREATE TABLE artist (id int GENERATED ALWAYS AS IDENTITY (START 100) PRIMARY KEY, name text NOT NULL UNIQUE, note text);
CREATE TABLE album (id uuid PRIMARY KEY DEFAULT md5(random()::text)::uuid, title text NOT NULL,
  artist_id int NOT NULL REFERENCES artist, producer_id int REFERENCES artist);
CREATE TABLE track (id serial PRIMARY KEY, name text NOT NULL, plays int DEFAULT 7, album_id uuid NOT NULL REFERENCES album);
CREATE TABLE cover (album_id uuid PRIMARY KEY REFERENCES album, url text NOT NULL);
CREATE TABLE person (id int PRIMARY KEY, name text, boss_id int REFERENCES person);
CREATE TABLE shop (tenant int, code text, title text, PRIMARY KEY (tenant, code));
CREATE TABLE shelf (tenant int, code text, id int, PRIMARY KEY (tenant, code, id), FOREIGN KEY (tenant, code) REFERENCES shop);
CREATE FUNCTION renumber() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.code := upper(NEW.code); RETURN NEW; END $$;
CREATE TRIGGER renumber BEFORE INSERT ON shop FOR EACH ROW EXECUTE PROCEDURE renumber();
CREATE INDEX ON album (artist_id); CREATE INDEX ON album (producer_id); CREATE INDEX ON track (album_id); CREATE INDEX ON person (boss_id);
";

const SCHEMA: &str = r#"
type Query { artists: [Artist!]! albums: [Album!]! people: [Person!]! shops: [Shop!]! }
type Artist @relation(name: "artist") @write(insert: true, upsert: true) {
  id: Int! name: String! note: String
  albums: [Album!]! @reference(columns: ["id"], target: ["artist_id"])
  produced: [Album!]! @reference(columns: ["id"], target: ["producer_id"])
}
type Album @relation(name: "album") @write(insert: true, upsert: true) {
  id: UUID! title: String! artistId: Int! producerId: Int
  artist: Artist! @reference(columns: ["artist_id"], target: ["id"])
  producer: Artist @reference(columns: ["producer_id"], target: ["id"])
  tracks: [Track!]! cover: Cover @reference(columns: ["id"], target: ["album_id"])
}
type Track @relation(name: "track") @write(insert: true) { id: Int! name: String! plays: Int album: Album! }
type Cover @relation(name: "cover") @write(insert: true) { albumId: UUID! url: String! }
type Person @relation(name: "person") @write(insert: true) {
  id: Int! name: String bossId: Int
  boss: Person @reference(columns: ["boss_id"], target: ["id"])
  reports: [Person!]! @reference(columns: ["id"], target: ["boss_id"])
}
type Shop @relation(name: "shop") @write(insert: true) { tenant: Int! code: String! title: String shelves: [Shelf!]! }
type Shelf @relation(name: "shelf") @write(insert: true) { tenant: Int! code: String! id: Int! }
"#;

async fn world() -> World {
    World::made(TABLES, |_| SCHEMA.to_owned()).await
}

async fn check(w: &World, text: &str, variables: &str, expected: &str) {
    let found = w.run(text, variables).await.unwrap_or_else(|error| panic!("{text}: {error}"));
    let expected: Value = serde_json::from_str(expected).expect("JSON");
    assert_eq!(found, expected, "{text}");
}

async fn refused(w: &World, text: &str, variables: &str, expected: &str) {
    assert_eq!(w.run(text, variables).await.expect_err(text), expected);
}

#[tokio::test]
async fn keys_flow_both_ways_in_one_statement() {
    let w = world().await;
    check(&w, r#"mutation($o:AlbumInsertInput!){insertAlbum(object:$o){title artist{name note} producer{name}
        tracks(orderBy:{name:ASC}){name plays album{title}} cover{url}}}"#,
        r#"{"o":{"title":"x","artist":{"data":{"name":"y"}},"producer":{"data":{"name":"p","note":"n"}},"cover":{"data":{"url":"u"}},
            "tracks":{"data":[{"name":"t1"},{"name":"t2","plays":null},{"name":"t3","plays":3}]}}}"#,
        r#"{"insertAlbum":{"title":"x","artist":{"name":"y","note":null},"producer":{"name":"p"},
            "tracks":[{"name":"t1","plays":7,"album":{"title":"x"}},{"name":"t2","plays":null,"album":{"title":"x"}},
            {"name":"t3","plays":3,"album":{"title":"x"}}],"cover":{"url":"u"}}}"#).await;
    let stored = w.scalar("select string_agg(a.title || '/' || r.name || '/' || p.name || '/' || t.name, ' ' order by t.name)
        from track t join album a on a.id = t.album_id join artist r on r.id = a.artist_id join artist p on p.id = a.producer_id").await;
    assert_eq!(stored, "x/y/p/t1 x/y/p/t2 x/y/p/t3");
}

#[tokio::test]
async fn many_rows_keep_their_own_children_whatever_their_order() {
    let w = world().await;
    let (artists, albums, tracks) = (20, 3, 2);
    let object = |a: usize| {
        let album = |b: usize| {
            let track = |t: usize| format!(r#"{{"name":"t{a}-{b}-{t}"}}"#);
            let tracks: Vec<String> = (0..tracks).map(track).collect();
            format!(r#"{{"title":"b{a}-{b}","tracks":{{"data":[{}]}}}}"#, tracks.join(","))
        };
        let albums: Vec<String> = (0..albums).map(album).collect();
        format!(r#"{{"name":"a{a}","albums":{{"data":[{}]}}}}"#, albums.join(","))
    };
    let objects: Vec<String> = (0..artists).rev().map(object).collect();
    let text = "mutation($o:[ArtistInsertInput!]!){insertArtists(objects:$o){affectedRows returning{name}}}";
    let found = w.run(text, &format!(r#"{{"o":[{}]}}"#, objects.join(","))).await.expect("inserts");
    assert_eq!(found["insertArtists"]["affectedRows"], artists);
    let names: Vec<&str> = found["insertArtists"]["returning"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| row["name"].as_str().expect("a name"))
        .collect();
    let expected: Vec<String> = (0..artists).rev().map(|a| format!("a{a}")).collect();
    assert_eq!(names, expected, "in the order of the input");
    let right = w.scalar("select count(*)::text from track t join album b on b.id = t.album_id join artist a on a.id = b.artist_id
        where t.name like 't' || substr(b.title, 2) || '-%' and b.title like 'b' || substr(a.name, 2) || '-%'").await;
    assert_eq!(right, (artists * albums * tracks).to_string());
}

#[tokio::test]
async fn a_row_is_found_instead_of_inserted_by_its_unique_key() {
    let w = world().await;
    w.execute("insert into artist (name, note) values ('y', 'old')").await;
    let text = r#"mutation($n:String!){insertAlbum(object:{title:"x",artist:{data:{name:$n},onConflict:NAME}}){artist{id name note}}}"#;
    check(&w, text, r#"{"n":"y"}"#, r#"{"insertAlbum":{"artist":{"id":100,"name":"y","note":"old"}}}"#).await;
    check(
        &w,
        r#"mutation{insertAlbum(object:{title:"z",artist:{data:{name:"y",note:"new"},onConflict:NAME}}){artist{id note}}}"#,
        "{}",
        r#"{"insertAlbum":{"artist":{"id":100,"note":"new"}}}"#,
    )
    .await;
    assert_eq!(w.scalar("select count(*)::text from artist").await, "1");
    let again = r#"mutation{insertAlbum(object:{title:"x",artist:{data:{name:"y"}}}){id}}"#;
    assert!(w.run(again, "{}").await.unwrap_err().starts_with("23505"));
    assert_eq!(w.scalar("select count(*)::text from album").await, "2", "all or nothing");
}

#[tokio::test]
async fn upserts_nest_too() {
    let w = world().await;
    w.execute("insert into artist (name, note) values ('y', 'old')").await;
    check(
        &w,
        r#"mutation{upsertArtist(object:{name:"y",note:"n",albums:{data:[{title:"b"},{title:"a"}]}},onConflict:NAME){id note albums(orderBy:{title:ASC}){title}}}"#,
        "{}",
        r#"{"upsertArtist":{"id":100,"note":"n","albums":[{"title":"a"},{"title":"b"}]}}"#,
    )
    .await;
}

#[tokio::test]
async fn a_type_nests_in_itself_and_composite_keys_follow_their_triggers() {
    let w = world().await;
    check(
        &w,
        r#"mutation{insertPerson(object:{id:2,name:"b",boss:{data:{id:1,name:"a"}},reports:{data:[{id:3,reports:{data:[{id:4}]}},{id:5}]}}){
            boss{id} reports(orderBy:{id:ASC}){id bossId reports{id boss{id}}}}}"#,
        "{}",
        r#"{"insertPerson":{"boss":{"id":1},"reports":[{"id":3,"bossId":2,"reports":[{"id":4,"boss":{"id":3}}]},{"id":5,"bossId":2,"reports":[]}]}}"#,
    )
    .await;
    check(
        &w,
        r#"mutation{insertShops(objects:[{tenant:1,code:"a",shelves:{data:[{id:1},{id:2}]}},{tenant:2,code:"b"}]){affectedRows returning{code shelves(orderBy:{id:ASC}){tenant code id}}}}"#,
        "{}",
        r#"{"insertShops":{"affectedRows":2,"returning":[{"code":"A","shelves":[{"tenant":1,"code":"A","id":1},{"tenant":1,"code":"A","id":2}]},{"code":"B","shelves":[]}]}}"#,
    )
    .await;
}

#[tokio::test]
async fn what_is_given_twice_or_not_at_all_is_refused() {
    let w = world().await;
    let both = r#"mutation{insertAlbum(object:{title:"x",artistId:1,artist:{data:{name:"y"}}}){id}}"#;
    let twice = "BAD_USER_INPUT: \"artist\" of Album gives what another field or the row around it gives already: leave one of them out";
    refused(&w, both, "{}", twice).await;
    let around = r#"mutation{insertArtist(object:{name:"a",albums:{data:{title:"t",artistId:3}}}){id}}"#;
    let message = "BAD_USER_INPUT: \"artistId\" of Album gives what another field or the row around it gives already: leave one of them out";
    refused(&w, around, "{}", message).await;
    let message = "BAD_USER_INPUT: an insert of Album must give \"artistId\" or \"artist\"";
    refused(&w, r#"mutation{insertAlbum(object:{title:"x"}){id}}"#, "{}", message).await;
    refused(&w, r#"mutation{insertAlbums(objects:{title:"x",artist:null}){affectedRows}}"#, "{}", message)
        .await;
    let message = "BAD_USER_INPUT: an insert of Track must give \"album\"";
    refused(&w, r#"mutation{insertTrack(object:{name:"x"}){id}}"#, "{}", message).await;
    let mut deep = "{id:1}".to_owned();
    for id in 2..10 {
        deep = format!("{{id:{id},boss:{{data:{deep}}}}}");
    }
    let message = "LIMIT_EXCEEDED: rows must not be nested more than 8 deep";
    refused(&w, &format!("mutation{{insertPerson(object:{deep}){{id}}}}"), "{}", message).await;
    let rows: Vec<String> = (0..1000).map(|id| format!("{{id:{id}}}")).collect();
    let many =
        format!("mutation{{insertPerson(object:{{id:-1,reports:{{data:[{}]}}}}){{id}}}}", rows.join(","));
    refused(&w, &many, "{}", "LIMIT_EXCEEDED: one field must not insert more than 1000 rows").await;
    assert_eq!(w.scalar("select count(*)::text from person").await, "0");
}

#[tokio::test]
async fn as_many_rows_as_allowed_are_one_statement() {
    let w = world().await;
    let people: Vec<String> =
        (0..500).map(|id| format!(r#"{{"id":{id},"boss":{{"data":{{"id":{}}}}}}}"#, id + 1000)).collect();
    let text = "mutation($o:[PersonInsertInput!]!){insertPeople(objects:$o){affectedRows}}";
    check(
        &w,
        text,
        &format!(r#"{{"o":[{}]}}"#, people.join(",")),
        r#"{"insertPeople":{"affectedRows":500}}"#,
    )
    .await;
    assert_eq!(w.scalar("select count(*)::text from person where boss_id = id + 1000").await, "500");
}
