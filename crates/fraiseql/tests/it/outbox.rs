//! `schema outbox`: SQL that runs, for the tables behind views, and again without harm.

use crate::project::{Project, TABLES, database, execute};

const SCHEMA: &str = r#"type Query { singers: [Singer!]! }
type Subscription { singers: [Singer!]! }
type Singer @relation(name: "singer", key: ["artist_id"]) { artistId: Int  name: String }
"#;
const VIEWS: &str = "
CREATE VIEW named AS SELECT artist_id, name FROM artist WHERE name IS NOT NULL;
CREATE VIEW singer AS SELECT * FROM named;
";

#[test]
fn it_is_for_the_tables_behind_the_schema() {
    let database = database(&format!("{TABLES}{VIEWS}"));
    let project = Project::new(SCHEMA);
    project.compile(&database.url()).ok();
    let url = database.url();
    let sql = project.run(&["schema", "outbox", "shop", "--database-url", &url, "--role", "postgres"]).ok();
    assert!(sql.contains("ON \"public\".\"artist\""), "{sql}");
    assert!(!sql.contains("\"album\"") && !sql.contains("\"singer\""), "{sql}");
    assert!(sql.contains("GRANT SELECT, DELETE ON fraiseql.outbox TO \"postgres\""), "{sql}");
    execute(&url, &sql);
    execute(&url, &sql);
    execute(&url, "INSERT INTO artist VALUES (1, 'Ada'); UPDATE artist SET name = 'Bob'");
    let noted = "DO $$ BEGIN ASSERT (SELECT array_agg(relation) FROM fraiseql.outbox) = '{public.artist,public.artist}'; END $$";
    execute(&url, noted);
}

#[test]
fn without_a_database_it_says_what_to_do() {
    let database = database(&format!("{TABLES}{VIEWS}"));
    let project = Project::new(SCHEMA);
    project.compile(&database.url()).ok();
    let ended = project.run(&["schema", "outbox", "shop"]);
    assert!(!ended.status.success());
    assert!(ended.stderr.contains("set DATABASE_URL"), "{}", ended.stderr);
}
