//! UNIQUE and PRIMARY KEY build their index while nobody may use the table.

use super::{Case, Found, Rewrite};
use crate::act::{Act, ConstraintKind};
use crate::schema::constraint_name;
use crate::tree::quoted;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::AddConstraint { table, constraint } = case.act() else { return None };
    if !case.works_on(table) {
        return None;
    }
    let to = quoted(table);
    let plain = quoted(&constraint.name.clone().unwrap_or_else(|| constraint_name(table, constraint)));
    let (what, columns) = match &constraint.kind {
        ConstraintKind::Unique { columns } => ("UNIQUE", columns),
        ConstraintKind::PrimaryKey { columns } => ("PRIMARY KEY", columns),
        ConstraintKind::UsingIndex { primary: true, .. } => {
            return Some(Found::new(
                format!(
                    "PRIMARY KEY on a column that may be NULL reads all of {table}; reads and writes wait"
                ),
                "each of its columns has to be NOT NULL, which PostgreSQL checks row by row",
                Rewrite::Advice("-- make the columns NOT NULL in the safe form first".to_owned()),
            ));
        }
        _ => return None,
    };
    let list = columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
    let proven = columns.iter().all(|column| case.schema.proven_not_null(table, column));
    let words = ["INCLUDE", "WITH", "NULLS", "DEFERRABLE", "TABLESPACE"];
    let simple = !words.iter().any(|word| constraint.body.to_uppercase().contains(word));
    let build = format!("CREATE UNIQUE INDEX CONCURRENTLY {plain} ON {to} ({list})");
    let adopt = format!("ALTER TABLE {to} ADD CONSTRAINT {plain} {what} USING INDEX {plain}");
    let rewrite = if simple && (what == "UNIQUE" || proven) && !case.schema.partitioned(table) {
        case.separately(&[build, adopt])
    } else {
        Rewrite::Advice(format!("{build};\n-- with NOT NULL proven for each column\n{adopt}"))
    };
    Some(Found::new(
        format!("{what} on {table} builds an index; reads and writes wait"),
        "the index is built while ALTER TABLE holds ACCESS EXCLUSIVE; it can be built before, concurrently",
        rewrite,
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{check, fixes};

    #[test]
    fn the_index_is_built_before() {
        fixes(
            "16",
            "ALTER TABLE t ADD CONSTRAINT k UNIQUE (a, c);",
            "CREATE UNIQUE INDEX CONCURRENTLY k ON t (a, c);\nALTER TABLE t ADD CONSTRAINT k UNIQUE USING INDEX k;",
        );
        check("16", "ALTER TABLE nokey ADD PRIMARY KEY (a)", &["unique-constraint"]);
        let adopt = "CREATE UNIQUE INDEX CONCURRENTLY k ON nokey (a);
                     ALTER TABLE nokey ADD CONSTRAINT k PRIMARY KEY USING INDEX k";
        check("16", adopt, &["unique-constraint"]);
        let proven = "CREATE UNIQUE INDEX CONCURRENTLY k ON part2 (day);
                      ALTER TABLE part2 ADD CONSTRAINT k PRIMARY KEY USING INDEX k";
        check("16", proven, &[]);
        check("16", "CREATE TABLE fresh (a int); ALTER TABLE fresh ADD PRIMARY KEY (a)", &[]);
    }
}
