//! What is dropped is gone for every release that still reads it.

use super::{Case, Found, Rewrite};
use crate::act::Act;
use crate::script::Section;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let (what, relation) = match case.act() {
        Act::DropColumn { table, column, .. } => (format!("{table}.{column}"), table),
        Act::DropTable { table, .. } => (table.clone(), table),
        Act::DropView { name, .. } => (name.clone(), name),
        _ => return None,
    };
    if !case.used(relation) || case.in_section(Section::Contract) || case.in_section(Section::Undo) {
        return None;
    }
    Some(Found::new(
        format!("{what} is dropped while a running release may still read it"),
        "an old release stops at the next query; the section contract waits until none is left",
        Rewrite::Advice(format!("-- migrate: contract\n{}", case.step.text)),
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn drops_belong_into_contract() {
        check("16", "ALTER TABLE t DROP COLUMN b", &["drop-before-contract"]);
        check("16", "DROP TABLE nokey", &["drop-before-contract"]);
        check("16", "-- migrate: expand\nDROP VIEW v_names", &["drop-before-contract"]);
        check("16", "-- migrate: contract\nALTER TABLE t DROP COLUMN b", &[]);
        check("16", "CREATE TABLE fresh (a int); DROP TABLE fresh", &[]);
    }
}
