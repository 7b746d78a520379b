//! Relay's connections on Chinook: whole walks forwards and backwards, against lists in SQL.

use serde_json::{Value, json};

use crate::world::World;

/// Walks through all pages and returns the ids of the nodes in the order met.
async fn walk(w: &World, order: &str, filter: &str, size: usize, backward: bool) -> Vec<i64> {
    let (count, cursor) = if backward { ("last", "before") } else { ("first", "after") };
    let query = format!(
        "query($n:Int,$c:String){{tracksConnection({count}:$n,{cursor}:$c,orderBy:{order},where:{filter})\
         {{edges{{cursor node{{trackId}}}} nodes{{trackId}} pageInfo{{hasNextPage hasPreviousPage startCursor endCursor}}}}}}"
    );
    let mut found = Vec::new();
    let mut place = Value::Null;
    loop {
        let variables = json!({"n": size, "c": place}).to_string();
        let data = w.run(&query, &variables).await.unwrap();
        let page = &data["tracksConnection"];
        let edges = page["edges"].as_array().unwrap();
        let ids: Vec<i64> = edges.iter().map(|edge| edge["node"]["trackId"].as_i64().unwrap()).collect();
        let nodes: Vec<i64> =
            page["nodes"].as_array().unwrap().iter().map(|node| node["trackId"].as_i64().unwrap()).collect();
        assert_eq!(ids, nodes);
        let info = &page["pageInfo"];
        assert_eq!(info["startCursor"], edges.first().map_or(Value::Null, |edge| edge["cursor"].clone()));
        assert_eq!(info["endCursor"], edges.last().map_or(Value::Null, |edge| edge["cursor"].clone()));
        let (more, behind) =
            if backward { ("hasPreviousPage", "hasNextPage") } else { ("hasNextPage", "hasPreviousPage") };
        assert_eq!(info[behind], Value::Bool(!found.is_empty()), "{order} {filter}");
        assert!(ids.len() <= size);
        if backward {
            found.splice(0..0, ids);
        } else {
            found.extend(ids);
        }
        if info[more] == Value::Bool(false) {
            return found;
        }
        place = info[if backward { "startCursor" } else { "endCursor" }].clone();
    }
}

#[tokio::test]
async fn walks_meet_every_row_once_in_order() {
    let w = World::chinook().await;
    for (order, sql) in [
        ("{trackId:ASC}", "track_id"),
        ("{trackId:DESC}", "track_id desc"),
        ("{milliseconds:DESC}", "milliseconds desc, track_id"),
        ("[{composer:ASC},{milliseconds:DESC}]", "composer, milliseconds desc, track_id"),
        ("[{composer:DESC},{name:ASC}]", "composer desc, name, track_id"),
        ("[{composer:ASC_NULLS_FIRST}]", "composer asc nulls first, track_id"),
        ("[{composer:DESC_NULLS_LAST},{trackId:DESC}]", "composer desc nulls last, track_id desc"),
        (
            "[{album:{title:ASC}},{unitPrice:DESC}]",
            "(select title from album a where a.album_id = t.album_id), unit_price desc, track_id",
        ),
        ("[]", "track_id"),
    ] {
        for (filter, condition) in [
            ("{trackId:{lte:120}}", "track_id <= 120"),
            ("{genreId:{eq:2},milliseconds:{gt:400000}}", "genre_id = 2 and milliseconds > 400000"),
        ] {
            let ids = w.scalar(&format!("select coalesce(json_agg(track_id order by {sql}), '[]')::text from track t where {condition}")).await;
            let ids: Vec<i64> = serde_json::from_str(&ids).unwrap();
            for size in [7, 40, 500] {
                assert_eq!(walk(&w, order, filter, size, false).await, ids, "{order} {filter} {size}");
                assert_eq!(
                    walk(&w, order, filter, size, true).await,
                    ids,
                    "{order} {filter} {size}, backwards"
                );
            }
        }
    }
}

#[tokio::test]
async fn connections_below_rows_and_what_else_they_tell() {
    let w = World::chinook().await;
    w.check(
        "{artists(where:{artistId:{in:[1,22,90]}},orderBy:{artistId:ASC}){name albumsConnection(first:2,where:{title:{contains:\"e\"}},orderBy:{title:DESC}){totalCount __typename edges{__typename node{title artist{name} tracks(limit:1,orderBy:{trackId:ASC}){name}}} pageInfo{hasNextPage hasPreviousPage __typename} aggregate{count max{albumId}}}}}",
        "{}",
        "select json_build_object('artists', (select json_agg(json_build_object('name', name, 'albumsConnection', (select json_build_object('totalCount', (select count(*) from album b where b.artist_id = a.artist_id and title like '%e%'), '__typename', 'AlbumConnection', 'edges', coalesce((select json_agg(json_build_object('__typename', 'AlbumEdge', 'node', json_build_object('title', title, 'artist', json_build_object('name', a.name), 'tracks', (select json_agg(json_build_object('name', name)) from (select name from track t where t.album_id = b.album_id order by track_id limit 1) t))) order by title desc, album_id) from (select * from album b where b.artist_id = a.artist_id and title like '%e%' order by title desc, album_id limit 2) b), '[]'), 'pageInfo', json_build_object('hasNextPage', (select count(*) > 2 from album b where b.artist_id = a.artist_id and title like '%e%'), 'hasPreviousPage', false, '__typename', 'PageInfo'), 'aggregate', (select json_build_object('count', count(*), 'max', json_build_object('albumId', max(album_id))) from album b where b.artist_id = a.artist_id and title like '%e%')))) order by artist_id) from artist a where artist_id in (1, 22, 90)))",
    )
    .await;
    w.check("{artistsConnection(first:0){totalCount nodes{name} pageInfo{hasNextPage endCursor startCursor}}}", "{}", "select '{\"artistsConnection\":{\"totalCount\":275,\"nodes\":[],\"pageInfo\":{\"hasNextPage\":true,\"endCursor\":null,\"startCursor\":null}}}'::json").await;
    w.check("{artistsConnection{nodes{artistId}}}", "{}", "select json_build_object('artistsConnection', json_build_object('nodes', (select json_agg(json_build_object('artistId', artist_id) order by artist_id) from artist)))").await;
    w.check("{a:artistsConnection(where:{artistId:{lt:0}},first:3){edges{cursor} pageInfo{hasNextPage hasPreviousPage startCursor endCursor}}}", "{}", "select '{\"a\":{\"edges\":[],\"pageInfo\":{\"hasNextPage\":false,\"hasPreviousPage\":false,\"startCursor\":null,\"endCursor\":null}}}'::json").await;
    w.check("{playlistTracksConnection(first:2,orderBy:{trackId:DESC}){nodes{playlistId trackId}}}", "{}", "select json_build_object('playlistTracksConnection', json_build_object('nodes', (select json_agg(json_build_object('playlistId', playlist_id, 'trackId', track_id)) from (select * from playlist_track order by track_id desc, playlist_id limit 2) p)))").await;
}

#[tokio::test]
async fn cursors_that_are_refused() {
    let w = World::chinook().await;
    let foreign = "BAD_USER_INPUT: the cursor belongs to another list, or to another orderBy";
    let none = "BAD_USER_INPUT: the cursor is none of this service";
    let data =
        w.run("{tracksConnection(first:1,orderBy:{name:ASC}){pageInfo{endCursor}}}", "{}").await.unwrap();
    let cursor = data["tracksConnection"]["pageInfo"]["endCursor"].as_str().unwrap();
    w.refuse(&format!("{{tracksConnection(first:1,after:\"{cursor}\"){{totalCount}}}}"), foreign).await;
    w.refuse(
        &format!("{{tracksConnection(first:1,after:\"{cursor}\",orderBy:{{name:DESC}}){{totalCount}}}}"),
        foreign,
    )
    .await;
    w.refuse("{tracksConnection(first:1,after:\"nonsense\"){totalCount}}", none).await;
    w.refuse("{tracksConnection(first:1,after:\"\"){totalCount}}", none).await;
    w.refuse("{tracksConnection(first:-1){nodes{name}}}", "BAD_USER_INPUT: -1 rows cannot be asked for")
        .await;
    w.refuse(
        "{tracksConnection(first:1,last:1){totalCount}}",
        "BAD_USER_INPUT: give \"first\" and \"after\", or \"last\" and \"before\", not some of both",
    )
    .await;
}

#[tokio::test]
async fn a_page_reads_the_index_and_not_the_table() {
    let w = World::made(
        "create table reading (id bigint primary key, at timestamptz not null, what text); \
         insert into reading select n, '2026-01-01'::timestamptz + n * interval '1 s', 'r' || n from generate_series(1, 20000) n; \
         create index on reading (at, id); analyze reading;",
        |_| "type Query { readings: [Reading!]! } type Reading @relation(name: \"reading\") @read(connection: true) { id: BigInt! at: DateTime! what: String }".to_owned(),
    )
    .await;
    let query = "query($c:String){readingsConnection(first:10,after:$c,orderBy:{at:ASC}){nodes{id} pageInfo{endCursor}}}";
    let first = w.run(query, "{}").await.unwrap();
    let cursor = first["readingsConnection"]["pageInfo"]["endCursor"].as_str().unwrap().to_owned();
    let plan = w.explain(query, &json!({"c": cursor}).to_string()).await;
    // The rows of the page itself may be sorted again: from 16 on, aggregates show that as a step.
    let (_, read) = plan.split_once("Limit").expect("only a page is read");
    assert!(read.contains("Index") && !plan.contains("Seq Scan") && !read.contains("Sort"), "{plan}");
}
