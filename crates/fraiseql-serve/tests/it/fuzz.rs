//! Bodies and query strings at random over a real socket, before a database that is not there.
//!
//! Whatever comes, the answer is a GraphQL response in JSON with the media type that was asked for, and
//! no fault of ours. `FRAISEQL_FUZZ_CASES` sets how many are sent, `FRAISEQL_FUZZ_SEED` where it begins.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::io::AsyncWriteExt;

use crate::client;
use crate::fixture::start_unready;

const CASES: u64 = 2_000;
const SEED: u64 = 20_250_901;
const MEDIA: &[&str] = &["application/json", "application/graphql-response+json"];

const BODIES: &[&str] = &[
    r#"{"query":"{__typename}"}"#,
    r#"{"query":"query A{__typename} query B{t:__typename}","operationName":"B","variables":{}}"#,
    r#"{"query":"query($n:String!){__type(name:$n){name}}","variables":{"n":"Author"}}"#,
    r#"{"query":"{authors(where:{id:{eq:null}}){id}}","extensions":{"a":[1]}}"#,
    r#"{"query":"mutation{__typename}","variables":null}"#,
    r#"{"query":"subscription{ticks}"}"#,
    r#"{"query":"{__schema{types{name fields{name type{name kind ofType{name}}}}}}"}"#,
    r#"{"query":"{nope(a:[1,{b:\"c\"}])...F} fragment F on Query{__typename}"}"#,
    r#"[{"query":"{__typename}"}]"#,
];
const PIECES: &[&str] = &[
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "1e999",
    "\\u0000",
    "\\ud83c",
    "🎸",
    "\u{0}",
    "query",
    "\"variables\":",
    "\"query\":",
    "\"operationName\":7",
    "{__typename}",
    "...F",
    "$n",
    "\r\n",
    "true",
    "-",
    "%7B",
    "&",
    "=",
    "+",
];

#[tokio::test]
async fn random_bodies_get_a_graphql_answer() {
    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
    };
    let (cases, seed) = (number("FRAISEQL_FUZZ_CASES", CASES), number("FRAISEQL_FUZZ_SEED", SEED));
    let nowhere = "postgres://nobody@127.0.0.1:1/nothing";
    let running = start_unready(nowhere, |options| options.request_timeout = Duration::from_secs(2)).await;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut stream = client::connect(running.address).await;
    let mut statuses = std::collections::BTreeMap::new();
    for case in 0..cases {
        let media = MEDIA[rng.random_range(0..MEDIA.len())];
        let body = body(&mut rng);
        let head = [("Accept", media), ("Content-Type", "application/json")];
        let request = if case % 4 == 0 {
            let path = format!("/graphql?{}", query_string(&mut rng, &body));
            client::request("GET", &path, &head[..1], "")
        } else {
            client::request("POST", "/graphql", &head, &body)
        };
        let say = || format!("seed {seed}, case {case}: {request:?}");
        stream.write_all(request.as_bytes()).await.unwrap_or_else(|error| panic!("{error}: {}", say()));
        let got = client::receive(&mut stream).await.unwrap_or_else(|| panic!("no answer: {}", say()));
        *statuses.entry(got.status).or_insert(0) += 1;
        let answer = got.json();
        assert!(
            answer.get("data").is_some() || answer["errors"][0]["message"].is_string(),
            "{}: {got:?}",
            say()
        );
        let kind = got.header("content-type").unwrap_or_default();
        assert!(kind.starts_with(media), "{}: {got:?}", say());
        let away = got.status >= 503 && matches!(got.code().as_str(), "UNAVAILABLE" | "TIMEOUT");
        assert!(got.status < 500 || away, "{}: {got:?}", say());
    }
    println!("{cases} requests over HTTP: {statuses:?}");
    assert!(statuses.contains_key(&200) && statuses.contains_key(&400), "{statuses:?}");
}

fn body(rng: &mut ChaCha8Rng) -> String {
    let mut text = BODIES[rng.random_range(0..BODIES.len())].to_owned();
    for _ in 0..rng.random_range(0..4) {
        let mut at = rng.random_range(0..=text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        match rng.random_range(0..3) {
            0 => text.truncate(at),
            1 => text.insert_str(at, PIECES[rng.random_range(0..PIECES.len())]),
            _ => drop(text.drain(..at)),
        }
    }
    text
}

/// Sends the text as `query`, or as it is: whatever a line of HTTP cannot hold is escaped.
fn query_string(rng: &mut ChaCha8Rng, text: &str) -> String {
    let escape = |all: bool| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || (!all && b"&=+%".contains(&byte));
        text.bytes()
            .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") })
            .collect()
    };
    match rng.random_range(0..3) {
        0 => escape(false),
        1 => format!("query={}", escape(true)),
        _ => format!("query=%7b__typename%7d&variables={}", escape(true)),
    }
}
