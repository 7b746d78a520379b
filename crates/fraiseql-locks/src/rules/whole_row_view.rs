//! A view that reads whole rows loses the column without a word.

use super::{Case, Found, Rewrite};
use crate::act::Act;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::DropColumn { table, column, .. } = case.act() else { return None };
    let view = case.schema.views_over(table).into_iter().find(|view| view.whole_rows.contains(table))?;
    Some(Found::new(
        format!("the view {} reads whole rows of {table}: {column} vanishes from what it gives", view.name),
        "PostgreSQL keeps no note of the columns in to_jsonb(t), row_to_json(t) or jsonb_agg(t), and allows the drop",
        Rewrite::Advice(format!(
            "-- name the columns in {}, and drop when no release reads {column} from it",
            view.name
        )),
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn whole_rows_are_found() {
        check("16", "-- migrate: contract\nALTER TABLE people DROP COLUMN email", &["whole-row-view"]);
        check("16", "-- migrate: contract\nALTER TABLE t DROP COLUMN b", &[]);
    }
}
