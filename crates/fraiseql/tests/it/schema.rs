//! `schema print`, `introspect` and `diff`: from files, from a project, from a server.

use serde_json::Value;

use crate::project::{MUSIC, Project, chinook};

const OLD: &str =
    "type Query { shops(near: String): [Shop!]! }\ntype Shop { id: ID! name: String! open: Boolean }\n";
const NEW: &str =
    "type Query { shops(near: String!): [Shop!]! }\ntype Shop { id: ID! name: String! since: Int }\n";

#[test]
fn a_diff_tells_the_worst_first_and_ends_with_one() {
    let project = Project::new(OLD);
    project.write("new.graphql", NEW);
    let ended = project.run(&["schema", "diff", "shop/schema.graphql", "shop/new.graphql"]);
    insta::assert_snapshot!(ended.shown(&[]), @r"
    exit status: 1
    -- stdout
    breaking (2)
      Query.shops(near:): its type was String and is String!
      Shop.open: the field is gone
    safe (1)
      Shop.since: the field is new
    -- stderr
    error[FQ-DIF-001]: keep every client working: 2 breaking changes
      = help: deprecate first and remove when nobody asks any more
    ");
    let ended = project.run(&["schema", "diff", "shop/schema.graphql", "shop/schema.graphql"]);
    insta::assert_snapshot!(ended.shown(&[]), @r"
    exit status: 0
    -- stdout
    no changes
    -- stderr
    ");
    let ended = project.run(&["--json", "schema", "diff", "shop/new.graphql", "shop/schema.graphql"]);
    let told: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(told["changes"][0]["kind"], "FIELD_REMOVED", "{told}");
    assert_eq!(told["changes"][0]["path"], "Shop.since", "{told}");
}

#[test]
fn what_is_no_schema_is_refused() {
    let project = Project::new("type Query { a Int }");
    project.write("other.json", "{\"data\": {}}");
    for (file, code) in
        [("schema.graphql", "FQ-SDL-001"), ("other.json", "FQ-INT-002"), ("gone", "FQ-IO-001")]
    {
        let path = format!("shop/{file}");
        let ended = project.run(&["schema", "diff", &path, &path]);
        assert!(ended.stderr.contains(code), "{}", ended.shown(&[]));
    }
    let ended = project.run(&["schema", "introspect", "http://127.0.0.1:1/graphql", "--header", "nonsense"]);
    assert!(ended.stderr.contains("FQ-CFG-002"), "{}", ended.shown(&[]));
    let ended = project.run(&["schema", "introspect", "http://127.0.0.1:1/graphql"]);
    insta::assert_snapshot!(ended.shown(&[]), @r"
    exit status: 5
    -- stdout
    -- stderr
    error[FQ-INT-001]: ask http://127.0.0.1:1/graphql: it cannot be reached
      = cause: Connection refused (os error 111)
      = help: check the URL and the network; --header 'Authorization: ...' where it wants one
    ");
}

#[test]
fn a_server_a_project_and_a_file_tell_the_same() {
    let database = chinook();
    let project = Project::new(MUSIC);
    project.compile(&database.url()).ok();
    let (serve, port) = project.serve(&database.url());
    let url = format!("http://127.0.0.1:{port}/graphql");
    let saved = project.run(&["schema", "introspect", "shop"]).ok();
    project.write("saved.json", &saved);
    let asked = project.run(&["schema", "introspect", &url]).ok();
    let [saved, asked] = [&saved, &asked].map(|text| serde_json::from_str::<Value>(text).expect("JSON"));
    assert_eq!(saved["data"], asked["data"]);
    for source in ["shop/schema.compiled.json", "shop/saved.json", &url] {
        assert_eq!(project.run(&["schema", "diff", "shop", source]).ok(), "no changes\n", "{source}");
    }
    let sdl = project.run(&["schema", "introspect", &url, "--sdl"]).ok();
    assert!(sdl.contains("type Artist {\n  artistId: Int!\n"), "{sdl}");
    drop(serve);
}
