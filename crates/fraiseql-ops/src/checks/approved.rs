//! Somebody has looked at the release and wants it.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "approved",
    list: CheckList::Release,
    title: "reviewed and approved",
    why: "four eyes see what two do not",
    help: "`fraiseql release approve`",
    mild: true,
};

/// Judges who has approved the release.
pub fn approved(by: &Looked<Vec<String>>) -> CheckFinding {
    judged(by, |by| match by.is_empty() {
        true => fail("nobody has approved it"),
        false => pass(format!("approved by {}", by.join(", "))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_approval_it_fails() {
        assert_eq!(approved(&Ok(vec![])).to_string(), "fail: nobody has approved it");
        assert_eq!(approved(&Ok(vec!["ann".into()])).to_string(), "pass: approved by ann");
    }
}
