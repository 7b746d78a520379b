//! The four roles of the database: each may do what it is for, and each forbidden act fails.

use fraiseql_testkit::Database;
use serde_json::json;

use crate::http::data;
use crate::process::{Running, fraiseql};
use crate::project::{MUSIC, Project, TABLES, block_on, database, execute};

/// Runs one statement as a role; returns the SQLSTATE of its failure.
pub(crate) fn attempt(database: &Database, role: &str, sql: &str) -> Result<(), String> {
    block_on(async {
        let target = fraiseql_postgres::Target::parse(&database.url_as(role)).expect("a connection string");
        let client = fraiseql_postgres::connect_control(&target).await.expect("it may log in");
        let done = client.batch_execute(sql).await;
        done.map_err(|error| error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned()))
    })
}

/// Makes the roles of `init` for a database with more in it than is served.
pub(crate) fn roles() -> (Project, Database, String) {
    let more = "CREATE TABLE apart (id int); REVOKE ALL ON SCHEMA public FROM PUBLIC;";
    let database = database(TABLES);
    let base = format!("shop_{}", database.name());
    let project = Project::none();
    let role = format!("{base}_service");
    project.run(&["init", "shop", "--role", &role, "--from-database", &database.url()]).ok();
    execute(&database.url(), more);
    for _twice in 0..2 {
        execute(&database.url(), &project.read("grants.sql"));
    }
    project.compile(&database.url()).ok();
    (project, database, base)
}

#[test]
fn each_role_may_do_what_it_is_for_and_no_more() {
    let (_project, database, base) = roles();
    let denied = Err("42501".to_owned());
    let read_only = Err("25006".to_owned());
    let insert = "INSERT INTO artist VALUES (1, 'x')";
    let writable = "BEGIN READ WRITE; INSERT INTO artist VALUES (2, 'x')";
    for (role, sql, expected) in [
        ("service", "SELECT * FROM artist, album", Ok(())),
        ("service", insert, Ok(())),
        ("service", "UPDATE artist SET name = 'y'", Ok(())),
        ("service", "SELECT * FROM apart", denied.clone()),
        ("service", "CREATE TABLE mine (a int)", denied.clone()),
        ("service", "CREATE SCHEMA mine", denied.clone()),
        ("service", "ALTER TABLE artist ADD more int", denied.clone()),
        ("service", "DROP TABLE album", denied.clone()),
        ("service", "TRUNCATE album", denied.clone()),
        ("service", "CREATE ROLE more", denied.clone()),
        ("service", "CREATE DATABASE more", denied.clone()),
        ("service", "COPY artist TO PROGRAM 'true'", denied.clone()),
        ("reader", "SELECT * FROM artist, album", Ok(())),
        ("reader", insert, read_only.clone()),
        ("reader", writable, denied.clone()),
        ("reader", "SELECT * FROM apart", denied.clone()),
        ("owner", "CREATE TABLE made_by_owner (a int); DROP TABLE made_by_owner", Ok(())),
        ("owner", "CREATE SCHEMA made; DROP SCHEMA made", Ok(())),
        ("owner", "CREATE ROLE more", denied.clone()),
        ("owner", "CREATE DATABASE more", denied.clone()),
        ("backup", "SELECT * FROM artist; SELECT * FROM apart", Ok(())),
        ("backup", insert, read_only),
        ("backup", writable, denied),
    ] {
        assert_eq!(attempt(&database, &format!("{base}_{role}"), sql), expected, "{role}: {sql}");
    }
}

#[test]
fn in_production_a_role_that_may_do_too_much_is_refused() {
    let (project, database, base) = roles();
    let production = ["--set", "server.profile=production"];
    let refused = |url: &str| {
        let arguments = [&["serve", "shop", "--port", "0", "--database-url", url][..], &production].concat();
        project.run(&arguments).shown(&[(&base, "shop")])
    };
    insta::assert_snapshot!(refused(&database.url()), @r"
    exit status: 4
    -- stdout
    -- stderr
    error[FQ-ROL-001]: serve in production as postgres: it may do more than a service needs
      = cause: it is a superuser, or may become one: nothing is forbidden to it
      = help: run grants.sql of `fraiseql init` and log in as the role that it makes, fraiseql_service
    ");
    let (owner, service) = (format!("{base}_owner"), format!("{base}_service"));
    execute(
        &database.url(),
        &format!(
            "ALTER TABLE artist OWNER TO {owner}; GRANT SELECT ON album TO {owner}; ALTER ROLE {owner} BYPASSRLS"
        ),
    );
    insta::assert_snapshot!(refused(&database.url_as(&owner)), @r"
    exit status: 4
    -- stdout
    -- stderr
    error[FQ-ROL-001]: serve in production as shop_owner: it may do more than a service needs
      = cause: it has BYPASSRLS: rules for rows do not hold for it
      = cause: it owns public.artist: it may alter and drop it
      = help: run grants.sql of `fraiseql init` and log in as the role that it makes, fraiseql_service
    ");

    // Development only warns; the least role is served in both.
    let (serve, _port) = project.serve(&database.url());
    assert!(serve.said().contains("the role postgres may do more than a service needs"), "{}", serve.said());
    let url = database.url_as(&service);
    let arguments = [&["serve", "shop", "--port", "0", "--database-url", &url][..], &production].concat();
    let mut serve = Running::spawn(fraiseql(project.root(), arguments));
    let port = serve.port("listening on http://127.0.0.1:");
    assert_eq!(data(port, "{ artists { name } }"), json!({ "artists": [] }));
    assert!(!serve.said().contains("FQ-ROL-001"), "{}", serve.said());
}

#[test]
fn a_member_of_the_owner_is_as_mighty_as_the_owner() {
    let database = database(TABLES);
    let project = Project::new(MUSIC);
    project.compile(&database.url()).ok();
    let base = format!("member_{}", database.name());
    let sql = format!(
        "CREATE ROLE {base}_o; ALTER TABLE artist OWNER TO {base}_o; CREATE ROLE {base} LOGIN NOINHERIT IN ROLE {base}_o;
         GRANT SELECT, INSERT ON artist, album TO {base}"
    );
    execute(&database.url(), &sql);
    let url = database.url_as(&base);
    let ended = project.run(&[
        "serve",
        "shop",
        "--port",
        "0",
        "--database-url",
        &url,
        "--set",
        "server.profile=production",
    ]);
    assert_eq!(ended.status.code(), Some(4), "{}", ended.shown(&[]));
    assert!(ended.stderr.contains("it owns public.artist: it may alter and drop it"), "{}", ended.stderr);
}
