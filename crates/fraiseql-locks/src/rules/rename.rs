//! A new name is a drop and an add at once: running releases know the old one.

use super::{Case, Found, Rewrite};
use crate::act::Act;
use crate::script::Section;
use crate::tree::quoted;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let (old, relation, advice) = match case.act() {
        Act::RenameColumn { table, from, to } => (
            format!("{table}.{from}"),
            table,
            format!("-- add {to}, let both be written, and drop {from} in the section contract"),
        ),
        Act::RenameRelation { relation, to } => (
            relation.clone(),
            relation,
            format!(
                "BEGIN;\nALTER TABLE {old} RENAME TO {new};\nCREATE VIEW {old} AS SELECT * FROM {new};\nCOMMIT",
                old = quoted(relation),
                new = quoted(to)
            ),
        ),
        _ => return None,
    };
    if !case.used(relation) || case.in_section(Section::Contract) || case.in_section(Section::Undo) {
        return None;
    }
    Some(Found::new(
        format!("{old} is gone for every release that is running"),
        "releases read and write it by its old name until they are replaced",
        Rewrite::Advice(advice),
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn renames_are_found() {
        check("16", "ALTER TABLE t RENAME COLUMN b TO k", &["rename"]);
        check("16", "ALTER TABLE t RENAME TO k", &["rename"]);
        check("16", "ALTER VIEW v_names RENAME TO k", &["rename"]);
        check("16", "ALTER INDEX t_b RENAME TO k", &[]);
        check("16", "ALTER TABLE t RENAME CONSTRAINT positive TO k", &[]);
    }
}
