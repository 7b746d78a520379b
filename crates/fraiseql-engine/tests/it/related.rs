//! Filters and orders by computed fields and by aggregates of related rows, against plain SQL.

use crate::world::World;

const SQL: &str = "
create table artist (id int primary key, name text not null, boss int references artist);
create table album (id int primary key, artist_id int not null references artist, title text not null, price numeric, year int);
create table track (id int primary key, album_id int not null references album, name text not null, seconds int);
insert into artist select n, 'artist ' || n, nullif(n - 1, 0) from generate_series(1, 9) n;
insert into album select n, 1 + n % 7, 'title ' || n % 5, nullif(n % 4, 0) * 1.25, 1990 + n % 6 from generate_series(1, 40) n;
insert into track select n, 1 + n % 31, 'name ' || n % 11, nullif(n % 9, 0) * 10 from generate_series(1, 120) n;
create function artist_shout(a artist, mark text default '!') returns text language sql stable as $$ select upper(a.name) || mark $$;
create function artist_rank(artist) returns int language sql stable as $$ select 10 - $1.id % 3 $$;
create function album_decade(b album) returns int language sql immutable as $$ select b.year / 10 * 10 $$;
create function album_age(b album, at int) returns int language sql immutable as $$ select at - b.year $$;
create function some_artists() returns setof artist language sql stable as $$ select * from artist where id > 2 $$;
";

const SCHEMA: &str = "
type Query { artists: [Artist!]! albums: [Album!]! tracks: [Track!]! someArtists: [Artist!]! @function }
type Artist @relation(name: \"artist\") @read(aggregate: true, connection: true, distinct: true) @write(update: true, delete: true) {
    id: Int! name: String! bossId: Int @column(name: \"boss\")
    boss: Artist @reference(columns: [\"boss\"], target: [\"id\"])
    albums: [Album!]!
    shout(mark: String): String @function(name: \"artist_shout\")
    rank: Int @function(name: \"artist_rank\")
}
type Album @relation(name: \"album\") @read(aggregate: true, connection: true) {
    id: Int! title: String! price: Decimal year: Int
    artist: Artist! tracks: [Track!]!
    decade: Int @function(name: \"album_decade\")
    age(at: Int!): Int @function(name: \"album_age\")
}
type Track @relation(name: \"track\") @read(aggregate: true) { id: Int! name: String! seconds: Int album: Album! }
";

async fn world() -> World {
    World::made(SQL, |_| SCHEMA.to_owned()).await
}

/// Compares the ids of a list with those of a statement, in order.
async fn ids(w: &World, list: &str, arguments: &str, sql: &str) {
    let expected = format!(
        "select json_build_object('{list}', coalesce(json_agg(json_build_object('id', id) order by n), '[]')) from (select id, row_number() over () n from ({sql}) o) o"
    );
    w.check(&format!("{{{list}({arguments}){{id}}}}"), "{}", &expected).await;
}

#[tokio::test]
async fn filters_by_computed_fields() {
    let w = world().await;
    ids(&w, "artists", "where:{shout:{eq:\"ARTIST 3!\"}}", "select 3 id").await;
    ids(
        &w,
        "artists",
        "where:{rank:{gte:9},_not:{shout:{endswith:\"4!\"}}},orderBy:{id:ASC}",
        "select id from artist where 10 - id % 3 >= 9 and id <> 4 order by id",
    )
    .await;
    ids(
        &w,
        "albums",
        "where:{artist:{rank:{eq:8}},decade:{in:[1990]}},orderBy:{id:ASC}",
        "select b.id from album b join artist a on a.id = artist_id where 10 - a.id % 3 = 8 order by 1",
    )
    .await;
    ids(&w, "artists", "where:{albums:{some:{decade:{eq:1990},year:{eq:1995}}}},orderBy:{id:ASC}", "select id from artist a where exists (select from album where artist_id = a.id and year = 1995) order by 1").await;
    ids(
        &w,
        "someArtists",
        "where:{rank:{lt:10}},orderBy:{rank:ASC,id:DESC}",
        "select id from artist where id > 2 and 10 - id % 3 < 10 order by 10 - id % 3, id desc",
    )
    .await;
    w.check(
        "query($s:String){artists(where:{shout:{eq:$s}}){id}}",
        r#"{"s":"'; drop table artist; --"}"#,
        "select '{\"artists\":[]}'::json",
    )
    .await;
}

#[tokio::test]
async fn orders_by_computed_fields_wherever_rows_come_from() {
    let w = world().await;
    ids(
        &w,
        "artists",
        "orderBy:[{rank:DESC},{id:ASC}]",
        "select id from artist order by 10 - id % 3 desc, id",
    )
    .await;
    ids(
        &w,
        "artists",
        "orderBy:[{rank:DESC},{id:ASC}],limit:3,offset:2",
        "select id from artist order by 10 - id % 3 desc, id limit 3 offset 2",
    )
    .await;
    ids(&w, "albums", "orderBy:[{artist:{rank:ASC}},{id:DESC}],limit:7", "select b.id from album b join artist a on a.id = artist_id order by 10 - a.id % 3, b.id desc limit 7").await;
    // What is below a page makes a subquery of it, and a computed field carries the row out of it.
    w.check(
        "{artists(orderBy:[{rank:DESC},{id:ASC}],limit:2){id rank boss{id} albums(orderBy:[{decade:ASC},{id:ASC}],limit:2){id artist{id}}}}",
        "{}",
        "select json_build_object('artists', (select json_agg(json_build_object('id', id, 'rank', 10 - id % 3, 'boss', (select json_build_object('id', x.id) from artist x where x.id = a.boss), 'albums', (select json_agg(json_build_object('id', b.id, 'artist', json_build_object('id', a.id)) order by b.id) from (select * from album where artist_id = a.id order by id limit 2) b)) order by 10 - id % 3 desc, id) from (select * from artist order by 10 - id % 3 desc, id limit 2) a))",
    )
    .await;
    w.check(
        "{artists(distinctOn:[bossId],orderBy:[{rank:DESC},{id:ASC}],limit:2){id rank boss{name}}}",
        "{}",
        "select '{\"artists\":[{\"id\":3,\"rank\":10,\"boss\":{\"name\":\"artist 2\"}},{\"id\":6,\"rank\":10,\"boss\":{\"name\":\"artist 5\"}}]}'::json",
    )
    .await;
}

#[tokio::test]
async fn filters_by_aggregates_of_related_rows() {
    let w = world().await;
    for (filter, having) in [
        ("albumsAggregate:{count:{gt:5}}", "select count(*) > 5 from album where artist_id = a.id"),
        ("albumsAggregate:{count:{eq:0}}", "select count(*) = 0 from album where artist_id = a.id"),
        (
            "albumsAggregate:{where:{year:{gt:1993}},count:{gte:2},sum:{price:{gt:\"2.5\"}}}",
            "select count(*) >= 2 and sum(price) > 2.5 from album where artist_id = a.id and year > 1993",
        ),
        (
            "albumsAggregate:{avg:{price:{isnull:false}},max:{title:{eq:\"title 4\"}},min:{year:{in:[1990,1991]}}}",
            "select avg(price) is not null and max(title) = 'title 4' and min(year) in (1990, 1991) from album where artist_id = a.id",
        ),
        (
            "albumsAggregate:{_or:[{count:{lt:6}},{sum:{year:{gt:\"11000\"}}}],_not:{count:{eq:0}}}",
            "select (count(*) < 6 or sum(year) > 11000) and not count(*) = 0 from album where artist_id = a.id",
        ),
        (
            "albumsAggregate:{where:{tracksAggregate:{count:{gt:3}}},count:{gt:3}}",
            "select count(*) > 3 from album b where artist_id = a.id and (select count(*) from track where album_id = b.id) > 3",
        ),
        (
            "albums:{some:{tracksAggregate:{sum:{seconds:{gt:\"200\"}}}}}",
            "select bool_or((select sum(seconds) from track where album_id = b.id) > 200) from album b where artist_id = a.id",
        ),
        ("boss:{albumsAggregate:{count:{gt:5}}}", "select count(*) > 5 from album where artist_id = a.boss"),
        ("albumsAggregate:{}", "select true"),
        ("albumsAggregate:{_or:[]}", "select false"),
    ] {
        let sql = format!("select id from artist a where ({having}) order by id");
        ids(&w, "artists", &format!("where:{{{filter}}},orderBy:{{id:ASC}}"), &sql).await;
    }
    w.check(
        "query($n:Int!){artistsAggregate(where:{albumsAggregate:{count:{gt:$n}}}){count} artistsConnection(where:{albumsAggregate:{count:{gt:$n}}}){totalCount}}",
        r#"{"n":5}"#,
        "select json_build_object('artistsAggregate', json_build_object('count', n), 'artistsConnection', json_build_object('totalCount', n)) from (select count(*) n from artist a where (select count(*) from album where artist_id = a.id) > 5) x",
    )
    .await;
    let error = w.run("{artists(where:{albumsAggregate:{count:null}}){id}}", "{}").await.unwrap_err();
    assert!(error.starts_with("BAD_USER_INPUT: \"count\" must not be null"), "{error}");
}

#[tokio::test]
async fn orders_by_aggregates_of_related_rows() {
    let w = world().await;
    let count = "(select count(*) from album where artist_id = a.id)";
    ids(
        &w,
        "artists",
        "orderBy:[{albumsAggregate:{count:DESC}},{id:ASC}]",
        &format!("select id from artist a order by {count} desc, id"),
    )
    .await;
    ids(&w, "artists", "orderBy:[{albumsAggregate:{sum:{price:DESC_NULLS_LAST}}},{id:DESC}],limit:4", "select id from artist a order by (select sum(price) from album where artist_id = a.id) desc nulls last, id desc limit 4").await;
    ids(&w, "artists", "orderBy:[{boss:{albumsAggregate:{max:{year:ASC_NULLS_FIRST}}}},{id:ASC}]", "select id from artist a order by (select max(year) from album where artist_id = a.boss) nulls first, id").await;
    w.check(
        "{artists(orderBy:[{albumsAggregate:{count:DESC}},{id:DESC}],limit:2){id albums(orderBy:[{tracksAggregate:{count:ASC}},{id:ASC}],limit:1){id tracks(limit:0){id}}}}",
        "{}",
        &format!("select json_build_object('artists', (select json_agg(json_build_object('id', id, 'albums', (select json_agg(json_build_object('id', b.id, 'tracks', '[]'::json)) from (select * from album x where artist_id = a.id order by (select count(*) from track where album_id = x.id), id limit 1) b)) order by {count} desc, id desc) from (select * from artist a order by {count} desc, id desc limit 2) a))"),
    )
    .await;
}

#[tokio::test]
async fn pages_go_on_from_what_is_computed() {
    let w = world().await;
    for (order, sql) in [
        (
            "[{albumsAggregate:{count:DESC}},{id:ASC}]",
            "(select count(*) from album where artist_id = a.id) desc, id",
        ),
        (
            "[{albumsAggregate:{sum:{price:ASC}}},{id:DESC}]",
            "(select sum(price) from album where artist_id = a.id), id desc",
        ),
        ("[{rank:DESC},{shout:ASC}]", "10 - id % 3 desc, upper(name)"),
    ] {
        let mut found: Vec<i64> = Vec::new();
        let mut after = "null".to_owned();
        loop {
            let page = format!(
                "{{artistsConnection(first:2,after:{after},orderBy:{order}){{nodes{{id}} pageInfo{{hasNextPage endCursor}}}}}}"
            );
            let page = w.run(&page, "{}").await.unwrap();
            let page = &page["artistsConnection"];
            found.extend(page["nodes"].as_array().unwrap().iter().map(|node| node["id"].as_i64().unwrap()));
            after = page["pageInfo"]["endCursor"].to_string();
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
        }
        let expected = w
            .scalar(&format!("select json_agg(id)::text from (select id from artist a order by {sql}) o"))
            .await;
        assert_eq!(serde_json::json!(found).to_string(), expected.replace(' ', ""), "{order}");
    }
}

#[tokio::test]
async fn writes_pick_rows_by_them() {
    let w = world().await;
    w.check(
        "mutation{updateArtists(where:{albumsAggregate:{count:{eq:0}},rank:{gt:0}},set:{name:\"idle\"}){affectedRows}}",
        "{}",
        "select json_build_object('updateArtists', json_build_object('affectedRows', count(*))) from artist a where not exists (select from album where artist_id = a.id)",
    )
    .await;
    assert_eq!(w.scalar("select count(*)::text from artist where name = 'idle'").await, "2");
    w.check(
        "mutation{deleteArtists(where:{shout:{eq:\"IDLE!\"},id:{eq:9}}){affectedRows}}",
        "{}",
        "select '{\"deleteArtists\":{\"affectedRows\":1}}'::json",
    )
    .await;
}

#[tokio::test]
async fn what_needs_arguments_is_in_no_filter() {
    let w = world().await;
    for argument in ["where:{age:{gt:1}}", "orderBy:{age:ASC}"] {
        let error = w.run(&format!("{{albums({argument}){{id}}}}"), "{}").await.unwrap_err();
        assert!(error.starts_with("GRAPHQL_VALIDATION_FAILED"), "{error}");
    }
}
