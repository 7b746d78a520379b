//! Questions about schemas: every value is graphql-js's.

use std::collections::BTreeMap;

use fraiseql_engine::{Document, FieldValue, Limits, Plan, Schema, Variables, plan};
use serde_json::{Map, Value};

use super::{golden, schema};

#[test]
fn answers_are_those_of_graphql_js() {
    let documents = golden(include_str!("documents.json"));
    let schemas: BTreeMap<&str, Schema> = documents["schemas"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, sdl)| (name.as_str(), schema(sdl.as_str().unwrap())))
        .collect();
    let cases = golden(include_str!("introspection.json"));
    let cases = cases.as_array().unwrap();
    let mut wrong = Vec::new();
    for case in cases {
        let (name, query) = (case["schema"].as_str().unwrap(), case["query"].as_str().unwrap());
        let (mut found, mut expected) = (answer(&schemas[name], query), case["data"].clone());
        normalise(&mut found);
        normalise(&mut expected);
        if let Some(place) = difference(&expected, &found, String::new()) {
            wrong.push(format!("{name}: {}: {place}", query.split_whitespace().collect::<String>()));
        }
    }
    println!("{} questions over {} schemas: {} answers differ", cases.len(), schemas.len(), wrong.len());
    assert!(cases.len() >= 2 * schemas.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn questions_that_multiply_are_refused() {
    let schema = schema("type Query { a: Int }");
    let limits = Limits::default();
    let bomb = "{__schema{types{fields{type{fields{type{fields{type{fields{name}}}}}}}}}}";
    let document = Document::parse(&schema, bomb, &limits).unwrap();
    let errors = plan(&schema, &document, None, &Variables::default(), &limits).unwrap_err();
    assert_eq!(errors[0].extensions.code, fraiseql_model::response::Code::LimitExceeded);
}

#[test]
fn another_name_makes_another_plan() {
    let schema = schema("type Query { a: Int } type Other { a: Int }");
    let text = "query($n:String!){...F} fragment F on Query{__type(name:$n){name}}";
    let document = Document::parse(&schema, text, &Limits::default()).unwrap();
    let shape = |name: &str| {
        let raw = Map::from_iter([("n".to_owned(), Value::from(name))]);
        Variables::coerce(&schema, &document, None, &raw).unwrap().shape().to_owned()
    };
    assert_ne!(shape("Query"), shape("Other"));
    assert_ne!(shape("Query"), shape("Nope"));
    assert_eq!(shape("Nope"), shape("Neither"));
}

fn answer(schema: &Schema, query: &str) -> Value {
    let limits = Limits::default();
    let document = Document::parse(schema, query, &limits).unwrap();
    let variables = Variables::coerce(schema, &document, None, &Map::new()).unwrap();
    let Plan::Query(plan) = plan(schema, &document, None, &variables, &limits).unwrap() else {
        panic!("a query")
    };
    let fields = plan.fields.into_iter().map(|field| {
        let FieldValue::Static(json) = field.value else { panic!("{} needs no database", field.key) };
        (field.key, serde_json::from_slice::<Value>(&json).unwrap())
    });
    fields.collect()
}

/// The order of types and directives means nothing, and the words on built-in ones are anybody's.
fn normalise(value: &mut Value) {
    let schema = &mut value["__schema"];
    for list in ["types", "directives"] {
        let Some(items) = schema.get_mut(list).and_then(Value::as_array_mut) else { continue };
        items.retain(|item| !item["name"].as_str().is_some_and(|name| name.starts_with("__")));
        for item in items.iter_mut() {
            let built_in = [
                "Int",
                "Float",
                "String",
                "Boolean",
                "ID",
                "skip",
                "include",
                "deprecated",
                "specifiedBy",
                "oneOf",
            ];
            if built_in.contains(&item["name"].as_str().unwrap_or_default()) {
                without_descriptions(item);
            }
        }
        items.sort_by_key(|item| item["name"].as_str().unwrap_or_default().to_owned());
    }
    if value["__schema"].is_null() {
        value.as_object_mut().unwrap().shift_remove("__schema");
    }
}

fn without_descriptions(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.shift_remove("description");
            fields.values_mut().for_each(without_descriptions);
        }
        Value::Array(items) => items.iter_mut().for_each(without_descriptions),
        _ => {}
    }
}

/// Returns the first place where two values differ, with both.
fn difference(expected: &Value, found: &Value, place: String) -> Option<String> {
    match (expected, found) {
        (Value::Object(one), Value::Object(other)) if one.keys().eq(other.keys()) => {
            one.iter().find_map(|(key, value)| difference(value, &other[key], format!("{place}.{key}")))
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let mut pairs = one.iter().zip(other).enumerate();
            pairs.find_map(|(index, (one, other))| {
                difference(one, other, format!("{place}[{index} {}]", one["name"]))
            })
        }
        (one, other) if one == other => None,
        (one, other) => Some(format!("{place} is {other} instead of {one}")),
    }
}
