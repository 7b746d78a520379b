//! The machine has processors enough.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "cpus",
    list: CheckList::Infrastructure,
    title: "4 or more processors",
    why: "the guide's sizing; PostgreSQL, proxy and instances share them",
    help: "take a machine with 4 processors, or give the container 4",
    mild: true,
};

const CPUS_MIN: usize = 4;

/// Judges how many processors this process may use.
pub fn cpus(found: &Looked<usize>) -> CheckFinding {
    judged(found, |&found| match found {
        CPUS_MIN.. => pass(format!("{found} processors")),
        _ => fail(format!("{found} processors, {CPUS_MIN} are wanted")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_are_enough() {
        assert_eq!(cpus(&Ok(4)).to_string(), "pass: 4 processors");
        assert_eq!(cpus(&Ok(3)).to_string(), "fail: 3 processors, 4 are wanted");
    }
}
