//! Health and readiness follow the database, from memory, and are not counted.

use fraiseql_testkit::{Fault, FaultProxy, wait_until};
use serde_json::{Value, json};

use crate::client::{get, query};
use crate::fixture::{SOON, database, start, start_unready, start_with};

#[tokio::test]
async fn the_document_has_exactly_the_guides_keys() {
    let server = start(&database().await).await;
    let got = get(server.address, "/health").await;
    assert_eq!((got.status, got.header("cache-control")), (200, Some("no-store")));
    let mut document = got.json();
    assert!(document["database"]["latency_ms"].as_u64().unwrap() > 0);
    assert!(document["uptime_seconds"].is_u64());
    document["database"]["latency_ms"] = json!(1);
    document["uptime_seconds"] = json!(0);
    let expected = json!({
        "status": "healthy", "version": "1.2.3",
        "database": { "status": "connected", "latency_ms": 1 },
        "cache": { "status": "disabled", "latency_ms": null },
        "uptime_seconds": 0,
    });
    assert_eq!(document, expected);
    assert_eq!(get(server.address, "/health/ready").await.text(), r#"{"status":"ready"}"#);
}

#[tokio::test]
async fn readiness_follows_the_database_and_liveness_stays() {
    let database = database().await;
    let proxy = FaultProxy::before(&database.url()).await;
    let server = start_with(&proxy.url(database.name()), |_| ()).await;
    for fault in [Fault::Cut, Fault::Hang] {
        proxy.set(fault);
        server.wait_for("unready").await;
        assert_eq!(get(server.address, "/health/ready").await.status, 503);
        let health = get(server.address, "/health").await;
        assert_eq!(health.status, 200);
        assert_eq!(health.json()["status"], "unhealthy");
        assert_eq!(health.json()["database"], json!({ "status": "disconnected", "latency_ms": Value::Null }));
        proxy.set(Fault::Pass);
        server.wait_for("ready").await;
        // A connection that broke meanwhile does not show.
        assert_eq!(query(server.address, "{ author(id: 1) { id } }").await.json()["data"]["author"]["id"], 1);
    }
    assert_eq!(server.events.with("DatabaseLost").len(), 2);
    assert_eq!(server.events.with("DatabaseReturned").len(), 3);
}

#[tokio::test]
async fn without_a_database_requests_are_told_so_and_nothing_else() {
    let database = database().await;
    let proxy = FaultProxy::before(&database.url()).await;
    proxy.set(Fault::Cut);
    let server = start_unready(&proxy.url(database.name()), |_| ()).await;
    server.wait_for("unready").await;
    let got = query(server.address, "{ author(id: 1) { id } }").await;
    assert_eq!(got.code(), "UNAVAILABLE");
    assert!(!got.text().contains("127.0.0.1"), "{}", got.text());
    let got = query(server.address, "{ __typename }").await;
    assert_eq!(got.text(), r#"{"data":{"__typename":"Query"}}"#, "what needs no database is answered");
}

#[tokio::test]
async fn a_broken_connection_in_the_pool_does_not_show_in_queries() {
    let database = database().await;
    let server = start(&database).await;
    assert_eq!(query(server.address, "{ author(id: 1) { id } }").await.status, 200);
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
    database.execute(kill).await;
    let got = query(server.address, "{ author(id: 1) { id } }").await;
    assert_eq!(got.text(), r#"{"data":{"author":{"id":1}}}"#);
}

#[tokio::test]
async fn health_is_neither_counted_nor_told() {
    let server = start(&database().await).await;
    for path in ["/health", "/health/ready", "/metrics"] {
        assert_eq!(get(server.address, path).await.status, 200);
    }
    let page = get(server.address, "/metrics").await.text();
    assert!(page.contains("http_requests_total{status=\"200\"} 0\n"), "{page}");
    assert!(page.contains("http_request_duration_seconds_count 0\n"), "{page}");
    assert!(server.events.with("RequestFinished").is_empty());
    query(server.address, "{ author(id: 1) { id } }").await;
    wait_until(SOON, || async { server.events.with("RequestFinished").len() == 1 }).await;
}
