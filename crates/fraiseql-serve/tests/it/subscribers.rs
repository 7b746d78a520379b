//! Many subscribers: shared, suppressed, slow, drained, reloaded.

use std::time::Duration;

use fraiseql_testkit::{Fault, FaultProxy, wait_until};
use serde_json::json;
use tokio::task::JoinSet;

use crate::client::get;
use crate::fixture::{Running, SOON, database, renamed_artifact, start, start_with, wait_for_running};
use crate::socket::{Heard, Socket};

/// Returns a number of the metrics page.
pub(crate) async fn metric(server: &Running, name: &str) -> u64 {
    let page = get(server.address, "/metrics").await.text();
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in:\n{page}")).parse().unwrap()
}

const ACTIVE: &str = "fraiseql_subscriptions_active";
const QUERIES: &str = "fraiseql_subscription_queries";
const RUNS: &str = "fraiseql_subscription_runs_total";
const SENT: &str = "fraiseql_subscription_results_sent_total";
const SUPPRESSED: &str = "fraiseql_subscription_results_suppressed_total";

#[tokio::test]
async fn a_thousand_subscribers_of_one_query_cost_one_run_for_each_change() {
    let database = database().await;
    let server = start_with(&database.url(), |options| {
        options.subscriptions.source = fraiseql_serve::SubscriptionSource::Decoding;
    })
    .await;
    let document = "subscription { notes { id text } }";
    let mut first = Socket::ready(server.address).await;
    first.subscribe("0", document).await;
    first.next("0").await;
    crate::sources::wait_for_source(&server, "decoding").await;
    let mut sockets = Vec::new();
    for _ in 0..10 {
        let mut socket = Socket::ready(server.address).await;
        for id in 0..100 {
            socket.subscribe(&id.to_string(), document).await;
        }
        sockets.push(socket);
    }
    for socket in &mut sockets {
        for _ in 0..100 {
            assert!(matches!(socket.hear().await, Heard::Message(message) if message["type"] == "next"));
        }
    }
    assert_eq!((metric(&server, ACTIVE).await, metric(&server, QUERIES).await), (1_001, 1));
    let before = metric(&server, RUNS).await;
    for change in 1..=3 {
        database.execute(&format!("INSERT INTO note VALUES ({change}, 'x')")).await;
        for socket in &mut sockets {
            for _ in 0..100 {
                let Heard::Message(message) = socket.hear().await else { panic!() };
                assert_eq!(message["payload"]["data"]["notes"].as_array().unwrap().len(), change);
            }
        }
        first.next("0").await;
    }
    let runs = metric(&server, RUNS).await - before;
    println!("1001 subscribers, 3 changes: {runs} runs, {} results sent", metric(&server, SENT).await);
    assert_eq!(runs, 3);
    drop((sockets, first));
    wait_until(SOON, || async { metric(&server, ACTIVE).await + metric(&server, QUERIES).await == 0 }).await;
}

#[tokio::test]
async fn equal_answers_are_not_sent() {
    let database = database().await;
    let server = start(&database).await;
    let mut socket = Socket::ready(server.address).await;
    socket.subscribe("1", "subscription { author(id: 1) { name } }").await;
    socket.next("1").await;
    let before = metric(&server, SUPPRESSED).await;
    database.execute("UPDATE author SET score = 99 WHERE id = 1").await;
    wait_until(SOON, || async { metric(&server, SUPPRESSED).await > before + 3 }).await;
    assert_eq!(metric(&server, SENT).await, 1);
    database.execute("UPDATE author SET name = 'Eve' WHERE id = 1").await;
    assert_eq!(socket.next("1").await["data"]["author"]["name"], "Eve");
    assert_eq!(metric(&server, SENT).await, 2);
}

#[tokio::test]
async fn a_failing_field_is_an_answer_that_is_sent_once() {
    let database = database().await;
    let server = start(&database).await;
    let mut socket = Socket::ready(server.address).await;
    socket.subscribe("1", "subscription { fragiles(limit: 1) { value } }").await;
    assert_eq!(socket.next("1").await["data"]["fragiles"][0]["value"], 0);
    database.execute("INSERT INTO big VALUES (-1, 'x'); UPDATE big SET id = 300000 WHERE id = 30000").await;
    database
        .execute("CREATE OR REPLACE VIEW fragile AS SELECT id, payload, 1 / (id + 1) AS value FROM big")
        .await;
    let failed = socket.next("1").await;
    assert_eq!(failed["data"], json!(null));
    assert!(failed["errors"][0]["extensions"]["logId"].is_string(), "{failed}");
    let (sent, before) = (metric(&server, SENT).await, metric(&server, SUPPRESSED).await);
    wait_until(SOON, || async { metric(&server, SUPPRESSED).await > before + 3 }).await;
    assert_eq!(metric(&server, SENT).await, sent);
    database.execute("DELETE FROM big WHERE id = -1").await;
    assert!(socket.next("1").await["data"]["fragiles"][0]["value"].is_number());
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_and_holds_nobody_up() {
    let database = database().await;
    let server = start_with(&database.url(), |options| {
        options.subscriptions.send_timeout = Duration::from_millis(300);
        options.subscriptions.result_bytes = 64 << 20;
    })
    .await;
    let document = "subscription { bigs(limit: 20000) { id payload } }";
    let mut idle = Socket::ready(server.address).await;
    let mut reader = Socket::ready(server.address).await;
    for id in 0..10 {
        idle.subscribe(&id.to_string(), document).await;
    }
    reader.subscribe("1", "subscription { notes { id } }").await;
    reader.next("1").await;
    wait_until(SOON, || async { metric(&server, "fraiseql_subscription_slow_clients_total").await == 1 })
        .await;
    database.execute("INSERT INTO note VALUES (1, 'x')").await;
    assert_eq!(reader.next("1").await["data"]["notes"], json!([{ "id": 1 }]));
    wait_until(SOON, || async { metric(&server, ACTIVE).await == 1 }).await;
}

#[tokio::test]
async fn a_drain_completes_subscriptions_and_lets_queries_finish() {
    let database = database().await;
    let mut server = start(&database).await;
    let mut sockets = JoinSet::new();
    for _ in 0..20 {
        let mut socket = Socket::ready(server.address).await;
        socket.subscribe("s", "subscription { author(id: 1) { id } }").await;
        socket.next("s").await;
        sockets.spawn(async move {
            assert_eq!(socket.hear().await, Heard::Message(json!({ "id": "s", "type": "complete" })));
            assert_eq!(socket.hear().await, Heard::Closed(1001));
        });
    }
    let mut busy = Socket::ready(server.address).await;
    busy.subscribe("q", "{ slow(seconds: 0.5) }").await;
    wait_for_running(&database, "slow", 1).await;
    server.stop();
    assert_eq!(busy.next("q").await, json!({ "data": { "slow": 1 } }));
    assert_eq!(busy.hear().await, Heard::Message(json!({ "id": "q", "type": "complete" })));
    assert_eq!(busy.hear().await, Heard::Closed(1001));
    while let Some(checked) = sockets.join_next().await {
        checked.unwrap();
    }
    assert_eq!(server.ended().await.cut, 0);
}

#[tokio::test]
async fn a_drain_does_not_wait_for_a_client_that_does_not_answer_the_close() {
    let database = database().await;
    let mut server = start(&database).await;
    let mut silent = Socket::ready(server.address).await;
    silent.subscribe("s", "subscription { author(id: 1) { id } }").await;
    silent.next("s").await;
    server.stop();
    // It is open still, and nobody reads on it.
    assert_eq!(server.ended().await.cut, 0);
    drop(silent);
}

#[tokio::test]
async fn a_new_schema_answers_again_or_ends_what_it_lacks() {
    let server = start(&database().await).await;
    let mut socket = Socket::ready(server.address).await;
    socket.subscribe("stays", "subscription { authors(limit: 1) { id } }").await;
    socket.next("stays").await;
    socket.subscribe("goes", "subscription { author(id: 1) { id } }").await;
    socket.next("goes").await;
    server.handle.reload(renamed_artifact()).unwrap();
    let Heard::Message(message) = socket.hear().await else { panic!() };
    assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("goes")));
    assert_eq!(message["payload"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    socket.subscribe("goes", "subscription { writer(id: 1) { id } }").await;
    assert_eq!(socket.next("goes").await["data"]["writer"]["id"], 1);
    assert_eq!(metric(&server, ACTIVE).await, 2);
}

#[tokio::test]
async fn a_database_that_was_away_is_caught_up_with() {
    let database = database().await;
    let proxy = FaultProxy::before(&database.url()).await;
    let server = start_with(&proxy.url(database.name()), |_| ()).await;
    let mut socket = Socket::ready(server.address).await;
    socket.subscribe("1", "subscription { notes { id } }").await;
    socket.next("1").await;
    proxy.set(Fault::Refuse);
    server.wait_for("unready").await;
    database.execute("INSERT INTO note VALUES (1, 'x')").await;
    // A new one is told; the one that has an answer keeps it.
    socket.subscribe("2", "subscription { author(id: 1) { id } }").await;
    let Heard::Message(message) = socket.hear().await else { panic!() };
    assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("2")));
    proxy.set(Fault::Pass);
    assert_eq!(socket.next("1").await["data"]["notes"], json!([{ "id": 1 }]));
}
