//! A backfill goes through a table by its key: without one there are no batches.

use super::{Case, Found, Rewrite};
use crate::act::{Act, WriteKind};
use crate::script::Section;
use crate::tree::quoted;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::Write(write) = case.act() else { return None };
    if !case.in_section(Section::Backfill) || !matches!(write.kind, WriteKind::Update | WriteKind::Delete) {
        return None;
    }
    // Only a table whose definition was seen can be said to have no key.
    if !case.schema.tables.contains_key(&write.table) || case.schema.key(&write.table).is_some() {
        return None;
    }
    let table = quoted(&write.table);
    Some(Found::new(
        format!("{} has no key to go through it by", write.table),
        "batches begin where the last one ended, which takes a unique key",
        Rewrite::Advice(format!(
            "ALTER TABLE {table} ADD COLUMN id bigint;\n\
             -- fill it, then CREATE UNIQUE INDEX CONCURRENTLY, then ADD PRIMARY KEY USING INDEX"
        )),
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn a_table_without_a_key_is_found() {
        check(
            "16",
            "-- migrate: backfill\nUPDATE nokey SET a = 1 WHERE a IS NULL",
            &["backfill-without-key"],
        );
        check("16", "-- migrate: backfill\nUPDATE t SET a = 1 WHERE id BETWEEN $1 AND $2", &[]);
        check("16", "-- migrate: backfill\nUPDATE t SET a = 1", &[]);
    }
}
