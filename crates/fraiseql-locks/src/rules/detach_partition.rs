//! Detaching a partition waits for everybody on the parent, and they wait for it.

use super::{Case, Found};
use crate::act::Act;
use crate::tree::quoted;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::DetachPartition { table, part, concurrently: false } = case.act() else { return None };
    if !case.from(14) || !case.used(table) {
        return None;
    }
    let (to, from) = (quoted(table), quoted(part));
    Some(Found::new(
        format!("DETACH PARTITION locks all of {table}; reads and writes wait until it has its turn"),
        "it holds ACCESS EXCLUSIVE on the parent; from PostgreSQL 14 on, CONCURRENTLY does not",
        case.separately(&[format!("ALTER TABLE {to} DETACH PARTITION {from} CONCURRENTLY")]),
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{check, fixes};

    #[test]
    fn detaching_is_done_concurrently() {
        fixes(
            "16",
            "ALTER TABLE parts DETACH PARTITION part1;",
            "ALTER TABLE parts DETACH PARTITION part1 CONCURRENTLY;",
        );
        check("13", "ALTER TABLE parts DETACH PARTITION part1", &[]);
    }
}
