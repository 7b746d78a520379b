//! REINDEX keeps writers waiting, and readers of the index too.

use super::{Case, Found, Rewrite};
use crate::act::Act;
use crate::tree::quoted;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let (what, concurrent) = match case.act() {
        Act::ReindexIndex { name, concurrently: false } => {
            (name, format!("REINDEX INDEX CONCURRENTLY {}", quoted(name)))
        }
        Act::ReindexTable { table, concurrently: false } => {
            (table, format!("REINDEX TABLE CONCURRENTLY {}", quoted(table)))
        }
        _ => return None,
    };
    let rewrite = if case.from(12) {
        case.separately(&[concurrent])
    } else {
        Rewrite::Advice(
            "-- CREATE INDEX CONCURRENTLY a new one, then DROP INDEX CONCURRENTLY the old one".to_owned(),
        )
    };
    Some(Found::new(
        format!("REINDEX builds {what} anew; writes wait, and reads that use the index"),
        "it holds SHARE on the table and ACCESS EXCLUSIVE on the index until it is built",
        rewrite,
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{check, fixes};

    #[test]
    fn indexes_are_rebuilt_concurrently() {
        fixes("16", "REINDEX INDEX t_b;", "REINDEX INDEX CONCURRENTLY t_b;");
        fixes("12", "REINDEX TABLE t;", "REINDEX TABLE CONCURRENTLY t;");
        check("11", "REINDEX TABLE t", &["reindex"]);
        check("16", "REINDEX (CONCURRENTLY) TABLE t", &[]);
        check("16", "REINDEX DATABASE d", &["unknown-statement"]);
    }
}
