//! NOT VALID and VALIDATE in one transaction: the strong lock is held while the table is read.

use super::{Case, Found, Rewrite};
use crate::act::Act;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::Validate { table, name } = case.act() else { return None };
    let added = |act: &Act| {
        matches!(act, Act::AddConstraint { table: other, constraint }
            if other == table && constraint.name.as_deref().is_none_or(|other| other == name))
    };
    // One statement is one transaction, whatever stands around it.
    let together = (case.open.open && case.open.acts.iter().any(added))
        || case.statement.steps.iter().any(|step| added(&step.act));
    if !together || !case.used(table) {
        return None;
    }
    let rewrite = if case.open.by_tool {
        Rewrite::Advice(format!("-- in the next file\n{}", case.step.text))
    } else {
        case.separately(std::slice::from_ref(&case.step.text))
    };
    Some(Found::new(
        format!("{name} is validated in the transaction that added it: {table} stays locked meanwhile"),
        "a transaction keeps its locks until it ends, so NOT VALID gains nothing here",
        rewrite,
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{check, fixes, names};

    #[test]
    fn the_two_are_taken_apart() {
        let add = "ALTER TABLE t ADD CONSTRAINT big CHECK (a > 10) NOT VALID";
        fixes(
            "16",
            &format!("BEGIN;\n{add};\nALTER TABLE t VALIDATE CONSTRAINT big;\nCOMMIT;"),
            &format!("BEGIN;\n{add};\nCOMMIT;\nALTER TABLE t VALIDATE CONSTRAINT big;\nBEGIN;\nCOMMIT;"),
        );
        check("16", &format!("{add}; ALTER TABLE t VALIDATE CONSTRAINT big"), &[]);
        let both = "ALTER TABLE t ADD CONSTRAINT big CHECK (a > 10) NOT VALID, VALIDATE CONSTRAINT big";
        assert!(!names(both, "16").is_empty(), "one statement is one transaction");
    }
}
