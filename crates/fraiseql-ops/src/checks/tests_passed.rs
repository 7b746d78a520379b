//! The release's tests have passed.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass, warn};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "tests",
    list: CheckList::Release,
    title: "all tests pass",
    why: "what fails in a test fails in front of users",
    help: "`fraiseql release attest tests --report FILE` with the test runner's JUnit XML",
    mild: true,
};

/// The newest report of tests.
#[derive(Clone, Copy, Debug)]
pub struct TestsFacts {
    /// How many ran.
    pub run: u64,
    /// How many were left out.
    pub skipped: u64,
}

/// Judges the newest report; `None` is none.
pub fn tests(report: &Looked<Option<TestsFacts>>) -> CheckFinding {
    judged(report, |report| match report {
        None => fail("no report of its tests is attested"),
        Some(TestsFacts { run: 0, .. }) => fail("no test ran"),
        Some(TestsFacts { run, skipped: 0 }) => pass(format!("{run} tests passed")),
        Some(TestsFacts { run, skipped }) => warn(format!("{run} tests passed, {skipped} were left out")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_tests_it_fails() {
        let told = |report| super::tests(&Ok(report)).to_string();
        assert_eq!(told(None), "fail: no report of its tests is attested");
        assert_eq!(told(Some(TestsFacts { run: 3, skipped: 0 })), "pass: 3 tests passed");
        assert_eq!(told(Some(TestsFacts { run: 3, skipped: 1 })), "warn: 3 tests passed, 1 were left out");
    }
}
