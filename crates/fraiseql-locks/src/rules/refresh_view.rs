//! REFRESH keeps readers of the materialized view waiting.

use super::{Case, Found, Rewrite};
use crate::act::Act;
use crate::tree::quoted;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::Refresh { view, concurrently: false } = case.act() else { return None };
    Some(Found::new(
        format!("REFRESH computes {view} anew; reads wait"),
        "it holds ACCESS EXCLUSIVE on the view; CONCURRENTLY, which needs a unique index on it, does not",
        Rewrite::Advice(format!("REFRESH MATERIALIZED VIEW CONCURRENTLY {}", quoted(view))),
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn readers_are_let_through() {
        check("16", "REFRESH MATERIALIZED VIEW m", &["refresh-view"]);
        check("16", "REFRESH MATERIALIZED VIEW CONCURRENTLY m", &[]);
    }
}
