//! IF NOT EXISTS takes an index that a failed attempt left behind for a good one.

use super::{Case, Found, Rewrite};
use crate::act::Act;
use crate::script::Section;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::CreateIndex(index) = case.act() else { return None };
    // The runner removes its own invalid indexes, and looks whether the new one is valid.
    if !index.concurrently || !index.if_not_exists || case.in_section(Section::Index) {
        return None;
    }
    Some(Found::new(
        "IF NOT EXISTS is content with an invalid index of that name",
        "a concurrent build that fails leaves its index behind, invalid: it is written to, and never read",
        Rewrite::Advice("-- leave IF NOT EXISTS out, or look at pg_index.indisvalid afterwards".to_owned()),
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn a_hidden_invalid_index_is_warned_of() {
        check("16", "CREATE INDEX CONCURRENTLY IF NOT EXISTS k ON t (a)", &["index-if-not-exists"]);
        check("16", "-- migrate: index\nCREATE INDEX CONCURRENTLY IF NOT EXISTS k ON t (a)", &[]);
    }
}
