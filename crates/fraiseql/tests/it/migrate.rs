//! `fraiseql migrate`: what is typed, what is seen.

use serde_json::Value;

use crate::project::Project;

const USERS: &str = "CREATE TABLE v_user (id int PRIMARY KEY, email varchar(255) NOT NULL UNIQUE);\n";

/// The five steps of the deployment guide, each in its section.
pub const GUIDE: &str = "\
-- migrate: expand
ALTER TABLE v_user ADD COLUMN email_lower VARCHAR;

-- migrate: backfill
UPDATE v_user SET email_lower = LOWER(email)
  WHERE id BETWEEN $1 AND $2;

-- migrate: index
CREATE INDEX CONCURRENTLY idx_email_lower ON v_user(email_lower);

-- migrate: contract
ALTER TABLE v_user DROP COLUMN email;
";

#[test]
fn a_finding_is_shown_with_its_place_and_the_safe_form() {
    let project = Project::new("");
    project.write("schema.sql", USERS);
    project.write("m.sql", "-- made by hand\nCREATE INDEX i\n  ON v_user (email);\nDROP INDEX old;\n");
    let seen = project.run(&["migrate", "lint", "shop/m.sql", "--schema", "shop/schema.sql"]);
    insta::assert_snapshot!(seen.shown(&[]), @r"
    exit status: 3
    -- stdout
    -- stderr
    error[FQ-MIG-001]: CREATE INDEX reads all of v_user; writes wait [create-index]
     --> shop/m.sql:2:1
      |
    2 | CREATE INDEX i
      | ^^^^^^^^^^^^^^
      = why: it holds SHARE on the table until the index is built
      = help: CREATE INDEX CONCURRENTLY i ON v_user (email)

    warning[FQ-MIG-001]: DROP INDEX old locks the whole table; reads and writes wait until it has its turn [drop-index]
     --> shop/m.sql:4:1
      |
    4 | DROP INDEX old;
      | ^^^^^^^^^^^^^^
      = why: it holds ACCESS EXCLUSIVE on the table; CONCURRENTLY does not
      = help: DROP INDEX CONCURRENTLY old

    error[FQ-MIG-001]: call the migrations safe: 2 statements in 1 files for PostgreSQL 18: 1 errors, 1 warnings
      = help: `fraiseql migrate lint --fix` writes the safe form where a machine can
    ");
}

#[test]
fn the_statements_of_the_guide_are_safe_in_their_sections() {
    let project = Project::new("");
    project.write("schema.sql", USERS);
    project.write("db/migrations/0001_email_lower.sql", GUIDE);
    let arguments = ["--json", "migrate", "lint", "--project", "shop", "--schema", "shop/schema.sql"];
    let reports: Value = serde_json::from_str(&project.run(&arguments).ok()).expect("JSON");
    let reports = reports.as_array().expect("a list");
    assert_eq!(reports.len(), 4);
    assert_eq!(reports[1]["line"], 5);
    let locks: Vec<&Value> = reports.iter().map(|report| &report["locks"]["v_user"]).collect();
    assert_eq!(
        locks,
        ["ACCESS EXCLUSIVE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "ACCESS EXCLUSIVE"],
        "{reports:#?}"
    );
    assert_eq!(reports[2]["scans"], serde_json::json!(["v_user"]));
    assert!(reports.iter().all(|report| report["findings"] == serde_json::json!([])), "{reports:#?}");
}

#[test]
fn json_has_all_that_is_known_of_a_statement() {
    let project = Project::new("");
    project.write("m.sql", "CREATE INDEX i ON t (a);\n");
    let seen = project.run(&["migrate", "lint", "shop/m.sql", "--json"]);
    assert_eq!(seen.status.code(), Some(3), "{}", seen.shown(&[]));
    insta::assert_snapshot!(seen.stdout, @r#"[{"file":"shop/m.sql","line":1,"statement":"CREATE INDEX i ON t (a)","locks":{"t":"SHARE"},"rewrites":[],"scans":["t"],"findings":[{"rule":"create-index","severity":"error","message":"CREATE INDEX reads all of t; writes wait","why":"it holds SHARE on the table until the index is built","rewrite":"CREATE INDEX CONCURRENTLY i ON t (a)"}]}]"#);
}

#[test]
fn fix_writes_the_safe_form_and_nothing_else() {
    let project = Project::new("");
    project.write("m.sql", "-- kept\nCREATE INDEX i ON t (a);\n\n-- kept too\nDROP INDEX old;\n");
    project.run(&["migrate", "lint", "shop/m.sql", "--fix"]).ok();
    assert_eq!(
        project.read("m.sql"),
        "-- kept\nCREATE INDEX CONCURRENTLY i ON t (a);\n\n-- kept too\nDROP INDEX CONCURRENTLY old;\n"
    );
}

#[test]
fn what_is_not_sql_is_refused_with_its_place() {
    let project = Project::new("");
    project.write(
        "m.sql",
        "ALTER TABLE t ADD COLUMN k int;\nALTER TABEL t ADD COLUMN l int;\n-- migrate: bakfill\n",
    );
    let seen = project.run(&["migrate", "lint", "shop/m.sql"]);
    insta::assert_snapshot!(seen.shown(&[]), @r"
    exit status: 3
    -- stdout
    -- stderr
    error[FQ-MIG-002]: this begins no statement that PostgreSQL knows
     --> shop/m.sql:2:1
      |
    2 | ALTER TABEL t ADD COLUMN l int;
      | ^

    error[FQ-MIG-002]: this is no section: write expand, backfill, index, contract or undo
     --> shop/m.sql:3:1
      |
    3 | -- migrate: bakfill
      | ^^^^^^^^^^^^^^^^^^^

    error[FQ-MIG-002]: read the SQL: 2 places cannot be understood
      = help: nothing is said of the other statements
    ");
}

#[test]
fn wrong_arguments_say_what_to_type() {
    let project = Project::new("");
    for (arguments, code, said) in [
        (&["migrate", "lint", "--project", "shop"][..], 2, "FQ-MIG-005"),
        (&["migrate", "lint", "shop/none.sql"], 5, "FQ-IO-001"),
        (&["migrate", "lint", "shop", "--server-version", "9.6"], 2, "FQ-MIG-003"),
        (&["migrate", "new", "Email Lower", "--project", "shop"], 2, "fraiseql migrate new email_lower"),
    ] {
        let seen = project.run(arguments);
        assert_eq!(seen.status.code(), Some(code), "{}", seen.shown(&[]));
        assert!(seen.stderr.contains(said), "{}", seen.shown(&[]));
    }
}

#[test]
fn new_migrations_are_numbered_and_have_every_section() {
    let project = Project::new("");
    let first = project.run(&["migrate", "new", "email_lower", "--project", "shop"]).ok();
    assert_eq!(first, "shop/db/migrations/0001_email_lower.sql\n");
    let second = project.run(&["migrate", "new", "phone", "--project", "shop"]).ok();
    assert_eq!(second, "shop/db/migrations/0002_phone.sql\n");
    let text = project.read("db/migrations/0001_email_lower.sql");
    for section in ["expand", "backfill", "index", "contract", "undo"] {
        assert!(text.contains(&format!("-- migrate: {section}\n")), "{text}");
    }
    project.run(&["migrate", "lint", "--project", "shop"]).ok();
}
