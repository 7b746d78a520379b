//! No database comes near the end of its transaction numbers.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass, warn};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "wraparound",
    list: CheckList::Infrastructure,
    title: "far from the end of transaction numbers",
    why: "at two thousand million unfrozen transactions PostgreSQL refuses all writes",
    help: "let autovacuum work: end old transactions and forgotten replication slots, then VACUUM FREEZE the oldest tables",
    mild: true,
};

const WARN: i64 = 500_000_000;
const FAIL: i64 = 1_500_000_000;

/// The oldest database of the cluster.
#[derive(Clone, Debug)]
pub struct DatabaseAge {
    /// Its name.
    pub database: String,
    /// Transactions since everything in it was frozen.
    pub age: i64,
}

/// Judges the oldest database.
pub fn wraparound(oldest: &Looked<DatabaseAge>) -> CheckFinding {
    judged(oldest, |DatabaseAge { database, age }| {
        let shown = format!("{database} is {age} transactions old");
        match *age {
            FAIL.. => fail(shown),
            WARN.. => warn(shown),
            _ => pass(shown),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(age: i64, expected: &str) {
        let oldest = DatabaseAge { database: "shop".into(), age };
        assert!(wraparound(&Ok(oldest)).to_string().starts_with(expected));
    }

    #[test]
    fn an_old_database_fails() {
        check(1_000, "pass: shop is 1000 transactions old");
        check(600_000_000, "warn");
        check(1_600_000_000, "fail");
    }
}
