//! `migrate guard`: a contract is refused for as long as a release depends, and named is who does.

use serde_json::Value;

use crate::process::Ended;
use crate::project::{Project, database, execute};

const SCHEMA: &str = "type Query { users: [User!]! }
type User @relation(name: \"v_user\") { id: Int! email: String! emailLower: String }
";
const USERS: &str = "CREATE TABLE v_user (id int PRIMARY KEY, email text NOT NULL, email_lower text);";
const CONTRACT: &str = "\
-- migrate: expand
ALTER TABLE v_user ADD COLUMN IF NOT EXISTS email_lower text;

-- migrate: contract
ALTER TABLE v_user DROP COLUMN email;
";

struct Guarded {
    project: Project,
    url: String,
    _database: fraiseql_testkit::Database,
}

impl Guarded {
    fn guard(&self, more: &[&str]) -> Ended {
        let words = ["migrate", "guard", "-C", "shop", "--database-url", &self.url];
        self.project.run(&[&words[..], more].concat())
    }

    fn release(&self, schema: &str) -> String {
        self.project.write("schema.graphql", schema);
        self.project.compile(&self.url).ok();
        let ended = self.project.run(&["release", "build", "shop", "--database-url", &self.url]);
        ended.ok().trim()[..12].to_owned()
    }
}

#[test]
fn a_contract_waits_until_no_release_depends_and_the_dependents_are_named() {
    let database = database(USERS);
    let guarded = Guarded { project: Project::new(SCHEMA), url: database.url(), _database: database };
    guarded.project.write("db/migrations/0001_email.sql", CONTRACT);
    let old = guarded.release(SCHEMA);
    let ended = guarded.guard(&[]);
    assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
    for told in [
        "error[FQ-MIG-013]",
        &format!("{old} reads public.v_user.email for User.email"),
        "shop/db/migrations/0001_email.sql:5:1",
        "schema.compiled.json reads public.v_user.email",
    ] {
        assert!(ended.stderr.contains(told), "{told}: {}", ended.stderr);
    }

    // The new release does without; the old one is kept, and can be gone back to.
    let new = guarded.release(&SCHEMA.replace(" email: String!", ""));
    let report: Value = serde_json::from_str(&guarded.guard(&["--json"]).stdout).expect("JSON");
    let breaks: Vec<&str> = report["breaks"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|breakage| breakage["release"].as_str().expect("a release"))
        .collect();
    assert_eq!(breaks, [old.as_str()], "{report}");
    assert_eq!(report["releases"].as_array().map(Vec::len), Some(3), "{report}");

    guarded.project.run(&["releases", "prune", "-C", "shop", "--keep", "1"]).ok();
    let said = guarded.guard(&[]);
    assert_eq!(said.status.code(), Some(0), "{}", said.stderr);
    assert!(said.stderr.contains(&format!("nothing breaks; asked were {new}")), "{}", said.stderr);

    // PostgreSQL would let the column go; the view would lose a key without a word.
    execute(&guarded.url, "CREATE VIEW whole AS SELECT to_jsonb(v_user) AS data FROM v_user");
    let ended = guarded.guard(&[]);
    assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
    let told = "the database itself reads v_user.email through public.whole";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
}

#[test]
fn what_is_no_sql_or_no_migration_is_refused() {
    let database = database(USERS);
    let guarded = Guarded { project: Project::new(SCHEMA), url: database.url(), _database: database };
    assert!(guarded.guard(&[]).stderr.contains("error[FQ-MIG-005]"));
    guarded.project.write("change.sql", "ALTER TABEL v_user;");
    let ended = guarded.guard(&["shop/change.sql"]);
    assert!(ended.stderr.contains("error[FQ-MIG-002]"), "{}", ended.stderr);
    guarded.project.write("change.sql", "DROP TABLE v_user;");
    let ended = guarded.guard(&["shop/change.sql"]);
    assert!(ended.stderr.contains("asked were nobody"), "{}", ended.stderr);
}
