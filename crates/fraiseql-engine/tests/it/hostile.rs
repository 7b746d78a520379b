//! Documents and variables that a hostile client would send: refused, and nothing breaks.

use fraiseql_engine::{
    Document, Limit, LimitMode, Limits, Variables, WARN_FACTOR, check_rows, check_values, plan,
};
use fraiseql_model::response::{Code, GraphqlError};
use serde_json::{Map, Value};

use crate::fixture::schema;

fn run(text: &str, variables: &str) -> Result<(), Vec<GraphqlError>> {
    run_within(text, variables, &Limits::default()).map(drop)
}

/// Runs a request as the server does; returns the limits that only warned.
fn run_within(text: &str, variables: &str, limits: &Limits) -> Result<Vec<Limit>, Vec<GraphqlError>> {
    let schema = schema();
    let document = Document::parse(&schema, text, limits)?;
    let raw: Map<String, Value> = serde_json::from_str(variables).unwrap();
    let mut told = document.exceeded().to_vec();
    told.extend(check_values(&raw, limits).map_err(|error| vec![error])?);
    let variables = Variables::coerce(&schema, &document, None, &raw)?;
    told.extend(check_rows(&document, None, &variables, limits).map_err(|error| vec![error])?);
    plan(&schema, &document, None, &variables, limits)?;
    Ok(told)
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
    let limits = Limits { tokens: 1_000_000, document_bytes: 1_000_000, ..Limits::default() };
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

/// Returns what a request is refused for: the limit's setting, or the code where it is no limit.
#[track_caller]
fn refusal(text: &str, variables: &str) -> String {
    let errors = run(text, variables).unwrap_err();
    assert!(errors.len() <= 20, "{} errors", errors.len());
    let extensions = &errors[0].extensions;
    extensions.limit.map_or_else(|| extensions.code.to_string(), str::to_owned)
}

fn repeated(count: usize, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect()
}

/// Every shape that we know clients to send who mean harm: name, document, variables, refusal.
fn shapes() -> Vec<(&'static str, String, String, &'static str)> {
    let none = || "{}".to_owned();
    let many = 100_000;
    let nested = |open: &str, close: &str| format!("{}{}", open.repeat(many), close.repeat(many));
    let chain = repeated(1_500, |at| format!("fragment F{at} on Artist{{...F{}}} ", at + 1));
    let deep_filter = |levels: usize| format!("{}{{}}{}", "{_not:".repeat(levels), "}".repeat(levels));
    let deep_json = |levels: usize| format!("{}{{}}{}", "{\"_not\":".repeat(levels), "}".repeat(levels));
    let bombs = repeated(40, |at| format!("fragment F{at} on Artist{{...F{0} ...F{0}}} ", at + 1));
    let large = "x".repeat(1_000_000);
    let filtered = "query($f:ArtistFilter){artists(where:$f){name}}".to_owned();
    vec![
        (
            "fragment bomb",
            format!("{{artists{{...F0}}}} {bombs} fragment F40 on Artist{{name}}"),
            none(),
            "limits.fields",
        ),
        (
            "fragment chain",
            format!("{{artists{{...F0}}}} {chain} fragment F1500 on Artist{{name}}"),
            none(),
            "limits.depth",
        ),
        (
            "fragment cycle",
            "{artists{...A}} fragment A on Artist{...A}".into(),
            none(),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("100k braces", nested("{artists", "}"), none(), "limits.document_bytes"),
        ("100k open braces", "{".repeat(many), none(), "GRAPHQL_PARSE_FAILED"),
        ("100k parentheses", format!("{{artists{}", nested("(", ")")), none(), "GRAPHQL_PARSE_FAILED"),
        (
            "100k brackets",
            format!("{{artists(orderBy:{}){{name}}}}", nested("[", "]")),
            none(),
            "GRAPHQL_PARSE_FAILED",
        ),
        (
            "7k brackets",
            format!("{{artists(orderBy:{}{}){{name}}}}", "[".repeat(7_000), "]".repeat(7_000)),
            none(),
            "GRAPHQL_PARSE_FAILED",
        ),
        (
            "100k brackets of a type",
            format!("query($x:{}Int{}){{artists{{name}}}}", "[".repeat(many), "]".repeat(many)),
            none(),
            "GRAPHQL_PARSE_FAILED",
        ),
        (
            "7k brackets of a type",
            format!("query($x:{}Int{}){{artists{{name}}}}", "[".repeat(7_000), "]".repeat(7_000)),
            none(),
            "GRAPHQL_PARSE_FAILED",
        ),
        (
            "200 brackets of a type",
            format!("query($x:{}Int{}){{artists{{name}}}}", "[".repeat(200), "]".repeat(200)),
            "{\"x\":1}".into(),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "5k aliases",
            format!("{{{}}}", repeated(5_000, |at| format!("a{at}:artists{{name}} "))),
            none(),
            "limits.tokens",
        ),
        (
            "1.5k aliases",
            format!("{{artists{{{}}}}}", repeated(1_500, |at| format!("a{at}:name "))),
            none(),
            "limits.aliases",
        ),
        (
            "60 root fields",
            format!("{{{}}}", repeated(60, |at| format!("a{at}:artists{{name}} "))),
            none(),
            "limits.root_fields",
        ),
        (
            "4.9k equal fields",
            format!("{{artists{{{}x}}}}", "name ".repeat(4_900)),
            none(),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("14k equal fields", format!("{{artists{{{}}}}}", "name ".repeat(14_000)), none(), "limits.fields"),
        (
            "200 kB string",
            format!("{{artists(where:{{name:{{eq:\"{}\"}}}}){{name}}}}", "x".repeat(200_000)),
            none(),
            "limits.literal_bytes",
        ),
        ("200 kB of spaces", format!("{}{{x}}", " ".repeat(200_000)), none(), "GRAPHQL_VALIDATION_FAILED"),
        ("200 kB of commas", ",".repeat(200_000), none(), "limits.tokens"),
        (
            "1 MB string",
            format!("{{artists(where:{{name:{{eq:\"{large}\"}}}}){{name}}}}"),
            none(),
            "limits.document_bytes",
        ),
        (
            "1 MB block string",
            format!("{{artists(where:{{name:{{eq:\"\"\"{large}\"\"\"}}}}){{name}}}}"),
            none(),
            "limits.document_bytes",
        ),
        ("1 MB name", format!("{{{large}}}"), none(), "limits.document_bytes"),
        ("1 MB comment", format!("#{large}\n{{x}}"), none(), "limits.document_bytes"),
        ("1 MB of spaces", format!("{}{{x}}", " ".repeat(1_000_000)), none(), "limits.document_bytes"),
        ("1 MB of commas", format!("{}{{x}}", ",".repeat(1_000_000)), none(), "limits.document_bytes"),
        ("1 MB of nonsense", "$".repeat(1_000_000), none(), "limits.document_bytes"),
        ("open string", format!("{{artists(where:{{name:{{eq:\"{large}"), none(), "limits.document_bytes"),
        (
            "number of 100k digits",
            format!("{{artist(artistId:{}){{name}}}}", "9".repeat(many)),
            none(),
            "limits.literal_bytes",
        ),
        (
            "number of 10k digits",
            format!("{{artist(artistId:{}){{name}}}}", "9".repeat(10_000)),
            none(),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("huge exponent", "{artists(limit:1e999999999){name}}".into(), none(), "GRAPHQL_VALIDATION_FAILED"),
        (
            "deep input object",
            format!("{{artists(where:{}){{name}}}}", deep_filter(100)),
            none(),
            "limits.value_depth",
        ),
        ("deep variable", filtered.clone(), format!("{{\"f\":{}}}", deep_json(100)), "limits.value_depth"),
        (
            "wide variable",
            filtered,
            format!("{{\"f\":{{\"_or\":[{}{{\"x\":1}}]}}}}", "{},".repeat(10_000)),
            "BAD_USER_INPUT",
        ),
        (
            "list where one is wanted",
            "query($i:Int!){artist(artistId:$i){name}}".into(),
            format!("{{\"i\":{}1{}}}", "[".repeat(30), "]".repeat(30)),
            "BAD_USER_INPUT",
        ),
        (
            "100k directives",
            format!("{{artists {}{{name}}}}", "@skip(if:true)".repeat(many)),
            none(),
            "limits.document_bytes",
        ),
        (
            "2k directives",
            format!("{{artists {}{{name}}}}", "@skip(if:false)".repeat(2_000)),
            none(),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "100k variables",
            format!("query({}){{artists{{name}}}}", repeated(many, |at| format!("$v{at}:Int "))),
            none(),
            "limits.document_bytes",
        ),
        (
            "3k variables",
            format!("query({}){{artists{{name}}}}", repeated(3_000, |at| format!("$v{at}:Int "))),
            none(),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "2k operations",
            repeated(2_000, |at| format!("query Q{at}{{artists{{name}}}} ")),
            none(),
            "limits.tokens",
        ),
        (
            "2k fragments without use",
            format!(
                "{{artists{{name}}}} {}",
                repeated(2_000, |at| format!("fragment F{at} on Artist{{name}} "))
            ),
            none(),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "rows by limits",
            "{artists(limit:100000){albums(limit:100000){title}}}".into(),
            none(),
            "limits.rows",
        ),
        (
            "rows by a variable",
            "query($n:Int){artists(limit:$n){name}}".into(),
            "{\"n\":2147483647}".into(),
            "limits.rows",
        ),
    ]
}

#[test]
fn every_known_shape_is_refused_for_what_it_is() {
    for (name, text, variables, expected) in shapes() {
        assert_eq!(refusal(&text, &variables), expected, "{name}");
    }
}

#[test]
fn each_limit_is_refused_one_above_itself() {
    let limits = Limits {
        depth: 3,
        fields: 6,
        aliases: 2,
        root_fields: 2,
        literal_bytes: 5,
        value_depth: 2,
        rows: 60,
        rows_unlimited_as: 5,
        ..Limits::default()
    };
    let cases = [
        ("{artists{albums{title}}}", None),
        ("{artists{albums{artist{name}}}}", Some("limits.depth")),
        ("{artists{...A ...A ...A}}fragment A on Artist{name artistId}", Some("limits.fields")),
        ("{artists{...A ...A}}fragment A on Artist{name artistId}", None),
        ("{artists{a:name b:name}}", None),
        ("{artists{...A ...A}}fragment A on Artist{a:name b:name}", Some("limits.aliases")),
        (
            "{artists{name} ...A}fragment A on Query{artist(artistId:1){name} __typename}",
            Some("limits.root_fields"),
        ),
        ("{artists(where:{name:{eq:\"12345\"}}){name}}", None),
        ("{artists(where:{name:{eq:\"123456\"}}){name}}", Some("limits.literal_bytes")),
        ("query($x:String=\"123456\"){artists(where:{name:{eq:$x}}){name}}", Some("limits.literal_bytes")),
        ("{artists @skip(if:true){name @include(if:\"123456\")}}", Some("limits.literal_bytes")),
        ("{artists(where:{_not:{name:{eq:\"1\"}}}){name}}", Some("limits.value_depth")),
        ("{artists(limit:60){name}}", None),
        ("{artists(limit:61){name}}", Some("limits.rows")),
        ("{artists(limit:10){albums{title}}}", None),
        ("{artists(limit:11){albums{title}}}", Some("limits.rows")),
        ("{artists(limit:11){albums(limit:4){title}}}", None),
        (
            "{artists(limit:10){...A}}fragment A on Artist{albums(limit:3){title} b:albums(limit:3){title}}",
            Some("limits.rows"),
        ),
        ("{artists(limit:-1){name}}", None),
        ("{artist(artistId:1){albums(limit:60){title}}}", None),
    ];
    for (text, expected) in cases {
        let refused = run_within(text, "{}", &limits).err().map(|errors| errors[0].extensions.limit);
        assert_eq!(refused, expected.map(Some), "{text}");
    }
}

#[test]
fn where_limits_only_warn_a_request_is_told_and_runs() {
    let limits =
        Limits { depth: 2, aliases: 0, rows: 10, tokens: 15, mode: LimitMode::Warn, ..Limits::default() };
    let text = "{a:artists{albums{artist{name}}}}";
    assert_eq!(
        run_within(text, "{}", &limits).unwrap_err()[0].extensions.limit,
        Some("limits.aliases"),
        "ten times nothing is nothing"
    );
    let limits = Limits { aliases: 1, ..limits };
    assert_eq!(run_within("{artists(limit:1){name}}", "{}", &limits).unwrap(), []);
    let text = "{a:artists(limit:10){b:name albums(limit:1){artist{name}}}}";
    assert_eq!(
        run_within(text, "{}", &limits).unwrap(),
        [Limit::Tokens, Limit::Depth, Limit::Aliases, Limit::Rows]
    );
    let text = format!("{{artists(limit:{}){{name}}}}", 10 * WARN_FACTOR + 1);
    assert_eq!(run_within(&text, "{}", &limits).unwrap_err()[0].extensions.limit, Some("limits.rows"));
}
