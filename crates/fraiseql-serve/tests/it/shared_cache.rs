//! Servers that share answers in Redis: correct while it answers, hangs, is slow, flushed, full, gone and
//! back with old data.

use std::net::SocketAddr;
use std::time::Duration;

use fraiseql_serve::{CacheOptions, RedisOptions};
use fraiseql_testkit::{Database, Fault, FaultProxy, RedisServer, wait_until};

use crate::cache::{ADA, HIT, health, settle, start_at, status};
use crate::client::query;
use crate::fixture::{Running, SOON, database};

const SHARED: &str = "fraiseql; hit; detail=redis";
const AUTHORS: &str = "{ authors { id } }";

async fn start(database: &Database, redis: SocketAddr) -> Running {
    let timeout = Duration::from_millis(500);
    let shared = RedisOptions::new(&format!("redis://{redis}"), "test", timeout).unwrap();
    let server = start_at(&database.url(), |options| {
        options.cache = Some(CacheOptions { shared: Some(shared), ..CacheOptions::default() });
    })
    .await;
    wait_for(&server, "connected").await;
    server
}

async fn wait_for(server: &Running, status: &str) {
    wait_until(SOON, || async { health(server).await["cache"]["status"] == status }).await;
}

/// Asks the one and then the other until the other has it from Redis; returns what was asked.
async fn share(one: &Running, two: &Running) -> String {
    let tries = std::sync::atomic::AtomicU32::new(0);
    // A query of its own each time: what was asked before is in memory.
    let document = |number: u32| format!("{{ number{number}: author(id: 1) {{ name score }} }}");
    wait_until(SOON, || async {
        let document = document(tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        query(one.address, &document).await;
        // It is shared behind the response.
        tokio::task::yield_now().await;
        status(two, &document).await == SHARED
    })
    .await;
    document(tries.into_inner() - 1)
}

/// Writes through a server and reads there at once what was written.
async fn check_own_write(server: &Running, id: u32) {
    settle(server, AUTHORS).await;
    let write = format!("mutation {{ insertAuthor(object: {{ id: {id}, email: \"{id}@x\" }}) {{ id }} }}");
    assert_eq!(query(server.address, &write).await.json()["data"]["insertAuthor"]["id"], id);
    let read = query(server.address, AUTHORS).await;
    let is_there = read.json()["data"]["authors"].as_array().unwrap().iter().any(|author| author["id"] == id);
    assert!(is_there, "{id} was written and is not read: {:?}", read.header("cache-status"));
}

/// Writes behind the back of both; both see it, and go on seeing it from the cache.
async fn check_others_write(database: &Database, servers: [&Running; 2], score: u32) {
    database.execute(&format!("UPDATE author SET score = {score} WHERE id = 1")).await;
    for server in servers {
        let seen = || async { query(server.address, ADA).await.json()["data"]["author"]["score"] == score };
        wait_until(SOON, seen).await;
        settle(server, ADA).await;
        assert!(seen().await, "{score} was seen once");
    }
}

#[tokio::test]
async fn what_one_server_has_read_is_there_for_all() {
    let Some(redis) = RedisServer::start().await else { return };
    let database = database().await;
    let (one, two) = (start(&database, redis.address()).await, start(&database, redis.address()).await);
    let shared = share(&one, &two).await;
    assert_eq!(query(one.address, &shared).await.text(), query(two.address, &shared).await.text());
    assert_eq!(status(&two, &shared).await, HIT, "it is in memory now");
    for id in 300..315 {
        check_own_write(&one, id).await;
        check_own_write(&two, 1_000 + id).await;
        check_others_write(&database, [&one, &two], id).await;
    }
    let other = Database::from_template("serve", "").await;
    let stranger = start(&other, redis.address()).await;
    let first = status(&stranger, ADA).await;
    assert!(first != SHARED && first != HIT, "{first}: another database");
}

#[tokio::test]
async fn a_hung_or_slow_redis_is_done_without() {
    let Some(redis) = RedisServer::start().await else { return };
    let database = database().await;
    let proxy = FaultProxy::before_tcp(redis.address()).await;
    let (one, two) = (start(&database, proxy.address()).await, start(&database, redis.address()).await);
    let mut id = 400;
    for fault in [Fault::Hang, Fault::Cut, Fault::Refuse] {
        proxy.set(fault);
        wait_for(&one, "disconnected").await;
        assert_eq!(health(&one).await["status"], "degraded");
        assert_eq!(health(&two).await["status"], "healthy");
        check_own_write(&one, id).await;
        check_own_write(&two, id + 1).await;
        check_others_write(&database, [&one, &two], id).await;
        proxy.set(Fault::Pass);
        wait_for(&one, "connected").await;
        check_own_write(&one, id + 2).await;
        check_others_write(&database, [&one, &two], id + 2).await;
        id += 10;
    }
    proxy.set(Fault::Slow);
    check_own_write(&one, id).await;
    check_others_write(&database, [&one, &two], id).await;
    proxy.set(Fault::Pass);
    id += 10;
    redis.signal("-STOP");
    wait_for(&two, "disconnected").await;
    check_own_write(&two, id).await;
    check_others_write(&database, [&one, &two], id).await;
    redis.signal("-CONT");
    wait_for(&one, "connected").await;
    wait_for(&two, "connected").await;
    check_own_write(&two, id + 1).await;
    check_others_write(&database, [&one, &two], id + 1).await;
    assert_eq!(one.events.with("SharedCacheLost").len(), one.events.with("SharedCacheReturned").len() - 1);
}

#[tokio::test]
async fn a_redis_that_was_flushed_or_is_full_answers_nothing_old() {
    let Some(redis) = RedisServer::start().await else { return };
    let database = database().await;
    let (one, two) = (start(&database, redis.address()).await, start(&database, redis.address()).await);
    for id in 500..505 {
        settle(&one, ADA).await;
        redis.command(&["FLUSHALL"]);
        check_own_write(&one, id).await;
        check_others_write(&database, [&one, &two], id).await;
    }
    redis.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    for id in 510..513 {
        check_own_write(&one, id).await;
        check_own_write(&two, id + 10).await;
        check_others_write(&database, [&one, &two], id).await;
    }
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    check_own_write(&one, 540).await;
    check_others_write(&database, [&one, &two], 540).await;
}

#[tokio::test]
async fn a_redis_that_returns_with_old_data_answers_nothing_old() {
    let Some(mut redis) = RedisServer::start().await else { return };
    let database = database().await;
    let server = start(&database, redis.address()).await;
    for score in [600, 601] {
        let other = start(&database, redis.address()).await;
        let shared = share(&server, &other).await;
        drop(other);
        redis.save_and_stop();
        wait_for(&server, "disconnected").await;
        check_own_write(&server, score).await;
        database.execute(&format!("UPDATE author SET score = {score} WHERE id = 1")).await;
        redis.start_again().await;
        assert!(redis.command(&["KEYS", "test:*"]).lines().count() >= 1, "it has what it had");
        let fresh = start(&database, redis.address()).await;
        let got = query(fresh.address, &shared).await;
        assert_ne!(got.header("cache-status"), Some(SHARED));
        assert_eq!(got.json()["data"].as_object().unwrap().values().next().unwrap()["score"], score);
        wait_for(&server, "connected").await;
        wait_until(SOON, || async {
            query(server.address, ADA).await.json()["data"]["author"]["score"] == score
        })
        .await;
    }
}

#[tokio::test]
async fn a_url_that_is_none_is_not_repeated() {
    let timeout = Duration::from_millis(50);
    let error = RedisOptions::new("redis//:hunter2@x", "test", timeout).unwrap_err();
    assert_eq!(error.to_string(), "understand the URL of Redis");
    let options = RedisOptions::new("redis://:hunter2@localhost", "test", timeout).unwrap();
    assert!(!format!("{options:?}").contains("hunter2"));
}
