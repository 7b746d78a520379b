//! The response cache: what it gives is what the database would say, whoever writes, whoever asks,
//! and whatever becomes of the connection that tells of changes.

use std::process::Command;
use std::time::Duration;

use fraiseql_model::catalog::QualifiedName;
use fraiseql_postgres::outbox_sql;
use fraiseql_serve::{
    CacheOptions, IdentityOptions, ServeOptions, SubscriptionSource, api_key_ddl, new_api_key,
};
use fraiseql_testkit::{Database, wait_until};
use serde_json::{Value, json};

use crate::client::{Got, ask, get, post, query};
use crate::fixture::{Running, SOON, artifact, database, start_with};
use crate::subscribers::metric;

pub(crate) const ADA: &str = "{ author(id: 1) { name score } }";
const BIGS: &str = "{ bigs(limit: 1) { payload } }";
pub(crate) const HIT: &str = "fraiseql; hit";
const STORED: &str = "fraiseql; fwd=miss; stored";
const MISSED: &str = "fraiseql; fwd=miss";
const BYPASSED: &str = "fraiseql; fwd=bypass";

async fn start(database: &Database) -> Running {
    start_at(&database.url(), |_| ()).await
}

/// Starts a server with a cache and waits until changes are read.
pub(crate) async fn start_at(url: &str, change: impl FnOnce(&mut ServeOptions)) -> Running {
    let server = start_with(url, |options| {
        options.subscriptions.source = SubscriptionSource::Decoding;
        options.cache = Some(CacheOptions::default());
        change(options);
    })
    .await;
    wait_until(SOON, || async { health(&server).await["cache"]["status"] == "connected" }).await;
    server
}

pub(crate) async fn health(server: &Running) -> Value {
    get(server.address, "/health").await.json()
}

/// What the cache did for a query.
pub(crate) async fn status(server: &Running, document: &str) -> String {
    query(server.address, document).await.header("cache-status").unwrap_or("").to_owned()
}

/// Asks until the answer comes from the cache.
pub(crate) async fn settle(server: &Running, document: &str) {
    wait_until(SOON, || async { status(server, document).await == HIT }).await;
}

#[tokio::test]
async fn an_answer_is_kept_until_its_tables_change() {
    let database = database().await;
    let server = start(&database).await;
    let first = query(server.address, ADA).await;
    assert_eq!(
        (first.header("cache-status"), first.header("cache-control")),
        (Some(STORED), Some("no-store"))
    );
    let second = query(server.address, ADA).await;
    assert_eq!((second.header("cache-status"), second.text()), (Some(HIT), first.text()));
    let bob = json!({ "query": "query ($id: Int!) { author(id: $id) { name } }", "variables": { "id": 2 } });
    assert_eq!(post(server.address, &bob).await.header("cache-status"), Some(STORED));
    let other =
        json!({ "query": "query ($id: Int!) { author(id: $id) { name } }", "variables": { "id": 1 } });
    assert_eq!(post(server.address, &other).await.json()["data"]["author"]["name"], "Ada");
    settle(&server, BIGS).await;
    database.execute("UPDATE author SET score = 11 WHERE id = 1").await;
    wait_until(SOON, || async { query(server.address, ADA).await.json()["data"]["author"]["score"] == 11 })
        .await;
    assert_eq!(status(&server, BIGS).await, HIT, "what does not read the table stays");
    for write in ["INSERT INTO author VALUES (9, 'I', 'i@example.org', 1)", "DELETE FROM author WHERE id = 9"]
    {
        settle(&server, "{ authors { id } }").await;
        let before = query(server.address, "{ authors { id } }").await.text();
        database.execute(write).await;
        wait_until(SOON, || async { query(server.address, "{ authors { id } }").await.text() != before })
            .await;
    }
    settle(&server, BIGS).await;
    database.execute("TRUNCATE big").await;
    wait_until(SOON, || async { query(server.address, BIGS).await.json()["data"]["bigs"] == json!([]) })
        .await;
}

#[tokio::test]
async fn who_wrote_reads_it_while_others_keep_the_cache_full() {
    let database = database().await;
    let server = start(&database).await;
    let address = server.address;
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        readers.spawn(async move {
            loop {
                query(address, "{ authors { id } }").await;
            }
        });
    }
    for id in 100..160 {
        let write =
            format!("mutation {{ insertAuthor(object: {{ id: {id}, email: \"{id}@x\" }}) {{ id }} }}");
        assert_eq!(query(address, &write).await.json()["data"]["insertAuthor"]["id"], id);
        let read = query(address, "{ authors { id } }").await.json();
        let found = read["data"]["authors"].as_array().unwrap().iter().any(|author| author["id"] == id);
        assert!(found, "{id} was written and is not read");
    }
    readers.shutdown().await;
    assert!(metric(&server, "fraiseql_cache_requests_total{outcome=\"hit\"}").await > 0);
}

#[tokio::test]
async fn a_write_counts_for_all_that_it_reaches() {
    let database = database().await;
    let server = start(&database).await;
    database
        .execute(
            "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN UPDATE big SET payload = NEW.id::text WHERE id = 1; RETURN NEW; END $$; \
             CREATE TRIGGER touch AFTER INSERT ON author FOR EACH ROW EXECUTE PROCEDURE touch(); \
             CREATE OR REPLACE FUNCTION write_note(id int, seconds float8) RETURNS int LANGUAGE sql VOLATILE AS \
             'UPDATE author SET score = $1 WHERE id = 1; SELECT $1 FROM pg_sleep($2)'",
        )
        .await;
    for id in 200..210 {
        settle(&server, BIGS).await;
        let write =
            format!("mutation {{ insertAuthor(object: {{ id: {id}, email: \"{id}@x\" }}) {{ id }} }}");
        query(server.address, &write).await;
        let read = query(server.address, BIGS).await.json();
        assert_eq!(read["data"]["bigs"][0]["payload"], id.to_string(), "what a trigger wrote");
        settle(&server, ADA).await;
        query(server.address, &format!("mutation {{ writeNote(id: {id}, seconds: 0) }}")).await;
        let read = query(server.address, ADA).await.json();
        assert_eq!(read["data"]["author"]["score"], id, "what a function wrote");
    }
}

/// Returns the pid of the backend that reads changes.
async fn reader(database: &Database) -> i32 {
    let sql = "SELECT active_pid FROM pg_replication_slots WHERE database = current_database() AND active";
    database.client().await.query_one(sql, &[]).await.unwrap().get(0)
}

fn signal(pid: i32, name: &str) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status().unwrap();
    assert!(sent.success(), "{name} {pid}");
}

#[tokio::test]
async fn a_hung_reader_makes_nothing_stale() {
    let database = database().await;
    let stale_max = Duration::from_millis(300);
    let server = start_at(&database.url(), |options| {
        options.cache = Some(CacheOptions { stale_max, ..CacheOptions::default() });
    })
    .await;
    settle(&server, ADA).await;
    let pid = reader(&database).await;
    signal(pid, "-STOP");
    database.execute("UPDATE author SET score = 77 WHERE id = 1").await;
    wait_until(SOON, || async { status(&server, ADA).await == BYPASSED }).await;
    for _ in 0..20 {
        let got = query(server.address, ADA).await;
        assert_eq!(
            (got.header("cache-status"), &got.json()["data"]["author"]["score"]),
            (Some(BYPASSED), &json!(77))
        );
    }
    let told = health(&server).await;
    assert_eq!((&told["status"], &told["cache"]["status"]), (&json!("degraded"), &json!("disconnected")));
    assert_eq!(get(server.address, "/health/ready").await.status, 200, "it serves");
    signal(pid, "-CONT");
    settle(&server, ADA).await;
    assert_eq!(query(server.address, ADA).await.json()["data"]["author"]["score"], 77);
    assert_eq!(health(&server).await["status"], "healthy");
}

#[tokio::test]
async fn a_killed_reader_loses_no_change() {
    let database = database().await;
    let server = start(&database).await;
    for score in 1..=5 {
        settle(&server, ADA).await;
        let killed = format!(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database();\
             UPDATE author SET score = {score} WHERE id = 1"
        );
        database.execute(&killed).await;
        wait_until(SOON, || async {
            let got = query(server.address, ADA).await;
            got.header("cache-status") == Some(HIT) && got.json()["data"]["author"]["score"] == score
        })
        .await;
    }
}

async fn get_with(server: &Running, headers: &[(&str, &str)]) -> Got {
    ask(server.address, "GET", "/graphql?query=%7Bauthor(id:1)%7Bname%20score%7D%7D", headers, "").await
}

#[tokio::test]
async fn a_client_asks_whether_its_own_copy_still_holds() {
    let database = database().await;
    let server = start(&database).await;
    let got = get_with(&server, &[]).await;
    assert_eq!(got.header("cache-control"), Some("private, no-cache"));
    let etag = got.header("etag").unwrap().to_owned();
    let same = get_with(&server, &[("If-None-Match", &etag)]).await;
    assert_eq!((same.status, same.header("etag"), same.body.len()), (304, Some(etag.as_str()), 0));
    assert_eq!(same.header("cache-status"), Some(HIT));
    let anew = get_with(&server, &[("Cache-Control", "no-cache")]).await;
    assert_eq!((anew.header("cache-status"), anew.text()), (Some(STORED), got.text()));
    let write = "mutation { insertAuthor(object: { id: 50, email: \"e\" }) { id } }";
    assert_eq!(query(server.address, write).await.header("etag"), None, "only queries by GET have one");
    let same = get_with(&server, &[("If-None-Match", &etag)]).await;
    assert_eq!(same.status, 304, "read anew, and the same");
    database.execute("UPDATE author SET score = 12 WHERE id = 1").await;
    wait_until(SOON, || async { get_with(&server, &[("If-None-Match", &etag)]).await.status == 200 }).await;
}

#[tokio::test]
async fn long_lists_are_kept_and_compressed_once() {
    let database = database().await;
    let server = start_at(&database.url(), |options| {
        options.cache = Some(CacheOptions { entry_bytes: 400_000, ..CacheOptions::default() });
    })
    .await;
    let document = "{ bigs(limit: 1500) { id payload } }";
    let first = query(server.address, document).await;
    assert_eq!(first.header("cache-status"), Some(MISSED), "it is kept when it has come to its end");
    assert!(first.body.len() > 300_000 && first.header("content-length").is_none(), "it was streamed");
    settle(&server, document).await;
    let second = query(server.address, document).await;
    assert_eq!((second.text(), second.header("content-length").is_some()), (first.text(), true));
    let body = json!({ "query": document }).to_string();
    let headers = [("Content-Type", "application/json"), ("Accept-Encoding", "gzip")];
    for _ in 0..2 {
        let coded = ask(server.address, "POST", "/graphql", &headers, &body).await;
        assert_eq!(
            (coded.header("content-encoding"), coded.header("cache-status")),
            (Some("gzip"), Some(HIT))
        );
        assert!(coded.body.len() < 100_000);
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&coded.body[..]), &mut plain).unwrap();
        assert_eq!(plain, first.body);
    }
    for _ in 0..3 {
        assert_eq!(status(&server, "{ bigs(limit: 3000) { id payload } }").await, MISSED, "it is too long");
    }
}

#[tokio::test]
async fn memory_is_bounded() {
    let database = database().await;
    let memory_bytes = 1 << 20;
    let server = start_at(&database.url(), |options| {
        options.cache = Some(CacheOptions { memory_bytes, ..CacheOptions::default() });
    })
    .await;
    for limit in 1..150 {
        query(server.address, &format!("{{ bigs(limit: {limit}) {{ payload }} }}")).await;
    }
    let bytes = metric(&server, "fraiseql_cache_bytes").await;
    assert!((1..=memory_bytes as u64).contains(&bytes), "{bytes}");
    assert!((1..149).contains(&metric(&server, "fraiseql_cache_entries").await));
}

#[tokio::test]
async fn what_nobody_can_watch_is_not_kept() {
    let database = database().await;
    database
        .execute(
            "CREATE OR REPLACE VIEW fragile AS SELECT id, payload, extract(epoch FROM now())::int AS value FROM big; \
             ALTER TABLE author SET UNLOGGED",
        )
        .await;
    let server = start(&database).await;
    for document in ["{ slow(seconds: 0) }", "{ fragiles(limit: 1) { value } }", ADA] {
        for _ in 0..2 {
            assert_eq!(status(&server, document).await, BYPASSED, "{document}");
        }
    }
    for document in ["{ boom }", "{ nothing }"] {
        for _ in 0..2 {
            assert_ne!(status(&server, document).await, HIT, "{document}");
        }
    }
}

#[tokio::test]
async fn a_table_that_comes_later_is_noticed() {
    let database = database().await;
    let server = start(&database).await;
    settle(&server, "{ authors { id } }").await;
    database.execute("CREATE TABLE younger () INHERITS (author)").await;
    database.execute("INSERT INTO younger (id, email) VALUES (70, 'y')").await;
    let is_there = || async { query(server.address, "{ authors { id } }").await.text().contains("70") };
    wait_until(SOON, is_there).await;
    settle(&server, "{ authors { id } }").await;
    database.execute("UPDATE younger SET id = 71").await;
    wait_until(SOON, || async { query(server.address, "{ authors { id } }").await.text().contains("71") })
        .await;
}

#[tokio::test]
async fn another_schema_begins_with_nothing() {
    let database = database().await;
    let server = start(&database).await;
    settle(&server, ADA).await;
    server.handle.reload(artifact()).unwrap();
    assert_eq!(status(&server, ADA).await, STORED);
}

#[tokio::test]
async fn the_outbox_tells_of_its_tables() {
    let database = database().await;
    let tables = [QualifiedName::new("public", "author")];
    database.execute(&outbox_sql(&tables, None)).await;
    let server =
        start_at(&database.url(), |options| options.subscriptions.source = SubscriptionSource::Outbox).await;
    settle(&server, ADA).await;
    assert_eq!(status(&server, BIGS).await, BYPASSED, "it has no trigger");
    let write = "mutation { insertAuthor(object: { id: 50, email: \"e\" }) { id } }";
    settle(&server, "{ authors { id } }").await;
    query(server.address, write).await;
    assert!(query(server.address, "{ authors { id } }").await.text().contains("50"));
    database.execute("UPDATE author SET score = 13 WHERE id = 1").await;
    wait_until(SOON, || async { query(server.address, ADA).await.json()["data"]["author"]["score"] == 13 })
        .await;
}

#[tokio::test]
async fn nobody_gets_what_was_read_for_another() {
    let database = database().await;
    let sql = "DO $$ BEGIN CREATE ROLE caching LOGIN REPLICATION; \
               EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$; \
               GRANT SELECT ON ALL TABLES IN SCHEMA public TO caching; \
               ALTER TABLE author ENABLE ROW LEVEL SECURITY; \
               CREATE POLICY own ON author USING (name = nullif(current_setting('fraiseql.claims', true), '')::json ->> 'sub')";
    database.execute(sql).await;
    database.execute(&api_key_ddl("caching")).await;
    let client = database.client().await;
    let mut keys = Vec::new();
    for name in ["Ada", "Bob \"B\" \\ é"] {
        let key = new_api_key().unwrap();
        let sql = "INSERT INTO fraiseql.api_key (id, name, hash, scopes) VALUES ($1, $2, $3, '{}')";
        client.execute(sql, &[&key.id, &name, &key.hash.as_slice()]).await.unwrap();
        keys.push(format!("Bearer {}", key.text));
    }
    let server = start_at(&database.url_as("caching"), |options| {
        options.identity = IdentityOptions {
            api_keys: Some(Duration::from_secs(60)),
            session_claims: true,
            ..IdentityOptions::default()
        };
    })
    .await;
    let body = json!({ "query": "{ authors { id } }" }).to_string();
    for round in 0..3 {
        for (key, id) in keys.iter().zip([1, 2]) {
            let headers = [("Content-Type", "application/json"), ("Authorization", key.as_str())];
            let got = ask(server.address, "POST", "/graphql", &headers, &body).await;
            assert_eq!(got.json()["data"]["authors"], json!([{ "id": id }]));
            let expected = if round == 0 { STORED } else { HIT };
            assert_eq!(got.header("cache-status"), Some(expected));
        }
        assert_eq!(query(server.address, "{ authors { id } }").await.json()["data"]["authors"], json!([]));
    }
}

#[tokio::test]
async fn without_a_cache_nothing_is_said_of_one() {
    let database = database().await;
    let server = start_with(&database.url(), |_| ()).await;
    let got = query(server.address, ADA).await;
    assert_eq!((got.header("cache-status"), got.header("etag")), (None, None));
    assert_eq!(health(&server).await["cache"], json!({ "status": "disabled", "latency_ms": null }));
    assert!(!get(server.address, "/metrics").await.text().contains("fraiseql_cache"));
}
