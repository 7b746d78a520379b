//! PostgreSQL 14.0 to 14.3 can build a wrong index when it builds concurrently.

use super::{Case, Found, Rewrite};
use crate::act::Act;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let concurrent = match case.act() {
        Act::CreateIndex(index) => index.concurrently,
        Act::ReindexIndex { concurrently, .. } | Act::ReindexTable { concurrently, .. } => *concurrently,
        _ => false,
    };
    (concurrent && case.version.corrupts_concurrent_indexes()).then(|| {
        Found::new(
            "an index that this server builds concurrently can lack rows",
            "PostgreSQL 14.0 to 14.3 lose rows that change while an index is built",
            Rewrite::Advice("-- update the server to 14.4 or later first".to_owned()),
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn only_the_broken_versions_are_refused() {
        let create = "CREATE INDEX CONCURRENTLY k ON t (a)";
        check("14.3", create, &["concurrent-index-corrupts"]);
        check("14.4", create, &[]);
        check("14", create, &[]);
        check("15.1", create, &[]);
    }
}
