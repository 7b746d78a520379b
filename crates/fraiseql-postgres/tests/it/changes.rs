//! Changes: what lies behind a relation, and that a change is told only when others see it.

use std::collections::BTreeSet;
use std::time::Duration;

use fraiseql_postgres::{Changed, Decoding, Pool, PoolOptions, Target, trace};
use fraiseql_testkit::{Database, wait_until};
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(60);

const SQL: &str = r#"
CREATE TABLE base (id int PRIMARY KEY, n int);
CREATE TABLE secret (id int PRIMARY KEY);
CREATE TABLE guarded (id int PRIMARY KEY);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY chosen ON guarded USING (id IN (SELECT id FROM secret));
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
CREATE TABLE "part ""1" PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE UNLOGGED TABLE quick (id int);
CREATE VIEW low AS SELECT id FROM base;
CREATE VIEW high AS SELECT low.id FROM low JOIN guarded USING (id) WHERE EXISTS (SELECT FROM quick);
CREATE FUNCTION reads() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM base';
CREATE FUNCTION pure(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n + 1';
CREATE VIEW calls AS SELECT id, reads() AS n, pure(id) AS m FROM base;
CREATE MATERIALIZED VIEW kept AS SELECT id FROM base;
CREATE VIEW own AS SELECT relname FROM pg_catalog.pg_class;
"#;

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn relations_are_looked_through_down_to_tables() {
    let database = Database::new().await;
    database.execute(SQL).await;
    let options = PoolOptions { size: 1, connect_timeout: SOON };
    let pool = Pool::new(Target::parse(&database.url()).unwrap(), options);
    let mut session = pool.acquire(Instant::now() + SOON).await.unwrap();
    let cases: [(&str, &str, &[&str], &[&str]); 9] = [
        ("public.base", "", &["public.base"], &[]),
        ("public.low", "", &["public.base"], &[]),
        (
            "public.high",
            "",
            &["public.base", "public.guarded", "public.quick (unlogged)", "public.secret"],
            &[],
        ),
        ("public.guarded", "", &["public.guarded", "public.secret"], &[]),
        ("public.parted", "", &["public.part \"1", "public.parted"], &[]),
        ("public.calls", "public.pure", &["public.base"], &["function public.reads"]),
        ("public.base", "public.reads", &["public.base"], &["function public.reads"]),
        ("public.kept", "", &["public.base"], &["materialized view public.kept"]),
        ("public.own", "", &[], &["relation public.own"]),
    ];
    for (relation, function, tables, opaque) in cases {
        let found = trace(&mut session, &names(&[relation]), &names(&[function])).await.unwrap();
        let shown = found.tables.iter().map(|(table, logged)| match logged {
            true => table.to_string(),
            false => format!("{table} (unlogged)"),
        });
        assert_eq!(shown.collect::<Vec<_>>(), tables, "{relation}");
        assert_eq!(found.opaque, names(opaque), "{relation} {function}");
    }
}

/// A standby that is never there holds a commit back after it was written to the log.
#[tokio::test]
async fn a_change_is_told_only_when_others_see_it() {
    let database = Database::new().await;
    database.execute(SQL).await;
    let mut decoding = Decoding::open(&Target::parse(&database.url()).unwrap()).await.unwrap();
    database.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await;
    database.execute("SELECT pg_reload_conf()").await;
    let writer = database.client().await;
    let shown = || async {
        let row = writer.query_one("SHOW synchronous_standby_names", &[]).await.unwrap();
        row.get::<_, String>(0) == "nobody"
    };
    wait_until(SOON, shown).await;
    writer.batch_execute("SET synchronous_commit = on").await.unwrap();
    let writing = writer.batch_execute("INSERT INTO base VALUES (1, 1)");
    let watching = async {
        loop {
            assert_eq!(decoding.read().await.unwrap(), Changed::Tables(BTreeSet::new()));
            if decoding.has_unseen() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let count = "SELECT count(*) FROM base";
        let seen: i64 = database.client().await.query_one(count, &[]).await.unwrap().get(0);
        assert_eq!(seen, 0, "it is in the log, and nobody sees it");
        assert_eq!(decoding.read().await.unwrap(), Changed::Tables(BTreeSet::new()));
        database.execute("ALTER SYSTEM RESET synchronous_standby_names").await;
        database.execute("SELECT pg_reload_conf()").await;
    };
    let (written, watched) =
        tokio::join!(tokio::time::timeout(SOON, writing), tokio::time::timeout(SOON, watching));
    written.expect("the commit is let go").unwrap();
    watched.expect("the change is decoded before it is seen");
    assert_eq!(decoding.read().await.unwrap(), Changed::Tables(names(&["public.base"])));
    assert!(!decoding.has_unseen());
}
