//! One statement that changes a whole table holds its row locks until the last row.

use super::{Case, Found, Rewrite};
use crate::act::{Act, Rows, WriteKind};
use crate::script::Section;
use crate::tree::quoted;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::Write(write) = case.act() else { return None };
    if !matches!(write.kind, WriteKind::Update | WriteKind::Delete | WriteKind::Merge)
        || !case.used(&write.table)
    {
        return None;
    }
    let key = case.schema.key(&write.table);
    let bounded = match &write.rows {
        Rows::Batch { .. } => true,
        // Without its definition, only a column called id is taken for a key.
        Rows::Equals { columns } => match key {
            Some(key) => key.iter().all(|column| columns.contains(column)),
            None => columns.iter().any(|column| column == "id"),
        },
        Rows::Every | Rows::Condition => false,
    };
    if bounded || (case.in_section(Section::Backfill) && write.kind != WriteKind::Merge) {
        return None;
    }
    let column = key.and_then(<[String]>::first).map_or("id", String::as_str);
    let joined = if write.rows == Rows::Every { "WHERE" } else { "AND" };
    Some(Found::new(
        format!("it may change all of {}; writers of the same rows wait until it ends", write.table),
        "row locks last until the end, dead rows pile up, and replicas fall behind",
        Rewrite::Advice(format!(
            "-- migrate: backfill\n{} {joined} {} BETWEEN $1 AND $2",
            case.step.text,
            quoted(column)
        )),
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn writes_without_bounds_are_found() {
        check("16", "UPDATE t SET a = 1", &["unbounded-write"]);
        check("16", "UPDATE t SET a = 1 WHERE a IS NULL", &["unbounded-write"]);
        check("16", "DELETE FROM t WHERE a < 5", &["unbounded-write"]);
        check("16", "UPDATE t SET a = 1 WHERE b = 'x'", &["unbounded-write"]);
        check("16", "UPDATE t SET a = 1 WHERE id = 4", &[]);
        check("16", "DELETE FROM t WHERE id IN (1, 2)", &[]);
        check("16", "UPDATE t SET a = 1 WHERE id BETWEEN $1 AND $2", &[]);
        check("16", "INSERT INTO t (id, c) VALUES (1, 'x')", &[]);
        check("16", "-- migrate: backfill\nUPDATE t SET a = 1 WHERE a IS NULL", &[]);
        check("16", "CREATE TABLE fresh (a int); UPDATE fresh SET a = 1", &[]);
    }
}
