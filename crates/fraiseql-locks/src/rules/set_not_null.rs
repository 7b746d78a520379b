//! SET NOT NULL reads the table, unless a validated CHECK proves that it holds.

use super::{Case, Found};
use crate::act::Act;
use crate::tree::quoted;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::SetNotNull { table, column } = case.act() else { return None };
    if !case.works_on(table) {
        return None;
    }
    let (to, name) = (quoted(table), quoted(column));
    let last = table.rsplit('.').next().unwrap_or(table);
    let proof = quoted(&format!("{last}_{column}_not_null"));
    let validate = format!("ALTER TABLE {to} VALIDATE CONSTRAINT {proof}");
    let rewrite = if case.from(18) {
        let first = format!("ALTER TABLE {to} ADD CONSTRAINT {proof} NOT NULL {name} NOT VALID");
        case.then_separately(&first, &[validate])
    } else {
        let first = format!("ALTER TABLE {to} ADD CONSTRAINT {proof} CHECK ({name} IS NOT NULL) NOT VALID");
        let mut then = vec![validate];
        if case.from(12) {
            then.push(format!("ALTER TABLE {to} ALTER COLUMN {name} SET NOT NULL"));
            then.push(format!("ALTER TABLE {to} DROP CONSTRAINT {proof}"));
        }
        case.then_separately(&first, &then)
    };
    Some(Found::new(
        format!("SET NOT NULL reads all of {table}; reads and writes wait"),
        "PostgreSQL looks for NULL in every row while it holds ACCESS EXCLUSIVE",
        rewrite,
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{check, fixes};

    #[test]
    fn a_validated_check_is_proof_from_12_on() {
        fixes(
            "16",
            "ALTER TABLE t ALTER COLUMN b SET NOT NULL;",
            "ALTER TABLE t ADD CONSTRAINT t_b_not_null CHECK (b IS NOT NULL) NOT VALID;\n\
             ALTER TABLE t VALIDATE CONSTRAINT t_b_not_null;\n\
             ALTER TABLE t ALTER COLUMN b SET NOT NULL;\nALTER TABLE t DROP CONSTRAINT t_b_not_null;",
        );
        fixes(
            "18",
            "ALTER TABLE t ALTER COLUMN b SET NOT NULL;",
            "ALTER TABLE t ADD CONSTRAINT t_b_not_null NOT NULL b NOT VALID;\n\
             ALTER TABLE t VALIDATE CONSTRAINT t_b_not_null;",
        );
        let proven = "ALTER TABLE t ADD CONSTRAINT k CHECK (b IS NOT NULL) NOT VALID;
                      ALTER TABLE t VALIDATE CONSTRAINT k; ALTER TABLE t ALTER b SET NOT NULL";
        check("12", proven, &[]);
        check("11", proven, &["set-not-null"]);
        let unproven = "ALTER TABLE t ADD CONSTRAINT k CHECK (b IS NOT NULL) NOT VALID;
                        ALTER TABLE t ALTER b SET NOT NULL";
        check("16", unproven, &["set-not-null"]);
        check("16", "ALTER TABLE stranger ALTER b SET NOT NULL", &["set-not-null"]);
        check("16", "ALTER TABLE t ALTER c SET NOT NULL", &[]);
    }
}
