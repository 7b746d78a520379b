//! An index of a partitioned table cannot be built concurrently: each partition's can.

use super::{Case, Found, Rewrite};
use crate::act::Act;
use crate::tree::quoted;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::CreateIndex(index) = case.act() else { return None };
    if !index.concurrently || !case.schema.partitioned(&index.table) {
        return None;
    }
    let table = quoted(&index.table);
    let name = quoted(index.name.as_deref().unwrap_or("NAME"));
    let mut lines = vec![format!("CREATE INDEX {name} ON ONLY {table} (...)")];
    for part in case.schema.below(&index.table) {
        let own = quoted(&format!("{part}_{}", index.name.as_deref().unwrap_or("NAME")));
        lines.push(format!("CREATE INDEX CONCURRENTLY {own} ON {} (...)", quoted(&part)));
        lines.push(format!("ALTER INDEX {name} ATTACH PARTITION {own}"));
    }
    Some(Found::new(
        format!("{} is partitioned: its index cannot be built concurrently", index.table),
        "PostgreSQL refuses it; build each partition's own index, and attach it",
        Rewrite::Advice(lines.join(";\n")),
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn a_partitioned_table_is_found() {
        check("16", "CREATE INDEX CONCURRENTLY k ON parts (id)", &["concurrently-on-partitioned"]);
        check("16", "CREATE INDEX CONCURRENTLY k ON part1 (id)", &[]);
        check("16", "CREATE INDEX k ON ONLY parts (id)", &[]);
    }
}
