//! Long lists: streamed with backpressure, cut off on an error, and never closed politely.

use fraiseql_testkit::wait_until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{connect, query, receive, request};
use crate::fixture::{SOON, database, start, start_with, wait_for_running};

fn asking(document: &str) -> String {
    let body = serde_json::json!({ "query": document }).to_string();
    request("POST", "/graphql", &[("Content-Type", "application/json")], &body)
}

#[tokio::test]
async fn a_long_list_comes_in_chunks_and_is_whole() {
    let server = start(&database().await).await;
    let got = query(server.address, "{ bigs { id payload } }").await;
    assert_eq!(got.header("transfer-encoding"), Some("chunked"));
    assert!(got.complete);
    let answer = got.json();
    let list = answer["data"]["bigs"].as_array().unwrap();
    assert_eq!(list.len(), 40_000);
    let mut ids: Vec<u64> = list.iter().map(|row| row["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), ids[0], ids[39_999]), (40_000, 1, 40_000));
    wait_until(SOON, || async { !server.events.with("rows: 40000").is_empty() }).await;
    let got = query(server.address, "{ bigs(limit: 100) { id payload } }").await;
    assert_eq!(got.header("transfer-encoding"), None);
    assert!(got.header("content-length").is_some());
}

#[tokio::test]
async fn an_error_after_the_first_byte_cuts_the_answer_off() {
    let server = start(&database().await).await;
    let got = query(server.address, "{ fragiles { id payload value } }").await;
    assert_eq!(got.status, 200, "the status was sent before anybody knew");
    assert!(!got.complete, "the last chunk must not come");
    assert!(!got.body.is_empty());
    wait_until(SOON, || async { !server.events.with("aborted: true").is_empty() }).await;
    assert!(server.events.with("SqlError")[0].contains("division by zero"));
    let page = crate::client::get(server.address, "/metrics").await.text();
    assert!(page.contains("fraiseql_responses_aborted_total 1"), "{page}");
    assert!(page.contains("fraiseql_graphql_errors_total{code=\"INTERNAL_SERVER_ERROR\"} 1"), "{page}");
    assert_eq!(query(server.address, "{ author(id: 1) { id } }").await.status, 200);
}

#[tokio::test]
async fn an_error_in_a_short_list_is_a_proper_answer() {
    let server = start(&database().await).await;
    let got = query(server.address, "{ fragiles(limit: 10, offset: 29995) { id value } }").await;
    assert!(got.complete);
    assert_eq!(got.code(), "INTERNAL_SERVER_ERROR");
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_database_back_and_loses_it_in_time() {
    let database = database().await;
    let server =
        start_with(&database.url(), |options| options.request_timeout = std::time::Duration::from_secs(2))
            .await;
    let mut stream = connect(server.address).await;
    stream.write_all(asking("{ bigs { id payload } more: __typename }").as_bytes()).await.unwrap();
    let mut first = [0; 16];
    stream.read_exact(&mut first).await.unwrap();
    // PostgreSQL waits to write: it was held back.
    wait_for_running(&database, "big", 1).await;
    // At the deadline the session is given back although the client still does not read.
    wait_for_running(&database, "big", 0).await;
    wait_until(SOON, || async { server.pool.status().idle == server.pool.status().open }).await;
    wait_until(SOON, || async { !server.events.with("aborted: true").is_empty() }).await;
    assert!(server.events.with("aborted: true")[0].contains("Timeout"));
    drop(stream);
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_statement() {
    let database = database().await;
    let server = start(&database).await;
    let mut stream = connect(server.address).await;
    stream.write_all(asking("{ bigs { id payload } }").as_bytes()).await.unwrap();
    let mut first = [0; 16];
    stream.read_exact(&mut first).await.unwrap();
    wait_for_running(&database, "big", 1).await;
    drop(stream);
    wait_for_running(&database, "big", 0).await;
    wait_until(SOON, || async { !server.events.with("status: 499").is_empty() }).await;
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_stream() {
    let server = start(&database().await).await;
    let mut stream = connect(server.address).await;
    for _ in 0..2 {
        stream.write_all(asking("{ bigs(limit: 2000) { payload } }").as_bytes()).await.unwrap();
        let got = receive(&mut stream).await.unwrap();
        assert!(got.complete && got.body.len() > 400_000);
    }
}
