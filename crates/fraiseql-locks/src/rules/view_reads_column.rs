//! A column that a view reads can neither be dropped nor change its type.

use super::{Case, Found, Rewrite};
use crate::act::Act;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let (table, column, cascade) = match case.act() {
        Act::DropColumn { table, column, cascade } => (table, column, *cascade),
        Act::ColumnType { table, column, .. } => (table, column, false),
        _ => return None,
    };
    let reads = case.schema.views_over(table).into_iter().find(|view| view.words.contains(column))?;
    if cascade {
        return Some(Found::new(
            format!("CASCADE drops the view {}, which reads {table}.{column}", reads.name),
            "whoever reads the view stops at the next query",
            Rewrite::Advice(format!("-- make {} without the column first", reads.name)),
        ));
    }
    Some(Found::new(
        format!("PostgreSQL refuses it: the view {} reads {table}.{column}", reads.name),
        "a view is bound to the columns and types that it was made with",
        Rewrite::Advice(format!(
            "-- in one transaction: DROP VIEW {0}, the change, and CREATE VIEW {0} as it shall be then",
            reads.name
        )),
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn views_are_named() {
        check("16", "-- migrate: contract\nALTER TABLE o DROP COLUMN n", &["view-reads-column"]);
        check("16", "-- migrate: contract\nALTER TABLE o DROP COLUMN n CASCADE", &["view-reads-column"]);
        check("16", "-- migrate: contract\nALTER TABLE t DROP COLUMN b", &[]);
    }
}
