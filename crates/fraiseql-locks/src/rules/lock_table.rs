//! LOCK TABLE keeps others waiting until the transaction ends.

use super::{Case, Found, Rewrite};
use crate::act::Act;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::LockTable { tables, mode } = case.act() else { return None };
    let table = tables.iter().find(|table| case.used(table)).filter(|_| mode.blocks_writes())?;
    Some(Found::new(
        format!("LOCK TABLE holds {mode} on {table} until the transaction ends"),
        "whoever needs the table waits for all that the transaction does",
        Rewrite::Advice("-- leave it out: each statement takes the lock that it needs".to_owned()),
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn locks_that_others_wait_for_are_found() {
        check("16", "LOCK TABLE t IN SHARE MODE", &["lock-table"]);
        check("16", "LOCK t", &["lock-table"]);
        check("16", "LOCK TABLE t IN ROW SHARE MODE", &[]);
    }
}
