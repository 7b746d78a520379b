//! How far writes reach, and what changes without one.

use std::collections::BTreeSet;
use std::time::Duration;

use fraiseql_postgres::{Pool, PoolOptions, Session, Target, outbox_sql, reach, unsteady};
use fraiseql_testkit::Database;
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(60);

const SQL: &str = r#"
CREATE TABLE base (id int PRIMARY KEY, at timestamptz);
CREATE TABLE child (id int PRIMARY KEY, base int REFERENCES base ON DELETE CASCADE);
CREATE TABLE grandchild (id int PRIMARY KEY, child int REFERENCES child ON DELETE SET NULL);
CREATE TABLE other (id int PRIMARY KEY, base int REFERENCES base);
CREATE VIEW low AS SELECT id FROM other;
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE touched (id int PRIMARY KEY);
CREATE TABLE noted (id int PRIMARY KEY);
CREATE TABLE ruled (id int PRIMARY KEY);
CREATE RULE also AS ON INSERT TO ruled DO ALSO INSERT INTO base VALUES (NEW.id);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE INSERT ON touched FOR EACH ROW EXECUTE PROCEDURE touch();
CREATE FUNCTION moves() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
CREATE FUNCTION stays() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE VIEW clock AS SELECT id FROM base WHERE at < now();
CREATE VIEW today AS SELECT id FROM base WHERE at < CURRENT_DATE;
CREATE VIEW over_clock AS SELECT id FROM clock;
CREATE VIEW chance AS SELECT id FROM base WHERE random() < 0.5;
CREATE VIEW own AS SELECT base.id FROM base, pg_catalog.pg_class;
CREATE VIEW steady AS SELECT id, upper(id::text) AS text, current_user AS who FROM base WHERE at IS NULL;
CREATE TABLE guarded (id int PRIMARY KEY, at timestamptz);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY later ON guarded USING (at < now());
"#;

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn session(database: &Database) -> Session {
    let options = PoolOptions { size: 1, connect_timeout: SOON };
    let pool = Pool::new(Target::parse(&database.url()).unwrap(), options);
    pool.acquire(Instant::now() + SOON).await.unwrap()
}

#[tokio::test]
async fn a_write_reaches_what_acts_with_it() {
    let database = Database::new().await;
    database.execute(SQL).await;
    let noted = [fraiseql_model::catalog::QualifiedName::new("public", "noted")];
    database.execute(&outbox_sql(&noted, None)).await;
    let mut session = session(&database).await;
    let cases: [(&str, &str, &[&str], bool); 9] = [
        ("public.other", "", &["public.other"], false),
        ("public.base", "", &["public.base", "public.child", "public.grandchild"], false),
        ("public.low", "", &["public.other"], false),
        ("public.parted", "", &["public.part", "public.parted"], false),
        ("public.touched", "", &["public.touched"], true),
        ("public.noted", "", &["public.noted"], false),
        ("public.ruled", "", &["public.base", "public.child", "public.grandchild", "public.ruled"], true),
        ("public.other", "public.moves", &["public.other"], true),
        ("public.other", "public.stays", &["public.other"], false),
    ];
    for (relation, function, tables, anything) in cases {
        let found = reach(&mut session, &names(&[relation]), &names(&[function])).await.unwrap();
        assert_eq!((found.tables, found.anything), (names(tables), anything), "{relation} {function}");
    }
}

#[tokio::test]
async fn what_looks_at_the_clock_is_not_steady() {
    let database = Database::new().await;
    database.execute(SQL).await;
    let mut session = session(&database).await;
    for (relation, found) in [
        ("public.clock", "public.clock"),
        ("public.over_clock", "public.clock"),
        ("public.today", "public.today"),
        ("public.chance", "public.chance"),
        ("public.own", "public.own"),
        ("public.guarded", "public.guarded"),
    ] {
        assert_eq!(unsteady(&mut session, &names(&[relation])).await.unwrap(), names(&[found]), "{relation}");
    }
    for relation in ["public.base", "public.steady", "public.low"] {
        assert_eq!(unsteady(&mut session, &names(&[relation])).await.unwrap(), names(&[]), "{relation}");
    }
}
