//! `up`: starts everything, loads the data once, stops everything.

use fraiseql_testkit::chinook_sql;
use rustix::process::Signal;
use serde_json::json;

use crate::http::{data, get};
use crate::process::{Running, wait_until};
use crate::project::{MUSIC, Project, TABLES};

/// Ends `up` as Ctrl-C does; it must succeed and leave nothing running.
#[track_caller]
pub fn interrupt(project: &Project, up: Running) -> String {
    up.signal(Signal::INT);
    let ended = up.end();
    assert!(ended.status.success(), "{}", ended.shown(&[]));
    assert_eq!(project.processes(), [0_u32; 0], "{}", ended.shown(&[]));
    ended.stderr
}

#[test]
fn it_starts_answers_and_stops_and_the_second_start_keeps_the_data() {
    let project = Project::seeded(MUSIC, &chinook_sql());
    let (up, port) = project.up();
    let answer = data(port, "{ artists(limit: 2, orderBy: {artistId: ASC}) { artistId name } }");
    let expected = json!([{ "artistId": 1, "name": "AC/DC" }, { "artistId": 2, "name": "Accept" }]);
    assert_eq!(answer["artists"], expected);
    wait_until("it is ready", || (get(port, "/health/ready")?.0 == 200).then_some(()));
    let insert = "mutation { insertArtist(object: {artistId: 1000, name: \"Nina Simone\"}) { artistId } }";
    assert_eq!(data(port, insert), json!({ "insertArtist": { "artistId": 1000 } }));
    let said = interrupt(&project, up);
    assert!(said.contains("loading shop/seed.sql"), "{said}");

    let (up, port) = project.up();
    assert_eq!(
        data(port, "{ artist(artistId: 1000) { name } }"),
        json!({ "artist": { "name": "Nina Simone" } })
    );
    let said = interrupt(&project, up);
    assert!(!said.contains("loading") && !said.contains("making"), "{said}");
}

#[test]
fn compile_finds_the_database_that_up_runs() {
    let project = Project::seeded(MUSIC, TABLES);
    let (up, _) = project.up();
    project.compile(&project.url()).ok();
    let ended = project.run(&["compile", "shop", "--check"]);
    assert!(ended.stderr.contains("embedded database"), "{}", ended.shown(&[]));
    ended.ok();
    interrupt(&project, up);
}

#[test]
fn a_second_up_of_the_same_project_is_refused() {
    let project = Project::seeded(MUSIC, TABLES);
    let (up, port) = project.up();
    let pid = up.pid().to_string();
    let second = project.up_starting().end();
    insta::assert_snapshot!(second.shown(&[(&pid, "[PID]")]), @r"
    exit status: 5
    -- stdout
    -- stderr
    error[FQ-RUN-001]: run shop: it is running already, as process [PID]
      = help: stop it with `kill [PID]`
    ");
    assert_eq!(data(port, "{ artists { artistId } }"), json!({ "artists": [] }));
    interrupt(&project, up);
}

#[test]
fn an_error_in_the_seed_names_its_line_and_the_next_start_begins_anew() {
    let broken = format!(
        "{TABLES}\nINSERT INTO artist VALUES (1, 'AC/DC');\n\nINSERT INTO artits VALUES (2, 'Accept');\n"
    );
    let project = Project::seeded(MUSIC, &broken);
    let ended = project.up_starting().end();
    insta::assert_snapshot!(ended.shown(&[]), @r#"
    exit status: 3
    -- stdout
    -- stderr
    making a PostgreSQL data directory
    starting PostgreSQL
    loading shop/seed.sql
    stopping PostgreSQL
    error[FQ-RUN-002]: PostgreSQL refuses this statement
     --> shop/seed.sql:9:1
      |
    9 | INSERT INTO artits VALUES (2, 'Accept');
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = why: relation "artits" does not exist

    error[FQ-RUN-002]: load shop/seed.sql: 1 error
    "#);
    assert_eq!(project.processes(), [0_u32; 0]);

    project.write("seed.sql", &broken.replace("artits", "artist"));
    let (up, port) = project.up();
    assert_eq!(data(port, "{ artists { artistId } }")["artists"].as_array().map(Vec::len), Some(2));
    interrupt(&project, up);
}

#[test]
fn a_schema_that_does_not_compile_ends_it_and_its_database() {
    let project = Project::seeded(&MUSIC.replace("title: String!", "titel: String!"), TABLES);
    let ended = project.up_starting().end();
    assert_eq!(ended.status.code(), Some(3), "{}", ended.shown(&[]));
    assert!(ended.stderr.contains("FQ-SDL-007"), "{}", ended.shown(&[]));
    assert_eq!(project.processes(), [0_u32; 0]);
}

#[test]
fn an_interrupt_during_the_seed_ends_it_and_its_database() {
    let project = Project::seeded(MUSIC, &format!("{TABLES}\nSELECT pg_sleep(600);\n"));
    let mut up = project.up_starting();
    up.wait_for("loading shop/seed.sql");
    project.wait_for_statement("SELECT pg_sleep");
    up.signal(Signal::INT);
    let ended = up.end();
    assert_eq!(ended.status.code(), Some(130), "{}", ended.shown(&[]));
    assert_eq!(project.processes(), [0_u32; 0], "{}", ended.shown(&[]));
}
