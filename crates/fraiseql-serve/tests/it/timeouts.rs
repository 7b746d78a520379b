//! Time: a request that takes too long is cancelled in PostgreSQL, as is one whose client leaves.

use std::time::Duration;

use fraiseql_postgres::{Pool, PoolOptions, Target};
use fraiseql_testkit::wait_until;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::client::{ask, connect, query, receive, request};
use crate::fixture::{SOON, database, start, start_with, wait_for_running};

const SHORT: Duration = Duration::from_millis(300);
const JSON: (&str, &str) = ("Content-Type", "application/json");
const GRAPHQL: (&str, &str) = ("Accept", "application/graphql-response+json");

#[tokio::test]
async fn a_slow_query_is_cancelled_and_told_as_a_timeout() {
    let database = database().await;
    let server = start_with(&database.url(), |options| options.request_timeout = SHORT).await;
    let body = json!({ "query": "{ slow(seconds: 600) }" }).to_string();
    let got = ask(server.address, "POST", "/graphql", &[JSON], &body).await;
    assert_eq!((got.status, got.code().as_str()), (200, "TIMEOUT"));
    assert!(got.json().get("data").is_none());
    wait_for_running(&database, "slow", 0).await;
    let got = ask(server.address, "POST", "/graphql", &[JSON, GRAPHQL], &body).await;
    assert_eq!((got.status, got.code().as_str()), (504, "TIMEOUT"));
    wait_for_running(&database, "slow", 0).await;
    wait_until(SOON, || async { server.pool.status().idle == server.pool.status().open }).await;
}

#[tokio::test]
async fn a_slow_mutation_keeps_what_was_done_before() {
    let database = database().await;
    let server =
        start_with(&database.url(), |options| options.request_timeout = Duration::from_secs(2)).await;
    let document = "mutation { a: writeNote(id: 1, seconds: 0) b: writeNote(id: 2, seconds: 600) c: writeNote(id: 3, seconds: 0) }";
    let got = query(server.address, document).await;
    let answer = got.json();
    assert_eq!(answer["data"], json!({ "a": 1, "b": null, "c": null }));
    assert_eq!(answer["errors"][0]["path"], json!(["b"]));
    assert_eq!(answer["errors"][1]["path"], json!(["c"]));
    for error in answer["errors"].as_array().unwrap() {
        assert_eq!(error["extensions"]["code"], "TIMEOUT");
    }
    wait_for_running(&database, "write_note", 0).await;
    let rows = database.client().await.query("SELECT id FROM note", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>(), [1]);
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_statement() {
    let database = database().await;
    let server = start(&database).await;
    let body = json!({ "query": "{ slow(seconds: 600) }" }).to_string();
    let mut stream = connect(server.address).await;
    stream.write_all(request("POST", "/graphql", &[JSON], &body).as_bytes()).await.unwrap();
    wait_for_running(&database, "slow", 1).await;
    drop(stream);
    wait_for_running(&database, "slow", 0).await;
    wait_until(SOON, || async { !server.events.with("status: 499").is_empty() }).await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let server = start_with(&database().await.url(), |options| options.request_timeout = SHORT).await;
    let mut stream = connect(server.address).await;
    let head =
        "POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let got = receive(&mut stream).await.unwrap();
    assert_eq!((got.status, got.header("connection")), (408, Some("close")));
}

#[tokio::test]
async fn a_full_pool_is_told_and_counted() {
    let database = database().await;
    let options = PoolOptions { size: 1, connect_timeout: Duration::from_secs(5) };
    let pool = Pool::new(Target::parse(&database.url()).unwrap(), options);
    let server = start_with(&database.url(), |options| {
        options.pool = pool.clone();
        options.request_timeout = SHORT;
    })
    .await;
    let deadline = tokio::time::Instant::now() + SOON;
    let held = pool.acquire(deadline).await.unwrap();
    let got =
        ask(server.address, "POST", "/graphql", &[JSON, GRAPHQL], r#"{"query":"{ author(id: 1) { id } }"}"#)
            .await;
    assert_eq!((got.status, got.code().as_str()), (503, "UNAVAILABLE"));
    let page = crate::client::get(server.address, "/metrics").await.text();
    assert!(page.contains("fraiseql_pool_acquire_timeouts_total 1"), "{page}");
    drop(held);
    assert_eq!(query(server.address, "{ author(id: 1) { id } }").await.code_or_data(), "data");
}

impl crate::client::Got {
    fn code_or_data(&self) -> String {
        if self.json().get("errors").is_some() { self.code() } else { "data".to_owned() }
    }
}
