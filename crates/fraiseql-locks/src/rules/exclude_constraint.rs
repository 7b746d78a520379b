//! An exclusion constraint builds its index while nobody may use the table.

use super::{Case, Found, Rewrite};
use crate::act::{Act, ConstraintKind};

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::AddConstraint { table, constraint } = case.act() else { return None };
    if constraint.kind != ConstraintKind::Exclude || !case.works_on(table) {
        return None;
    }
    Some(Found::new(
        format!("an exclusion constraint reads all of {table}; reads and writes wait"),
        "PostgreSQL has no way to build it beside the work of others",
        Rewrite::Advice(
            "-- make a new table with the constraint, copy in batches, and switch the view".to_owned(),
        ),
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn exclusion_is_found() {
        check("16", "ALTER TABLE t ADD CONSTRAINT k EXCLUDE USING gist (a WITH =)", &["exclude-constraint"]);
    }
}
