//! Sessions: batches, errors, streaming, cancellation, and what comes back to the pool.

use std::time::Duration;

use bytes::Bytes;
use fraiseql_postgres::{Overload, Pool, PoolOptions, PostgresError, Query, QueueBounds, Session, Target};
use fraiseql_testkit::{Database, wait_until};
use tokio::time::Instant;

fn pool(database: &Database, size: usize) -> Pool {
    let target = Target::parse(&database.url()).expect("testkit's URL");
    Pool::new(target, PoolOptions { size, connect_timeout: Duration::from_secs(60) })
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn query(sql: &str) -> Query<'_> {
    Query { sql, params: &[] }
}

/// Runs a batch and returns its rows as `statement: a|b`, or the SQLSTATE.
async fn run(session: &mut Session, batch: &[Query<'_>]) -> Result<Vec<String>, String> {
    let sqlstate = |error: PostgresError| match error {
        PostgresError::Sql(error) => format!("{} in {:?}", error.sqlstate, error.statement),
        other => other.to_string(),
    };
    let mut found = Vec::new();
    let mut rows = session.run(batch).await.map_err(sqlstate)?;
    while let Some(row) = rows.next().await.map_err(sqlstate)? {
        let columns = (0..row.len()).map(|column| match row.get(column) {
            Some(bytes) => String::from_utf8(bytes.to_vec()).expect("text"),
            None => "NULL".to_owned(),
        });
        found.push(format!("{}: {}", row.statement, columns.collect::<Vec<_>>().join("|")));
    }
    Ok(found)
}

#[tokio::test]
async fn a_batch_is_one_transaction_and_a_local_setting_ends_with_it() {
    let database = Database::new().await;
    let mut session = pool(&database, 1).acquire(soon()).await.unwrap();
    let set = query("SELECT set_config('t.x', 'here', true)");
    let get = query("SELECT current_setting('t.x', true), txid_current() = txid_current()");
    assert_eq!(run(&mut session, &[set, get]).await.unwrap(), ["0: here", "1: here|t"]);
    assert_eq!(run(&mut session, &[get]).await.unwrap(), ["0: |t"]);
}

#[tokio::test]
async fn parameters_and_nulls_arrive_as_they_are() {
    let database = Database::new().await;
    let mut session = pool(&database, 1).acquire(soon()).await.unwrap();
    let params = [Some(Bytes::from("it's \\ \"so\" 🎸")), None, Some(Bytes::from("9007199254740993"))];
    let echo = Query { sql: "SELECT $1::text, $2::text, $3::int8", params: &params };
    let expected = ["0: it's \\ \"so\" 🎸|NULL|9007199254740993"];
    assert_eq!(run(&mut session, &[echo]).await.unwrap(), expected);
    assert_eq!(run(&mut session, &[echo]).await.unwrap(), expected, "prepared by now");
}

#[tokio::test]
async fn an_error_undoes_the_batch_and_the_session_goes_on() {
    let database = Database::new().await;
    database.execute("CREATE TABLE t (a int)").await;
    let mut session = pool(&database, 1).acquire(soon()).await.unwrap();
    let batch = [query("INSERT INTO t VALUES (1)"), query("SELECT 1/0"), query("SELECT 'never reached'")];
    assert_eq!(run(&mut session, &batch).await.unwrap_err(), "22012 in Some(1)");
    assert_eq!(run(&mut session, &[query("SELECT count(*) FROM t")]).await.unwrap(), ["0: 0"]);
    // The statement behind the error was never parsed: it must not count as prepared.
    assert_eq!(run(&mut session, &[batch[2]]).await.unwrap(), ["0: never reached"]);
    assert_eq!(run(&mut session, &[query("SELEC")]).await.unwrap_err(), "42601 in Some(0)");
    assert_eq!(run(&mut session, &[query("SELEC")]).await.unwrap_err(), "42601 in Some(0)");
    assert_eq!(run(&mut session, &[query("SELECT 2")]).await.unwrap(), ["0: 2"]);
}

#[tokio::test]
async fn a_statement_survives_a_change_of_its_table() {
    let database = Database::new().await;
    database.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await;
    let mut session = pool(&database, 1).acquire(soon()).await.unwrap();
    assert_eq!(run(&mut session, &[query("SELECT * FROM t")]).await.unwrap(), ["0: 1"]);
    database.execute("ALTER TABLE t ALTER a TYPE bigint, ADD b text").await;
    assert_eq!(run(&mut session, &[query("SELECT * FROM t")]).await.unwrap(), ["0: 1|NULL"]);
    session.simple("DEALLOCATE ALL").await.unwrap();
    assert_eq!(run(&mut session, &[query("SELECT * FROM t")]).await.unwrap(), ["0: 1|NULL"]);
}

#[tokio::test]
async fn many_statements_are_evicted_not_piled_up() {
    let database = Database::new().await;
    let mut session = pool(&database, 1).acquire(soon()).await.unwrap();
    for number in 0..600 {
        let sql = format!("SELECT {number}");
        assert_eq!(run(&mut session, &[query(&sql)]).await.unwrap(), [format!("0: {number}")]);
    }
    let count =
        run(&mut session, &[query("SELECT count(*) <= 256 FROM pg_prepared_statements")]).await.unwrap();
    assert_eq!(count, ["0: t"]);
}

#[tokio::test]
async fn ten_thousand_rows_stream_in_order() {
    let database = Database::new().await;
    let mut session = pool(&database, 1).acquire(soon()).await.unwrap();
    let rows = run(&mut session, &[query("SELECT g, repeat('x', 100) FROM generate_series(1, 10000) g")])
        .await
        .unwrap();
    assert_eq!(rows.len(), 10_000);
    assert!(rows[9_999].starts_with("0: 10000|x"));
}

#[tokio::test]
async fn a_response_that_nobody_reads_is_cancelled_and_the_connection_comes_back() {
    let database = Database::new().await;
    let pool = pool(&database, 1);
    let mut session = pool.acquire(soon()).await.unwrap();
    let endless = [query("SELECT generate_series(1, 1000000000)")];
    let mut rows = session.run(&endless).await.unwrap();
    assert!(rows.next().await.unwrap().is_some());
    drop(session);
    let mut session = pool.acquire(soon()).await.unwrap();
    assert_eq!(run(&mut session, &[query("SELECT 1")]).await.unwrap(), ["0: 1"]);
    assert_eq!(pool.status().open, 1, "the same connection");
}

#[tokio::test]
async fn an_open_transaction_is_rolled_back_when_its_session_is_dropped() {
    let database = Database::new().await;
    database.execute("CREATE TABLE t (a int)").await;
    let pool = pool(&database, 1);
    let mut session = pool.acquire(soon()).await.unwrap();
    session.simple("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
    drop(session);
    let mut session = pool.acquire(soon()).await.unwrap();
    assert_eq!(run(&mut session, &[query("SELECT count(*) FROM t")]).await.unwrap(), ["0: 0"]);
}

#[tokio::test]
async fn a_canceller_ends_the_statement() {
    let database = Database::new().await;
    let mut session = pool(&database, 1).acquire(soon()).await.unwrap();
    let canceller = session.canceller();
    let sleep = [query("SELECT pg_sleep(60)")];
    let (ended, cancelled) = tokio::join!(run(&mut session, &sleep), async {
        let sleeping = || async {
            let client = database.client().await;
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'";
            client.query_one(sql, &[]).await.expect("the query runs").get::<_, i64>(0) > 0
        };
        wait_until(Duration::from_secs(60), sleeping).await;
        canceller.cancel().await
    });
    cancelled.unwrap();
    assert_eq!(ended.unwrap_err(), "57014 in Some(0)");
}

#[tokio::test]
async fn a_killed_backend_is_noticed_and_replaced() {
    let database = Database::new().await;
    let pool = pool(&database, 2);
    let first = pool.acquire(soon()).await.unwrap();
    drop(first);
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fraiseql' AND datname = current_database()";
    database.execute(sql).await;
    let gone = || async {
        let client = database.client().await;
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fraiseql' AND datname = current_database()";
        client.query_one(sql, &[]).await.expect("the query runs").get::<_, i64>(0) == 0
    };
    wait_until(Duration::from_secs(60), gone).await;
    let mut session = pool.acquire(soon()).await.unwrap();
    assert_eq!(run(&mut session, &[query("SELECT 1")]).await.unwrap(), ["0: 1"]);
}

#[tokio::test]
async fn an_exhausted_pool_says_so_at_the_deadline() {
    let database = Database::new().await;
    let pool = pool(&database, 1);
    let held = pool.acquire(soon()).await.unwrap();
    let refused = pool.acquire(Instant::now() + Duration::from_millis(20)).await;
    assert!(matches!(refused, Err(PostgresError::Timeout)));
    assert_eq!(pool.status().waiting, 0);
    drop(held);
    pool.acquire(soon()).await.unwrap();
    pool.close().await;
    assert!(matches!(pool.acquire(soon()).await, Err(PostgresError::Closed)));
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let database = Database::new().await;
    let target = Target::parse(&database.url()).unwrap().with_database("no such database");
    let pool = Pool::new(target, PoolOptions { size: 1, connect_timeout: Duration::from_secs(60) });
    assert!(matches!(pool.acquire(soon()).await, Err(PostgresError::NoDatabase { .. })));
    let nobody = Target::parse("postgres://app@127.0.0.1:1/shop").unwrap();
    let pool = Pool::new(nobody, PoolOptions { size: 1, connect_timeout: Duration::from_secs(60) });
    assert!(matches!(pool.acquire(soon()).await, Err(PostgresError::Connect { .. })));
}

#[tokio::test]
async fn a_new_login_is_used_from_now_on_and_what_is_borrowed_stays() {
    let database = Database::new().await;
    let role = format!("next_{}", database.name());
    database.execute(&format!("CREATE ROLE {role} LOGIN")).await;
    let pool = pool(&database, 3);
    let user = query("SELECT current_user");
    let mut borrowed = pool.acquire(soon()).await.unwrap();
    drop(pool.acquire(soon()).await.unwrap());
    pool.probe(Duration::from_secs(20)).await.unwrap();
    assert_eq!((pool.status().open, pool.status().idle), (2, 1));
    pool.retarget(Target::parse(&database.url_as(&role)).unwrap());
    assert_eq!((pool.status().open, pool.status().idle, pool.logins()), (1, 0, 1));
    assert_eq!(run(&mut borrowed, &[user]).await.unwrap(), ["0: postgres"], "nobody notices");
    let mut new = pool.acquire(soon()).await.unwrap();
    assert_eq!(run(&mut new, &[user]).await.unwrap(), [format!("0: {role}")]);
    drop(borrowed);
    assert_eq!((pool.status().open, pool.status().idle), (1, 0), "the old one is closed");
    drop(new);
    assert_eq!(pool.status().idle, 1, "the new one is kept");
    pool.probe(Duration::from_secs(20)).await.unwrap();
    // The probe's own connection was replaced too.
    let old = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND usename = 'postgres' \
               AND pid <> pg_backend_pid() AND application_name = 'fraiseql'";
    let client = database.client().await;
    wait_until(Duration::from_secs(60), || async { client.query(old, &[]).await.unwrap().is_empty() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_wait_than_may_and_our_own_work_waits_nevertheless() {
    let database = Database::new().await;
    let target = Target::parse(&database.url()).unwrap();
    let options = PoolOptions { size: 1, connect_timeout: Duration::from_secs(60) };
    let queue = QueueBounds { waiting_max: 3, wait_max: Duration::from_secs(20) };
    let pool = Pool::bounded(target, options, queue);
    let held = pool.admit(soon()).await.unwrap();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let pool = pool.clone();
        asking.spawn(async move { pool.admit(soon()).await.map(drop) });
    }
    for _ in 3..50 {
        let refused = asking.join_next().await.unwrap().unwrap();
        assert!(matches!(refused, Err(PostgresError::Overload(Overload::Full))), "{refused:?}");
    }
    let mut own = tokio::task::JoinSet::new();
    own.spawn({
        let pool = pool.clone();
        async move { pool.acquire(soon()).await.map(drop) }
    });
    wait_until(Duration::from_secs(60), || async { pool.status().waiting == 4 }).await;
    drop(held);
    own.join_next().await.unwrap().unwrap().unwrap();
    for admitted in asking.join_all().await {
        admitted.unwrap();
    }
    assert_eq!(pool.status().waiting, 0);
}

#[tokio::test]
async fn the_longest_wait_and_the_deadline_are_told_apart() {
    let database = Database::new().await;
    let target = Target::parse(&database.url()).unwrap();
    let options = PoolOptions { size: 1, connect_timeout: Duration::from_secs(60) };
    let queue = QueueBounds { waiting_max: 1, wait_max: Duration::from_millis(50) };
    let pool = Pool::bounded(target, options, queue);
    let held = pool.admit(soon()).await.unwrap();
    let late = pool.admit(soon()).await;
    assert!(matches!(late, Err(PostgresError::Overload(Overload::Late))), "{late:?}");
    let over = pool.admit(Instant::now() + Duration::from_millis(10)).await;
    assert!(matches!(over, Err(PostgresError::Timeout)), "{over:?}");
    drop(held);
    pool.admit(soon()).await.unwrap();
}
