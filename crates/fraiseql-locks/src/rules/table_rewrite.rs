//! Maintenance that writes the whole table anew.

use super::{Case, Found, Rewrite};
use crate::act::Act;

pub(super) fn check(case: &Case<'_>) -> Option<Found> {
    let Act::Rewrite { relation, what, .. } = case.act() else { return None };
    if !case.used(relation) {
        return None;
    }
    let rewrite = match *what {
        "VACUUM FULL" | "CLUSTER" => {
            Rewrite::Advice("-- VACUUM frees the space for new rows; pg_repack shrinks".to_owned())
        }
        _ => Rewrite::Nothing,
    };
    Some(Found::new(
        format!("{what} writes all of {relation} anew; reads and writes wait"),
        "it holds ACCESS EXCLUSIVE until the last row is written",
        rewrite,
    ))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::check;

    #[test]
    fn rewrites_are_found() {
        for sql in [
            "VACUUM FULL t",
            "VACUUM (FULL, ANALYZE) t",
            "CLUSTER t USING t_b",
            "ALTER TABLE t SET UNLOGGED",
            "ALTER TABLE t SET LOGGED",
            "ALTER TABLE t SET TABLESPACE fast",
            "ALTER TABLE t SET ACCESS METHOD heap",
        ] {
            check("16", sql, &["table-rewrite"]);
        }
        check("16", "VACUUM (ANALYZE) t", &[]);
        check("16", "ANALYZE t", &[]);
    }
}
