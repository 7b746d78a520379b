//! What can be said about an expression without PostgreSQL: whether it changes from row to row,
//! and which functions it calls.

use squawk_syntax::{SyntaxKind, SyntaxNode};

use crate::act::Expression;
use crate::tree;

/// Functions of PostgreSQL that give one value for a whole statement.
const STABLE: &[&str] = &[
    "now",
    "current_timestamp",
    "current_date",
    "statement_timestamp",
    "transaction_timestamp",
    "lower",
    "upper",
    "coalesce",
    "nullif",
    "concat",
    "format",
    "to_char",
    "to_date",
    "to_timestamp",
    "date_trunc",
    "make_interval",
    "make_date",
    "md5",
    "length",
    "trim",
    "btrim",
    "ltrim",
    "rtrim",
    "replace",
    "substr",
    "substring",
    "left",
    "right",
    "abs",
    "round",
    "floor",
    "ceil",
    "ceiling",
    "greatest",
    "least",
    "array_length",
    "cardinality",
    "jsonb_build_object",
    "json_build_object",
    "jsonb_build_array",
    "json_build_array",
    "to_json",
    "to_jsonb",
    "current_setting",
    "timezone",
    "age",
    "extract",
    "date_part",
    "initcap",
    "split_part",
    "regexp_replace",
    "position",
    "strpos",
    "char_length",
    "array_to_string",
    "string_to_array",
    "int4range",
    "tstzrange",
    "daterange",
    "row",
    "concat_ws",
    "encode",
    "decode",
];

/// Functions that a query may call without locking or writing anything of its own.
const CALM: &[&str] = &[
    "count",
    "sum",
    "min",
    "max",
    "avg",
    "bool_and",
    "bool_or",
    "array_agg",
    "string_agg",
    "json_agg",
    "jsonb_agg",
    "row_to_json",
    "row_number",
    "rank",
    "dense_rank",
    "lag",
    "lead",
    "first_value",
    "generate_series",
    "unnest",
    "random",
    "gen_random_uuid",
    "uuid_generate_v4",
    "clock_timestamp",
    "nextval",
    "currval",
    "setval",
    "set_config",
    "pg_get_serial_sequence",
    "pg_sleep",
    "version",
    "exists",
    "jsonb_set",
    "jsonb_object_agg",
    "json_object_agg",
    "pg_advisory_xact_lock",
    "pg_try_advisory_lock",
    "pg_advisory_lock",
    "pg_advisory_unlock",
    "hashtext",
    "to_regclass",
];

/// Reads the expression that a clause such as DEFAULT holds.
pub(crate) fn read(node: &SyntaxNode) -> Expression {
    let text = tree::text(node);
    let strange_name = tree::all(node, SyntaxKind::NAME_REF)
        .iter()
        .any(|name| name.parent().is_none_or(|parent| parent.kind() != SyntaxKind::CALL_EXPR))
        && !is_plain_word(&text);
    let calls = calls(node);
    let volatile = strange_name
        || node.descendants().any(|below| is_query(below.kind()))
        || calls.iter().any(|call| !STABLE.contains(&call.as_str()));
    Expression { null: text.eq_ignore_ascii_case("null"), text, volatile }
}

/// Returns the functions that are called below a node, without `pg_catalog.` in front.
pub(crate) fn calls(node: &SyntaxNode) -> Vec<String> {
    let called = |call: SyntaxNode| {
        let first = call.children().next()?;
        let name = tree::text(&first).to_lowercase();
        Some(name.strip_prefix("pg_catalog.").map_or(name.clone(), str::to_owned))
    };
    tree::all(node, SyntaxKind::CALL_EXPR).into_iter().filter_map(called).collect()
}

/// Returns the functions that could do anything: those that are not PostgreSQL's own.
pub(crate) fn opaque(calls: &[String]) -> Vec<&str> {
    let known = |call: &&str| STABLE.contains(call) || CALM.contains(call);
    calls.iter().map(String::as_str).filter(|call| !known(call)).collect()
}

fn is_query(kind: SyntaxKind) -> bool {
    matches!(kind, SyntaxKind::SELECT | SyntaxKind::PAREN_SELECT | SyntaxKind::VALUES)
}

/// Words such as `current_user` are names to the parser.
fn is_plain_word(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "current_timestamp",
        "current_date",
        "current_time",
        "current_user",
        "session_user",
        "localtime",
        "localtimestamp",
        "user",
        "current_role",
    ];
    WORDS.contains(&text.to_lowercase().as_str())
}
