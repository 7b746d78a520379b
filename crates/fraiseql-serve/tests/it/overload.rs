//! More is asked than the database can do: who waits, who is sent away, and what they are told.

use std::time::Duration;

use fraiseql_postgres::{Pool, PoolOptions, QueueBounds, Session, Target};
use fraiseql_testkit::{Database, wait_until};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use crate::client::{Got, ask, connect, get, request};
use crate::fixture::{Running, SOON, database, start_with};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const BODY: &str = r#"{"query":"{ author(id: 1) { id } }"}"#;
const WRITE: &str = r#"{"query":"mutation { writeNote(id: 7, seconds: 0) }"}"#;

/// Starts a server whose only connection is taken.
async fn taken(database: &Database, waiting_max: usize, wait_max: Duration) -> (Running, Session) {
    let options = PoolOptions { size: 1, connect_timeout: SOON };
    let queue = QueueBounds { waiting_max, wait_max };
    let pool = Pool::bounded(Target::parse(&database.url()).unwrap(), options, queue);
    let server = start_with(&database.url(), |options| options.pool = pool.clone()).await;
    let session = pool.acquire(tokio::time::Instant::now() + SOON).await.unwrap();
    (server, session)
}

async fn send(server: &Running, body: &str) -> Got {
    ask(server.address, "POST", "/graphql", &[JSON], body).await
}

async fn waiting(server: &Running, count: usize) {
    wait_until(SOON, || async { server.pool.status().waiting == count }).await;
}

#[track_caller]
fn check_refused(got: &Got, setting: &str, seconds: u32) {
    assert_eq!((got.status, got.code().as_str()), (503, "UNAVAILABLE"));
    assert_eq!(got.header("retry-after"), Some(seconds.to_string().as_str()));
    let extensions = &got.json()["errors"][0]["extensions"];
    assert_eq!(extensions["retryAfterSeconds"], json!(seconds));
    assert_eq!(extensions["limit"], json!(setting));
}

#[tokio::test]
async fn one_more_than_may_wait_is_sent_away_at_once() {
    let database = database().await;
    let (server, held) = taken(&database, 2, SOON).await;
    let mut clients = JoinSet::new();
    for _ in 0..2 {
        let address = server.address;
        clients.spawn(async move { ask(address, "POST", "/graphql", &[JSON], BODY).await });
    }
    waiting(&server, 2).await;
    for body in [BODY, WRITE] {
        let seconds = u32::try_from(SOON.as_secs()).unwrap();
        check_refused(&send(&server, body).await, "database.queue_max", seconds);
    }
    drop(held);
    for got in clients.join_all().await {
        assert_eq!(got.json(), json!({ "data": { "author": { "id": 1 } } }));
    }
    let rows = database.client().await.query("SELECT id FROM note", &[]).await.unwrap();
    assert!(rows.is_empty(), "a mutation that was sent away has written");
    let page = get(server.address, "/metrics").await.text();
    for line in [
        "fraiseql_pool_refused_total{reason=\"full\"} 2",
        "fraiseql_pool_refused_total{reason=\"late\"} 0",
        "fraiseql_pool_wait_seconds_count 2",
        "fraiseql_pool_waiting 0",
    ] {
        assert!(page.lines().any(|printed| printed == line), "{line} in {page}");
    }
}

#[tokio::test]
async fn who_waited_too_long_is_sent_away_and_not_logged() {
    let (server, held) = taken(&database().await, 10, Duration::from_millis(50)).await;
    check_refused(&send(&server, BODY).await, "database.queue_wait_ms", 1);
    let page = get(server.address, "/metrics").await.text();
    assert!(page.contains("fraiseql_pool_refused_total{reason=\"late\"} 1"), "{page}");
    assert!(page.contains("fraiseql_pool_acquire_timeouts_total 0"), "{page}");
    assert!(server.events.with("SqlError").is_empty());
    drop(held);
    assert_eq!(send(&server, BODY).await.status, 200);
}

#[tokio::test]
async fn a_client_that_leaves_gives_its_place_up() {
    let (server, held) = taken(&database().await, 1, SOON).await;
    let mut leaving = connect(server.address).await;
    leaving.write_all(request("POST", "/graphql", &[JSON], BODY).as_bytes()).await.unwrap();
    waiting(&server, 1).await;
    drop(leaving);
    waiting(&server, 0).await;
    let address = server.address;
    let mut patient = JoinSet::new();
    patient.spawn(async move { ask(address, "POST", "/graphql", &[JSON], BODY).await });
    waiting(&server, 1).await;
    drop(held);
    let got = patient.join_next().await.unwrap().unwrap();
    assert_eq!(got.json(), json!({ "data": { "author": { "id": 1 } } }));
}

#[tokio::test]
async fn of_many_as_many_are_answered_as_may_wait() {
    const WAIT: usize = 5;
    let (server, held) = taken(&database().await, WAIT, SOON).await;
    let mut clients = JoinSet::new();
    for _ in 0..40 {
        let address = server.address;
        clients.spawn(async move { ask(address, "POST", "/graphql", &[JSON], BODY).await.status });
    }
    for _ in WAIT..40 {
        assert_eq!(clients.join_next().await.unwrap().unwrap(), 503);
    }
    drop(held);
    assert_eq!(clients.join_all().await, [200; WAIT]);
}
