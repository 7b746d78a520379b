//! Measures what a text that no cache knows costs: parse, validate and plan. Not a test: it asserts nothing.
//!
//! `cold ARTIFACT QUERY` prints the median, the lowest and the highest time of one in microseconds, and the
//! medians of parsing with validation and of planning. Each timing is of a batch, so that the clock costs nothing.

use std::time::Instant;

use fraiseql_engine::{Document, Limits, Plan, Schema, Variables, plan};
use fraiseql_model::artifact::Artifact;

const BATCHES: usize = 101;
const BATCH: usize = 50;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [artifact, query] = arguments.as_slice() else {
        println!("cold ARTIFACT QUERY: which `make bench` gives it");
        return;
    };
    let bytes = std::fs::read(artifact).expect("the artifact can be read");
    let schema = Schema::load(Artifact::open(&bytes).expect("it is an artifact")).expect("it is sound");
    let limits = Limits::default();
    let parse = || Document::parse(&schema, query, &limits).expect("the query is valid");
    let planned = |document: &Document| -> Plan {
        let raw = serde_json::Map::new();
        let variables = Variables::coerce(&schema, document, None, &raw).expect("there are none");
        plan(&schema, document, None, &variables, &limits).expect("the query can be planned")
    };
    let document = parse();
    let whole = times(|| drop(planned(&parse())));
    let parsing = times(|| drop(parse()));
    let planning = times(|| drop(planned(&document)));
    let (median, highest) = (BATCHES / 2, BATCHES - 1);
    println!("{} {} {} {} {}", whole[median], whole[0], whole[highest], parsing[median], planning[median]);
}

/// Returns the times of one call in microseconds, in order.
fn times(call: impl Fn()) -> Vec<f64> {
    let mut found: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let begin = Instant::now();
            (0..BATCH).for_each(|_| call());
            begin.elapsed().as_secs_f64() * 1e6 / BATCH as f64
        })
        .collect();
    found.sort_by(f64::total_cmp);
    found
}
