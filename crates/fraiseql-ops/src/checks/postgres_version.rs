//! PostgreSQL is new enough.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass, warn};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "postgres-version",
    list: CheckList::Infrastructure,
    title: "PostgreSQL 10 or newer",
    why: "older versions lack what the statements use",
    help: "use PostgreSQL 10 or newer, best one that its makers still mend",
    mild: false,
};

const MIN: u32 = 100_000;
/// Below it the makers of PostgreSQL mend nothing any more.
const MENDED_MIN: u32 = 140_000;

/// Judges `server_version_num`.
pub fn postgres_version(number: &Looked<u32>) -> CheckFinding {
    judged(number, |&number| {
        let shown = format!("PostgreSQL {}.{}", number / 10_000, number % 10_000);
        match number {
            0..MIN => fail(shown),
            MIN..MENDED_MIN => warn(format!("{shown}: it gets no more fixes from its makers")),
            _ => pass(shown),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_is_the_least() {
        assert_eq!(postgres_version(&Ok(170_002)).to_string(), "pass: PostgreSQL 17.2");
        assert!(postgres_version(&Ok(100_023)).to_string().starts_with("warn: PostgreSQL 10.23"));
        assert_eq!(postgres_version(&Ok(90_624)).to_string(), "fail: PostgreSQL 9.624");
    }
}
