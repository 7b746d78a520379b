//! Every operator that only some types have, on a table of those types, against PostgreSQL's own.

use fraiseql_testkit::server_major;

use crate::world::World;

const TABLE: &str = "
create table thing (
    id int primary key,
    tags text[] not null,
    numbers int[],
    doc jsonb,
    during tstzrange,
    sizes int4range,
    days daterange,
    prices numrange,
    address inet,
    words tsvector
);
insert into thing values
    (1, '{a,b}', '{1,2,3}', '{\"a\": 1, \"b\": {\"c\": [1, 2]}}', '[2026-01-01,2026-02-01)', '[1,10)', '[2026-01-01,2026-01-31]', '[1.5,2.5)', '10.0.0.1', to_tsvector('english', 'The quick brown fox jumps')),
    (2, '{}', null, '{\"a\": \"x\", \"d\": null}', '(,2026-01-15)', '[10,20)', '[2026-02-01,)', '[2.5,9]', '10.0.0.0/8', to_tsvector('english', 'A lazy dog sleeps')),
    (3, '{b,c,\"it''s\"}', '{}', '[1, \"a\", {\"b\": 2}]', 'empty', '[5,6)', 'empty', null, '192.168.1.0/24', to_tsvector('english', 'Foxes and dogs')),
    (4, '{c}', '{7,null}', null, null, null, null, '(,1)', null, null);
";

const SCHEMA: &str = "
type Query { things: [Thing!]! }
type Thing @relation(name: \"thing\") {
    id: Int! tags: [String]! numbers: [Int] doc: JSON during: TstzRange sizes: Int4Range
    days: DateRange prices: NumRange address: String words: String
}";

async fn world() -> World {
    World::made(TABLE, |_| SCHEMA.to_owned()).await
}

async fn check(w: &World, filters: &[(&str, &str)]) {
    for (filter, condition) in filters {
        w.check_filter("things", "id", "thing", "id", filter, condition).await;
    }
}

/// Asserts that an operator which the server's version lacks is not in the schema.
async fn not_offered(w: &World, filter: &str, operator: &str) {
    let error = w.run(&format!("{{things(where:{{{filter}}}){{id}}}}"), "{}").await.unwrap_err();
    assert!(error.starts_with("GRAPHQL_VALIDATION_FAILED") && error.contains(operator), "{error}");
}

#[tokio::test]
async fn arrays() {
    let w = world().await;
    check(
        &w,
        &[
            ("tags:{len_eq:2}", "cardinality(tags) = 2"),
            ("tags:{len_neq:0}", "cardinality(tags) <> 0"),
            ("numbers:{len_gt:1}", "cardinality(numbers) > 1"),
            ("numbers:{len_gte:2,len_lt:3}", "cardinality(numbers) >= 2 and cardinality(numbers) < 3"),
            ("tags:{len_lte:1}", "cardinality(tags) <= 1"),
            ("tags:{array_contains:[\"b\"]}", "tags @> '{b}'"),
            ("tags:{array_contained_by:[\"a\",\"b\",\"it's\"]}", "tags <@ array['a', 'b', 'it''s']"),
            ("numbers:{array_overlaps:[3,7]}", "numbers && '{3,7}'"),
        ],
    )
    .await;
}

#[tokio::test]
async fn documents() {
    let w = world().await;
    check(
        &w,
        &[
            ("doc:{contains:{a:1}}", "doc @> '{\"a\":1}'"),
            ("doc:{contained_by:{a:\"x\",d:null,e:1}}", "doc <@ '{\"a\":\"x\",\"d\":null,\"e\":1}'"),
            ("doc:{has_key:\"a\"}", "doc ? 'a'"),
            ("doc:{has_any_key:[\"d\",\"b\"]}", "doc ?| '{d,b}'"),
            ("doc:{has_all_keys:[\"a\",\"b\"]}", "doc ?& '{a,b}'"),
            ("doc:{eq:[1,\"a\",{b:2}]}", "doc = '[1,\"a\",{\"b\":2}]'"),
        ],
    )
    .await;
    if server_major() < 12 {
        return not_offered(&w, "doc:{path_exists:\"$.a\"}", "path_exists").await;
    }
    check(
        &w,
        &[
            ("doc:{path_exists:\"$.b.c[*] ? (@ > 1)\"}", "doc @? '$.b.c[*] ? (@ > 1)'"),
            ("doc:{path_match:\"$.a == 1\"}", "doc @@ '$.a == 1'"),
        ],
    )
    .await;
    let query = "query($k:[String!],$p:String){things(where:{doc:{has_any_key:$k,path_exists:$p}}){id}}";
    w.check(query, r#"{"k":["d","zz"],"p":"$.a"}"#, "select '{\"things\":[{\"id\":2}]}'::json").await;
}

#[tokio::test]
async fn ranges() {
    let w = world().await;
    check(
        &w,
        &[
            (
                "during:{contains_value:\"2026-01-10T00:00:00Z\"}",
                "during @> '2026-01-10 00:00:00+00'::timestamptz",
            ),
            ("sizes:{contains_value:5}", "sizes @> 5"),
            ("days:{contains_value:\"2026-03-01\"}", "days @> '2026-03-01'::date"),
            ("prices:{contains_value:\"2.5\"}", "prices @> 2.5"),
            ("sizes:{contains:\"[5,6)\"}", "sizes @> '[5,6)'::int4range"),
            ("sizes:{contained_by:\"[1,15)\"}", "sizes <@ '[1,15)'::int4range"),
            ("sizes:{overlaps:\"[9,12)\"}", "sizes && '[9,12)'::int4range"),
            ("sizes:{strictly_left:\"[10,12)\"}", "sizes << '[10,12)'::int4range"),
            ("sizes:{strictly_right:\"[1,6)\"}", "sizes >> '[1,6)'::int4range"),
            ("sizes:{not_left:\"[5,6)\"}", "sizes &> '[5,6)'::int4range"),
            ("sizes:{not_right:\"[5,10)\"}", "sizes &< '[5,10)'::int4range"),
            ("prices:{adjacent:\"[2.5,3)\"}", "prices -|- '[2.5,3)'::numrange"),
            ("days:{in:[\"empty\",\"[2026-02-01,)\"]}", "days in ('empty', '[2026-02-01,)')"),
        ],
    )
    .await;
}

#[tokio::test]
async fn networks_and_words() {
    let w = world().await;
    check(
        &w,
        &[
            ("address:{contained_by:\"10.0.0.0/8\"}", "address <<= '10.0.0.0/8'"),
            ("address:{contains:\"192.168.1.77\"}", "address >>= '192.168.1.77'"),
            ("address:{overlaps:\"10.0.0.0/16\"}", "address && '10.0.0.0/16'"),
            ("address:{gt:\"10.0.0.1\"}", "address > '10.0.0.1'"),
            ("words:{plain_query:\"dog sleep\"}", "words @@ plainto_tsquery('dog sleep')"),
            ("words:{phrase_query:\"brown fox\"}", "words @@ phraseto_tsquery('brown fox')"),
            ("words:{raw_query:\"fox & !quick\"}", "words @@ to_tsquery('fox & !quick')"),
            ("words:{isnull:true}", "words is null"),
        ],
    )
    .await;
    if server_major() < 11 {
        return not_offered(&w, "words:{matches:\"fox\"}", "matches").await;
    }
    check(
        &w,
        &[
            ("words:{matches:\"fox -quick\"}", "words @@ websearch_to_tsquery('fox -quick')"),
            (
                "words:{matches:\"\\\"brown fox\\\" or sleeps\"}",
                "words @@ websearch_to_tsquery('\"brown fox\" or sleeps')",
            ),
        ],
    )
    .await;
}
