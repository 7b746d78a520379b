//! How often somebody may ask: by HTTP, in batches, and over a WebSocket.

use std::time::Duration;

use fraiseql_serve::{Rate, RateOptions, RedisOptions, RequestPolicy};
use fraiseql_testkit::{RedisServer, wait_until};
use serde_json::json;

use crate::client::{ask, get, query};
use crate::fixture::{Running, database, start_with};
use crate::socket::{Heard, Socket};

const LIMIT: Duration = Duration::from_secs(120);
const ADA: &str = "{ author(id: 1) { name } }";

/// Lets so many requests of an address through, and hardly more while a test runs.
async fn start(burst: u32, trusted: &[&str]) -> Running {
    let words: Vec<String> = trusted.iter().map(|word| (*word).to_owned()).collect();
    let trusted_proxies = RateOptions::networks(&words).unwrap();
    start_with(&database().await.url(), |options| {
        let address = Some(Rate { per_minute: 1, burst });
        options.rates = RateOptions { address, caller: None, trusted_proxies, entries: 1_000, shared: None };
        options.policy = RequestPolicy { batch_max: 10, ..RequestPolicy::default() };
    })
    .await
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let server = start(2, &[]).await;
    for _ in 0..2 {
        assert_eq!(query(server.address, ADA).await.status, 200);
    }
    let got = query(server.address, ADA).await;
    assert_eq!((got.status, got.code().as_str()), (429, "RATE_LIMITED"));
    let retry: u32 = got.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&retry), "{retry}");
    assert_eq!(got.header("ratelimit-policy"), Some("\"address\";q=2;w=120"));
    assert_eq!(got.header("ratelimit"), Some(format!("\"address\";r=0;t={retry}").as_str()));
    assert_eq!(got.json()["errors"][0]["extensions"]["limit"], "rate_limit.address_per_minute");
    assert_eq!(get(server.address, "/health").await.status, 200, "who watches is never counted");
    let page = get(server.address, "/metrics").await.text();
    assert!(page.contains("fraiseql_rate_limited_total{by=\"address\"} 1"), "{page}");
}

#[tokio::test]
async fn a_batch_is_as_many_requests_as_it_has() {
    let server = start(4, &[]).await;
    let batch = |count: usize| json!(vec![json!({ "query": ADA }); count]).to_string();
    let headers = [("Content-Type", "application/json")];
    assert_eq!(ask(server.address, "POST", "/graphql", &headers, &batch(3)).await.status, 200);
    assert_eq!(ask(server.address, "POST", "/graphql", &headers, &batch(2)).await.status, 429);
}

#[tokio::test]
async fn operations_over_a_socket_count_too() {
    let server = start(3, &[]).await;
    let mut socket = Socket::ready(server.address).await;
    for id in ["a", "b"] {
        socket.subscribe(id, ADA).await;
        socket.next(id).await;
        assert!(matches!(socket.hear().await, Heard::Message(message) if message["type"] == "complete"));
    }
    socket.subscribe("c", ADA).await;
    let Heard::Message(message) = socket.hear().await else { panic!("it is told") };
    assert_eq!(message["payload"][0]["extensions"]["code"], "RATE_LIMITED", "{message}");
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_bucket() {
    let server = start(1, &["127.0.0.0/8", "::1"]).await;
    let body = json!({ "query": ADA }).to_string();
    for (forwarded, status) in [("198.51.100.1", 200), ("198.51.100.2", 200), ("198.51.100.1", 429)] {
        let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", forwarded)];
        assert_eq!(
            ask(server.address, "POST", "/graphql", &headers, &body).await.status,
            status,
            "{forwarded}"
        );
    }
}

#[tokio::test]
async fn servers_count_together_and_each_for_itself_while_redis_is_away() {
    let Some(mut redis) = RedisServer::start().await else { return };
    let database = database().await;
    let shared =
        RedisOptions::new(&format!("redis://{}", redis.address()), "test", Duration::from_millis(500));
    let shared = shared.unwrap();
    let url = database.url();
    let start = || {
        start_with(&url, |options| {
            let address = Some(Rate { per_minute: 1, burst: 4 });
            let shared = Some(shared.clone());
            options.rates = RateOptions { address, entries: 1_000, shared, ..RateOptions::default() };
        })
    };
    let (one, other) = (start().await, start().await);
    let counts_together = async |server: &Running, expected: u8| {
        let line = format!("fraiseql_rate_limit_shared {expected}\n");
        let address = server.address;
        wait_until(LIMIT, || async { get(address, "/metrics").await.text().contains(&line) }).await;
    };
    counts_together(&one, 1).await;
    counts_together(&other, 1).await;
    for server in [&one, &other, &one, &other] {
        assert_eq!(query(server.address, ADA).await.status, 200);
    }
    for server in [&one, &other] {
        let got = query(server.address, ADA).await;
        assert_eq!((got.status, got.code().as_str()), (429, "RATE_LIMITED"));
        let retry: u32 = got.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&retry), "{retry}");
    }

    // Away, it keeps nobody from asking, and nobody from being counted: one has asked here three times.
    redis.save_and_stop();
    assert_eq!(query(one.address, ADA).await.status, 200);
    assert_eq!(query(one.address, ADA).await.status, 429);
    counts_together(&one, 0).await;
    counts_together(&other, 0).await;
    redis.start_again().await;
    counts_together(&other, 1).await;
    // What was counted together is remembered.
    assert_eq!(query(other.address, ADA).await.status, 429);
}
