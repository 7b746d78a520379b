//! Safe forms that an older server does not have.

use super::{Case, Found, Rewrite};
use crate::act::{Act, ConstraintKind};

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let (what, since) = match case.act() {
        Act::DetachPartition { concurrently: true, .. } => ("DETACH PARTITION CONCURRENTLY", 14),
        Act::ReindexIndex { concurrently: true, .. } | Act::ReindexTable { concurrently: true, .. } => {
            ("REINDEX CONCURRENTLY", 12)
        }
        Act::AddConstraint { table, constraint } => match &constraint.kind {
            ConstraintKind::NotNull { .. } => ("NOT NULL as a constraint of its own", 18),
            ConstraintKind::ForeignKey { .. } if constraint.not_valid && case.schema.partitioned(table) => {
                ("a foreign key NOT VALID on a partitioned table", 18)
            }
            _ => return None,
        },
        Act::CreateIndex(index) if case.schema.partitioned(&index.table) => {
            ("an index on a partitioned table", 11)
        }
        _ => return None,
    };
    (!case.from(since)).then(|| {
        Found::new(
            format!("{what} needs PostgreSQL {since}, and this is {}", case.version.major()),
            "the server refuses it",
            Rewrite::Nothing,
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn forms_are_refused_before_they_exist() {
        let rule: &[&str] = &["not-on-this-version"];
        check("13", "ALTER TABLE parts DETACH PARTITION part1 CONCURRENTLY", rule);
        check("14", "ALTER TABLE parts DETACH PARTITION part1 CONCURRENTLY", &[]);
        check("11", "REINDEX TABLE CONCURRENTLY t", rule);
        check("12", "REINDEX TABLE CONCURRENTLY t", &[]);
        check("17", "ALTER TABLE t ADD CONSTRAINT n NOT NULL a NOT VALID", rule);
        check("18", "ALTER TABLE t ADD CONSTRAINT n NOT NULL a NOT VALID", &[]);
        let key = "ALTER TABLE parts ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES o NOT VALID";
        check("17", key, rule);
        check("18", key, &[]);
    }
}
