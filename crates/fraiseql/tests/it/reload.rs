//! `up` compiles again when the schema changes, and keeps the last good one.

use std::io::Write;

use serde_json::json;

use crate::http::{data, post};
use crate::process::wait_until;
use crate::project::{MUSIC, Project, TABLES};
use crate::up::interrupt;

#[track_caller]
fn wait_for_field(port: u16, field: &str) {
    let query = "{ __type(name: \"Album\") { fields { name } } }";
    wait_until("the new schema is served", || {
        let answer = post(port, query)?;
        let fields = answer["data"]["__type"]["fields"].as_array()?.clone();
        fields.contains(&json!({ "name": field })).then_some(())
    });
}

#[test]
fn a_new_field_answers_and_a_broken_schema_changes_nothing() {
    let seed = format!(
        "{TABLES}INSERT INTO artist VALUES (1, 'AC/DC'); INSERT INTO album VALUES (7, 'Powerage', 1);"
    );
    let project = Project::seeded(MUSIC, &seed);
    let (mut up, port) = project.up();
    let query = "{ artists { albums { title artist { name } } } }";
    assert!(post(port, query).expect("an answer").get("errors").is_some());

    let larger = MUSIC.replace("  title: String!\n", "  title: String!\n  artist: Artist!\n");
    project.write("schema.graphql", &larger);
    wait_for_field(port, "artist");
    let expected =
        json!({ "artists": [{ "albums": [{ "title": "Powerage", "artist": { "name": "AC/DC" } }] }] });
    assert_eq!(data(port, query), expected);
    let artifact = project.read("schema.compiled.json");

    project.write("schema.graphql", &larger.replace("title: String!", "titel: String!"));
    let said = up.wait_for("the last good schema stays");
    assert!(said.contains("error[FQ-SDL-007]"), "{said}");
    assert_eq!(data(port, query), expected);
    assert_eq!(project.read("schema.compiled.json"), artifact);

    // In place and in two steps, as some editors write.
    let other = larger.replace("  title: String!\n", "  title: String!\n  artistId: Int!\n");
    let mut file = std::fs::File::create(project.dir().join("schema.graphql")).expect("the folder is ours");
    let (first, second) = other.split_at(other.len() / 2);
    file.write_all(first.as_bytes()).expect("there is room");
    file.sync_all().expect("there is room");
    file.write_all(second.as_bytes()).expect("there is room");
    drop(file);
    wait_for_field(port, "artistId");
    assert_eq!(data(port, query), expected);
    interrupt(&project, up);
}
