//! DROP INDEX waits for everybody on the table, and they wait for it.

use super::{Case, Found};
use crate::act::Act;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::DropIndex { name, concurrently: false } = case.act() else { return None };
    let table = case.schema.indexes.get(name).map(|index| index.table.as_str());
    if table.is_some_and(|table| !case.used(table) || case.schema.partitioned(table)) {
        return None;
    }
    let text = &case.step.text;
    let at = text.to_lowercase().find(" index ")? + " index".len();
    Some(Found::new(
        format!("DROP INDEX {name} locks the whole table; reads and writes wait until it has its turn"),
        "it holds ACCESS EXCLUSIVE on the table; CONCURRENTLY does not",
        case.separately(&[format!("{} CONCURRENTLY{}", &text[..at], &text[at..])]),
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::fixes;

    #[test]
    fn indexes_are_dropped_concurrently() {
        fixes("16", "DROP INDEX t_b;", "DROP INDEX CONCURRENTLY t_b;");
        fixes("16", "DROP INDEX IF EXISTS stranger;", "DROP INDEX CONCURRENTLY IF EXISTS stranger;");
    }
}
