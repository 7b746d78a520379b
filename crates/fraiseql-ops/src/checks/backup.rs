//! There is a recent backup.

use super::{Answer, CheckFinding, CheckList, Looked, PreflightCheck, days, fail, judged, pass};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "backup",
    list: CheckList::Infrastructure,
    title: "a verified base backup, young enough",
    why: "what was not backed up is gone with the disk",
    help: "set backup.repository and run `fraiseql backup ensure`",
    mild: true,
};

/// What is known of backups.
#[derive(Clone, Debug)]
pub struct BackupFacts {
    /// How many seconds ago the newest ended; `None` when there is none.
    pub age_s: Option<u64>,
    /// `backup.age_max_h`.
    pub age_max_h: u64,
}

/// Fails without a repository, without a backup and with an old one.
pub fn backup(facts: &Looked<Answer<BackupFacts>>) -> CheckFinding {
    judged(facts, |facts| match facts {
        Answer::Refused(reason) => fail(reason.clone()),
        Answer::Given(BackupFacts { age_s: None, .. }) => fail("no backup was ever taken"),
        Answer::Given(BackupFacts { age_s: Some(age_s), age_max_h }) => {
            let shown = format!("the newest is {} old, {age_max_h} h are allowed", days(*age_s));
            if *age_s <= age_max_h.saturating_mul(3_600) { pass(shown) } else { fail(shown) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(age_s: Option<u64>, expected: &str) {
        let facts = Answer::Given(BackupFacts { age_s, age_max_h: 24 });
        assert_eq!(backup(&Ok(facts)).to_string(), expected);
    }

    #[test]
    fn no_backup_and_an_old_one_fail() {
        check(Some(7_200), "pass: the newest is 2 h old, 24 h are allowed");
        check(Some(90_000), "fail: the newest is 25 h old, 24 h are allowed");
        check(None, "fail: no backup was ever taken");
        let none = Answer::Refused("backup.repository is not set".to_owned());
        assert_eq!(backup(&Ok(none)).to_string(), "fail: backup.repository is not set");
    }
}
