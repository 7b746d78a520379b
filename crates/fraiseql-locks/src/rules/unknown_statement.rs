//! A statement whose locks nobody can tell is treated as the worst.

use super::{Case, Found, Rewrite};

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let why = case.effect.unknown.as_ref()?;
    Some(Found::new(
        format!("its locks cannot be told: {why}"),
        "what is not known may hold any lock on any table for any time",
        Rewrite::Nothing,
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn what_is_not_known_is_not_called_safe() {
        for sql in [
            "DO $$ BEGIN PERFORM 1; END $$",
            "CALL p()",
            "SELECT my_migration()",
            "ALTER EXTENSION postgis UPDATE",
            "DROP TYPE mood CASCADE",
            "DROP SCHEMA s CASCADE",
            "ALTER SYSTEM SET work_mem = '1GB'",
            "IMPORT FOREIGN SCHEMA s FROM SERVER x INTO y",
        ] {
            check("16", sql, &["unknown-statement"]);
        }
        check("16", "SELECT count(*) FROM t", &[]);
        check("16", "SELECT pg_catalog.set_config('search_path', '', false)", &[]);
    }
}
