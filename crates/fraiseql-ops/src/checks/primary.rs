//! The database takes writes.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "primary",
    list: CheckList::Infrastructure,
    title: "the database is a primary",
    why: "a replica refuses every mutation",
    help: "point DATABASE_URL at the primary; target_session_attrs=read-write finds it among several hosts",
    mild: false,
};

/// Judges whether the server is in recovery.
pub fn primary(in_recovery: &Looked<bool>) -> CheckFinding {
    judged(in_recovery, |in_recovery| match in_recovery {
        false => pass("it is not in recovery"),
        true => fail("it is in recovery: a replica"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_fails() {
        assert_eq!(primary(&Ok(false)).to_string(), "pass: it is not in recovery");
        assert_eq!(primary(&Ok(true)).to_string(), "fail: it is in recovery: a replica");
    }
}
