//! Files of operations: what becomes of them, and everything that can be wrong with them.

use fraiseql_compile::{Compiled, Source, with_operations};
use fraiseql_engine::{Schema, persisted_documents};
use fraiseql_model::artifact::{Artifact, PersistedKind};
use fraiseql_model::digest::sha256_hex;

use crate::compiling::artifact;
use crate::world::world;

const TABLES: &str = "
table artist
  artist_id int4 pk
  name varchar?
";
const SDL: &str = r#"
type Query { artists: [Artist!]! }
type Artist @relation(name: "artist") @write(insert: true) { artistId: Int! name: String }
"#;

fn compiled(files: &[(&str, &str)]) -> Compiled {
    let sources: Vec<Source<'_>> = files.iter().map(|(file, text)| Source { file, text }).collect();
    with_operations(artifact(SDL, &world(TABLES)), &sources)
}

#[track_caller]
fn accepted(files: &[(&str, &str)]) -> Artifact {
    let Compiled { artifact, diagnostics } = compiled(files);
    artifact.unwrap_or_else(|| panic!("{diagnostics:#?}"))
}

/// What is said, each diagnostic as `code file:line:column message`.
#[track_caller]
fn check(files: &[(&str, &str)], expected: &[&str]) {
    let Compiled { artifact, diagnostics } = compiled(files);
    assert!(artifact.is_none());
    let told: Vec<String> = diagnostics
        .iter()
        .map(|found| {
            let text = files.iter().find(|(file, _)| *file == found.span.as_ref().unwrap().file).unwrap().1;
            let shown = found.render(Some(text));
            let place = shown.lines().nth(1).unwrap().trim().trim_start_matches("--> ").to_owned();
            format!("{} {place} {}", found.code.code, found.message)
        })
        .collect();
    assert_eq!(told, expected);
}

const LIST: &str = "query List {\n  artists { ...Name }\n}\n";
const NAME: &str = "# shared\nfragment Name on Artist { name ...Key }\nfragment Other on Artist { name }";
const KEY: &str = "fragment Key on Artist { artistId }\n";
const ADD: &str =
    "mutation Add { insertArtist(object: { artistId: 1 }) { ...Own } } fragment Own on Artist { name }";

#[test]
fn an_operation_is_its_file_and_the_fragments_that_it_uses() {
    let files = [("operations/list.graphql", LIST), ("n.graphql", NAME), ("k.graphql", KEY), ("a", ADD)];
    let first = accepted(&files);
    let [add, list] = first.operations.as_slice() else { panic!("{:?}", first.operations) };
    assert_eq!((add.name.as_str(), add.kind, add.file.as_str()), ("Add", PersistedKind::Mutation, "a"));
    assert_eq!(add.text, ADD, "a file that needs no other is its text to the byte");
    assert_eq!((list.name.as_str(), list.kind), ("List", PersistedKind::Query));
    assert_eq!(
        list.text,
        format!("{LIST}fragment Key on Artist {{ artistId }}\nfragment Name on Artist {{ name ...Key }}\n")
    );
    assert_eq!(list.id, sha256_hex(list.text.as_bytes()));

    let mut turned = files;
    turned.reverse();
    assert_eq!(accepted(&turned), first, "the order of the files does not matter");
    assert_eq!(Artifact::open(&first.clone().seal().1).unwrap(), first);
    assert_eq!(persisted_documents(&Schema::load(first).unwrap()).unwrap().len(), 2);
}

#[test]
fn without_operations_the_artifact_is_as_before() {
    let plain = artifact(SDL, &world(TABLES));
    assert_eq!(with_operations(plain.clone(), &[]).artifact.unwrap().seal().1, plain.seal().1);
}

#[test]
fn every_problem_is_told_with_its_place() {
    check(
        &[
            ("a.graphql", "query A {\n  artists { nme }\n  nothing\n}"),
            ("b.graphql", "query B { artists { "),
            ("c.graphql", "{ artists { name } }"),
            ("d.graphql", "query D { artists { name } }\nquery E { artists { name } }"),
            ("e.graphql", "query A { artists { name } }"),
            ("f.graphql", "type F { a: Int }"),
        ],
        &[
            "FQ-OPS-002 a.graphql:2:13 there is no field \"nme\" on type \"Artist\"",
            "FQ-OPS-002 a.graphql:3:3 there is no field \"nothing\" on type \"Query\"",
            "FQ-OPS-001 b.graphql:1:21 expected at least one Selection in Selection Set",
            "FQ-OPS-003 c.graphql:1:1 the operation has no name",
            "FQ-OPS-003 d.graphql:2:1 the file holds several operations",
            "FQ-OPS-004 e.graphql:1:7 the operation \"A\" is defined in a.graphql already",
            "FQ-OPS-001 f.graphql:1:1 a type cannot be defined among operations",
        ],
    );
}

#[test]
fn a_mistake_in_a_fragment_is_shown_in_the_file_of_the_fragment() {
    let mistaken = ("n.graphql", "# é\nfragment Name on Artist { name nme }");
    check(
        &[("l.graphql", LIST), mistaken],
        &["FQ-OPS-002 n.graphql:2:32 there is no field \"nme\" on type \"Artist\""],
    );
    check(&[("l.graphql", LIST)], &["FQ-OPS-002 l.graphql:2:16 there is no fragment \"Name\""]);
    check(
        &[("a", ADD), ("m.graphql", KEY), ("n.graphql", KEY)],
        &["FQ-OPS-004 n.graphql:1:10 the fragment \"Key\" is defined in m.graphql already"],
    );
}

#[test]
fn no_text_makes_it_panic() {
    for text in
        ["", "é", "\u{feff}", "{", "query", "fragment F on", "query A { ...A } fragment A on Artist { ...A }"]
    {
        compiled(&[("a.graphql", text), ("b.graphql", text)]);
    }
    let deep = format!("query A {}", "{artists".repeat(100_000));
    compiled(&[("a.graphql", &deep)]);
}
