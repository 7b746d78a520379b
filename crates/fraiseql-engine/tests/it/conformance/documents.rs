//! Documents: valid or not, and where.

use std::collections::BTreeMap;

use fraiseql_engine::{Document, Limits, Schema};
use fraiseql_model::response::{Code, GraphqlError};
use serde_json::Value;

use super::{golden, schema};

const DOCUMENTS: &str = include_str!("documents.json");

/// Documents on which graphql-js is not right: those that hold the words, and what the specification says.
const DEVIATIONS: &[(&str, &[&str], &str)] = &[
    ("an empty selection set", &["{}", "{version{}}", "{dog{}}"], "2.8: SelectionSet is { Selection+ }"),
    (
        "zeros before a code point",
        &["{string(v:\"\\u{0000000000001F3B8}\")}"],
        "2.12.4: EscapedUnicode is { HexDigit+ }, as many as one likes",
    ),
    (
        "a variable in a @oneOf object, when the object's type is non-null",
        &[
            "query($x:ID){user(by:{id:$x}){id}}",
            "query($x:NameInput){user(by:{name:$x}){id}}",
            "query($x:ID){users(by:[{id:$x}]){id}}",
            "mutation($n:String){open(input:{kind:GIRO,owner:{name:$n}}){id}}",
        ],
        "5.8.5: IsNonNullPosition is true for a field of a OneOf Input Object",
    ),
    (
        "a variable with a default in a @oneOf object",
        &["query($a:Int=1){pick(v:{a:$a})}"],
        "5.8.5: a non-null default makes a nullable variable fit a non-null position",
    ),
    (
        "a float beyond all floats",
        &["{float(v:1e400)}"],
        "3.5.2: a value that IEEE 754 cannot represent must raise a request error",
    ),
    (
        "one string in two notations",
        &["{field(s:\"a\") field(s:\"\"\"a\"\"\")}"],
        "5.3.2: the arguments must be identical, and 2.12.4 gives both the same value",
    ),
];
/// Documents in which we say another place than graphql-js.
const PLACES: &[(&str, &str)] = &[
    ("\"on a variable\"", "a definition begins at its description there, at its name here"),
    ("\"d\" mutation", "the same"),
    ("description\"", "the same"),
    ("fragment G on T{t{...G} x:a x:b}", "with a cycle, nothing is merged here"),
    ("🎸", "a column is a character here, a UTF-16 unit there"),
];

#[test]
fn verdicts_and_places_are_those_of_graphql_js() {
    let golden = golden(DOCUMENTS);
    let schemas: BTreeMap<&str, Schema> = golden["schemas"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, sdl)| (name.as_str(), schema(sdl.as_str().unwrap())))
        .collect();
    let cases = golden["cases"].as_array().unwrap();
    let (mut wrong, mut elsewhere, mut deviating) = (Vec::new(), Vec::new(), 0);
    for case in cases {
        let (name, text) = (case["schema"].as_str().unwrap(), case["text"].as_str().unwrap());
        if DEVIATIONS.iter().any(|(_, texts, _)| texts.contains(&text)) {
            deviating += 1;
            continue;
        }
        let found = Document::parse(&schemas[name], text, &Limits::default()).err();
        match difference(case, found.as_deref()) {
            Difference::None => {}
            Difference::Verdict(words) => wrong.push(format!("{name}: {text}\n    {words}")),
            Difference::Place(_) if PLACES.iter().any(|(part, _)| text.contains(part)) => {}
            Difference::Place(words) => elsewhere.push(format!("{name}: {text}\n    {words}")),
        }
    }
    println!(
        "{} documents: {} verdicts differ, {} places differ, {deviating} documents of {} known deviations",
        cases.len(),
        wrong.len(),
        elsewhere.len(),
        DEVIATIONS.len()
    );
    let expected: usize = DEVIATIONS.iter().map(|(_, texts, _)| texts.len()).sum();
    assert_eq!(deviating, expected, "every known deviation is in the corpus");
    assert!(cases.len() > 1_900 && schemas.len() >= 20, "the corpus is all there");
    wrong.append(&mut elsewhere);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

enum Difference {
    None,
    Verdict(String),
    Place(String),
}

fn difference(case: &Value, found: Option<&[GraphqlError]>) -> Difference {
    let places = |errors: &[GraphqlError]| -> Vec<String> {
        let all = errors.iter().flat_map(|error| &error.locations);
        all.map(|place| format!("{}:{}", place.line, place.column)).collect()
    };
    match (&case["syntax"], &case["rules"], found) {
        (Value::Null, Value::Null, None) => Difference::None,
        (Value::Null, Value::Null, Some(errors)) => Difference::Verdict(format!("valid, not {errors:?}")),
        (Value::String(_), _, Some([error, ..])) if error.extensions.code == Code::ParseFailed => {
            Difference::None
        }
        (Value::Null, Value::Object(rules), Some(errors))
            if errors[0].extensions.code == Code::ValidationFailed =>
        {
            let found = places(errors);
            let mut expected = rules.values().flat_map(|errors| errors.as_array().unwrap());
            let meets = |error: &Value| {
                error.as_array().unwrap().iter().any(|place| found.iter().any(|found| place == found))
            };
            match expected.find(|error| !meets(error)) {
                None => Difference::None,
                Some(_) => Difference::Place(format!("{rules:?}, not at {found:?}: {errors:?}")),
            }
        }
        (syntax, rules, found) => Difference::Verdict(format!("{syntax} {rules}, not {found:?}")),
    }
}
