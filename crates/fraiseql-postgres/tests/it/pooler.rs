//! The data plane behind PgBouncer in transaction mode.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fraiseql_postgres::{Pool, PoolOptions, Pooler, PostgresError, Query, Target};
use fraiseql_testkit::{Bouncer, Database, server_major, wait_until};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What must be set on the role; before 12, floats are not written in full otherwise.
fn contract(database: &str) -> String {
    let role = format!("ALTER ROLE postgres IN DATABASE {database} SET");
    let floats =
        if server_major() < 12 { format!("{role} extra_float_digits = '3';") } else { String::new() };
    format!("{role} IntervalStyle = 'iso_8601'; {floats}")
}

fn pool(url: &str, size: usize) -> Pool {
    let target = Target::parse(url).expect("testkit's URL").through(Pooler::Transaction);
    Pool::new(target, PoolOptions { size, connect_timeout: Duration::from_secs(60) })
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

async fn ready(connections: usize) -> Option<(Database, Bouncer)> {
    let database = Database::new().await;
    database.execute(&contract(database.name())).await;
    let bouncer = Bouncer::start(&database, connections).await?;
    Some((database, bouncer))
}

#[tokio::test]
async fn many_sessions_share_few_connections_and_nobody_gets_anothers_rows() {
    let Some((_database, bouncer)) = ready(2).await else { return };
    let pool = pool(&bouncer.url(), 8);
    let right = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for task in 0..8_usize {
        let (pool, right) = (pool.clone(), Arc::clone(&right));
        tasks.spawn(async move {
            for round in 0..50_usize {
                let mut session = pool.acquire(soon()).await.unwrap();
                // Many texts, the same in every session in another order.
                let kind = (task * 7 + round) % 10;
                let set = format!("SELECT set_config('t.kind', '{kind}', true)");
                let get =
                    format!("SELECT {kind}::text || ':' || $1::text || ':' || current_setting('t.kind')");
                let params = [Some(Bytes::from(format!("{task}.{round}")))];
                let batch = [Query { sql: &set, params: &[] }, Query { sql: &get, params: &params }];
                let mut rows = session.run(&batch).await.unwrap();
                let mut last = None;
                while let Some(row) = rows.next().await.unwrap() {
                    last = row.get(0);
                }
                assert_eq!(last.unwrap(), format!("{kind}:{task}.{round}:{kind}").as_bytes());
                right.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert_eq!(right.load(Ordering::Relaxed), 400);
    let mut session = pool.acquire(soon()).await.unwrap();
    let sql =
        "SELECT EXISTS (SELECT 1 FROM pg_prepared_statements WHERE statement LIKE 'SELECT 3::text%')::text";
    let batch = [Query { sql, params: &[] }];
    let mut rows = session.run(&batch).await.unwrap();
    let named = rows.next().await.unwrap().unwrap().get(0).unwrap() == "true";
    assert!(rows.next().await.unwrap().is_none());
    assert_eq!(named, bouncer.carries_statements(), "statements are named where the pooler carries them");
}

#[tokio::test]
async fn values_are_written_as_the_contract_says() {
    let Some((_database, bouncer)) = ready(1).await else { return };
    let pool = pool(&bouncer.url(), 2);
    for _ in 0..3 {
        let mut session = pool.acquire(soon()).await.unwrap();
        let sql = "SELECT interval '1 day 2 hours'::text, '2026-01-01 12:00+02'::timestamptz::text, 'a'::bytea::text, \
                   (0.1::float8 + 0.2::float8)::text";
        let batch = [Query { sql, params: &[] }];
        let mut rows = session.run(&batch).await.unwrap();
        let row = rows.next().await.unwrap().unwrap();
        let text: Vec<Bytes> = (0..row.len()).map(|column| row.get(column).unwrap()).collect();
        // Before 12 a float has all of its digits, and not the fewest that tell it from others.
        let float = if server_major() < 12 { "0.300000000000000044" } else { "0.30000000000000004" };
        assert_eq!(text, ["P1DT2H", "2026-01-01 10:00:00+00", "\\x61", float]);
        assert!(rows.next().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_role_without_the_settings_is_refused_with_what_to_set() {
    let database = Database::new().await;
    let Some(bouncer) = Bouncer::start(&database, 1).await else { return };
    let error = pool(&bouncer.url(), 1).acquire(soon()).await.unwrap_err();
    let expected = match server_major() {
        ..12 => "IntervalStyle = 'iso_8601', extra_float_digits = '3'",
        12.. => "IntervalStyle = 'iso_8601'",
    };
    assert!(matches!(&error, PostgresError::Contract { wanted, .. } if wanted == expected), "{error}");
}

#[tokio::test]
async fn a_running_statement_can_be_cancelled_through_it() {
    let Some((database, bouncer)) = ready(1).await else { return };
    let pool = pool(&bouncer.url(), 1);
    let mut session = pool.acquire(soon()).await.unwrap();
    let canceller = session.canceller();
    let batch = [Query { sql: "SELECT pg_sleep(30)", params: &[] }];
    let mut rows = session.run(&batch).await.unwrap();
    let watcher = database.client().await;
    let cancel = async {
        wait_until(Duration::from_secs(60), || async {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = 'SELECT pg_sleep(30)' AND state = 'active'";
            watcher.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 1
        })
        .await;
        canceller.cancel().await.unwrap();
    };
    let ((), ended) = tokio::join!(cancel, rows.next());
    assert!(matches!(ended, Err(PostgresError::Sql(error)) if error.sqlstate == "57014"));
}
