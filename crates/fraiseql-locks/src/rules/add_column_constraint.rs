//! A constraint that comes with a new column is checked for every row at once.

use super::{Case, Found, Rewrite};
use crate::act::{Act, Constraint, ConstraintKind};
use crate::schema::constraint_name;
use crate::tree::quoted;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::AddColumn { table, column } = case.act() else { return None };
    if !case.works_on(table) || column.constraints.is_empty() {
        return None;
    }
    let default = column.default.as_ref().filter(|default| !default.null);
    let slow = |constraint: &&Constraint| {
        default.is_some() || !matches!(constraint.kind, ConstraintKind::ForeignKey { .. })
    };
    let constraint = column.constraints.iter().find(slow)?;
    let (to, name) = (quoted(table), quoted(&column.name));
    let named = match &constraint.name {
        Some(name) => quoted(name),
        None => quoted(&constraint_name(&format!("{table}_{}", column.name), constraint)),
    };
    let value = default.map_or_else(String::new, |default| format!(" DEFAULT {}", default.text));
    let not_null = if column.not_null { " NOT NULL" } else { "" };
    let add = format!("ALTER TABLE {to} ADD COLUMN {}{value}{not_null}", column.bare);
    let splits = column.constraints.len() == 1
        && !column.identity
        && !column.stored
        && default.is_none_or(|default| !default.volatile && case.from(11))
        && (!column.not_null || default.is_some());
    let rewrite = match &constraint.kind {
        ConstraintKind::Check { .. } if splits => {
            let later = format!("ALTER TABLE {to} ADD CONSTRAINT {named} {} NOT VALID", constraint.body);
            case.then_separately(
                &format!("{add};\n{later}"),
                &[format!("ALTER TABLE {to} VALIDATE CONSTRAINT {named}")],
            )
        }
        ConstraintKind::ForeignKey { .. } if splits => {
            let body = &constraint.body;
            let later =
                format!("ALTER TABLE {to} ADD CONSTRAINT {named} FOREIGN KEY ({name}) {body} NOT VALID");
            case.then_separately(
                &format!("{add};\n{later}"),
                &[format!("ALTER TABLE {to} VALIDATE CONSTRAINT {named}")],
            )
        }
        _ => Rewrite::Advice(format!("{add};\n-- and the constraint later, in its own safe form")),
    };
    Some(Found::new(
        format!("the constraint on the new column {name} reads all of {table}; reads and writes wait"),
        "the constraint is checked while ALTER TABLE holds ACCESS EXCLUSIVE",
        rewrite,
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{check, fixes};

    #[test]
    fn constraints_are_split_off() {
        fixes(
            "16",
            "ALTER TABLE t ADD COLUMN k int CHECK (k > 0);",
            "ALTER TABLE t ADD COLUMN k int;\nALTER TABLE t ADD CONSTRAINT t_k_check CHECK (k > 0) NOT VALID;\n\
             ALTER TABLE t VALIDATE CONSTRAINT t_k_check;",
        );
        fixes(
            "16",
            "ALTER TABLE t ADD COLUMN k int DEFAULT 1 REFERENCES o (id);",
            "ALTER TABLE t ADD COLUMN k int DEFAULT 1;\n\
             ALTER TABLE t ADD CONSTRAINT t_k_k_fkey FOREIGN KEY (k) REFERENCES o (id) NOT VALID;\n\
             ALTER TABLE t VALIDATE CONSTRAINT t_k_k_fkey;",
        );
        check("16", "ALTER TABLE t ADD COLUMN k int UNIQUE", &["add-column-constraint"]);
        check("16", "ALTER TABLE t ADD COLUMN k int REFERENCES o", &[]);
    }
}
