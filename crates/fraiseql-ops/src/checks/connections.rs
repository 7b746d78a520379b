//! The database has connections enough for the pools.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass, warn};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "connections",
    list: CheckList::Infrastructure,
    title: "max_connections covers the pools, old and new",
    why: "during a rollout old and new instances have pools at the same time; who comes too late is refused",
    help: "lower database.pool_size, raise max_connections, or put PgBouncer in front",
    mild: true,
};

/// What the database grants and what the pools may take.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionFacts {
    /// `max_connections`.
    pub max: u64,
    /// `superuser_reserved_connections`.
    pub reserved: u64,
    /// `database.pool_size`.
    pub pool: u64,
    /// `agent.instances`.
    pub instances: u64,
}

/// Fails when the instances alone want more, warns when they do during a rollout.
pub fn connections(facts: &Looked<ConnectionFacts>) -> CheckFinding {
    judged(facts, |facts| {
        let left = facts.max.saturating_sub(facts.reserved);
        let wanted = facts.pool.saturating_mul(facts.instances);
        let shown = format!("{left} for clients, {} instances want {wanted}", facts.instances);
        match left {
            _ if wanted > left => fail(shown),
            _ if wanted.saturating_mul(2) > left => {
                warn(format!("{shown}, and {} during a rollout", wanted.saturating_mul(2)))
            }
            _ => pass(shown),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(instances: u64, expected: &str) {
        let facts = ConnectionFacts { max: 100, reserved: 3, pool: 16, instances };
        assert_eq!(connections(&Ok(facts)).to_string(), expected);
    }

    #[test]
    fn pools_that_do_not_fit_fail() {
        check(2, "pass: 97 for clients, 2 instances want 32");
        check(4, "warn: 97 for clients, 4 instances want 64, and 128 during a rollout");
        check(7, "fail: 97 for clients, 7 instances want 112");
    }
}
