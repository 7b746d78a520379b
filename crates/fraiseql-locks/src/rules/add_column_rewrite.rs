//! A column whose first value differs from row to row writes the whole table anew.

use super::{Case, Found, Rewrite};
use crate::act::Act;
use crate::effect::rewrite_cause;
use crate::tree::quoted;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::AddColumn { table, column } = case.act() else { return None };
    let cause = rewrite_cause(column, case.schema, case.version).filter(|_| case.works_on(table))?;
    let (to, name) = (quoted(table), quoted(&column.name));
    let rewrite = match &column.default {
        Some(default) => Rewrite::Advice(format!(
            "ALTER TABLE {to} ADD COLUMN {bare};\nALTER TABLE {to} ALTER COLUMN {name} SET DEFAULT {value};\n\
             -- migrate: backfill\nUPDATE {to} SET {name} = DEFAULT WHERE id BETWEEN $1 AND $2",
            bare = column.bare,
            value = default.text,
        )),
        None => Rewrite::Advice(format!(
            "-- add the column plain, fill it in batches, and then give it what it needs\n\
             ALTER TABLE {to} ADD COLUMN {}",
            column
                .bare
                .replace("bigserial", "bigint")
                .replace("smallserial", "smallint")
                .replace("serial", "int"),
        )),
    };
    Some(Found::new(
        format!("ADD COLUMN {name} writes all of {table} anew; reads and writes wait"),
        cause,
        rewrite,
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn a_value_for_each_row_is_found() {
        let rule: &[&str] = &["add-column-rewrite"];
        check("16", "ALTER TABLE t ADD COLUMN k uuid DEFAULT gen_random_uuid()", rule);
        check("16", "ALTER TABLE t ADD COLUMN k timestamptz DEFAULT clock_timestamp()", rule);
        check("16", "ALTER TABLE t ADD COLUMN k bigserial", rule);
        check("16", "ALTER TABLE t ADD COLUMN k int GENERATED ALWAYS AS IDENTITY", rule);
        check("16", "ALTER TABLE t ADD COLUMN k int GENERATED ALWAYS AS (a + 1) STORED", rule);
        check("16", "ALTER TABLE t ADD COLUMN k positive_int", rule);
        check("16", "ALTER TABLE t ADD COLUMN k something_unknown", rule);
        check("16", "ALTER TABLE t ADD COLUMN k int DEFAULT my_function()", rule);
        check("10", "ALTER TABLE t ADD COLUMN k int DEFAULT 1", rule);
        check("10", "ALTER TABLE t ADD COLUMN k int NOT NULL DEFAULT 1", rule);
    }

    #[test]
    fn one_value_for_all_rows_is_fine() {
        check("11", "ALTER TABLE t ADD COLUMN k int NOT NULL DEFAULT 1", &[]);
        check("16", "ALTER TABLE t ADD COLUMN k timestamptz DEFAULT now()", &[]);
        check("16", "ALTER TABLE t ADD COLUMN k text[] DEFAULT '{}'::text[]", &[]);
        check("16", "ALTER TABLE t ADD COLUMN k mood", &[]);
        check("16", "ALTER TABLE t ADD COLUMN k label", &[]);
        check("10", "ALTER TABLE t ADD COLUMN k varchar(20)", &[]);
        check("10", "ALTER TABLE t ADD COLUMN k int DEFAULT NULL", &[]);
        check("18", "ALTER TABLE t ADD COLUMN k int GENERATED ALWAYS AS (a + 1) VIRTUAL", &[]);
        check("16", "CREATE TABLE fresh (a int); ALTER TABLE fresh ADD COLUMN k bigserial", &[]);
    }
}
