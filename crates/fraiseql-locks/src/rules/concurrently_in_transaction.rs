//! CONCURRENTLY takes several transactions of its own: PostgreSQL refuses it within one.

use super::{Case, Found, Rewrite};
use crate::act::Act;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let concurrent = match case.act() {
        Act::CreateIndex(index) => index.concurrently,
        Act::DropIndex { concurrently, .. }
        | Act::ReindexIndex { concurrently, .. }
        | Act::ReindexTable { concurrently, .. }
        | Act::DetachPartition { concurrently, .. } => *concurrently,
        _ => false,
    };
    if !concurrent || !case.open.open {
        return None;
    }
    let rewrite = if case.open.by_tool {
        Rewrite::Advice("-- put it into a file that the tool runs without a transaction".to_owned())
    } else {
        case.separately(std::slice::from_ref(&case.step.text))
    };
    Some(Found::new(
        "CONCURRENTLY cannot run within a transaction",
        "it waits, between transactions of its own, until nobody uses the old state",
        rewrite,
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{check, fixes};

    #[test]
    fn it_is_taken_out_of_the_transaction() {
        fixes(
            "16",
            "BEGIN;\nCREATE INDEX CONCURRENTLY k ON t (a);\nCOMMIT;",
            "BEGIN;\nCOMMIT;\nCREATE INDEX CONCURRENTLY k ON t (a);\nBEGIN;\nCOMMIT;",
        );
        check("16", "BEGIN; DROP INDEX CONCURRENTLY t_b; COMMIT", &["concurrently-in-transaction"]);
    }
}
