//! Documents made to cost much in validation: answered or refused, without a deep stack or a long wait.

use fraiseql_engine::{Document, Limits};
use fraiseql_model::response::Code;

use super::schema;

const SDL: &str = "type Query { i: I u(a: Int): Int } interface I { i: I n: Int }
    type A implements I { i: I n: Int } type B implements I { i: I n: Int }";

#[track_caller]
fn check(text: &str, expected: Option<Code>) {
    // What is counted before validation would refuse most of these for less.
    let limits = Limits { fields: 5_000, ..Limits::CEILING };
    let found = Document::parse(&schema(SDL), text, &limits).err();
    let found = found.map(|errors| errors[0].extensions.code);
    assert_eq!(found, expected, "{}...", text.get(..80).unwrap_or(text));
}

#[test]
fn long_chains_of_fragments_need_no_deep_stack() {
    let chain: String = (0..400).map(|n| format!("fragment F{n} on Query{{...F{}}}", n + 1)).collect();
    check(&format!("{{...F0}}{chain} fragment F400 on Query{{u}}"), None);
    check(&format!("{{...F0}}{chain} fragment F400 on Query{{...F0}}"), Some(Code::ValidationFailed));
}

#[test]
fn merging_has_a_budget() {
    // Each level can be entered as an A or as a B, so that the merged sets double.
    let mut text = "n".to_owned();
    for _ in 0..28 {
        text = format!("...on A{{i{{n}}}} ...on B{{i{{n}}}} i{{{text}}}");
    }
    check(&format!("{{i{{{text}}}}}"), None);
    check(&format!("{{{}}}", "u ".repeat(900)), None);
    let different: String = (0..2_000).map(|n| format!("x:u(a:{n}) ")).collect();
    check(&format!("{{{different}}}"), Some(Code::LimitExceeded));
    let on_types: String = (0..800).map(|n| format!("a{n}:n ")).collect();
    check(&format!("{{i{{...on A{{{on_types}}} ...on B{{{on_types}}} {on_types}}}}}"), None);
}

#[test]
fn many_operations_share_the_work() {
    let usages: String = (0..1_000).map(|n| format!("b{n}:u(a:$v) ")).collect();
    let operations: String = (0..300).map(|n| format!("query Q{n}($v:Int){{...F}} ")).collect();
    check(&format!("{operations} fragment F on Query{{{usages}}}"), Some(Code::LimitExceeded));
}
