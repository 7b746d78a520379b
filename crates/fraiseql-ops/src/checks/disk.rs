//! There is room on the disk.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass, warn};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "disk",
    list: CheckList::Infrastructure,
    title: "room on the disk",
    why: "a full disk stops PostgreSQL, and with it every write",
    help: "make room, or take a larger disk; `fraiseql backup prune` and `fraiseql releases prune` remove what is old",
    mild: true,
};

const FREE_MIN: u64 = 1 << 30;
const PERCENT_FAIL: u64 = 5;
const PERCENT_WARN: u64 = 15;

/// The disk of the project's state.
#[derive(Clone, Copy, Debug)]
pub struct DiskFacts {
    /// Bytes that may still be written.
    pub free_bytes: u64,
    /// Its size.
    pub total_bytes: u64,
}

/// Judges what is left.
pub fn disk(facts: &Looked<DiskFacts>) -> CheckFinding {
    judged(facts, |facts| {
        let percent = facts.free_bytes.saturating_mul(100) / facts.total_bytes.max(1);
        let shown = format!("{} MiB are left, {percent} %", facts.free_bytes >> 20);
        match percent {
            _ if facts.free_bytes < FREE_MIN || percent < PERCENT_FAIL => fail(shown),
            _ if percent < PERCENT_WARN => warn(shown),
            _ => pass(shown),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(free_gib: u64, total_gib: u64, expected: &str) {
        let facts = DiskFacts { free_bytes: free_gib << 30, total_bytes: total_gib << 30 };
        assert_eq!(disk(&Ok(facts)).to_string(), expected);
    }

    #[test]
    fn little_room_fails() {
        check(50, 100, "pass: 51200 MiB are left, 50 %");
        check(10, 100, "warn: 10240 MiB are left, 10 %");
        check(4, 100, "fail: 4096 MiB are left, 4 %");
        check(0, 1, "fail: 0 MiB are left, 0 %");
    }
}
