//! The test kit itself: databases that do not meet, and a wire that fails on demand.

use std::time::Duration;

use fraiseql_postgres::{PostgresError, Target, connect_control};
use fraiseql_testkit::{Database, Fault, FaultProxy, chinook_sql, nasty_sql, wait_until};

const LIMIT: Duration = Duration::from_secs(60);

async fn count(database: &Database, table: &str) -> i64 {
    let client = database.client().await;
    client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0)
}

/// Each test thread has a runtime of its own, and all of them one server.
#[test]
fn threads_with_their_own_runtimes_have_databases_of_their_own() {
    let threads: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let database = Database::new().await;
                    database.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await;
                    assert_eq!(count(&database, "t").await, 1);
                    database.name().to_owned()
                })
            })
        })
        .collect();
    let names: std::collections::BTreeSet<_> = threads.into_iter().map(|it| it.join().unwrap()).collect();
    assert_eq!(names.len(), 8);
}

#[tokio::test]
async fn copies_of_a_template_do_not_see_each_other() {
    let setup = chinook_sql();
    let copy = || Database::from_template("chinook", &setup);
    let (one, two) = tokio::join!(copy(), copy());
    one.execute("DELETE FROM playlist_track").await;
    assert_eq!(count(&one, "playlist_track").await, 0);
    assert_eq!(count(&two, "playlist_track").await, 8_715);
    assert_eq!(count(&two, "track").await, 3_503);
    let other = Database::from_template("chinook", "CREATE TABLE t (a int)").await;
    assert_eq!(count(&other, "t").await, 0, "another setup under the same name is another template");
}

#[tokio::test]
async fn the_examples_load() {
    Database::from_template("nasty", &nasty_sql()).await;
    let guide = Database::new().await;
    guide.execute(include_str!("../../../../examples/guide/seed.sql")).await;
    assert_eq!(count(&guide, "v_user").await, 1_000);
}

#[tokio::test]
async fn the_wire_passes_hangs_is_cut_and_refuses() {
    let database = Database::new().await;
    let proxy = FaultProxy::before(&database.url()).await;
    let target = Target::parse(&proxy.url(database.name())).unwrap();
    let answers = || async {
        let connecting = tokio::time::timeout(Duration::from_secs(1), connect_control(&target));
        matches!(connecting.await, Ok(Ok(_)))
    };
    assert!(answers().await);
    for fault in [Fault::Hang, Fault::Cut, Fault::Refuse] {
        let open = connect_control(&target).await.unwrap();
        proxy.set(fault);
        assert!(!answers().await, "{fault:?}");
        if fault == Fault::Refuse {
            wait_until(LIMIT, || async { refused(connect_control(&target).await.err()) }).await;
        }
        if fault != Fault::Hang {
            wait_until(LIMIT, || async { open.is_closed() }).await;
        }
        proxy.set(Fault::Pass);
        wait_until(LIMIT, answers).await;
    }
}

fn refused(error: Option<PostgresError>) -> bool {
    matches!(error, Some(PostgresError::Connect { source, .. }) if source.kind() == std::io::ErrorKind::ConnectionRefused)
}
