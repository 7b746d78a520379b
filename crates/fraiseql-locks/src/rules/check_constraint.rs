//! A new CHECK is checked for every row at once, unless it is NOT VALID first.

use super::{Case, Found};
use crate::act::{Act, ConstraintKind};
use crate::schema::constraint_name;
use crate::tree::quoted;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::AddConstraint { table, constraint } = case.act() else { return None };
    let fits = match &constraint.kind {
        ConstraintKind::Check { .. } => true,
        ConstraintKind::NotNull { .. } => case.from(18),
        _ => false,
    };
    if !fits || !case.works_on(table) {
        return None;
    }
    let to = quoted(table);
    let name = quoted(&constraint.name.clone().unwrap_or_else(|| constraint_name(table, constraint)));
    Some(Found::new(
        format!("ADD CONSTRAINT {name} reads all of {table}; reads and writes wait"),
        "the constraint is checked while ALTER TABLE holds ACCESS EXCLUSIVE; VALIDATE lets others work",
        case.then_separately(
            &format!("ALTER TABLE {to} ADD CONSTRAINT {name} {} NOT VALID", constraint.body),
            &[format!("ALTER TABLE {to} VALIDATE CONSTRAINT {name}")],
        ),
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{check, fixes};

    #[test]
    fn checks_are_validated_on_their_own() {
        fixes(
            "16",
            "ALTER TABLE t ADD CONSTRAINT big CHECK (a > 10);",
            "ALTER TABLE t ADD CONSTRAINT big CHECK (a > 10) NOT VALID;\nALTER TABLE t VALIDATE CONSTRAINT big;",
        );
        fixes(
            "18",
            "ALTER TABLE t ADD CONSTRAINT n NOT NULL a;",
            "ALTER TABLE t ADD CONSTRAINT n NOT NULL a NOT VALID;\nALTER TABLE t VALIDATE CONSTRAINT n;",
        );
        fixes(
            "16",
            "BEGIN;\nALTER TABLE t ADD CHECK (a > 10);\nCOMMIT;",
            "BEGIN;\nALTER TABLE t ADD CONSTRAINT t_check CHECK (a > 10) NOT VALID;\nCOMMIT;\n\
             ALTER TABLE t VALIDATE CONSTRAINT t_check;\nBEGIN;\nCOMMIT;",
        );
        check("16", "CREATE TABLE fresh (a int); ALTER TABLE fresh ADD CHECK (a > 0)", &[]);
    }
}
