//! The process may have open files enough.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass, warn};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "open-files",
    list: CheckList::Infrastructure,
    title: "open files: 16,384 or more",
    why: "each client and each connection of the database is an open file; without one left, clients are refused",
    help: "raise the limit: LimitNOFILE=65536 in the unit, or `ulimit -Hn 65536`",
    mild: true,
};

const FAIL: u64 = 4_096;
const WARN: u64 = 16_384;

/// Judges the hard limit; `None` is no limit.
pub fn open_files(limit: &Looked<Option<u64>>) -> CheckFinding {
    judged(limit, |&limit| match limit {
        None => pass("no limit"),
        Some(limit @ 0..FAIL) => fail(format!("at most {limit}")),
        Some(limit @ FAIL..WARN) => warn(format!("at most {limit}")),
        Some(limit) => pass(format!("at most {limit}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_files_fail() {
        assert_eq!(open_files(&Ok(Some(1_024))).to_string(), "fail: at most 1024");
        assert_eq!(open_files(&Ok(Some(8_192))).to_string(), "warn: at most 8192");
        assert_eq!(open_files(&Ok(Some(65_536))).to_string(), "pass: at most 65536");
        assert_eq!(open_files(&Ok(None)).to_string(), "pass: no limit");
    }
}
