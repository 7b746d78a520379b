//! Interfaces, unions and global ids against SQL that was written for the purpose.

use fraiseql_engine::{Variables, bind};
use serde_json::Value;

use crate::world::World;

const DATABASE: &str = "
create table artist (artist_id int primary key, name text not null);
create table album (
  album_id int primary key, title varchar(80) not null, artist_id int not null references artist, price float8);
create index on album (artist_id);
create index on album (title);
create table track (
  track_id int primary key, name text not null, album_id int references album, artist_id int references artist,
  seconds int not null);
create index on track (artist_id);
create index on track (name);
create table place (code uuid primary key, label text not null, artist_id int not null references artist);
create index on place (artist_id);
insert into artist select n, 'artist ' || n from generate_series(1, 5) n;
insert into album select n, 'T' || (n % 7), 1 + n % 5, n / 2.0 from generate_series(1, 20) n;
insert into track select n, 'T' || (n % 11), nullif(n % 21, 0), nullif(n % 6, 0), n * 10
  from generate_series(1, 60) n;
insert into place select ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'place ' || n, 1 + n % 5
  from generate_series(1, 6) n;

create type species as enum ('dog', 'cat', 'fish');
create table owner (id int primary key, name text not null);
create table animal (
  id int primary key, kind species not null, name text not null, owner_id int references owner, barks boolean,
  lives int);
create index on animal (owner_id);
insert into owner select n, 'owner ' || n from generate_series(1, 4) n;
insert into animal select n, (array['dog', 'cat', 'fish'])[1 + n % 3]::species, 'animal ' || n,
  nullif(n % 5, 0), case when n % 3 = 0 then n % 2 = 0 end, case when n % 3 = 1 then n end
  from generate_series(1, 30) n;

create table party (
  id int primary key, kind text not null, name text not null, account int not null unique,
  owner_id int references owner);
create index on party (owner_id);
create table person (id int primary key references party, born date);
create table company (party_id int primary key references party, seats int not null);
insert into party select n, case when n % 2 = 0 then 'person' else 'company' end, 'party ' || n, 100 + n,
  1 + n % 4 from generate_series(1, 12) n;
insert into person select n, date '2000-01-01' + n from generate_series(2, 12, 2) n;
insert into company select n, n * 2 from generate_series(1, 11, 2) n;

create domain word as text not null;
create table tag (
  name word, lang varchar(5), place uuid references place, note text, primary key (name, lang));
insert into tag values ('größe:1', 'de', null, 'a'), ('it''s', 'en', '00000000-0000-0000-0000-000000000002', 'b'),
  ('', 'x', null, null);

create table remark (
  id int primary key, body text not null, subject_type text, subject_id int,
  about_album int references album, about_artist int references artist);
insert into remark values
  (1, 'a', 'Album', 3, 3, null), (2, 'b', 'Artist', 2, null, 2), (3, 'c', null, null, null, null),
  (4, 'd', 'Album', 999, null, null), (5, 'e', 'Other', 1, null, null);
";

const SCHEMA: &str = r#"
interface Node { id: ID! }
interface Titled { title: String! artist: Artist }
interface Priced implements Titled { title: String! artist: Artist price: Float }
union Marked = Place | Tag | Dog
type Tag implements Node @relation(name: "tag") { id: ID! note: String place: Place }
union Found = Album | Artist | Place
union Subject = Album | Artist

type Query {
  tags: [Tag!]!
  marked: [Marked!]!
  titled: [Titled!]!
  priced: [Priced!]!
  found: [Found!]!
  animals: [Animal!]!
  animal(id: Int!): Animal
  dogs: [Dog!]!
  owners: [Owner!]!
  parties: [Party!]!
  party(account: Int!): Party
  people: [Person!]!
  person(id: Int!): Person
  artists: [Artist!]!
  remarks: [Remark!]!
  node(id: ID!): Node
  nodes(ids: [ID!]!): [Node]!
}
type Artist implements Node @relation(name: "artist") {
  id: ID!
  artistId: Int!
  name: String!
  titled: [Titled!]!
  found: [Works!]!
}
union Works = Album | Place
type Album implements Titled & Priced & Node @relation(name: "album") {
  id: ID!
  albumId: Int!
  title: String!
  artist: Artist!
  price: Float
  tracks: [Track!]!
}
type Track implements Titled @relation(name: "track") @variant(value: "a") {
  trackId: Int!
  title: String! @column(name: "name")
  artist: Artist
  seconds: Int!
}
type Place implements Node @relation(name: "place") { id: ID! code: UUID! label: String! }
type Remark @relation(name: "remark") {
  id: Int!
  body: String!
  subject: Subject @reference(columns: ["subject_id"], discriminator: "subject_type")
  about: Subject
  any: Sung @reference(columns: ["id"], target: ["artist_id"], discriminator: "body")
}
union Sung = Track

interface Animal @relation(name: "animal") @discriminator(column: "kind") {
  id: Int!
  name: String!
  owner: Owner
}
type Dog implements Animal @variant(value: "dog") { id: Int! name: String! owner: Owner barks: Boolean }
type Cat implements Animal @variant(value: "cat") { id: Int! name: String! owner: Owner lives: Int! @neverNull }
type Owner @relation(name: "owner") {
  id: Int!
  name: String!
  pets: [Animal!]!
  dogs: [Dog!]!
  parties: [Party!]!
}

interface Party @relation(name: "party") @discriminator(column: "kind") {
  id: Int!
  name: String!
  account: Int!
}
type Person implements Party & Node2 @relation(name: "person") @variant(value: "person") {
  id: Int!
  name: String!
  account: Int!
  born: Date
  owner: Owner
}
type Company implements Party & Node2 @relation(name: "company") @variant(value: "company") {
  id: Int! @column(name: "party_id")
  name: String!
  account: Int!
  seats: Int!
}
interface Node2 { account: Int! }
extend union Found = Track
extend interface Node2 { name: String! }
"#;

async fn world() -> World {
    World::made(DATABASE, |_| SCHEMA.to_owned()).await
}

/// All rows of the four titled tables' two, as SQL.
const TITLED: &str = "select 0 as t, album_id as k, title::text as title, artist_id from album \
                      union all select 1, track_id, name, artist_id from track";

#[tokio::test(flavor = "multi_thread")]
async fn separate_relations_are_one_list() {
    let world = world().await;
    world
        .check(
            "{ titled(orderBy: {title: ASC}) { __typename title ... on Album { albumId } ... on Track { trackId } } }",
            "{}",
            &format!(
                "select json_build_object('titled', json_agg(case t when 0 then \
                 json_build_object('__typename', 'Album', 'title', title, 'albumId', k) else \
                 json_build_object('__typename', 'Track', 'title', title, 'trackId', k) end order by title, t, k)) \
                 from ({TITLED}) x"
            ),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_filters_and_orders_work_on_what_the_types_have_alike() {
    let world = world().await;
    let query = "query ($n: Int!, $o: Int!, $a: Int!) {
      titled(where: {artist: {artistId: {gt: $a}}, title: {neq: \"T3\"}}, orderBy: [{title: DESC}, {artist: {name: ASC}}],
        limit: $n, offset: $o) { title a: artist { name } ...on Track { seconds } }
    }";
    for (limit, offset, after) in [(7, 0, 1), (7, 7, 1), (100, 3, 2), (0, 0, 0), (5, 500, 0)] {
        let variables = format!(r#"{{"n": {limit}, "o": {offset}, "a": {after}}}"#);
        world
            .check(
                query,
                &variables,
                &format!(
                    "select json_build_object('titled', coalesce(json_agg(case when s is null then \
                     json_build_object('title', title, 'a', a) else json_build_object('title', title, 'a', a, \
                     'seconds', s) end order by title desc, n, t, k), '[]')) from (select x.*, r.name as n, \
                     json_build_object('name', r.name) as a, case t when 1 then k * 10 end as s from ({TITLED}) x \
                     join artist r using (artist_id) where artist_id > {after} and title <> 'T3' \
                     order by title desc, r.name, t, k limit {limit} offset {offset}) y"
                ),
            )
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_union_has_pages_and_keys_of_several_types() {
    let world = world().await;
    let all = "select 0 as t, album_id as k, null::uuid as u, json_build_object('album', title) as j from album \
               union all select 1, artist_id, null, json_build_object('name', name) from artist \
               union all select 2, null, code, json_build_object('code', code, 'name', label) from place \
               union all select 3, track_id, null, '{}'::json from track";
    for page in ["limit: 12, offset: 17", "limit: 200", "offset: 30"] {
        let query = format!(
            "{{ found({page}) {{ ... on Album {{ album: title }} ... on Artist {{ name }} ...on Place {{ code name: label }} }} }}"
        );
        let page = page.replace([':', ','], " ");
        let sql = format!(
            "select json_build_object('found', json_agg(j)) from \
             (select j from ({all}) x order by t, k, u {page}) y"
        );
        world.check(&query, "{}", &sql).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fragments_of_different_types_merge_under_one_key() {
    let world = world().await;
    let key = "k".repeat(70);
    let query = format!(
        "query ($yes: Boolean!) {{ titled(limit: 30, offset: 10, orderBy: {{title: ASC}}) {{
          {key}: title
          ... on Album {{ n: albumId own: artist {{ artistId }} }}
          ...T @include(if: $yes)
          ... on Priced {{ price artist {{ artistId }} artist {{ name }} }}
          ... on Found {{ __typename }}
          ... @skip(if: $yes) {{ gone: title }}
        }} }}
        fragment T on Track {{ n: trackId artist {{ name }} }}"
    );
    let expected = |yes: bool| {
        let track = if yes {
            "json_build_object('$K', title, 'n', k, 'artist', a, '__typename', 'Track')"
        } else {
            "json_build_object('$K', title, '__typename', 'Track', 'gone', title)"
        };
        let gone = if yes { "" } else { ", 'gone', title" };
        format!(
            "select json_build_object('titled', json_agg(case t when 0 then json_build_object('$K', title, 'n', k, \
             'own', json_build_object('artistId', artist_id), 'artist', json_build_object('artistId', artist_id, 'name', name), 'price', (k / 2.0)::float8, '__typename', 'Album' {gone}) \
             else {track} end order by title, t, k)) from (select x.*, r.name, case when r.name is not null then \
             json_build_object('name', r.name) end as a from ({TITLED}) x left join artist r using (artist_id) \
             order by title, t, k limit 30 offset 10) y"
        )
        .replace("$K", &key)
    };
    world.check(&query, r#"{"yes": true}"#, &expected(true)).await;
    world.check(&query, r#"{"yes": false}"#, &expected(false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_tells_the_type_of_a_row() {
    let world = world().await;
    let animals = "select id, kind, name, owner_id, barks, lives, case kind when 'dog' then \
                   json_build_object('__typename', 'Dog', 'id', id, 'barks', barks) else \
                   json_build_object('__typename', 'Cat', 'id', id, 'lives', lives) end as j from animal \
                   where kind <> 'fish'";
    let fields = "{ __typename id ... on Dog { barks } ... on Cat { lives } }";
    world
        .check(
            &format!(
                "{{ animals(where: {{owner: {{id: {{gt: 1}}}}}}, orderBy: {{name: DESC}}, limit: 9, offset: 2) {fields}
                   dogs(orderBy: {{id: ASC}}) {{ id name }}
                   one: animal(id: 4) {fields} fish: animal(id: 2) {fields} none: animal(id: 400) {fields} }}"
            ),
            "{}",
            &format!(
                "select json_build_object('animals', (select json_agg(j) from (select j from ({animals}) a \
                 where owner_id > 1 order by name desc limit 9 offset 2) b), 'dogs', (select json_agg(\
                 json_build_object('id', id, 'name', name) order by id) from animal where kind = 'dog'), \
                 'one', (select j from ({animals}) a where id = 4), 'fish', null, 'none', null)"
            ),
        )
        .await;
    world
        .check(
            &format!(
                "{{ owners(orderBy: {{id: ASC}}, where: {{pets: {{some: {{name: {{gt: \"animal 2\"}}}}}}}})
                   {{ id pets(orderBy: {{id: ASC}}, limit: 3) {fields} dogs(orderBy: {{id: DESC}}) {{ id }} }} }}"
            ),
            "{}",
            &format!(
                "select json_build_object('owners', json_agg(json_build_object('id', id, 'pets', (select \
                 coalesce(json_agg(j), '[]') from (select j from ({animals}) a where owner_id = o.id order by id limit 3) b), \
                 'dogs', (select coalesce(json_agg(json_build_object('id', id) order by id desc), '[]') from animal \
                 where owner_id = o.id and kind = 'dog')) order by id)) from owner o where exists (select from animal \
                 where owner_id = o.id and kind <> 'fish' and name > 'animal 2')"
            ),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sub_table_shares_the_key_of_its_base() {
    let world = world().await;
    world
        .check(
            "{ parties(orderBy: {account: DESC}) { __typename name ... on Person { born } ... on Company { id seats } }
               people(where: {name: {neq: \"party 4\"}}, orderBy: {account: ASC}, limit: 3) { id name born owner { id } }
               person(id: 6) { name account } wrong: person(id: 5) { name }
               party(account: 103) { ... on Company { seats name } } }",
            "{}",
            "select json_build_object('parties', (select json_agg(case kind when 'person' then json_build_object(\
             '__typename', 'Person', 'name', name, 'born', born) else json_build_object('__typename', 'Company', \
             'name', name, 'id', p.id, 'seats', seats) end order by account desc) from party p left join person using (id) \
             left join company c on c.party_id = p.id), 'people', (select json_agg(json_build_object('id', id, \
             'name', name, 'born', born, 'owner', json_build_object('id', owner_id))) from (select * from person join party using (id) \
             where name <> 'party 4' order by account limit 3) x), 'person', json_build_object('name', 'party 6', \
             'account', 106), 'wrong', null, 'party', json_build_object('seats', 6, 'name', 'party 3'))",
        )
        .await;
    world
        .check(
            "{ owners(orderBy: {id: ASC}) { parties(orderBy: {id: DESC}) { account ... on Person { born } } } }",
            "{}",
            "select json_build_object('owners', json_agg(json_build_object('parties', (select json_agg(case kind \
             when 'person' then json_build_object('account', account, 'born', born) else json_build_object('account', account) \
             end order by id desc) from party left join person using (id) where owner_id = o.id)) order by id)) from owner o",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn references_lead_to_several_relations() {
    let world = world().await;
    world
        .check(
            "{ remarks(orderBy: {id: ASC}) { id
                 subject { __typename ... on Album { title } ... on Artist { name } }
                 any { ... on Track { artist { artistId } } }
                 about { ... on Album { title artist { name } } ... on Artist { name } } } }",
            "{}",
            "select json_build_object('remarks', json_agg(json_build_object('id', id, 'subject', case subject_type \
             when 'Album' then (select json_build_object('__typename', 'Album', 'title', title) from album where \
             album_id = subject_id) when 'Artist' then (select json_build_object('__typename', 'Artist', 'name', name) \
             from artist where artist_id = subject_id) end, 'any', case body when 'a' then \
             json_build_object('artist', json_build_object('artistId', id)) end, 'about', coalesce((select json_build_object('title', title, \
             'artist', json_build_object('name', a.name)) from album join artist a using (artist_id) where album_id = about_album), (select json_build_object('name', name) \
             from artist where artist_id = about_artist))) order by id)) from remark",
        )
        .await;
    world
        .check(
            "{ artists(orderBy: {artistId: ASC}, limit: 3) {
                 titled(where: {title: {gte: \"T2\"}}, orderBy: {title: ASC}, limit: 4) { title __typename }
                 found(limit: 3, offset: 2) { ... on Album { albumId } ... on Place { label } } } }",
            "{}",
            &format!(
                "select json_build_object('artists', json_agg(json_build_object('titled', (select json_agg(\
                 json_build_object('title', title, '__typename', (array['Album', 'Track'])[t + 1])) from (select * from \
                 ({TITLED}) x where artist_id = r.artist_id and title >= 'T2' order by title, t, k limit 4) y), 'found', \
                 (select json_agg(j) from (select j from (select 0 t, album_id k, null::uuid u, json_build_object('albumId', \
                 album_id) j, artist_id from album union all select 1, null, code, json_build_object('label', label), \
                 artist_id from place) x where artist_id = r.artist_id order by t, k, u limit 3 offset 2) z)) order by artist_id)) \
                 from artist r where artist_id < 4"
            ),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_lists_below_other_rows_have_their_own_lists() {
    let world = world().await;
    world
        .check(
            "{ artists(orderBy: {artistId: ASC}) { name
                 titled(orderBy: {title: DESC_NULLS_LAST}) { title artist { name } ... on Album { tracks(limit: 2, orderBy: {trackId: ASC}) { trackId } } }
               }
               __type(name: \"Titled\") { kind possibleTypes { name } interfaces { name } } }",
            "{}",
            &format!(
                "select json_build_object('artists', json_agg(json_build_object('name', name, 'titled', (select \
                 coalesce(json_agg(case t when 0 then json_build_object('title', title, 'artist', json_build_object('name', r.name), \
                 'tracks', (select coalesce(json_agg(json_build_object('trackId', track_id)), '[]') from (select track_id \
                 from track where album_id = k order by 1 limit 2) z)) else json_build_object('title', title, 'artist', \
                 json_build_object('name', r.name)) end order by title desc, t, k), '[]') from ({TITLED}) x where artist_id = r.artist_id)) \
                 order by artist_id), '__type', json_build_object('kind', 'INTERFACE', 'possibleTypes', (select \
                 json_agg(json_build_object('name', n)) from unnest(array['Album', 'Track']) n), 'interfaces', '[]'::json)) from artist r"
            ),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_global_id_finds_its_row_again() {
    let world = world().await;
    let ids = world
        .run("{ artists(limit: 1, orderBy: {artistId: DESC}) { id } found(offset: 19, limit: 7) { ... on Node { id } } }", "{}")
        .await
        .unwrap();
    let id = |value: &Value| value["id"].as_str().unwrap().to_owned();
    let artist = id(&ids["artists"][0]);
    let ids: Vec<String> = ids["found"].as_array().unwrap().iter().map(id).collect();
    let asked = serde_json::json!({ "a": artist, "ids": ids, "none": "MTY6QXJ0aXN0MzpuLWE" });
    let missing = "MTU6QWxidW00Ojk5OTk";
    let fields = "{ id __typename ... on Artist { name } ... on Album { title artist { id } } ... on Place { label } }";
    let query = format!(
        "query ($a: ID!, $ids: [ID!]!) {{ node(id: $a) {fields} nodes(ids: $ids) {fields}
           literal: node(id: \"{artist}\") {{ ... on Artist {{ artistId }} }}
           missing: node(id: \"{missing}\") {{ id }}
           mixed: nodes(ids: [\"{missing}\", $a]) {{ id }} }}"
    );
    let data = world.run(&query, &asked.to_string()).await.unwrap();
    assert_eq!(data["node"], serde_json::json!({ "id": artist, "__typename": "Artist", "name": "artist 5" }));
    assert_eq!(data["literal"]["artistId"], 5);
    assert_eq!(data["missing"], Value::Null);
    assert_eq!(data["mixed"], serde_json::json!([null, { "id": artist }]));
    let found: Vec<String> = data["nodes"].as_array().unwrap().iter().map(id).collect();
    assert_eq!(found, ids, "the order of the ids is kept");
    let types: Vec<&str> =
        data["nodes"].as_array().unwrap().iter().map(|node| node["__typename"].as_str().unwrap()).collect();
    assert_eq!(types, ["Album", "Artist", "Artist", "Artist", "Artist", "Artist", "Place"]);
    let error = world.run("query ($id: ID!) { node(id: $id) { id } }", r#"{"id": "17"}"#).await.unwrap_err();
    assert_eq!(error, "BAD_USER_INPUT: this is no global id; give one as it came from a query");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_null_where_none_may_be_bubbles_within_its_type() {
    let world = world().await;
    world.execute("update animal set lives = null where id = 7").await;
    let query = "{ animals(where: {id: {in: [4, 6, 7]}}, orderBy: {id: ASC}) { id ... on Cat { lives } } \
                 one: animal(id: 7) { ... on Cat { lives } } other: animal(id: 6) { id __typename }
                 owners(limit: 2) { pets(where: {id: {in: [6, 7]}}, orderBy: {id: ASC}) { ... on Cat { lives } id } } }";
    let error = world.run(query, "{}").await.unwrap_err();
    assert!(error.contains("fraiseql.null:Cat.lives"), "{error}");
    world
        .check_singles(
            query,
            "animals: bubbled\n  Cat.lives is declared non-null and was null at [\"animals\",2,\"lives\"]\n\
             one: null\n  Cat.lives is declared non-null and was null at [\"one\",\"lives\"]\n\
             other: {\"id\":6,\"__typename\":\"Dog\"}\n\
             owners: bubbled\n  Cat.lives is declared non-null and was null at [\"owners\",1,\"pets\",0,\"lives\"]\n",
        )
        .await;
    world
        .check_singles(
            "{ artists(limit: 1) { titled(orderBy: {title: ASC}, where: {title: {eq: \"T1\"}}) { title ... on Track { seconds } } }
               pair: titled(where: {title: {eq: \"T3\"}, artist: {artistId: {eq: 4}}}) { __typename } }",
            "artists: [{\"titled\":[{\"title\":\"T1\"},{\"title\":\"T1\",\"seconds\":10}]}]\n\
             pair: [{\"__typename\":\"Album\"},{\"__typename\":\"Track\"}]\n",
        )
        .await;
    world
        .check_singles(
            "{ remarks(orderBy: {id: ASC}) { subject { ... on Album { albumId } ... on Artist { name } } } }",
            "remarks: [{\"subject\":{\"albumId\":3}},{\"subject\":{\"name\":\"artist 2\"}},{\"subject\":null},\
             {\"subject\":null},{\"subject\":null}]\n",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn types_cannot_multiply_without_end() {
    let world = world().await;
    let mut query = "title".to_owned();
    for _ in 0..12 {
        query = format!("artist {{ titled {{ {query} }} }}");
    }
    let error = world.run(&format!("{{ titled {{ {query} }} }}"), "{}").await.unwrap_err();
    assert_eq!(
        error,
        "LIMIT_EXCEEDED: the document has more than 5000 fields once every type of its interfaces and unions \
         is expanded"
    );
}

/// The rows that scans of a plan gave, all of them together.
fn rows_read(plan: &Value) -> f64 {
    let number = |key: &str| plan[key].as_f64().unwrap_or(0.0);
    let own = match plan.get("Relation Name") {
        Some(_) => (number("Actual Rows") + number("Rows Removed by Filter")) * number("Actual Loops"),
        None => 0.0,
    };
    own + plan["Plans"].as_array().into_iter().flatten().map(rows_read).sum::<f64>()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_big_tables_does_not_read_them_whole() {
    let world = world().await;
    world
        .execute(
            "insert into album select n, 'B' || lpad(n::text, 6, '0'), 1 + n % 5, 1 from generate_series(1000, 21000) n;
             insert into track select n, 'B' || lpad(n::text, 6, '0'), null, null, 1 from generate_series(1000, 21000) n;
             insert into animal select n, 'cat', 'cat ' || n, null, null, 9 from generate_series(1000, 21000) n;
             analyze;
             create function explained(query text) returns text language plpgsql as
               $$declare plan json; begin execute query into plan; return plan::text; end$$",
        )
        .await;
    let version: i32 = world.scalar("select current_setting('server_version_num')").await.parse().unwrap();
    let fields = "{ title ... on Album { artist { name } } }";
    let mut queries = vec![
        format!("{{ titled(limit: 10) {fields} }}"),
        "{ animals(limit: 10, offset: 10) { name ... on Cat { lives } } }".to_owned(),
    ];
    if version >= 130_000 {
        // Before, PostgreSQL cannot sort by an index and then on within equal titles.
        queries.push(format!("{{ titled(limit: 10, orderBy: {{title: ASC}}) {fields} }}"));
        queries.push(format!("{{ titled(limit: 5, offset: 5, orderBy: {{title: DESC}}) {fields} }}"));
    }
    let client = world.database.client().await;
    for query in queries {
        let statement = world.statement(&query);
        let values: Vec<String> = bind(&statement, &Variables::default())
            .unwrap()
            .into_iter()
            .map(|value| format!("'{}'", String::from_utf8(value.unwrap().to_vec()).unwrap()))
            .collect();
        client.batch_execute(&format!("PREPARE page AS {}", statement.sql)).await.unwrap();
        let explain = format!("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE page({})", values.join(", "));
        let plan: String = client.query_one("select explained($1)", &[&explain]).await.unwrap().get(0);
        client.batch_execute("DEALLOCATE page").await.unwrap();
        let plan: Value = serde_json::from_str(&plan).unwrap();
        let read = rows_read(&plan[0]["Plan"]);
        assert!((10.0..200.0).contains(&read), "{query} reads {read} rows: {plan:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_any_type_and_number_of_columns_find_their_rows() {
    let world = world().await;
    world
        .check(
            "{ marked(limit: 8, offset: 4) { ... on Tag { note place { label } } ... on Place { code } ... on Dog { name } } }",
            "{}",
            "select json_build_object('marked', json_agg(j)) from (select j from (select 0 as t, code as u, null::text as n, \
             null as l, null::int as i, json_build_object('code', code) as j from place union all select 1, null, name, lang, \
             null, json_build_object('note', note, 'place', case when place is not null then (select \
             json_build_object('label', label) from place where code = tag.place) end) from tag union all select 2, null, \
             null, null, id, json_build_object('name', name) from animal where kind = 'dog') x \
             order by t, u, n, l, i limit 8 offset 4) y",
        )
        .await;
    let data = world.run("{ tags { id note } }", "{}").await.unwrap();
    let tags = data["tags"].as_array().unwrap();
    let ids: Vec<&Value> = tags.iter().map(|tag| &tag["id"]).collect();
    assert_eq!(tags.len(), 3);
    let asked = serde_json::json!({ "ids": ids }).to_string();
    let found =
        world.run("query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Tag { note } } }", &asked).await;
    assert_eq!(found.unwrap()["nodes"], data["tags"]);
}
