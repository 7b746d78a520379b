//! Every kind of statement, run in a transaction that is undone, compared with what the model says
//! for this version.

use std::collections::{BTreeMap, BTreeSet};

use fraiseql_locks::{LintRequest, ServerVersion, SqlFile, StatementReport, lint};
use fraiseql_testkit::{Database, server_major};

const SCHEMA: &str = "
    CREATE TABLE o (id int PRIMARY KEY, n text);
    CREATE TABLE t (id int PRIMARY KEY, a int, b varchar(20), c text NOT NULL, d numeric(10,2), e timestamp(3),
                    f char(4), g int NOT NULL, p int, r bit varying(4));
    ALTER TABLE t ADD CONSTRAINT t_p_fkey FOREIGN KEY (p) REFERENCES o (id);
    ALTER TABLE t ADD CONSTRAINT checked CHECK (a > 0);
    ALTER TABLE t ADD CONSTRAINT a_there CHECK (a IS NOT NULL);
    CREATE INDEX t_a ON t (a);
    CREATE UNIQUE INDEX t_g ON t (g);
    CREATE TABLE later (id int PRIMARY KEY, a int, p int);
    ALTER TABLE later ADD CONSTRAINT later_check CHECK (a > 0) NOT VALID;
    ALTER TABLE later ADD CONSTRAINT later_key FOREIGN KEY (p) REFERENCES o (id) NOT VALID;
    CREATE TABLE parts (id int, day date NOT NULL) PARTITION BY RANGE (day);
    CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
    CREATE TABLE part2 (id int, day date NOT NULL);
    CREATE TABLE part3 (id int, day date NOT NULL);
    ALTER TABLE part3 ADD CONSTRAINT bounds CHECK (day >= '2021-01-01' AND day < '2022-01-01');
    CREATE TABLE mother (id int);
    CREATE TABLE child (k int) INHERITS (mother);
    CREATE TABLE single (id int);
    CREATE VIEW v AS SELECT id, n FROM o;
    CREATE MATERIALIZED VIEW m AS SELECT id FROM o;
    CREATE UNIQUE INDEX m_id ON m (id);
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE DOMAIN label AS text;
    CREATE TABLE labelled (id int, l label);
    CREATE TYPE mood AS ENUM ('calm');
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER old_trigger BEFORE INSERT ON t FOR EACH ROW EXECUTE PROCEDURE f();
";

const ROWS: &str = "
    INSERT INTO o SELECT n, n FROM generate_series(1, 20) n;
    INSERT INTO t SELECT n, n, n, n, n, now(), 'x', n, 1, B'1' FROM generate_series(1, 20) n;
    INSERT INTO later SELECT n, n, 1 FROM generate_series(1, 20) n;
    INSERT INTO parts SELECT n, '2020-02-02' FROM generate_series(1, 20) n;
    INSERT INTO part2 SELECT n, '2021-02-02' FROM generate_series(1, 20) n;
    INSERT INTO part3 SELECT n, '2021-02-02' FROM generate_series(1, 20) n;
    INSERT INTO labelled VALUES (1, 'x');
    INSERT INTO child VALUES (1, 1);
    INSERT INTO single VALUES (1);
    REFRESH MATERIALIZED VIEW m;
    ANALYZE;
";

/// Statements that run within a transaction, and the first version that has them.
const STATEMENTS: &[(u32, &str)] = &[
    (10, "ALTER TABLE t ADD COLUMN k int"),
    (10, "ALTER TABLE t ADD COLUMN k int DEFAULT 1"),
    (10, "ALTER TABLE t ADD COLUMN k int NOT NULL DEFAULT 1"),
    (10, "ALTER TABLE t ADD COLUMN k timestamptz DEFAULT now()"),
    (10, "ALTER TABLE t ADD COLUMN k timestamptz DEFAULT clock_timestamp()"),
    (10, "ALTER TABLE t ADD COLUMN k double precision DEFAULT random()"),
    (10, "ALTER TABLE t ADD COLUMN k serial"),
    (10, "ALTER TABLE t ADD COLUMN k int GENERATED ALWAYS AS IDENTITY"),
    (12, "ALTER TABLE t ADD COLUMN k int GENERATED ALWAYS AS (a + 1) STORED"),
    (18, "ALTER TABLE t ADD COLUMN k int GENERATED ALWAYS AS (a + 1) VIRTUAL"),
    (10, "ALTER TABLE t ADD COLUMN k positive"),
    (10, "ALTER TABLE t ADD COLUMN k label"),
    (10, "ALTER TABLE t ADD COLUMN k mood"),
    (10, "ALTER TABLE t ADD COLUMN k int CHECK (k > 0)"),
    (10, "ALTER TABLE t ADD COLUMN k int REFERENCES o"),
    (11, "ALTER TABLE t ADD COLUMN k int DEFAULT 1 REFERENCES o"),
    (10, "ALTER TABLE parts ADD COLUMN k int"),
    (10, "ALTER TABLE mother ADD COLUMN k int"),
    (10, "ALTER TABLE t DROP COLUMN b"),
    (10, "ALTER TABLE t DROP COLUMN p"),
    (10, "ALTER TABLE t ALTER COLUMN a SET DEFAULT 1"),
    (10, "ALTER TABLE t ALTER COLUMN a DROP DEFAULT"),
    (10, "ALTER TABLE t ALTER COLUMN c DROP NOT NULL"),
    (10, "ALTER TABLE t ALTER COLUMN b SET NOT NULL"),
    (10, "ALTER TABLE t ALTER COLUMN a SET NOT NULL"),
    (10, "ALTER TABLE t ADD CONSTRAINT k CHECK (g > 0)"),
    (10, "ALTER TABLE t ADD CONSTRAINT k CHECK (g > 0) NOT VALID"),
    (18, "ALTER TABLE t ADD CONSTRAINT k NOT NULL b NOT VALID"),
    (18, "ALTER TABLE t ADD CONSTRAINT k NOT NULL b"),
    (10, "ALTER TABLE later VALIDATE CONSTRAINT later_check"),
    (10, "ALTER TABLE later VALIDATE CONSTRAINT later_key"),
    (10, "ALTER TABLE t DROP CONSTRAINT checked"),
    (10, "ALTER TABLE t DROP CONSTRAINT t_p_fkey"),
    (10, "ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (g) REFERENCES o (id)"),
    (10, "ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (g) REFERENCES o (id) NOT VALID"),
    (10, "ALTER TABLE t ADD CONSTRAINT k UNIQUE (a)"),
    (10, "ALTER TABLE t ADD CONSTRAINT k UNIQUE USING INDEX t_g"),
    (10, "ALTER TABLE single ADD PRIMARY KEY (id)"),
    (10, "ALTER TABLE t ADD CONSTRAINT k EXCLUDE (a WITH =)"),
    (10, "ALTER TABLE t ALTER COLUMN b TYPE varchar(40)"),
    (10, "ALTER TABLE t ALTER COLUMN b TYPE text"),
    (10, "ALTER TABLE t ALTER COLUMN b TYPE varchar(10)"),
    (10, "ALTER TABLE t ALTER COLUMN c TYPE varchar"),
    (10, "ALTER TABLE t ALTER COLUMN c TYPE varchar(40)"),
    (10, "ALTER TABLE t ALTER COLUMN d TYPE numeric(12,2)"),
    (10, "ALTER TABLE t ALTER COLUMN d TYPE numeric"),
    (10, "ALTER TABLE t ALTER COLUMN d TYPE numeric(12,3)"),
    (10, "ALTER TABLE t ALTER COLUMN e TYPE timestamp(6)"),
    (10, "ALTER TABLE t ALTER COLUMN e TYPE timestamp"),
    (10, "ALTER TABLE t ALTER COLUMN f TYPE char(8)"),
    (10, "ALTER TABLE t ALTER COLUMN f TYPE text"),
    (10, "ALTER TABLE t ALTER COLUMN g TYPE bigint"),
    (10, "ALTER TABLE t ALTER COLUMN a TYPE bigint"),
    (10, "ALTER TABLE t ALTER COLUMN g TYPE text USING g::text"),
    (10, "ALTER TABLE t ALTER COLUMN p TYPE bigint"),
    (10, "ALTER TABLE t ALTER COLUMN r TYPE bit varying(8)"),
    (10, "ALTER TABLE t ALTER COLUMN c SET STATISTICS 100"),
    (10, "ALTER TABLE t ALTER COLUMN c SET STORAGE external"),
    (10, "ALTER TABLE t ALTER COLUMN c SET (n_distinct = 5)"),
    (10, "ALTER TABLE t RENAME COLUMN b TO k"),
    (10, "ALTER TABLE t RENAME TO k"),
    (10, "ALTER TABLE t RENAME CONSTRAINT checked TO k"),
    (10, "ALTER TABLE t SET (fillfactor = 80)"),
    (10, "ALTER TABLE t SET (autovacuum_enabled = false)"),
    (10, "ALTER TABLE t REPLICA IDENTITY FULL"),
    (10, "ALTER TABLE t ENABLE ROW LEVEL SECURITY"),
    (10, "ALTER TABLE t DISABLE TRIGGER old_trigger"),
    (10, "ALTER TABLE t CLUSTER ON t_a"),
    (10, "ALTER TABLE single SET UNLOGGED"),
    (10, "ALTER TABLE parts ATTACH PARTITION part2 FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')"),
    (10, "ALTER TABLE parts ATTACH PARTITION part3 FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')"),
    (10, "ALTER TABLE parts DETACH PARTITION part1"),
    (10, "ALTER TABLE child NO INHERIT mother"),
    (10, "CREATE TABLE k (id int REFERENCES o)"),
    (10, "CREATE TABLE k PARTITION OF parts FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')"),
    (10, "CREATE TABLE k () INHERITS (mother)"),
    (10, "CREATE TABLE k (LIKE t)"),
    (10, "CREATE TABLE k AS SELECT * FROM single"),
    (10, "DROP TABLE single"),
    (10, "DROP TABLE t"),
    (10, "DROP TABLE part1"),
    (10, "TRUNCATE single"),
    (10, "TRUNCATE o CASCADE"),
    (10, "CREATE INDEX k ON t (b)"),
    (11, "CREATE INDEX k ON parts (id)"),
    (11, "CREATE INDEX k ON ONLY parts (id)"),
    (10, "DROP INDEX t_a"),
    (10, "REINDEX INDEX t_a"),
    (10, "REINDEX TABLE t"),
    (10, "ALTER INDEX t_a RENAME TO k"),
    (10, "CREATE VIEW k AS SELECT * FROM single"),
    (10, "CREATE OR REPLACE VIEW v AS SELECT id, n FROM o WHERE id > 1"),
    (10, "DROP VIEW v"),
    (10, "ALTER VIEW v RENAME TO k"),
    (10, "REFRESH MATERIALIZED VIEW m"),
    (10, "CREATE TRIGGER k BEFORE INSERT ON t FOR EACH ROW EXECUTE PROCEDURE f()"),
    (10, "DROP TRIGGER old_trigger ON t"),
    (10, "ALTER TRIGGER old_trigger ON t RENAME TO k"),
    (10, "CREATE RULE k AS ON INSERT TO single DO ALSO NOTHING"),
    (10, "CREATE POLICY k ON t"),
    (10, "CREATE STATISTICS k ON a, g FROM t"),
    (10, "CREATE PUBLICATION k FOR TABLE t"),
    (10, "COMMENT ON TABLE t IS 'x'"),
    (10, "COMMENT ON COLUMN t.a IS 'x'"),
    (10, "ALTER DOMAIN label ADD CONSTRAINT k CHECK (VALUE <> '')"),
    (10, "ALTER DOMAIN label ADD CONSTRAINT k CHECK (VALUE <> '') NOT VALID"),
    (12, "ALTER TYPE mood ADD VALUE 'wild'"),
    (10, "CLUSTER t USING t_a"),
    (10, "ANALYZE t"),
    (10, "LOCK TABLE t IN SHARE MODE"),
    (10, "INSERT INTO single VALUES (2)"),
    (10, "INSERT INTO t (id, a, c, g, p) VALUES (99, 1, 'x', 99, 2)"),
    (10, "UPDATE t SET b = 'y' WHERE id = 1"),
    (10, "DELETE FROM t WHERE id = 1"),
    (10, "UPDATE t SET p = 3 WHERE id = 1"),
    (10, "DELETE FROM o WHERE id = 20"),
    (10, "SELECT * FROM single"),
    (10, "SELECT * FROM single FOR UPDATE"),
    (10, "GRANT SELECT ON single TO PUBLIC"),
    (10, "CREATE FUNCTION k() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
    (10, "CREATE SEQUENCE k"),
];

/// What a server was seen to do.
#[derive(Debug, Default)]
struct Seen {
    locks: BTreeMap<String, String>,
    files: BTreeSet<String>,
    scans: BTreeSet<String>,
}

#[derive(Debug)]
struct Relation {
    kind: String,
    file: u32,
}

fn model(sql: &str, major: u32) -> StatementReport {
    let request = LintRequest {
        files: &[SqlFile { name: "m.sql", text: sql }],
        schema: &[SqlFile { name: "schema.sql", text: SCHEMA }],
        version: ServerVersion::read(&major.to_string()).expect("a known version"),
        one_transaction: false,
    };
    let mut reports = lint(&request).unwrap_or_else(|wrong| panic!("{sql}: {wrong:?}"));
    assert_eq!(reports.len(), 1, "{sql}");
    reports.remove(0)
}

const RELATIONS: &str = "SELECT c.relname, c.relkind::text, pg_relation_filenode(c.oid) FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.oid = ANY ($1)";

/// Runs the statement in a transaction that is undone, and looks before it ends.
async fn observe(database: &Database, sql: &str) -> (Seen, BTreeMap<String, Relation>) {
    let mut client = database.client().await;
    let transaction = client.transaction().await.expect("a transaction");
    let oids: Vec<u32> = transaction
        .query("SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace", &[])
        .await
        .expect("a catalog")
        .iter()
        .map(|row| row.get(0))
        .collect();
    let names: BTreeMap<u32, String> = transaction
        .query("SELECT oid, relname::text FROM pg_class WHERE oid = ANY ($1)", &[&oids])
        .await
        .expect("a catalog")
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    let relations = |rows: Vec<_>| -> BTreeMap<String, Relation> {
        rows.iter()
            .map(|row: &tokio_postgres::Row| {
                let file: Option<u32> = row.get(2);
                let name: String = row.get::<_, &str>(0).to_owned();
                (name, Relation { kind: row.get(1), file: file.unwrap_or(0) })
            })
            .collect()
    };
    let before = relations(transaction.query(RELATIONS, &[&oids]).await.expect("a catalog"));
    transaction.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let mut seen = Seen::default();
    let locks = "SELECT relation, mode FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'
                 AND relation = ANY ($1)";
    for row in transaction.query(locks, &[&oids]).await.expect("locks") {
        let name = names[&row.get::<_, u32>(0)].clone();
        let mode: String = row.get(1);
        let held = seen.locks.entry(name).or_insert_with(|| mode.clone());
        if strength(&mode) > strength(held) {
            *held = mode;
        }
    }
    let files = "SELECT oid, pg_relation_filenode(oid) FROM pg_class WHERE oid = ANY ($1)";
    for row in transaction.query(files, &[&oids]).await.expect("files") {
        let (oid, file): (u32, Option<u32>) = (row.get(0), row.get(1));
        let name = &names[&oid];
        if before[name].file != file.unwrap_or(0) {
            seen.files.insert(name.clone());
        }
    }
    let scans =
        "SELECT relid, seq_scan FROM pg_stat_xact_user_tables WHERE relid = ANY ($1) AND seq_scan > 0";
    for row in transaction.query(scans, &[&oids]).await.expect("counters") {
        seen.scans.insert(names[&row.get::<_, u32>(0)].clone());
    }
    transaction.rollback().await.expect("it is undone");
    (seen, before)
}

const MODES: &[(&str, &str)] = &[
    ("AccessShareLock", "ACCESS SHARE"),
    ("RowShareLock", "ROW SHARE"),
    ("RowExclusiveLock", "ROW EXCLUSIVE"),
    ("ShareUpdateExclusiveLock", "SHARE UPDATE EXCLUSIVE"),
    ("ShareLock", "SHARE"),
    ("ShareRowExclusiveLock", "SHARE ROW EXCLUSIVE"),
    ("ExclusiveLock", "EXCLUSIVE"),
    ("AccessExclusiveLock", "ACCESS EXCLUSIVE"),
];

fn strength(mode: &str) -> usize {
    MODES.iter().position(|(name, _)| *name == mode).expect("a known mode")
}

fn shown(mode: &str) -> &'static str {
    MODES[strength(mode)].1
}

/// Returns in what the model and the server differ.
fn differences(
    sql: &str,
    report: &StatementReport,
    seen: &Seen,
    relations: &BTreeMap<String, Relation>,
) -> Vec<String> {
    let table =
        |name: &str| relations.get(name).is_some_and(|it| matches!(it.kind.as_str(), "r" | "p" | "v" | "m"));
    let mut wrong = Vec::new();
    let claimed: BTreeMap<&str, &str> =
        report.locks.iter().map(|(name, mode)| (name.as_str(), mode.as_str())).collect();
    let real: BTreeMap<&str, &str> = seen
        .locks
        .iter()
        .filter(|(name, _)| table(name) || claimed.contains_key(name.as_str()))
        .map(|(name, mode)| (name.as_str(), shown(mode)))
        .collect();
    if claimed != real {
        wrong.push(format!("{sql}\n  locks   said {claimed:?}\n          real {real:?}"));
    }
    let said: BTreeSet<&str> =
        report.rewrites.iter().map(String::as_str).filter(|name| table(name)).collect();
    let files: BTreeSet<&str> = seen.files.iter().map(String::as_str).filter(|name| table(name)).collect();
    if said != files {
        wrong.push(format!("{sql}\n  rewrite said {said:?}\n          real {files:?}"));
    }
    // What is written anew is read too, whether the counter shows it or not.
    let said_read: BTreeSet<&str> =
        report.scans.iter().map(String::as_str).filter(|name| table(name) && !said.contains(name)).collect();
    let read: BTreeSet<&str> =
        seen.scans.iter().map(String::as_str).filter(|name| table(name) && !said.contains(name)).collect();
    // Whether a foreign key is looked up row by row, or its other table read, is the planner's choice.
    let looked_up = |name: &&str| !(sql.contains("later_key") && *name == "o");
    let said_read: BTreeSet<&str> = said_read.into_iter().filter(looked_up).collect();
    let read: BTreeSet<&str> = read.into_iter().filter(looked_up).collect();
    // How rows are found is the planner's choice: no claim is made.
    let planned = ["SELECT", "INSERT", "UPDATE", "DELETE"].iter().any(|word| sql.starts_with(word));
    if said_read != read && !planned {
        wrong.push(format!("{sql}\n  scans   said {said_read:?}\n          real {read:?}"));
    }
    wrong
}

#[tokio::test]
async fn the_model_says_what_the_server_does() {
    let database = Database::new().await;
    database.execute(SCHEMA).await;
    database.execute(ROWS).await;
    let major = server_major();
    let mut wrong = Vec::new();
    for (_, sql) in STATEMENTS.iter().filter(|(since, _)| *since <= major) {
        let (seen, relations) = observe(&database, sql).await;
        wrong.extend(differences(sql, &model(sql, major), &seen, &relations));
    }
    assert!(wrong.is_empty(), "PostgreSQL {major}: {} differences\n{}", wrong.len(), wrong.join("\n"));
}

/// Statements that cannot run in a transaction, seen while they wait for a writer.
const CONCURRENT: &[(u32, &str)] = &[
    (10, "CREATE INDEX CONCURRENTLY k ON t (b)"),
    (10, "DROP INDEX CONCURRENTLY t_a"),
    (12, "REINDEX TABLE CONCURRENTLY t"),
];

#[tokio::test]
async fn concurrent_statements_let_readers_and_writers_through() {
    let major = server_major();
    for (_, sql) in CONCURRENT.iter().filter(|(since, _)| *since <= major) {
        let database = Database::new().await;
        database.execute(SCHEMA).await;
        database.execute(ROWS).await;
        let mut writer = database.client().await;
        let open = writer.transaction().await.expect("a transaction");
        open.batch_execute("UPDATE t SET c = 'z' WHERE id = 1").await.expect("a row");
        let builder = database.client().await;
        let pid: i32 = builder.query_one("SELECT pg_backend_pid()", &[]).await.expect("a pid").get(0);
        let work = async { builder.batch_execute(sql).await.expect("it ends when the writer has") };
        let watcher = database.client().await;
        let watch = async {
            let locks = "SELECT mode FROM pg_locks WHERE pid = $1 AND relation = 't'::regclass AND granted
                AND EXISTS (SELECT FROM pg_locks w WHERE w.pid = $1 AND NOT w.granted)";
            let mode: String = loop {
                if let Some(row) = watcher.query_opt(locks, &[&pid]).await.expect("locks") {
                    break row.get(0);
                }
                tokio::task::yield_now().await;
            };
            open.commit().await.expect("the writer ends");
            mode
        };
        let (mode, ()) = tokio::join!(watch, work);
        assert_eq!(model(sql, major).locks["t"].as_str(), shown(&mode), "{sql}");
    }
}
