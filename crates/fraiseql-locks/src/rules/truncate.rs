//! TRUNCATE takes every row away from whoever reads, under the strongest lock.

use super::{Case, Found, Rewrite};
use crate::act::Act;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::Truncate { table, .. } = case.act() else { return None };
    case.used(table).then(|| {
        Found::new(
            format!("TRUNCATE empties {table} for every release; reads and writes wait"),
            "it holds ACCESS EXCLUSIVE, and cannot be taken back once committed",
            Rewrite::Advice(format!("-- delete in batches\nDELETE FROM {table} WHERE id BETWEEN $1 AND $2")),
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn only_a_table_in_use_counts() {
        check("16", "TRUNCATE t", &["truncate"]);
        check("16", "CREATE TABLE fresh (a int); TRUNCATE fresh", &[]);
    }
}
