//! The end of a server: readiness first, then running requests, then the rest is cut.

use std::time::Duration;

use fraiseql_serve::DrainReport;
use fraiseql_testkit::wait_until;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::{connect, get, query, receive, request};
use crate::fixture::{Running, SOON, database, start, start_with, wait_for_running};

const JSON: (&str, &str) = ("Content-Type", "application/json");

async fn begin(server: &Running, document: &str) -> TcpStream {
    let body = json!({ "query": document }).to_string();
    let mut stream = connect(server.address).await;
    stream.write_all(request("POST", "/graphql", &[JSON], &body).as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_running_request_finishes_and_an_idle_connection_does_not_hold_the_drain_up() {
    let database = database().await;
    let mut server = start(&database).await;
    let mut idle = connect(server.address).await;
    idle.write_all(request("GET", "/health", &[], "").as_bytes()).await.unwrap();
    assert_eq!(receive(&mut idle).await.unwrap().status, 200);
    let mut running = begin(&server, "{ slow(seconds: 0.5) }").await;
    wait_for_running(&database, "slow", 1).await;
    server.stop();
    let got = receive(&mut running).await.unwrap();
    assert_eq!(got.text(), r#"{"data":{"slow":1}}"#);
    assert_eq!(got.header("connection"), Some("close"));
    let address = server.address;
    assert_eq!(server.ended().await, DrainReport { finished: 2, cut: 0 });
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn readiness_says_no_first_while_requests_are_still_accepted() {
    let database = database().await;
    let mut server = start_with(&database.url(), |options| options.drain_delay = SOON).await;
    server.stop();
    server.wait_for("draining").await;
    assert_eq!(get(server.address, "/health/ready").await.status, 503);
    assert_eq!(get(server.address, "/health").await.status, 200);
    assert_eq!(query(server.address, "{ author(id: 1) { id } }").await.status, 200);
    server.handle.hasten();
    let address = server.address;
    server.ended().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_half_sent_request_is_cut_at_the_limit() {
    let database = database().await;
    let mut server =
        start_with(&database.url(), |options| options.drain_timeout = Duration::from_millis(200)).await;
    let mut head = connect(server.address).await;
    head.write_all(b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Ty").await.unwrap();
    let mut body = connect(server.address).await;
    let start =
        "POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    body.write_all(start.as_bytes()).await.unwrap();
    let page = || async { get(server.address, "/metrics").await.text() };
    wait_until(SOON, || async { page().await.contains("fraiseql_http_connections 3\n") }).await;
    server.stop();
    let report = server.ended().await;
    assert!(report.cut >= 1, "{report:?}");
    assert!(receive(&mut body).await.is_none());
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_cut_and_cancelled() {
    let database = database().await;
    let mut server =
        start_with(&database.url(), |options| options.drain_timeout = Duration::from_millis(100)).await;
    let mut running = begin(&server, "{ slow(seconds: 600) }").await;
    wait_for_running(&database, "slow", 1).await;
    server.stop();
    assert_eq!(server.ended().await, DrainReport { finished: 0, cut: 1 });
    assert!(receive(&mut running).await.is_none());
    wait_for_running(&database, "slow", 0).await;
}

#[tokio::test]
async fn a_second_signal_does_not_wait() {
    let database = database().await;
    let mut server = start(&database).await;
    let _running = begin(&server, "{ slow(seconds: 600) }").await;
    wait_for_running(&database, "slow", 1).await;
    server.stop();
    server.wait_for_event("Draining").await;
    server.handle.hasten();
    assert_eq!(server.ended().await.cut, 1);
    wait_for_running(&database, "slow", 0).await;
}

#[tokio::test]
async fn a_stream_finishes_within_the_drain() {
    let database = database().await;
    let mut server = start(&database).await;
    let mut streaming = begin(&server, "{ bigs { id payload } }").await;
    wait_for_running(&database, "big", 1).await;
    server.stop();
    let got = receive(&mut streaming).await.unwrap();
    assert!(got.complete);
    assert_eq!(got.json()["data"]["bigs"].as_array().unwrap().len(), 40_000);
    assert_eq!(server.ended().await, DrainReport { finished: 1, cut: 0 });
}

impl Running {
    async fn wait_for_event(&self, part: &str) {
        wait_until(SOON, || async { !self.events.with(part).is_empty() }).await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_does_not_hold_the_drain_up() {
    let database = database().await;
    let mut server =
        start_with(&database.url(), |options| options.drain_timeout = Duration::from_millis(300)).await;
    let _deaf = begin(&server, "{ bigs { id payload } }").await;
    wait_for_running(&database, "big", 1).await;
    server.stop();
    assert_eq!(server.ended().await, DrainReport { finished: 0, cut: 1 });
    wait_for_running(&database, "big", 0).await;
}

#[tokio::test]
async fn a_kept_connection_is_told_to_close_while_others_still_come_in() {
    let mut server = start_with(&database().await.url(), |options| options.drain_delay = SOON).await;
    let mut kept = connect(server.address).await;
    let ask = request("GET", "/health", &[], "");
    kept.write_all(ask.as_bytes()).await.unwrap();
    assert_eq!(receive(&mut kept).await.unwrap().header("connection"), None);
    server.stop();
    server.wait_for_event("Draining").await;
    kept.write_all(ask.as_bytes()).await.unwrap();
    assert_eq!(receive(&mut kept).await.unwrap().header("connection"), Some("close"));
    server.handle.hasten();
    server.ended().await;
}
