//! The machine has memory enough.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "memory",
    list: CheckList::Infrastructure,
    title: "8 GB of memory",
    why: "the guide's sizing; without it the kernel kills the largest process, which is the database",
    help: "take a machine with 8 GB, or raise the container's limit",
    mild: true,
};

/// What a machine sold with 8 GB has left once the firmware has taken its part.
const BYTES_MIN: u64 = 7_500_000_000;

/// Judges how many bytes of memory this process may use at most.
pub fn memory(found: &Looked<u64>) -> CheckFinding {
    judged(found, |&found| {
        let shown = format!("{:.1} GB", found as f64 / 1e9);
        if found >= BYTES_MIN { pass(shown) } else { fail(format!("{shown}, 8 are wanted")) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_gigabytes_are_enough() {
        assert_eq!(memory(&Ok(8_000_000_000)).to_string(), "pass: 8.0 GB");
        assert_eq!(memory(&Ok(4_000_000_000)).to_string(), "fail: 4.0 GB, 8 are wanted");
    }
}
