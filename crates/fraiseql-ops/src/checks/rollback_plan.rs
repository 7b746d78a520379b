//! There is a way back.

use super::{Answer, CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "rollback-plan",
    list: CheckList::Release,
    title: "a rollback plan exists",
    why: "the way back must be there before the way forward is taken",
    help: "keep the release that serves: `fraiseql releases` lists what is kept",
    mild: true,
};

/// The release that serves now.
#[derive(Clone, Debug)]
pub enum KeptRelease {
    /// Nothing was deployed before: there is nothing to go back to.
    First,
    /// This one, and whether it is kept as it was made.
    Serving(String, Answer<()>),
}

/// Fails when the release that serves could not be started again.
pub fn rollback_plan(kept: &Looked<KeptRelease>) -> CheckFinding {
    judged(kept, |kept| match kept {
        KeptRelease::First => pass("it is the first release"),
        KeptRelease::Serving(release, Answer::Given(())) => {
            pass(format!("{release} serves and is kept unchanged: `fraiseql abort` or `fraiseql rollback`"))
        }
        KeptRelease::Serving(release, Answer::Refused(reason)) => fail(format!("{release} serves: {reason}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_that_is_gone_fails() {
        let told = |answer| rollback_plan(&Ok(KeptRelease::Serving("ab12".into(), answer))).to_string();
        assert!(told(Answer::Given(())).starts_with("pass: ab12 serves and is kept unchanged"));
        assert_eq!(told(Answer::Refused("it is not here".into())), "fail: ab12 serves: it is not here");
        assert_eq!(rollback_plan(&Ok(KeptRelease::First)).to_string(), "pass: it is the first release");
    }
}
