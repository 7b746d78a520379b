//! A column that must have a value and gets none: PostgreSQL reads the table and refuses.

use super::{Case, Found, Rewrite};
use crate::act::Act;
use crate::tree::quoted;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::AddColumn { table, column } = case.act() else { return None };
    let filled = column.default.as_ref().is_some_and(|default| !default.null)
        || column.identity
        || column.stored
        || column.kind.contains("serial");
    if !column.not_null || filled || !case.used(table) {
        return None;
    }
    let (to, name) = (quoted(table), quoted(&column.name));
    let rewrite = Rewrite::Advice(format!(
        "ALTER TABLE {to} ADD COLUMN {};\n-- fill it in batches, then\n\
         ALTER TABLE {to} ADD CONSTRAINT {name}_not_null CHECK ({name} IS NOT NULL) NOT VALID",
        column.bare
    ));
    let message = format!("ADD COLUMN {name} NOT NULL without a default fails as soon as {table} has a row");
    Some(Found::new(
        message,
        "the rows that are there have no value for it, and no release writes one yet",
        rewrite,
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn a_missing_default_is_found() {
        check("16", "ALTER TABLE t ADD COLUMN k int NOT NULL", &["add-column-not-null"]);
        check("16", "ALTER TABLE t ADD COLUMN k int NOT NULL DEFAULT 0", &[]);
    }
}
