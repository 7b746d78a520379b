//! Work in a transaction that already holds a lock for which others wait.

use super::{Case, Found, Rewrite};
use crate::act::{Act, WriteKind};

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    if !case.open.open {
        return None;
    }
    let (held, lock) = case.open.held.iter().find(|(_, lock)| lock.blocks_writes())?;
    let long = match case.act() {
        Act::Write(write) => !matches!(write.kind, WriteKind::Copy) || case.used(&write.table),
        Act::Validate { .. } => false,
        _ => case.effect.scans.iter().chain(&case.effect.rewrites).any(|relation| case.used(relation)),
    };
    let small =
        matches!(case.act(), Act::Write(write) if write.kind == WriteKind::Insert && write.reads.is_empty());
    if !long || small {
        return None;
    }
    let rewrite = if case.open.by_tool {
        Rewrite::Advice(format!("-- in the next file\n{}", case.step.text))
    } else {
        Rewrite::Advice(format!("COMMIT;\n{}", case.step.text))
    };
    Some(Found::new(
        format!("{held} stays locked ({lock}) while this works"),
        "a transaction keeps its locks until it ends; a backfill belongs outside",
        rewrite,
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn a_backfill_in_the_transaction_is_found() {
        let add = "BEGIN; ALTER TABLE t ADD COLUMN k int;";
        check(
            "16",
            &format!("{add} UPDATE t SET k = 1 WHERE id BETWEEN 1 AND 2; COMMIT"),
            &["unbounded-write", "work-while-locked"],
        );
        check("16", &format!("{add} UPDATE t SET k = 1 WHERE id = 4; COMMIT"), &["work-while-locked"]);
        check("16", &format!("{add} COMMIT; UPDATE t SET k = 1 WHERE id = 4"), &[]);
        check("16", &format!("{add} INSERT INTO o (id) VALUES (1); COMMIT"), &[]);
    }
}
