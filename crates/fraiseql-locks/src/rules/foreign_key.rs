//! A new foreign key is checked for every row, and holds up the writers of both tables.

use super::{Case, Found, Rewrite};
use crate::act::{Act, ConstraintKind};
use crate::schema::constraint_name;
use crate::tree::quoted;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::AddConstraint { table, constraint } = case.act() else { return None };
    let ConstraintKind::ForeignKey { to, .. } = &constraint.kind else { return None };
    if constraint.not_valid || !case.used(table) {
        return None;
    }
    let name = quoted(&constraint.name.clone().unwrap_or_else(|| constraint_name(table, constraint)));
    let from = quoted(table);
    let rewrite = if case.schema.partitioned(table) && !case.from(18) {
        Rewrite::Advice(
            "-- add it NOT VALID to each partition, validate it there, and then to the parent".to_owned(),
        )
    } else {
        case.then_separately(
            &format!("ALTER TABLE {from} ADD CONSTRAINT {name} {} NOT VALID", constraint.body),
            &[format!("ALTER TABLE {from} VALIDATE CONSTRAINT {name}")],
        )
    };
    Some(Found::new(
        format!("the foreign key {name} reads all of {table} and {to}; writes to both wait"),
        "it is checked while ALTER TABLE holds SHARE ROW EXCLUSIVE on both; VALIDATE lets writers go on",
        rewrite,
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{check, fixes};

    #[test]
    fn keys_are_validated_on_their_own() {
        fixes(
            "16",
            "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o (id);",
            "ALTER TABLE t ADD CONSTRAINT t_a_fkey FOREIGN KEY (a) REFERENCES o (id) NOT VALID;\n\
             ALTER TABLE t VALIDATE CONSTRAINT t_a_fkey;",
        );
        check("16", "ALTER TABLE parts ADD FOREIGN KEY (id) REFERENCES o", &["foreign-key"]);
        check("16", "CREATE TABLE fresh (a int); ALTER TABLE fresh ADD FOREIGN KEY (a) REFERENCES o", &[]);
        check("16", "CREATE TABLE fresh (a int REFERENCES o)", &[]);
    }
}
