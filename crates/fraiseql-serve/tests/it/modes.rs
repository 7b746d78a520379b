//! Read-only and maintenance: what is refused, what goes on, and that nothing is written after the word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fraiseql_serve::{Mode, Notice};
use fraiseql_testkit::{Bouncer, Database, wait_until};
use hyper::header::HeaderValue;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use crate::client::{Got, ask, connect, get, query, receive, request};
use crate::fixture::{Running, SOON, database, start, start_with, wait_for_running};

const JSON: &str = "application/json";
const GRAPHQL: &str = "application/graphql-response+json";

async fn asked(server: &Running, document: &str, accept: &str) -> Got {
    let headers = [("Content-Type", JSON), ("Accept", accept)];
    ask(server.address, "POST", "/graphql", &headers, &json!({ "query": document }).to_string()).await
}

async fn notes(database: &Database) -> i64 {
    database.client().await.query_one("SELECT count(*) FROM note", &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn read_only_answers_queries_and_refuses_mutations_with_a_time() {
    let database = database().await;
    let server = start(&database).await;
    server.handle.set_notice(Notice { retry_after_s: 7, body: None });
    server.handle.switch(Mode::ReadOnly).await.unwrap();
    assert_eq!(server.handle.mode(), Mode::ReadOnly);
    assert_eq!(
        query(server.address, "{ author(id: 1) { id } }").await.text(),
        r#"{"data":{"author":{"id":1}}}"#
    );
    let refused = asked(&server, "mutation { writeNote(id: 1, seconds: 0) }", JSON).await;
    assert_eq!((refused.status, refused.code().as_str()), (200, "READ_ONLY"));
    assert_eq!(refused.header("retry-after"), Some("7"));
    assert_eq!(refused.json()["errors"][0]["extensions"]["retryAfterSeconds"], 7);
    let refused = asked(&server, "mutation { writeNote(id: 1, seconds: 0) }", GRAPHQL).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("7")));
    assert_eq!(notes(&database).await, 0);
    assert_eq!(get(server.address, "/health/ready").await.status, 200);
    let metrics = get(server.address, "/metrics").await.text();
    assert!(metrics.contains("fraiseql_mode{mode=\"read-only\"} 1\n"), "{metrics}");
    assert!(metrics.contains("fraiseql_mode_refused_total 2\n"));
    server.handle.switch(Mode::Normal).await.unwrap();
    let written = query(server.address, "mutation { writeNote(id: 1, seconds: 0) }").await;
    assert_eq!(written.text(), r#"{"data":{"writeNote":1}}"#);
    assert_eq!(server.events.with("ModeSwitched").len(), 2);
}

/// A query whose function writes, which no look at the document tells.
const WRITING_QUERY: &str = "CREATE OR REPLACE FUNCTION slow(seconds float8) RETURNS int LANGUAGE sql VOLATILE \
    AS 'INSERT INTO note VALUES (1000 + (SELECT count(*)::int FROM note), $1::text); SELECT 1'";

#[tokio::test]
async fn postgresql_itself_refuses_a_query_that_writes() {
    let database = database().await;
    database.execute(WRITING_QUERY).await;
    let server = start(&database).await;
    assert_eq!(query(server.address, "{ slow(seconds: 0) }").await.text(), r#"{"data":{"slow":1}}"#);
    server.handle.switch(Mode::ReadOnly).await.unwrap();
    assert_eq!(query(server.address, "{ slow(seconds: 0) }").await.code(), "READ_ONLY");
    let beside = query(server.address, "{ slow(seconds: 0) author(id: 1) { id } }").await.json();
    assert_eq!(beside["data"], json!({ "slow": null, "author": { "id": 1 } }));
    let streamed = query(server.address, "{ bigs(limit: 3) { id } }").await.json();
    assert_eq!(streamed["data"]["bigs"].as_array().unwrap().len(), 3);
    assert_eq!(notes(&database).await, 1);
    server.handle.switch(Mode::Normal).await.unwrap();
    assert_eq!(query(server.address, "{ slow(seconds: 0) }").await.text(), r#"{"data":{"slow":1}}"#);
}

#[tokio::test]
async fn it_holds_behind_a_pooler_too() {
    let database = database().await;
    database.execute("ALTER ROLE postgres SET IntervalStyle = 'iso_8601'").await;
    database.execute(WRITING_QUERY).await;
    let Some(bouncer) = Bouncer::start(&database, 2).await else { return };
    let through = |options: &mut fraiseql_serve::ServeOptions| {
        let target = fraiseql_postgres::Target::clone(&options.pool.target())
            .through(fraiseql_postgres::Pooler::Transaction);
        let size = fraiseql_postgres::PoolOptions { size: 4, connect_timeout: Duration::from_secs(60) };
        options.pool = fraiseql_postgres::Pool::new(target, size);
    };
    let server = start_with(&bouncer.url(), through).await;
    server.handle.switch(Mode::ReadOnly).await.unwrap();
    for _ in 0..5 {
        assert_eq!(query(server.address, "{ slow(seconds: 0) }").await.code(), "READ_ONLY");
        let read = query(server.address, "{ author(id: 1) { id } }").await;
        assert_eq!(read.text(), r#"{"data":{"author":{"id":1}}}"#);
    }
    server.handle.switch(Mode::Normal).await.unwrap();
    assert_eq!(query(server.address, "{ slow(seconds: 0) }").await.text(), r#"{"data":{"slow":1}}"#);
}

#[tokio::test]
async fn the_word_waits_for_who_still_writes() {
    let database = database().await;
    let server = start(&database).await;
    let body = json!({ "query": "mutation { writeNote(id: 1, seconds: 0.5) }" }).to_string();
    let mut writing = connect(server.address).await;
    let text = request("POST", "/graphql", &[("Content-Type", JSON)], &body);
    writing.write_all(text.as_bytes()).await.unwrap();
    wait_for_running(&database, "write_note", 1).await;
    server.handle.switch(Mode::ReadOnly).await.unwrap();
    assert_eq!(notes(&database).await, 1, "it was waited for");
    assert_eq!(receive(&mut writing).await.unwrap().text(), r#"{"data":{"writeNote":1}}"#);
}

#[tokio::test]
async fn a_switch_that_cannot_wait_any_longer_says_who_writes() {
    let database = database().await;
    let server =
        start_with(&database.url(), |options| options.request_timeout = Duration::from_millis(300)).await;
    let mut session = server.pool.acquire(tokio::time::Instant::now() + SOON).await.unwrap();
    session.simple("SELECT 1").await.unwrap();
    let error = server.handle.switch(Mode::ReadOnly).await.unwrap_err();
    assert_eq!(error.writing, 1);
    assert_eq!(query(server.address, "mutation { writeNote(id: 1, seconds: 0) }").await.code(), "READ_ONLY");
    drop(session);
    server.handle.switch(Mode::ReadOnly).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_load_nothing_is_written_after_the_word() {
    let database = database().await;
    let server = start(&database).await;
    let (address, stop) = (server.address, Arc::new(AtomicBool::new(false)));
    let (next, written) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(0)));
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let (stop, next, written) = (Arc::clone(&stop), Arc::clone(&next), Arc::clone(&written));
        clients.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let id = next.fetch_add(1, Ordering::SeqCst);
                let got = query(address, &format!("mutation {{ writeNote(id: {id}, seconds: 0) }}")).await;
                match got.json()["errors"][0]["extensions"]["code"].as_str() {
                    None => written.fetch_add(1, Ordering::SeqCst),
                    Some("READ_ONLY") => 0,
                    Some(other) => panic!("{other}"),
                };
                let read = query(address, "{ author(id: 1) { id } }").await;
                assert_eq!(read.text(), r#"{"data":{"author":{"id":1}}}"#);
            }
        });
    }
    for _ in 0..5 {
        let before = written.load(Ordering::SeqCst);
        wait_until(SOON, || async { written.load(Ordering::SeqCst) > before + 20 }).await;
        server.handle.switch(Mode::ReadOnly).await.unwrap();
        let at_the_word = notes(&database).await;
        let asked = next.load(Ordering::SeqCst);
        wait_until(SOON, || async { next.load(Ordering::SeqCst) > asked + 40 }).await;
        assert_eq!(notes(&database).await, at_the_word);
        server.handle.switch(Mode::Normal).await.unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    assert_eq!(notes(&database).await, i64::try_from(written.load(Ordering::SeqCst)).unwrap());
}

#[tokio::test]
async fn maintenance_says_what_the_operator_wants_said() {
    let server = start(&database().await).await;
    server.handle.switch(Mode::Maintenance).await.unwrap();
    let got = query(server.address, "{ author(id: 1) { id } }").await;
    assert_eq!((got.status, got.header("retry-after")), (503, Some("30")));
    assert_eq!(got.json()["code"], "FQ-RUN-006");
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    let body = Some((html, Bytes::from_static(b"<h1>Back at noon</h1>")));
    server.handle.set_notice(Notice { retry_after_s: 60, body });
    for path in ["/", "/graphql", "/elsewhere"] {
        let got = get(server.address, path).await;
        assert_eq!((got.status, got.header("retry-after")), (503, Some("60")), "{path}");
        assert_eq!(got.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(got.text(), "<h1>Back at noon</h1>");
    }
    assert_eq!(get(server.address, "/health").await.status, 200);
    assert_eq!(get(server.address, "/metrics").await.status, 200);
    server.handle.switch(Mode::Normal).await.unwrap();
    assert_eq!(query(server.address, "{ author(id: 1) { id } }").await.status, 200);
}
