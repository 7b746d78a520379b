//! The diff against graphql-js: `conformance/diff/golden.json` is what it says of each pair of schemas.

use std::collections::BTreeSet;

use fraiseql_engine::{ChangeKind, PublicSchema, Schema, diff, introspect, sdl_of_introspection};
use fraiseql_model::artifact::Artifact;
use serde_json::Value;

/// Kinds that graphql-js does not know.
const OURS: [ChangeKind; 6] = [
    ChangeKind::RootTypeRemoved,
    ChangeKind::OneOfAdded,
    ChangeKind::RootTypeAdded,
    ChangeKind::OneOfRemoved,
    ChangeKind::Deprecated,
    ChangeKind::DeprecationRemoved,
];

/// Kinds whose member is told beside the path.
const MEMBERS: [ChangeKind; 6] = [
    ChangeKind::TypeRemovedFromUnion,
    ChangeKind::TypeAddedToUnion,
    ChangeKind::ImplementedInterfaceRemoved,
    ChangeKind::ImplementedInterfaceAdded,
    ChangeKind::DirectiveLocationRemoved,
    ChangeKind::DirectiveLocationAdded,
];

/// Where we say otherwise, on purpose: the value is the same, however it is written.
const OTHERWISE: (&str, &[&str]) = ("default string written otherwise", &[]);

fn ours(old: &str, new: &str) -> Vec<String> {
    let [old, new] = [old, new].map(|sdl| PublicSchema::parse(sdl).unwrap());
    let mut told: Vec<String> = diff(&old, &new)
        .iter()
        .map(|change| {
            let (severity, code) = (change.kind.severity().as_str(), change.kind.code());
            let member = change.old.as_ref().or(change.new.as_ref());
            match member.filter(|_| MEMBERS.contains(&change.kind)) {
                Some(member) => format!("{severity} {code} {} {member}", change.path),
                None => format!("{severity} {code} {}", change.path),
            }
        })
        .collect();
    told.sort();
    told
}

#[test]
fn every_change_is_what_graphql_js_calls_it() {
    let path = fraiseql_testkit::checkout().join("conformance/diff/golden.json");
    let golden: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for case in &golden {
        let text = |key: &str| case[key].as_str().unwrap();
        let expected: Vec<&str> =
            case["changes"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        seen.extend(expected.iter().map(|change| change.split(' ').nth(1).unwrap()));
        let told = ours(text("old"), text("new"));
        let expected = if text("name") == OTHERWISE.0 { OTHERWISE.1.to_vec() } else { expected };
        if told != expected {
            wrong.push(format!("{}: graphql-js {expected:?}, ours {told:?}", text("name")));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), golden.len(), wrong.join("\n"));
    let rules: BTreeSet<&str> =
        ChangeKind::ALL.iter().filter(|kind| !OURS.contains(kind)).map(|kind| kind.code()).collect();
    assert_eq!(seen, rules, "the corpus has a case for every rule");
    println!("{} pairs of schemas, {} kinds of changes, all as graphql-js says", golden.len(), rules.len());
}

#[test]
fn sdl_survives_introspection() {
    let sdl = r#"
"All of it \"quoted\""
type Query { shops(where: Filter = {name: "a\nb"}, limit: Int! = 3): [[Shop!]!]! any: Any node: Node }
type Shop implements Node { id: ID! name: String @deprecated(reason: "see \"title\"") kind: Kind }
interface Node { id: ID! }
union Any = Shop | Query
enum Kind { BIG SMALL @deprecated }
input Filter { name: String = "x", kinds: [Kind!] = [BIG] }
scalar Money @specifiedBy(url: "https://example.org/money")
directive @tag(name: String!) repeatable on FIELD | QUERY
"#;
    let artifact: Artifact = serde_json::from_value(serde_json::json!({
        "format": 1, "digest": "", "compiler": "test", "sdl": sdl, "objects": {}, "enums": {}, "query": {},
        "mutation": {}, "manifest": fraiseql_model::manifest::Manifest::default(),
    }))
    .unwrap();
    let answer = introspect(&Schema::load(artifact).unwrap()).unwrap();
    let back = PublicSchema::parse(&sdl_of_introspection(&answer).unwrap()).unwrap();
    let changes = diff(&PublicSchema::parse(sdl).unwrap(), &back);
    assert_eq!(changes, [], "{answer}");
    let one_of =
        serde_json::json!({"__schema": {"types": [{"kind": "INPUT_OBJECT", "name": "A", "isOneOf": true}]}});
    assert_eq!(sdl_of_introspection(&one_of).unwrap(), "input A @oneOf {\n}\n\n");
    assert!(sdl_of_introspection(&serde_json::json!({"data": {}})).is_err());
    let named = serde_json::json!({"__schema": {"types": [{"kind": "SCALAR", "name": "A } type B"}]}});
    assert!(sdl_of_introspection(&named).is_err());
}
