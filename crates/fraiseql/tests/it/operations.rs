//! The folder `operations`: compiled, listed, served, and followed by `up`.

use serde_json::{Value, json};

use crate::http::get;
use crate::process::wait_until;
use crate::project::{MUSIC, Project, TABLES, database};
use crate::up::interrupt;

const LIST: &str = "query TopArtists { artists(limit: 1) { ...Named } }\n";
const NAMED: &str = "fragment Named on Artist { name }\n";

/// Returns the id under which `operations list` shows an operation.
fn id_of(project: &Project, name: &str) -> Option<String> {
    let listed: Value =
        serde_json::from_str(&project.run(&["--json", "operations", "list", "shop"]).ok()).expect("JSON");
    let operations = listed["operations"].as_array().expect("a list").clone();
    let found = operations.into_iter().find(|operation| operation["name"] == name)?;
    Some(found["documentId"].as_str().expect("an id").to_owned())
}

#[test]
fn operations_are_compiled_and_listed() {
    let project = Project::new(MUSIC);
    project.write("operations/top.graphql", LIST);
    project.write("operations/parts/named.graphql", NAMED);
    project.write(
        "operations/add.graphql",
        "mutation Add { insertArtist(object: { artistId: 1 }) { artistId } }",
    );
    let url = database(TABLES).url();
    let said = project.compile(&url);
    assert!(said.stderr.contains("2 types, 2 persisted operations"), "{}", said.stderr);
    insta::assert_snapshot!(project.run(&["operations", "list", "shop"]).shown(&[]), @r"
    exit status: 0
    -- stdout
    sha256:7a32c643315436792270d19fb78fd4ff73ed7e84aa7c1df8a35be8cdf5b22ebd  mutation  Add         operations/add.graphql
    sha256:755745a356b6ae7cda9b4933fcfa495508bd66987ba35b0faaedd1c5937662fc  query     TopArtists  operations/top.graphql
    -- stderr
    ");
    let top = id_of(&project, "TopArtists").expect("it is there");

    let (serve, port) = project.serve(&url);
    let (status, body) = get(port, &format!("/graphql?documentId={top}")).expect("an answer");
    assert_eq!((status, body.as_str()), (200, r#"{"data":{"artists":[]}}"#));
    drop(serve);
}

#[test]
fn every_mistake_in_an_operation_is_shown_with_its_place() {
    let project = Project::new(MUSIC);
    project.write("operations/top.graphql", &LIST.replace("limit", "limt"));
    project.write("operations/parts/named.graphql", &NAMED.replace("name", "nme"));
    let ended = project.compile(&database(TABLES).url());
    assert!(!project.dir().join("schema.compiled.json").exists());
    insta::assert_snapshot!(ended.shown(&[]), @r#"
    exit status: 3
    -- stdout
    -- stderr
    error[FQ-OPS-002]: there is no field "nme" on type "Artist"
     --> shop/operations/parts/named.graphql:1:28
      |
    1 | fragment Named on Artist { nme }
      |                            ^^^

    error[FQ-OPS-002]: the field "artists" has no argument "limt"
     --> shop/operations/top.graphql:1:28
      |
    1 | query TopArtists { artists(limt: 1) { ...Named } }
      |                            ^^^^

    error[FQ-OPS-002]: compile operations: 2 errors
    "#);
}

#[test]
fn up_follows_the_folder_when_it_comes_and_changes() {
    let project = Project::seeded(MUSIC, &format!("{TABLES}INSERT INTO artist VALUES (1, 'AC/DC');"));
    let (mut up, port) = project.up();
    let asked = |id: String| get(port, &format!("/graphql?documentId={id}")).map(|(_, body)| body);
    project.write("operations/top.graphql", &LIST.replace("...Named", "name"));
    let answer = wait_until("the operation runs", || {
        asked(id_of(&project, "TopArtists")?).filter(|body| !body.contains("NOT_FOUND"))
    });
    assert_eq!(answer, json!({ "data": { "artists": [{ "name": "AC/DC" }] } }).to_string());

    project.write("operations/deep/id.graphql", "query Ids { artists { artistId } }");
    let answer = wait_until("the new operation runs", || {
        asked(id_of(&project, "Ids")?).filter(|body| !body.contains("NOT_FOUND"))
    });
    assert_eq!(answer, json!({ "data": { "artists": [{ "artistId": 1 }] } }).to_string());

    project.write("operations/deep/id.graphql", "query Ids { artists { nothing } }");
    let said = up.wait_for("the last good schema stays");
    assert!(said.contains("operations/deep/id.graphql:1:23"), "{said}");
    interrupt(&project, up);
}
