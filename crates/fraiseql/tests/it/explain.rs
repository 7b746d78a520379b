//! `explain` of operations: SQL, PostgreSQL's plan, missing indexes.

use serde_json::Value;

use crate::project::{MUSIC, Project, TABLES, database};

/// Many albums, and nothing by which those of one artist are found.
const UNINDEXED: &str = "
DROP INDEX album_artist_id_idx;
INSERT INTO artist SELECT n, 'a' || n FROM generate_series(1, 50) AS n;
INSERT INTO album SELECT n, 't' || n, n % 50 + 1 FROM generate_series(1, 5000) AS n;
ANALYZE artist; ANALYZE album;";

const BELOW: &str =
    "query Q($name: String) { artists(where: {name: {eq: $name}}) { name albums { title } } }";

#[test]
fn a_missing_index_is_told_with_what_to_type() {
    let database = database(&format!("{TABLES}{UNINDEXED}"));
    let project = Project::new(MUSIC);
    let url = database.url();
    project.compile(&url).ok();
    let run = |more: &[&str]| {
        let arguments =
            ["explain", BELOW, "shop", "--variables", "{\"name\": \"a7\"}", "--database-url", &url];
        project.run(&[&arguments, more].concat())
    };
    let shown = run(&[]).ok();
    for part in [
        "SELECT ",
        "  $1 = 'a7'\n",
        "Seq Scan on album",
        "album (5000 rows) is read as a whole again and again\n  \
         CREATE INDEX CONCURRENTLY ON \"public\".\"album\" (\"artist_id\");\n",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let measured: Value = serde_json::from_str(&run(&["--analyze", "--json"]).ok()).expect("JSON");
    assert!(measured["statements"][0]["plan"]["measured"]["loops"].as_f64() >= Some(1.0), "{measured}");
    assert_eq!(measured["advice"].as_array().map(Vec::len), Some(1), "{measured}");
    crate::project::execute(&url, "CREATE INDEX ON album (artist_id)");
    assert!(run(&[]).ok().ends_with("no index is missing, as far as can be seen\n"));
}

#[test]
fn a_mutation_is_planned_and_never_run() {
    let database = database(TABLES);
    let project = Project::new(MUSIC);
    let url = database.url();
    project.compile(&url).ok();
    project.write("add.graphql", "mutation { insertArtist(object: {artistId: 1}) { name } }");
    let arguments = ["explain", "shop/add.graphql", "shop", "--database-url", &url];
    let shown = project.run(&arguments).ok();
    assert!(shown.starts_with("-- insertArtist\n"), "{shown}");
    assert!(shown.contains("Insert"), "{shown}");
    let ended = project.run(&[&arguments[..], &["--analyze"]].concat());
    insta::assert_snapshot!(ended.shown(&[]), @r"
    exit status: 2
    -- stdout
    -- stderr
    error[FQ-EXP-002]: measure a mutation: it would have to run
      = help: leave --analyze out
    ");
    let answer =
        project.run(&["explain", "{ artists { name } }", "shop", "--database-url", &url, "--analyze"]);
    assert!(answer.ok().contains("rows 0 (expected"), "nothing was inserted");
}

#[test]
fn what_does_not_fit_is_refused() {
    let database = database(TABLES);
    let project = Project::new(MUSIC);
    let url = database.url();
    project.compile(&url).ok();
    let run = |what: &str| project.run(&["explain", what, "shop", "--database-url", &url]);
    insta::assert_snapshot!(run("{ artists { nam } }").shown(&[]), @r#"
    exit status: 3
    -- stdout
    -- stderr
    error[FQ-EXP-001]: plan the operation: the schema refuses it
      = cause: there is no field "nam" on type "Artist" (line 1, column 13)
      = help: `fraiseql schema print` shows the schema; give variables with --variables
    "#);
    assert!(run("FQ-SDL-7").shown(&[]).contains("did you mean FQ-SDL-007?"));
    assert!(run("FQ-EXP-001").ok().starts_with("# FQ-EXP-001"));
}
