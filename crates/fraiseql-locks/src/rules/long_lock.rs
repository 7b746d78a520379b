//! The net below all rules: whatever works on a whole relation while others wait for it.

use super::{Case, Found, Rewrite};
use crate::act::Act;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let busy = |relation: &&String| {
        let blocks = case.effect.locks.get(*relation).is_some_and(|lock| lock.blocks_writes());
        blocks && case.works_on(relation)
    };
    let work = case.effect.scans.iter().chain(&case.effect.rewrites);
    let relation = work.into_iter().find(busy)?;
    // Nobody but another refresh writes to a materialized view.
    if matches!(case.act(), Act::Refresh { concurrently: true, .. }) {
        return None;
    }
    let lock = case.effect.locks.get(relation)?;
    Some(Found::new(
        format!("it works through all of {relation} while it holds {lock}"),
        "whoever needs the relation waits until that is done",
        Rewrite::Nothing,
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::WORLD;
    use crate::{LintRequest, ServerVersion, SqlFile, lint};

    #[test]
    fn what_no_other_rule_names_is_still_refused() {
        let part = "CREATE TABLE parts_default PARTITION OF parts DEFAULT;";
        let next = "CREATE TABLE part3 PARTITION OF parts FOR VALUES FROM ('2022-01-01') TO ('2023-01-01')";
        let version = ServerVersion::read("16").expect("a version");
        let schema = format!("{WORLD}{part}");
        let request = LintRequest {
            files: &[SqlFile { name: "m.sql", text: next }],
            schema: &[SqlFile { name: "schema.sql", text: &schema }],
            version,
            one_transaction: false,
        };
        let reports = lint(&request).expect("SQL");
        assert_eq!(reports[0].findings[0].rule, "long-lock");
    }
}
