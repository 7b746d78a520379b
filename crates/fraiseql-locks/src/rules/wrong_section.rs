//! Each section of a migration runs in its own way, and takes what fits it.

use super::{Case, Found, Rewrite};
use crate::act::{Act, WriteKind};
use crate::script::Section;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let section = case.statement.section?;
    let wrong = match (section, case.act()) {
        (_, Act::Begin | Act::End) => "a transaction is opened for each statement by the runner",
        (Section::Backfill, Act::Write(write))
            if matches!(write.kind, WriteKind::Update | WriteKind::Delete | WriteKind::Insert) =>
        {
            return None;
        }
        (Section::Backfill, _) => "the section backfill holds UPDATE, DELETE or INSERT, run in batches",
        (Section::Index, Act::CreateIndex(_) | Act::ReindexIndex { .. } | Act::DropIndex { .. }) => {
            return None;
        }
        (Section::Index, Act::AddConstraint { .. } | Act::Validate { .. } | Act::SetNotNull { .. }) => {
            return None;
        }
        (Section::Index, Act::DropConstraint { .. } | Act::Scan { .. }) => return None,
        (Section::Index, _) => "the section index holds indexes, and constraints that follow a backfill",
        (Section::Expand, Act::Write(_)) => "rows are written in the section backfill, after expand",
        _ => return None,
    };
    Some(Found::new(
        wrong,
        "expand is changes of the catalog, backfill is rows, index is what is built beside the traffic",
        Rewrite::Nothing,
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn statements_stand_where_they_run() {
        let guide = "-- migrate: expand\nALTER TABLE t ADD COLUMN k varchar;\n\
            -- migrate: backfill\nUPDATE t SET k = lower(b) WHERE id BETWEEN $1 AND $2;\n\
            -- migrate: index\nCREATE INDEX CONCURRENTLY t_k ON t (k);\n\
            -- migrate: contract\nALTER TABLE t DROP COLUMN b;\n\
            -- migrate: undo\nALTER TABLE t DROP COLUMN k;";
        check("16", guide, &[]);
        check("16", "-- migrate: expand\nUPDATE t SET a = 1 WHERE id = 1", &["wrong-section"]);
        check("16", "-- migrate: backfill\nALTER TABLE t ADD COLUMN k int", &["wrong-section"]);
        check("16", "-- migrate: index\nALTER TABLE t ADD COLUMN k int", &["wrong-section"]);
        check("16", "-- migrate: expand\nBEGIN", &["wrong-section"]);
    }
}
