//! Restoring was tried lately.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, days, judged, pass, warn};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "backup-drill",
    list: CheckList::Infrastructure,
    title: "a restore drill in the last 30 days",
    why: "a backup that was never restored may be none",
    help: "`fraiseql backup drill`",
    mild: true,
};

const AGE_S_MAX: u64 = 30 * 86_400;

/// What is known of drills.
#[derive(Clone, Copy, Debug)]
pub struct DrillFacts {
    /// How many seconds ago the last good one began; `None` when there is none.
    pub age_s: Option<u64>,
}

/// Warns when the last good drill is long ago.
pub fn backup_drill(facts: &Looked<DrillFacts>) -> CheckFinding {
    judged(facts, |facts| match facts.age_s {
        None => warn("no restore was ever tried"),
        Some(age_s @ 0..=AGE_S_MAX) => pass(format!("the last one is {} ago", days(age_s))),
        Some(age_s) => warn(format!("the last one is {} ago", days(age_s))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_drill_is_a_warning() {
        let told = |age_s| backup_drill(&Ok(DrillFacts { age_s })).to_string();
        assert_eq!(told(Some(86_400)), "pass: the last one is 24 h ago");
        assert_eq!(told(Some(40 * 86_400)), "warn: the last one is 40 days ago");
        assert_eq!(told(None), "warn: no restore was ever tried");
    }
}
