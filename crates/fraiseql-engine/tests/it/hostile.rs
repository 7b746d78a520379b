//! Documents and variables that a hostile client would send: refused, and nothing breaks.

use fraiseql_engine::{Document, Limits, Variables, plan};
use fraiseql_model::response::{Code, GraphqlError};
use serde_json::{Map, Value};

use crate::fixture::schema;

fn run(text: &str, variables: &str) -> Result<(), Vec<GraphqlError>> {
    let schema = schema();
    let limits = Limits::default();
    let document = Document::parse(&schema, text, &limits)?;
    let raw: Map<String, Value> = serde_json::from_str(variables).unwrap();
    let variables = Variables::coerce(&schema, &document, None, &raw)?;
    plan(&schema, &document, None, &variables, &limits).map(|_| ())
}

#[track_caller]
fn check(text: &str, variables: &str, expected: Code) {
    let errors = run(text, variables).unwrap_err();
    assert_eq!(errors[0].extensions.code, expected, "{errors:?}");
}

#[test]
fn a_fragment_bomb_is_counted_before_it_expands() {
    let mut text = "{ artists { ...F0 } }".to_owned();
    for level in 0..60 {
        let next = level + 1;
        text.push_str(&format!(
            " fragment F{level} on Artist {{ albums {{ artist {{ ...F{next} ...F{next} }} }} }}"
        ));
    }
    text.push_str(" fragment F60 on Artist { name }");
    check(&text, "{}", Code::LimitExceeded);
}

#[test]
fn deep_nesting_is_refused() {
    let depth = 100_000;
    let text = format!("{}name{}", "{artists".repeat(depth), "}".repeat(depth));
    check(&text, "{}", Code::LimitExceeded);
    let limits = Limits { tokens: 1_000_000, ..Limits::default() };
    let errors = Document::parse(&schema(), &text, &limits).unwrap_err();
    assert_eq!(errors[0].extensions.code, Code::ParseFailed, "{errors:?}");
}

#[test]
fn deep_but_legal_nesting_meets_the_depth_limit() {
    let levels = 20;
    let text = format!("{{artists{}{{name}}{}}}", "{albums{artist".repeat(levels), "}}".repeat(levels));
    check(&text, "{}", Code::LimitExceeded);
}

#[test]
fn thousands_of_aliases_are_refused() {
    let aliases: String = (0..5_000).map(|index| format!("a{index}:artists{{name}} ")).collect();
    check(&format!("{{{aliases}}}"), "{}", Code::LimitExceeded);
    let aliases: String = (0..51).map(|index| format!("a{index}:artists{{name}} ")).collect();
    check(&format!("{{{aliases}}}"), "{}", Code::LimitExceeded);
}

#[test]
fn fragments_that_name_each_other_are_invalid() {
    let text = "{artists{...A}} fragment A on Artist{...B} fragment B on Artist{...A}";
    check(text, "{}", Code::ValidationFailed);
}

#[test]
fn null_in_a_filter_is_an_error_however_it_arrives() {
    check("{artists(where:{artistId:{eq:null}}){name}}", "{}", Code::BadUserInput);
    check("query($i:Int){artists(where:{artistId:{eq:$i}}){name}}", r#"{"i":null}"#, Code::BadUserInput);
    check(
        "query($f:ArtistFilter){artists(where:$f){name}}",
        r#"{"f":{"artistId":{"eq":null}}}"#,
        Code::BadUserInput,
    );
    check(
        "query($f:ArtistFilter){artists(where:$f){name}}",
        r#"{"f":{"artistId":null}}"#,
        Code::BadUserInput,
    );
    check("{artists(where:{_not:null}){name}}", "{}", Code::BadUserInput);
    assert!(run("query($f:ArtistFilter){artists(where:$f){name}}", "{}").is_ok(), "absent is no filter");
}

#[test]
fn values_outside_of_their_type_are_refused_before_the_database() {
    let text = "query($i:Int!){artist(artistId:$i){name}}";
    check(text, r#"{"i":2147483648}"#, Code::BadUserInput);
    check(text, r#"{"i":"1"}"#, Code::BadUserInput);
    check(text, r#"{"i":1.5}"#, Code::BadUserInput);
    check(text, "{}", Code::BadUserInput);
    assert!(run(text, r#"{"i":1}"#).is_ok());
}

#[test]
fn variables_of_another_shape_make_another_plan() {
    let schema = schema();
    let limits = Limits::default();
    let document =
        Document::parse(&schema, "query($f:ArtistFilter){artists(where:$f){name}}", &limits).unwrap();
    let shape = |json: &str| {
        let raw = serde_json::from_str(json).unwrap();
        Variables::coerce(&schema, &document, None, &raw).unwrap().shape().to_owned()
    };
    assert_eq!(shape(r#"{"f":{"name":{"eq":"a"}}}"#), shape(r#"{"f":{"name":{"eq":"b"}}}"#));
    assert_ne!(shape(r#"{"f":{"name":{"eq":"a"}}}"#), shape(r#"{"f":{"name":{"contains":"a"}}}"#));
    assert_ne!(shape(r#"{"f":{"name":{"isnull":true}}}"#), shape(r#"{"f":{"name":{"isnull":false}}}"#));
    assert_ne!(shape(r#"{"f":{"_or":[{},{}]}}"#), shape(r#"{"f":{"_or":[{}]}}"#));
    assert_ne!(
        shape(r#"{"f":{"_or":[{"name":{}},{}]}}"#),
        shape(r#"{"f":{"_or":[{"name":{},"_and":[{}]}]}}"#)
    );
}
