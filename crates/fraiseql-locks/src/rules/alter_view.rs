//! ALTER TABLE on a view: a view has no columns of its own.

use super::{Case, Found, Rewrite};
use crate::act::Act;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let (Act::AddColumn { table, .. } | Act::DropColumn { table, .. } | Act::ColumnType { table, .. }) =
        case.act()
    else {
        return None;
    };
    let view = case.schema.views.get(table)?;
    let instead = match view.reads.as_slice() {
        [one] => format!("-- alter {one}, which the view reads, and then CREATE OR REPLACE VIEW {table}"),
        many => format!("-- alter one of {}, and then CREATE OR REPLACE VIEW {table}", many.join(", ")),
    };
    Some(Found::new(
        format!("{table} is a view: its columns cannot be altered"),
        "a view shows what its query gives; columns belong to the tables that it reads",
        Rewrite::Advice(instead),
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{check, reports};

    #[test]
    fn the_table_behind_the_view_is_named() {
        check("16", "ALTER TABLE v_names ADD COLUMN k int", &["alter-view"]);
        let found = &reports("ALTER TABLE v_names ADD COLUMN k int", "16")[0].findings[0];
        assert!(found.rewrite.as_ref().is_some_and(|text| text.contains("alter o,")), "{found:?}");
    }
}
