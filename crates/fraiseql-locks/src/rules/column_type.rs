//! Most changes of a column's type write the table and its indexes anew.

use super::{Case, Found, Rewrite};
use crate::act::Act;
use crate::tree::quoted;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::ColumnType { table, column, to, .. } = case.act() else { return None };
    if !case.works_on(table) || case.schema.views.contains_key(table) {
        return None;
    }
    let (name, old) = (quoted(table), quoted(column));
    let new = quoted(&format!("{column}_new"));
    let rewrite = Rewrite::Advice(format!(
        "ALTER TABLE {name} ADD COLUMN {new} {to};\n\
         -- migrate: backfill\nUPDATE {name} SET {new} = {old}::{to} WHERE id BETWEEN $1 AND $2;\n\
         -- both releases write both columns; when no release needs the old one:\n\
         -- migrate: contract\nALTER TABLE {name} DROP COLUMN {old}"
    ));
    let (message, why) = if case.effect.rewrites.contains(table) {
        (
            format!("changing {table}.{column} to {to} writes all of {table} anew; reads and writes wait"),
            "rows hold another form of the value, or the old type is not known (name the DDL with --schema)",
        )
    } else {
        (
            format!("changing {table}.{column} to {to} reads all of {table}; reads and writes wait"),
            "a CHECK on the column is made anew, and checked for every row",
        )
    };
    Some(Found::new(message, why, rewrite))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn rewrites_and_checks_are_found() {
        check("16", "ALTER TABLE t ALTER COLUMN a TYPE bigint", &["column-type"]);
        check("16", "ALTER TABLE t ALTER COLUMN b TYPE varchar(10)", &["column-type"]);
        check("16", "ALTER TABLE t ALTER COLUMN b TYPE int USING b::int", &["column-type"]);
        check("16", "ALTER TABLE t ALTER COLUMN b TYPE text COLLATE \"C\"", &["column-type"]);
        check("16", "ALTER TABLE stranger ALTER COLUMN b TYPE text", &["column-type"]);
        check("16", "ALTER TABLE t ALTER COLUMN b TYPE varchar(40)", &[]);
        check("16", "ALTER TABLE t ALTER COLUMN b TYPE text", &[]);
    }
}
