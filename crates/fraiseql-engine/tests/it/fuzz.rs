//! Requests at random on the whole way from text to bound parameters, without a database.
//!
//! Half of them are documents of the corpus with bytes and tokens changed, half are made by the grammar for
//! the fixture's schema. Nothing may panic; what is accepted must be planned the same way twice, bind as many
//! parameters as its SQL has, and carry no string of the client in its SQL.
//!
//! `FRAISEQL_FUZZ_CASES=1000000` runs a million; `FRAISEQL_FUZZ_SEED` begins elsewhere.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fraiseql_engine::{Document, Limits, MutationStep, Plan, Schema, Statement, Variables, bind, plan};
use fraiseql_model::response::{Code, GraphqlError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value};

const CASES: u64 = 10_000;
const SEED: u64 = 20_250_901;
/// Stands in every string that a generated request sends as a value.
const MARK: &str = "zQ7mark";

#[test]
fn random_requests_are_answered_or_refused() {
    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
    };
    let (cases, seed) = (number("FRAISEQL_FUZZ_CASES", CASES), number("FRAISEQL_FUZZ_SEED", SEED));
    let golden: Value = serde_json::from_str(include_str!("conformance/documents.json")).unwrap();
    let corpus = Corpus::new(&golden);
    let fixture = crate::fixture::schema();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut counts = Counts::default();
    for case in 0..cases {
        let (schema, text, variables) = if case % 2 == 0 {
            let (schema, text) = corpus.mutated(&mut rng);
            (schema, text, any_object(&mut rng))
        } else {
            let (text, variables) = generated(&mut rng);
            (&fixture, text, variables)
        };
        let run = || run(schema, &text, &variables);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let (first, second) = (run(), run());
            assert_eq!(first, second, "a second run gives the same");
            first
        }));
        let sent = Value::Object(variables.clone());
        let outcome = outcome.unwrap_or_else(|_panic| panic!("seed {seed}, case {case}: {text}\n{sent}"));
        counts.add(&outcome);
        check(schema, &outcome, case % 2 == 1, &|| {
            format!("seed {seed}, case {case}: {text}\n{sent}\n{outcome:?}")
        });
    }
    println!("{cases} requests: {counts:?}; peak memory {}", peak_memory());
    assert!(counts.planned > 0 && counts.refused.len() >= 4, "the requests reach every stage: {counts:?}");
}

#[derive(Debug, Default)]
struct Counts {
    planned: u64,
    refused: std::collections::BTreeMap<Code, u64>,
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Ok(_) => self.planned += 1,
            Err(errors) => *self.refused.entry(errors[0].extensions.code).or_default() += 1,
        }
    }
}

/// SQL and bound values of each statement, or why there are none.
type Outcome = Result<Vec<(String, Vec<Option<Vec<u8>>>)>, Vec<GraphqlError>>;

fn run(schema: &Schema, text: &str, raw: &Map<String, Value>) -> Outcome {
    let limits = Limits::default();
    let document = Document::parse(schema, text, &limits)?;
    let variables = Variables::coerce(schema, &document, None, raw)?;
    let statements: Vec<Statement> = match plan(schema, &document, None, &variables, &limits)? {
        Plan::Query(query) => query.statement.into_iter().collect(),
        Plan::Mutation(mutation) => mutation
            .fields
            .into_iter()
            .flat_map(|step| match step {
                MutationStep::Static { .. } => Vec::new(),
                MutationStep::Write(write) => write.statements,
            })
            .collect(),
        #[expect(
            unreachable_patterns,
            reason = "kinds of plans that hold no statement of their own may come"
        )]
        _ => Vec::new(),
    };
    let bound = |statement: &Statement| {
        let values = bind(statement, &variables).map_err(|error| vec![error])?;
        Ok((
            statement.sql.to_string(),
            values.into_iter().map(|value| value.map(|bytes| bytes.to_vec())).collect(),
        ))
    };
    statements.iter().map(bound).collect()
}

fn check(schema: &Schema, outcome: &Outcome, planned: bool, say: &dyn Fn() -> String) {
    match outcome {
        Ok(statements) => {
            for (sql, values) in statements {
                assert_eq!(parameters(sql), values.len(), "as many values as parameters: {}", say());
                assert!(!sql.contains(MARK), "no string of a client in SQL: {}", say());
            }
        }
        Err(errors) => {
            assert!(!errors.is_empty() && errors.len() <= 20, "{}", say());
            for error in errors {
                // The corpus's schemas are bound to nothing, the fixture's is.
                let internal = error.extensions.code == Code::Internal;
                assert!(!(internal && planned), "no fault of ours: {}", say());
                assert!(error.locations.iter().all(|place| place.line > 0 && place.column > 0), "{}", say());
            }
            serde_json::to_string(errors).expect("errors are JSON");
        }
    }
    assert!(!schema.sdl().is_empty());
}

/// Returns how many different parameters a statement has; they are numbered without gaps.
fn parameters(sql: &str) -> usize {
    let numbers: BTreeSet<usize> = sql
        .split('$')
        .skip(1)
        .filter_map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..end].parse().ok()
        })
        .collect();
    assert_eq!(numbers.last().copied().unwrap_or(0), numbers.len(), "{sql}");
    numbers.len()
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// The documents of the corpus with their schemas.
struct Corpus<'g> {
    schemas: Vec<(&'g str, Schema)>,
    cases: Vec<(usize, &'g str)>,
}

impl<'g> Corpus<'g> {
    fn new(golden: &'g Value) -> Self {
        let all = golden["schemas"].as_object().unwrap();
        let schemas: Vec<(&str, Schema)> = all
            .iter()
            .map(|(name, sdl)| (name.as_str(), crate::conformance::schema(sdl.as_str().unwrap())))
            .collect();
        let cases = golden["cases"].as_array().unwrap().iter().map(|case| {
            let schema = schemas.iter().position(|(name, _)| case["schema"] == *name).unwrap();
            (schema, case["text"].as_str().unwrap())
        });
        Self { cases: cases.collect(), schemas }
    }

    fn mutated(&self, rng: &mut ChaCha8Rng) -> (&Schema, String) {
        let (schema, text) = self.cases[rng.random_range(0..self.cases.len())];
        let mut text = text.to_owned();
        for _ in 0..rng.random_range(0..4) {
            let other = self.cases[rng.random_range(0..self.cases.len())].1;
            text = changed(&text, other, rng);
        }
        (&self.schemas[schema].1, text)
    }
}

const PIECES: &[&str] = &[
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ":",
    "!",
    "$",
    "@",
    "...",
    "...F",
    "\"",
    "\"\"\"",
    "\\",
    "#",
    "\n",
    "\r",
    "\u{feff}",
    "\0",
    "🎸",
    "é",
    "\u{202e}",
    "-",
    "1e9",
    "1e999",
    "0",
    "null",
    "true",
    "$v",
    "on",
    "fragment F on Query",
    "query Q($v:Int=1)",
    "mutation",
    "subscription",
    "@skip(if:true)",
    "__typename",
    "__schema{types{name}}",
    "__type(name:$v){fields{name}}",
    "{{{{{{{{{{",
    "[[[[[[[[[[[[[[[[",
    "\"\\u{",
    "\\uD83C",
    "_",
    "a:",
    "=",
    "|",
    "&",
];

fn changed(text: &str, other: &str, rng: &mut ChaCha8Rng) -> String {
    let cut = |text: &str, rng: &mut ChaCha8Rng| {
        let mut at = rng.random_range(0..=text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (one, two) = (cut(text, rng), cut(text, rng));
    let (start, end) = (one.min(two), one.max(two));
    match rng.random_range(0..6) {
        0 => format!("{}{}", &text[..start], &text[end..]),
        1 => format!("{}{}{}", &text[..end], &text[start..end], &text[end..]),
        2 => format!("{}{}{}", &text[..start], PIECES[rng.random_range(0..PIECES.len())], &text[start..]),
        3 => format!("{}{}", &text[..start], &other[cut(other, rng)..]),
        4 => format!("{text} {other}"),
        _ => {
            format!("{}{}{}", &text[..start], text[start..end].repeat(rng.random_range(2..40)), &text[end..])
        }
    }
}

fn any_object(rng: &mut ChaCha8Rng) -> Map<String, Value> {
    (0..rng.random_range(0..3)).map(|index| (["v", "x", "a"][index].to_owned(), any_json(rng, 3))).collect()
}

fn any_json(rng: &mut ChaCha8Rng, depth: usize) -> Value {
    match rng.random_range(0..if depth == 0 { 8 } else { 11 }) {
        0 => Value::Null,
        1 => Value::Bool(rng.random()),
        2 => Value::from(rng.random_range(-3..4)),
        3 => serde_json::from_str("12345678901234567890.5e-3").unwrap(),
        4 => serde_json::from_str("1e99999").unwrap(),
        5 => Value::from(format!("{MARK}'; -- $1 \" \\ %_\u{0}🎸")),
        6 => Value::from(["RED", "ASC", "name", "__proto__", ""][rng.random_range(0..5)]),
        7 => Value::from(i64::from(i32::MAX) + rng.random_range(-1..2)),
        8 | 9 => {
            let keys =
                ["x", "a", "eq", "in", "name", "artistId", "_or", "_and", "_not", "isnull", "contains"];
            let mut key = || keys[rng.random_range(0..keys.len())].to_owned();
            let keys: Vec<String> = (0..3).map(|_| key()).collect();
            let count = rng.random_range(0..4);
            keys.into_iter().take(count).map(|key| (key, any_json(rng, depth - 1))).collect()
        }
        _ => (0..rng.random_range(0..4)).map(|_| any_json(rng, depth - 1)).collect(),
    }
}

/// Returns an operation on the fixture's schema that is valid more often than not, and its variables.
fn generated(rng: &mut ChaCha8Rng) -> (String, Map<String, Value>) {
    let mut maker = Maker { rng, definitions: Vec::new(), variables: Map::new() };
    let fields: Vec<String> = (0..maker.rng.random_range(1..4)).map(|index| maker.root(index)).collect();
    let kind = if maker.rng.random_range(0..8) == 0 { "mutation" } else { "query" };
    let fields = if kind == "mutation" {
        let id = maker.rng.random_range(-2..3);
        vec![format!("d:deleteArtist(artistId:{id}){}", maker.artist(2)), "__typename".to_owned()]
    } else {
        fields
    };
    let definitions = match maker.definitions.as_slice() {
        [] => String::new(),
        all => format!("({})", all.join(" ")),
    };
    (format!("{kind}{definitions}{{{}}}", fields.join(" ")), maker.variables)
}

struct Maker<'r> {
    rng: &'r mut ChaCha8Rng,
    definitions: Vec<String>,
    variables: Map<String, Value>,
}

impl Maker<'_> {
    fn one_in(&mut self, n: u32) -> bool {
        self.rng.random_range(0..n) == 0
    }

    fn root(&mut self, index: usize) -> String {
        match self.rng.random_range(0..8) {
            0 => format!("t{index}:__typename"),
            1 => format!("s{index}:__schema{{queryType{{name}} types{{name kind isOneOf}}}}"),
            2 | 3 => {
                let id = self.int();
                format!("a{index}:artist(artistId:{id}){}", self.artist(3))
            }
            _ => format!("l{index}:artists{}{}", self.list_arguments("Artist"), self.artist(3)),
        }
    }

    fn artist(&mut self, depth: usize) -> String {
        let mut fields = vec!["name".to_owned()];
        if self.one_in(2) {
            fields.push("artistId x:artistId @skip(if:false)".to_owned());
        }
        if depth > 0 && self.one_in(2) {
            let arguments = self.list_arguments("Album");
            let below =
                if self.one_in(2) { format!(" artist{}", self.artist(depth - 1)) } else { String::new() };
            fields.push(format!("albums{arguments}{{title ...on Album{{albumId{below}}}}}"));
        }
        format!("{{{}}}", fields.join(" "))
    }

    fn list_arguments(&mut self, ty: &str) -> String {
        let mut arguments = Vec::new();
        if self.one_in(2) {
            let value = self.filter(ty, 3);
            arguments.push(format!("where:{}", self.literal_or_variable(&format!("{ty}Filter"), value)));
        }
        if self.one_in(3) {
            let order = if ty == "Artist" { "[{name:ASC},{artistId:DESC}]" } else { "{artist:{name:ASC}}" };
            arguments.push(format!("orderBy:{order}"));
        }
        if self.one_in(3) {
            arguments.push(format!("limit:{}", self.int()));
        }
        if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(" ")) }
    }

    fn int(&mut self) -> String {
        let value = Value::from(self.rng.random_range(-2..5));
        self.literal_or_variable("Int!", value)
    }

    fn filter(&mut self, ty: &str, depth: usize) -> Value {
        let mut filter = Map::new();
        let text = Value::from(format!("{MARK}\"'\\%_ $1"));
        let operator = ["eq", "contains", "isnull", "in", "nope"];
        for _ in 0..self.rng.random_range(0..3) {
            let (key, value) = match self.rng.random_range(0..8) {
                0 if depth > 0 => {
                    ("_and", Value::from(vec![self.filter(ty, depth - 1), self.filter(ty, depth - 1)]))
                }
                1 if depth > 0 && ty == "Artist" => ("_or", Value::from(vec![self.filter(ty, depth - 1)])),
                2 if depth > 0 && ty == "Artist" => ("_not", self.filter(ty, depth - 1)),
                3 if depth > 0 && ty == "Artist" => {
                    let quantifier = ["some", "every", "none"][self.rng.random_range(0..3)];
                    (
                        "albums",
                        Value::Object(Map::from_iter([(
                            quantifier.to_owned(),
                            self.filter("Album", depth - 1),
                        )])),
                    )
                }
                4 if depth > 0 && ty == "Album" => ("artist", self.filter("Artist", depth - 1)),
                5 => ("name", any_json(self.rng, 1)),
                _ => {
                    let operator = operator[self.rng.random_range(0..operator.len())];
                    let value = match operator {
                        "in" => Value::from(vec![text.clone(), text.clone()]),
                        "isnull" => Value::Bool(self.rng.random()),
                        _ => text.clone(),
                    };
                    let key = if ty == "Artist" { "name" } else { "title" };
                    (key, Value::Object(Map::from_iter([(operator.to_owned(), value)])))
                }
            };
            filter.insert(key.to_owned(), value);
        }
        Value::Object(filter)
    }

    fn literal_or_variable(&mut self, ty: &str, value: Value) -> String {
        if self.one_in(2) {
            return literal(&value);
        }
        let name = format!("v{}", self.definitions.len());
        self.definitions.push(format!("${name}:{ty}"));
        if !self.one_in(12) {
            let value = if self.one_in(12) { any_json(self.rng, 2) } else { value };
            self.variables.insert(name.clone(), value);
        }
        format!("${name}")
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| format!("{key}:{}", literal(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}
