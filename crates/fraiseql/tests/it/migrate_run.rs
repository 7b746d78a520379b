//! `migrate run` on a real database: done once whatever dies, and nobody waits.

use std::time::Duration;

use fraiseql_testkit::Database;

use crate::process::{Running, fraiseql, wait_until};
use crate::project::{Project, database, execute};

const USERS: &str =
    "CREATE TABLE v_user (id int PRIMARY KEY, email varchar(255) NOT NULL, touched int NOT NULL DEFAULT 0);
    INSERT INTO v_user SELECT n, 'User' || n || '@Example.org' FROM generate_series(1, 30000) AS n;
    ANALYZE v_user";

const EMAIL: &str = "\
-- migrate: expand
ALTER TABLE v_user ADD COLUMN email_lower VARCHAR;

-- migrate: backfill
UPDATE v_user SET email_lower = LOWER(email)
  WHERE id BETWEEN $1 AND $2;

-- migrate: index
CREATE INDEX CONCURRENTLY idx_email_lower ON v_user(email_lower);

-- migrate: contract
ALTER TABLE v_user DROP COLUMN email;

-- migrate: undo
DROP INDEX CONCURRENTLY idx_email_lower;
ALTER TABLE v_user DROP COLUMN email_lower;
";

struct Migrated {
    project: Project,
    _database: Database,
    url: String,
}

impl Migrated {
    fn new(migration: &str) -> Self {
        let database = database(USERS);
        let url = database.url();
        let project = Project::new("");
        project.write("db/migrations/0001_email_lower.sql", migration);
        Self { project, _database: database, url }
    }

    fn words<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        [&["migrate"], words, &["-C", "shop", "--database-url", &self.url]].concat()
    }

    #[track_caller]
    fn migrate(&self, words: &[&str]) -> crate::process::Ended {
        self.project.run(&self.words(words))
    }

    #[track_caller]
    fn value(&self, sql: &str) -> String {
        crate::project::value(&self.url, sql)
    }

    /// Opens a transaction that has read the table, for as long as what it returns lives.
    fn reader(&self) -> fraiseql_postgres::ControlClient {
        self.holding("BEGIN; SET application_name = 'the reader'; SELECT count(*) FROM v_user")
    }

    fn holding(&self, sql: &str) -> fraiseql_postgres::ControlClient {
        RUNTIME.block_on(async {
            let target = fraiseql_postgres::Target::parse(&self.url).expect("a connection string");
            let client = fraiseql_postgres::connect_control(&target).await.expect("it answers");
            client.batch_execute(sql).await.expect("legal statements");
            client
        })
    }
}

/// Drives the connections that stay open beside what is tested.
static RUNTIME: std::sync::LazyLock<tokio::runtime::Runtime> = std::sync::LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime")
});

#[test]
fn the_statements_of_the_guide_run_and_are_taken_back() {
    let migrated = Migrated::new(EMAIL);
    let plan = migrated.migrate(&["plan"]).ok();
    assert!(plan.contains("locks     v_user: ACCESS EXCLUSIVE, about 30000 rows"), "{plan}");
    assert_eq!(migrated.value("to_regclass('fraiseql.migration_step')"), "", "to look changes nothing");
    let ended = migrated.migrate(&["run"]);
    assert!(ended.stderr.contains("3 statements have run, up to section index"), "{}", ended.stderr);
    assert!(ended.stderr.contains("looked at every row: none is left"), "{}", ended.stderr);
    ended.ok();
    let right = "SELECT count(*) FROM v_user WHERE email_lower = lower(email)";
    assert_eq!(migrated.value(right), "30000");
    assert_eq!(
        migrated.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'idx_email_lower'::regclass"),
        "true"
    );
    let status = migrated.migrate(&["status"]).ok();
    assert_eq!(status, "0001_email_lower  expand done, backfill done, index done, contract to do\n");
    let again = migrated.migrate(&["run"]);
    assert!(again.stderr.contains("0 statements have run"), "{}", again.stderr);

    migrated.migrate(&["undo"]).ok();
    let columns =
        "SELECT count(*) FROM pg_attribute WHERE attrelid = 'v_user'::regclass AND attname = 'email_lower'";
    assert_eq!(migrated.value(columns), "0");
    assert_eq!(migrated.value("SELECT count(*) FROM fraiseql.migration_step"), "0");
}

#[test]
fn killed_at_any_moment_every_row_is_done_once() {
    let migration = EMAIL.replace("= LOWER(email)\n", "= LOWER(email), touched = touched + 1\n");
    let migrated = Migrated::new(&migration);
    migrated.migrate(&["run", "--to", "expand"]).ok();
    for round in 0..6 {
        let running = Running::spawn(fraiseql(migrated.project.root(), migrated.words(&["run"])));
        // At another moment in each round.
        std::thread::sleep(Duration::from_millis(60 + 90 * round));
        running.kill();
    }
    migrated.migrate(&["run"]).ok();
    assert_eq!(
        migrated.value("SELECT count(*) FROM v_user WHERE touched <> 1 OR email_lower <> lower(email)"),
        "0"
    );
    assert_eq!(
        migrated.value("SELECT row_count FROM fraiseql.migration_step WHERE section = 'backfill'"),
        "30000"
    );
    assert_eq!(migrated.value("SELECT count(*) FROM pg_index WHERE NOT indisvalid"), "0");
}

#[test]
fn a_lock_that_is_not_free_is_named_and_nobody_waits_behind_it() {
    let migrated = Migrated::new(EMAIL);
    let reader = migrated.reader();
    let running =
        Running::spawn(fraiseql(migrated.project.root(), migrated.words(&["run", "--lock-wait", "1500ms"])));
    // Everybody else goes on reading meanwhile, each within a moment: more would be cancelled.
    let mut reads = 0;
    while !running.said().contains("FQ-MIG-010") {
        execute(&migrated.url, "SET statement_timeout = '2s'; SELECT count(*) FROM v_user WHERE id < 10");
        reads += 1;
    }
    let ended = running.end();
    assert!(reads > 10, "{reads}");
    assert!(ended.stderr.contains("its lock was not free for 1 s; in the way: process"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("(the reader, idle in transaction, in a transaction for"),
        "{}",
        ended.stderr
    );
    drop(reader);
    migrated.migrate(&["run", "--to", "expand"]).ok();
}

#[test]
fn there_is_one_runner_at_a_time() {
    let migrated = Migrated::new(EMAIL);
    let other = migrated.holding("SELECT pg_try_advisory_lock(7382069844749152620)");
    let ended = migrated.migrate(&["run", "--wait", "300ms"]);
    let said = "error[FQ-MIG-009]: another runner is at work: process";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    drop(other);
    migrated.migrate(&["run", "--to", "expand"]).ok();
}

#[test]
fn what_has_run_is_not_changed_afterwards() {
    let migrated = Migrated::new(EMAIL);
    migrated.migrate(&["run", "--to", "expand"]).ok();
    migrated.project.write("db/migrations/0001_email_lower.sql", &EMAIL.replace("VARCHAR", "text"));
    let ended = migrated.migrate(&["run"]);
    assert!(
        ended.stderr.contains("error[FQ-MIG-008]: 0001_email_lower.sql:2: it has run"),
        "{}",
        ended.stderr
    );
    let status = migrated.migrate(&["status"]).ok();
    assert!(status.contains("CHANGED since it ran"), "{status}");
}

#[test]
fn what_a_failed_index_leaves_is_removed_when_it_is_ours() {
    let unique = "-- migrate: index\nCREATE UNIQUE INDEX CONCURRENTLY once ON v_user (email);\n";
    let migrated = Migrated::new(unique);
    execute(&migrated.url, "INSERT INTO v_user VALUES (0, 'User1@Example.org')");
    let ended = migrated.migrate(&["run"]);
    assert!(ended.stderr.contains("error[FQ-MIG-007]: 0001_email_lower.sql:2:"), "{}", ended.stderr);
    assert_eq!(migrated.value("SELECT count(*) FROM pg_index WHERE NOT indisvalid"), "1");
    execute(&migrated.url, "DELETE FROM v_user WHERE id = 0");
    let ended = migrated.migrate(&["run"]);
    assert!(ended.stderr.contains("removing once, which an earlier attempt has left"), "{}", ended.stderr);
    ended.ok();
    assert_eq!(migrated.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'once'::regclass"), "true");

    // Somebody else's is left alone.
    execute(&migrated.url, "DELETE FROM fraiseql.migration_step");
    execute(&migrated.url, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'once'::regclass");
    let ended = migrated.migrate(&["run"]);
    assert!(ended.stderr.contains("error[FQ-MIG-011]"), "{}", ended.stderr);
}

#[test]
fn a_server_that_restarts_in_the_middle_is_gone_on_with() {
    let migrated = Migrated::new(EMAIL);
    migrated.migrate(&["run", "--to", "expand"]).ok();
    let mut running = Running::spawn(fraiseql(migrated.project.root(), migrated.words(&["run"])));
    running.wait_for("UPDATE v_user");
    wait_until("a batch is done", || {
        let done = migrated.value("SELECT count(*) FROM v_user WHERE email_lower IS NOT NULL");
        (done != "0").then_some(())
    });
    execute(
        &migrated.url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fraiseql migrate' AND datname = current_database()",
    );
    let ended = running.end();
    assert!(!ended.status.success(), "{}", ended.stderr);
    migrated.migrate(&["run"]).ok();
    assert_eq!(migrated.value("SELECT count(*) FROM v_user WHERE email_lower = lower(email)"), "30000");
}

#[test]
fn what_would_keep_clients_waiting_is_refused() {
    let migrated = Migrated::new("-- migrate: index\nCREATE INDEX slow ON v_user (email);\n");
    let ended = migrated.migrate(&["run"]);
    assert!(ended.stderr.contains("[create-index]"), "{}", ended.stderr);
    assert_eq!(ended.status.code(), Some(3));
    migrated.migrate(&["run", "--allow", "create-index"]).ok();
    let migrated = Migrated::new(
        "-- migrate: backfill\nUPDATE v_user SET touched = 2 WHERE touched BETWEEN $1 AND $2;\n",
    );
    let ended = migrated.migrate(&["run"]);
    assert!(ended.stderr.contains("no index begins with touched"), "{}", ended.stderr);
}

/// A contract whose drops, and one more statement, stand below [`EMAIL`]'s first sections.
const CONTRACT: &str = "\
-- migrate: expand
CREATE TABLE old_login (id int PRIMARY KEY);

-- migrate: contract
ALTER TABLE v_user ALTER COLUMN touched DROP NOT NULL;
ALTER TABLE public.v_user DROP COLUMN email;
DROP TABLE old_login;
";

#[test]
fn a_contract_is_put_aside_and_comes_back_whole() {
    let migrated = Migrated::new(CONTRACT);
    let rows = "SELECT count(email)::text || ' ' || min(email) FROM v_user";
    let before = migrated.value(rows);
    let early = migrated.migrate(&["contract"]);
    assert!(early.stderr.contains("FQ-MIG-006") && early.stderr.contains("has not run"), "{}", early.stderr);
    migrated.migrate(&["run"]).ok();
    migrated
        .project
        .run(&["migrate", "contract", "-C", "shop", "--dry-run", "--database-url", &migrated.url])
        .ok();
    assert_eq!(migrated.value(rows), before, "a dry run changes nothing");
    let reader = migrated.reader();
    let blocked = migrated.migrate(&["contract", "--lock-wait", "1s"]);
    assert!(blocked.stderr.contains("the reader"), "{}", blocked.stderr);
    drop(reader);
    migrated.migrate(&["contract"]).ok();
    let names = "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute \
                 WHERE attrelid = 'v_user'::regclass AND attnum > 0 AND NOT attisdropped";
    assert_eq!(migrated.value(names), "id fraiseql_trash_0001_2_email touched");
    let tables =
        "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relname ~ 'old_login$'";
    assert_eq!(migrated.value(tables), "fraiseql_trash_0001_3_old_login");
    assert!(migrated.migrate(&["status"]).ok().contains("contract put aside"));
    // Again: nothing is left to do, and nothing is old enough to be dropped.
    migrated.migrate(&["contract"]).ok();
    migrated.migrate(&["contract", "--drop"]).ok();
    assert_eq!(migrated.value("SELECT count(*)::text FROM fraiseql.trash"), "2");
    migrated.migrate(&["undo"]).ok();
    assert_eq!(migrated.value(rows), before);
    assert_eq!(migrated.value(tables), "old_login");
    assert_eq!(migrated.value("SELECT count(*)::text FROM fraiseql.trash"), "0");
    migrated.migrate(&["contract"]).ok();
    let dropped = migrated.migrate(&["contract", "--drop", "--grace", "0s", "--json"]).ok();
    assert_eq!(dropped.trim(), r#"{"dropped":2,"kept":0}"#);
    assert_eq!(migrated.value(names), "id touched");
    assert!(migrated.migrate(&["status"]).ok().contains("contract done"));
    let gone = migrated.migrate(&["undo"]);
    assert!(gone.stderr.contains("FQ-MIG-012"), "{}", gone.stderr);
}

#[test]
fn a_contract_on_which_a_release_depends_is_refused() {
    let migrated = Migrated::new(CONTRACT);
    migrated.migrate(&["run"]).ok();
    let schema =
        "type Query { users: [User!]! }\ntype User @relation(name: \"v_user\") { id: Int! email: String! }\n";
    migrated.project.write("schema.graphql", schema);
    migrated.project.compile(&migrated.url).ok();
    let refused = migrated.migrate(&["contract"]);
    assert_eq!(refused.status.code(), Some(3), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("FQ-MIG-013") && refused.stderr.contains("User.email"),
        "{}",
        refused.stderr
    );
    assert_eq!(migrated.value("SELECT count(email)::text FROM v_user"), "30000");
}
