//! Where changes come from: each source shows them, and loses none.

use std::time::Duration;

use fraiseql_model::catalog::QualifiedName;
use fraiseql_postgres::outbox_sql;
use fraiseql_serve::SubscriptionSource;
use fraiseql_testkit::{Database, wait_until};
use serde_json::json;

use crate::client::get;
use crate::fixture::{Running, SOON, database, start_with};
use crate::socket::Socket;
use crate::subscribers::metric;

const RUNS: &str = "fraiseql_subscription_runs_total";

/// Waits until changes come from there and every query was asked since.
pub(crate) async fn wait_for_source(server: &Running, source: &str) {
    let line = format!("fraiseql_subscription_source{{source=\"{source}\"}} 1");
    wait_until(SOON, || async { get(server.address, "/metrics").await.text().contains(&line) }).await;
    // What the switch itself asks for comes to rest.
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = metric(server, RUNS).await;
        if now == before {
            return;
        }
        before = now;
    }
}

async fn start(database: &Database, source: SubscriptionSource) -> Running {
    start_with(&database.url(), |options| {
        options.subscriptions.source = source;
        // So seldom that no poll can be taken for a change that was told.
        options.subscriptions.poll_interval = Duration::from_secs(3_600);
    })
    .await
}

async fn outbox(database: &Database, tables: &[&str]) {
    let tables: Vec<_> = tables.iter().map(|table| QualifiedName::new("public", *table)).collect();
    database.execute(&outbox_sql(&tables, None)).await;
}

/// A change of each kind arrives, also through a view; what does not concern a query asks nothing.
async fn check_source(database: &Database, server: &Running, source: &str) {
    let mut socket = Socket::ready(server.address).await;
    socket.subscribe("notes", "subscription { notes { id } }").await;
    assert_eq!(socket.next("notes").await["data"]["notes"], json!([]));
    socket.subscribe("names", "subscription { names(limit: 1) { name } }").await;
    assert_eq!(socket.next("names").await["data"]["names"][0]["name"], "ADA");
    wait_for_source(server, source).await;
    let idle = metric(server, RUNS).await;
    let next = [
        ("INSERT INTO note VALUES (1, 'a'), (2, 'b')", json!([{ "id": 1 }, { "id": 2 }])),
        ("DELETE FROM note WHERE id = 1", json!([{ "id": 2 }])),
        ("UPDATE note SET id = 3", json!([{ "id": 3 }])),
        (
            "BEGIN; INSERT INTO note VALUES (9, ''); SAVEPOINT s; UPDATE note SET id = id + 1; COMMIT",
            json!([{ "id": 4 }, { "id": 10 }]),
        ),
        ("TRUNCATE note", json!([])),
    ];
    for (sql, expected) in next {
        database.execute(sql).await;
        let mut notes = socket.next("notes").await["data"]["notes"].clone();
        notes.as_array_mut().unwrap().sort_by_key(|note| note["id"].as_i64());
        assert_eq!(notes, expected, "{sql}");
    }
    database.execute("UPDATE author SET name = 'Eve' WHERE id = 1").await;
    assert_eq!(socket.next("names").await["data"]["names"][0]["name"], "EVE");
    let runs = metric(server, RUNS).await - idle;
    println!("{source}: 6 changes, {runs} runs");
    assert_eq!(runs, 6, "one for each change, none of the other query");
}

#[tokio::test]
async fn decoding_shows_every_change() {
    let database = database().await;
    let server = start(&database, SubscriptionSource::Auto).await;
    check_source(&database, &server, "decoding").await;
    let told = server.events.with("ChangeSource");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("one replication slot"), "{told:?}");
}

#[tokio::test]
async fn the_outbox_shows_every_change() {
    let database = database().await;
    outbox(&database, &["note", "author"]).await;
    let server = start(&database, SubscriptionSource::Outbox).await;
    check_source(&database, &server, "outbox").await;
}

#[tokio::test]
async fn polling_shows_every_change() {
    let database = database().await;
    let server = start_with(&database.url(), |_| ()).await;
    let mut socket = Socket::ready(server.address).await;
    socket.subscribe("1", "subscription { counted }").await;
    assert_eq!(socket.next("1").await["data"]["counted"], 0);
    for count in 1..4 {
        database.execute(&format!("INSERT INTO note VALUES ({count}, 'a')")).await;
        assert_eq!(socket.next("1").await["data"]["counted"], count);
    }
}

#[tokio::test]
async fn a_role_that_may_not_replicate_gets_the_outbox_or_polling() {
    let database = database().await;
    database
        .execute(
            "DO $$ BEGIN CREATE ROLE plain LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
             GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain",
        )
        .await;
    let url = database.url_as("plain");
    let server = start_with(&url, |options| options.subscriptions.source = SubscriptionSource::Auto).await;
    let mut socket = Socket::ready(server.address).await;
    socket.subscribe("1", "subscription { notes { id } }").await;
    socket.next("1").await;
    wait_until(SOON, || async { !server.events.with("ChangeSource").is_empty() }).await;
    let told = server.events.with("ChangeSource").concat();
    assert!(
        told.contains("source: \"polling\"") && told.contains("no decoding") && told.contains("no outbox"),
        "{told}"
    );
    database.execute("INSERT INTO note VALUES (1, 'a')").await;
    assert_eq!(socket.next("1").await["data"]["notes"], json!([{ "id": 1 }]));
    let tables = [QualifiedName::new("public", "note")];
    database.execute(&outbox_sql(&tables, Some("plain"))).await;
    let server = start_with(&url, |options| options.subscriptions.source = SubscriptionSource::Auto).await;
    let mut socket = Socket::ready(server.address).await;
    socket.subscribe("1", "subscription { notes { id } }").await;
    socket.next("1").await;
    wait_for_source(&server, "outbox").await;
    database.execute("INSERT INTO note VALUES (2, 'b')").await;
    assert_eq!(socket.next("1").await["data"]["notes"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_the_source_cannot_see_is_polled_beside_it() {
    let database = database().await;
    let server = start_with(&database.url(), |options| {
        options.subscriptions.source = SubscriptionSource::Decoding;
    })
    .await;
    database.execute("ALTER TABLE note SET UNLOGGED").await;
    let mut socket = Socket::ready(server.address).await;
    socket.subscribe("unlogged", "subscription { notes { id } }").await;
    socket.next("unlogged").await;
    socket.subscribe("function", "subscription { counted }").await;
    socket.next("function").await;
    let line = "fraiseql_subscription_source{source=\"decoding\"} 1";
    wait_until(SOON, || async { get(server.address, "/metrics").await.text().contains(line) }).await;
    database.execute("INSERT INTO note VALUES (1, 'a')").await;
    let heard = [socket.hear().await, socket.hear().await].map(|heard| format!("{heard:?}")).concat();
    assert!(heard.contains("unlogged") && heard.contains("function"), "{heard}");
}

#[tokio::test]
async fn a_killed_decoding_connection_loses_no_change() {
    let database = database().await;
    let server = start(&database, SubscriptionSource::Decoding).await;
    let mut socket = Socket::ready(server.address).await;
    socket.subscribe("1", "subscription { notes { id } }").await;
    socket.next("1").await;
    wait_for_source(&server, "decoding").await;
    for id in 1..=5 {
        let killed = format!(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database();\
             INSERT INTO note VALUES ({id}, 'a')"
        );
        database.execute(&killed).await;
        loop {
            let notes = socket.next("1").await["data"]["notes"].as_array().unwrap().len();
            if notes == id {
                break;
            }
        }
        wait_until(SOON, || async { server.events.with("ChangeSourceLost").len() == id }).await;
        let slots =
            "SELECT count(*) FROM pg_replication_slots WHERE database = current_database() AND active";
        wait_until(SOON, || async {
            database.client().await.query_one(slots, &[]).await.unwrap().get::<_, i64>(0) == 1
        })
        .await;
        wait_for_source(&server, "decoding").await;
    }
}

#[tokio::test]
async fn a_burst_of_writes_ends_in_its_last_state() {
    let database = database().await;
    let server = start(&database, SubscriptionSource::Decoding).await;
    let mut socket = Socket::ready(server.address).await;
    socket.subscribe("1", "subscription { author(id: 1) { score } }").await;
    socket.next("1").await;
    wait_for_source(&server, "decoding").await;
    let before = metric(&server, RUNS).await;
    let client = database.client().await;
    for score in 1..=500 {
        client.batch_execute(&format!("UPDATE author SET score = {score} WHERE id = 1")).await.unwrap();
    }
    while socket.next("1").await["data"]["author"]["score"] != 500 {}
    let runs = metric(&server, RUNS).await - before;
    println!("500 writes: {runs} runs");
    assert!(runs < 500, "{runs}: writes are coalesced");
}
