//! Keys and columns of rows that a write hands on, as SQL.

use fraiseql_model::names::quote_identifier;

use crate::schema::{KeyColumn, Object, column_sql};
use crate::sql::KEYS_SETTING;

/// Returns columns with their types, for a function that returns records.
pub(crate) fn column_types(columns: &[(String, String)]) -> String {
    let typed = columns.iter().map(|(column, sql)| format!("{} {sql}", quote_identifier(column)));
    typed.collect::<Vec<_>>().join(", ")
}

/// Returns the condition that two rows have the same key.
pub(crate) fn same_key(object: &Object, left: &str, right: &str) -> String {
    let equal =
        |key: &KeyColumn| format!("{} = {}", column_sql(left, &key.column), column_sql(right, &key.column));
    object.key.iter().map(equal).collect::<Vec<_>>().join(" AND ")
}

/// Returns what FROM opens to read the keys that a write left in the session, numbered.
pub(crate) fn written_keys(object: &Object, alias: &str) -> String {
    let typed: Vec<String> =
        object.key.iter().map(|key| format!("{} {}", quote_identifier(&key.column), key.sql_type)).collect();
    let names: Vec<String> = object.key.iter().map(|key| quote_identifier(&key.column)).collect();
    format!(
        "ROWS FROM (json_to_recordset(current_setting('{KEYS_SETTING}')::pg_catalog.json) AS ({})) \
         WITH ORDINALITY AS {alias}({}, \"#\")",
        typed.join(", "),
        names.join(", ")
    )
}
