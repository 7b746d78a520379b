//! Fields that are read from JSON documents: values, lists, objects within objects; filters, order,
//! aggregates and pages over them.

use crate::world::World;

const SQL: &str = r#"
create table tb_post (pk_post int primary key generated always as identity, status text default 'old', data jsonb not null, raw json, id uuid not null unique);
insert into tb_post (id, data, raw) values
 ('00000000-0000-0000-0000-000000000001', '{"title": "One", "view_count": 12, "score": 1.5, "big": 9007199254740993, "is_public": true, "tags": ["a", "b\"c", null], "mood": "so-so", "published_at": "2026-01-01T10:00:00+02:00",
   "author": {"id": "7", "full_name": "Ada", "address": {"city": "Turin"}}, "comments": [{"body": "first", "author": {"full_name": "Alan"}}, {"body": "it''s", "author": null}, 7], "extra": {"x": [1]}}', '{"n": 1}'),
 ('00000000-0000-0000-0000-000000000002', '{"title": "Two", "view_count": null, "author": null, "comments": [], "tags": [], "is_public": false}', null),
 ('00000000-0000-0000-0000-000000000003', '{"title": "Three", "view_count": 100, "is_public": true, "mood": "happy"}', '{"n": 3}');
create view v_post as select id, data, raw, status from tb_post;
create function scrambled() returns setof v_post language sql stable as $$ select * from v_post $$;
"#;

const SCHEMA: &str = r#"
type Query { posts: [Post!]! post(id: UUID!): Post scrambled: [Post!]! @function }
type Post @relation(name: "v_post", key: ["id"]) @json(column: "data") @read(aggregate: true, connection: true, distinct: true) {
    id: UUID!
    title: String!
    viewCount: Int
    score: Float
    huge: BigInt @json(key: "big")
    isPublic: Boolean!
    tags: [String]
    mood: Mood
    status: Status
    publishedAt: DateTime
    author: Author
    comments: [Comment!]
    extra: JSON
    n: Int @json(column: "raw")
}
type Author { id: ID fullName: String! address: Address }
type Address { city: String! }
type Comment { body: String! author: Author }
enum Status @enum(name: "text") { old new }
enum Mood @enum(name: "text") { SAD @label(name: "sad") SO_SO @label(name: "so-so") HAPPY @label(name: "happy") }
"#;

async fn world() -> World {
    World::made(SQL, |_| SCHEMA.to_owned()).await
}

#[tokio::test]
async fn everything_of_a_document() {
    let w = world().await;
    w.check(
        "{post(id:\"00000000-0000-0000-0000-000000000001\"){title viewCount score huge isPublic tags mood publishedAt extra n author{id fullName address{city __typename}} comments{body author{fullName}}}}",
        "{}",
        r#"select '{"post":{"title":"One","viewCount":12,"score":1.5,"huge":"9007199254740993","isPublic":true,"tags":["a","b\"c",null],"mood":"SO_SO","publishedAt":"2026-01-01T08:00:00+00:00","extra":{"x":[1]},"n":1,"author":{"id":"7","fullName":"Ada","address":{"city":"Turin","__typename":"Address"}},"comments":[{"body":"first","author":{"fullName":"Alan"}},{"body":"it''s","author":null}]}}'::json"#,
    )
    .await;
    w.check(
        "{posts(orderBy:{id:DESC},limit:2){title viewCount tags mood author{fullName} comments{body} n}}",
        "{}",
        r#"select '{"posts":[{"title":"Three","viewCount":100,"tags":null,"mood":"HAPPY","author":null,"comments":null,"n":3},{"title":"Two","viewCount":null,"tags":[],"mood":null,"author":null,"comments":[],"n":null}]}'::json"#,
    )
    .await;
    w.check(
        "{scrambled(where:{title:{eq:\"Two\"}}){comments{body} isPublic}}",
        "{}",
        r#"select '{"scrambled":[{"comments":[],"isPublic":false}]}'::json"#,
    )
    .await;
}

#[tokio::test]
async fn filters_order_pages_and_aggregates() {
    let w = world().await;
    for (filter, ids) in [
        ("viewCount:{gt:12}", "3"),
        ("viewCount:{isnull:true}", "2"),
        ("huge:{eq:\"9007199254740993\"}", "1"),
        ("title:{in:[\"One\",\"Three\"]},isPublic:{eq:true}", "1 3"),
        ("title:{istartswith:\"t\"}", "2 3"),
        ("mood:{eq:HAPPY}", "3"),
        ("publishedAt:{lt:\"2026-01-01T08:00:01Z\"}", "1"),
        ("extra:{contains:{x:[1]}}", "1"),
        ("n:{gte:1}", "1 3"),
        ("_not:{title:{eq:\"'; drop table tb_post; --\"}}", "1 2 3"),
    ] {
        let found =
            w.run(&format!("{{posts(where:{{{filter}}},orderBy:{{id:ASC}}){{id}}}}"), "{}").await.unwrap();
        let found: Vec<&str> = found["posts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|post| post["id"].as_str().unwrap().trim_start_matches(['0', '-']))
            .collect();
        assert_eq!(found.join(" "), ids, "{filter}");
    }
    w.check(
        "{posts(orderBy:[{isPublic:ASC},{viewCount:DESC}]){title}}",
        "{}",
        r#"select '{"posts":[{"title":"Two"},{"title":"Three"},{"title":"One"}]}'::json"#,
    )
    .await;
    w.check(
        "{posts(distinctOn:[isPublic],orderBy:{title:DESC}){title}}",
        "{}",
        r#"select '{"posts":[{"title":"Two"},{"title":"Three"}]}'::json"#,
    )
    .await;
    w.check(
        "{postsAggregate{count sum{viewCount} max{title mood} } postsGroups(by:[isPublic]){key{isPublic} count avg{viewCount}} postsConnection(first:2,orderBy:{viewCount:DESC}){nodes{title author{fullName}} pageInfo{hasNextPage}}}",
        "{}",
        r#"select '{"postsAggregate":{"count":3,"sum":{"viewCount":"112"},"max":{"title":"Two","mood":"SO_SO"}},"postsGroups":[{"key":{"isPublic":false},"count":1,"avg":{"viewCount":null}},{"key":{"isPublic":true},"count":2,"avg":{"viewCount":"56.0000000000000000"}}],"postsConnection":{"nodes":[{"title":"Two","author":null},{"title":"Three","author":null}],"pageInfo":{"hasNextPage":true}}}'::json"#,
    )
    .await;
    let first =
        w.run("{postsConnection(first:1,orderBy:{viewCount:ASC}){pageInfo{endCursor}}}", "{}").await.unwrap();
    let cursor = first["postsConnection"]["pageInfo"]["endCursor"].as_str().unwrap().to_owned();
    let rest = format!("{{postsConnection(after:\"{cursor}\",orderBy:{{viewCount:ASC}}){{nodes{{title}}}}}}");
    w.check(
        &rest,
        "{}",
        r#"select '{"postsConnection":{"nodes":[{"title":"Three"},{"title":"Two"}]}}'::json"#,
    )
    .await;
}

#[tokio::test]
async fn enums_of_text() {
    let w = world().await;
    w.execute("update tb_post set status = 'unheard of' where data ->> 'title' = 'Two'; update tb_post set status = 'new' where data ->> 'title' = 'One'").await;
    w.check(
        "{posts(orderBy:{id:ASC}){status}}",
        "{}",
        r#"select '{"posts":[{"status":"new"},{"status":null},{"status":"old"}]}'::json"#,
    )
    .await;
    w.check(
        "query($s:Status){posts(where:{status:{eq:$s}}){title}}",
        r#"{"s":"new"}"#,
        r#"select '{"posts":[{"title":"One"}]}'::json"#,
    )
    .await;
    w.check(
        "{posts(where:{status:{in:[new,old]},mood:{neq:SAD}},orderBy:{id:ASC}){title}}",
        "{}",
        r#"select '{"posts":[{"title":"One"},{"title":"Three"}]}'::json"#,
    )
    .await;
    assert!(
        w.run("{posts(where:{status:{eq:\"new\"}}){title}}", "{}")
            .await
            .unwrap_err()
            .starts_with("GRAPHQL_VALIDATION_FAILED")
    );
}

#[tokio::test]
async fn a_document_that_breaks_its_promise_is_an_error() {
    let w = world().await;
    w.execute("insert into tb_post (id, data) values ('00000000-0000-0000-0000-000000000004', '{\"title\": null, \"is_public\": \"maybe\"}')").await;
    let error = w.run("{posts{title}}", "{}").await.unwrap_err();
    assert!(error.contains("fraiseql.null:Post.title"), "{error}");
    let error = w.run("{posts{isPublic}}", "{}").await.unwrap_err();
    assert!(error.starts_with("22P02: invalid input syntax for type boolean"), "{error}");
}
