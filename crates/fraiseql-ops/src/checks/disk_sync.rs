//! The disk writes down fast enough: what an SSD does.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass, warn};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "disk-sync",
    list: CheckList::Infrastructure,
    title: "an SSD, measured",
    why: "each commit waits for the disk once; on a rotating one it waits ten times as long",
    help: "put the data directory on an SSD",
    mild: true,
};

const WARN_US: u64 = 10_000;
const FAIL_US: u64 = 30_000;

/// Judges the median time that a small write takes down to the disk, in microseconds.
pub fn disk_sync(median_us: &Looked<u64>) -> CheckFinding {
    judged(median_us, |&median_us| {
        let shown = format!("{:.1} ms for a small write, the median of several", median_us as f64 / 1e3);
        match median_us {
            0..WARN_US => pass(shown),
            WARN_US..FAIL_US => warn(shown),
            _ => fail(shown),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_disk_fails() {
        assert!(disk_sync(&Ok(800)).to_string().starts_with("pass: 0.8 ms"));
        assert!(disk_sync(&Ok(12_000)).to_string().starts_with("warn: 12.0 ms"));
        assert!(disk_sync(&Ok(40_000)).to_string().starts_with("fail: 40.0 ms"));
    }
}
