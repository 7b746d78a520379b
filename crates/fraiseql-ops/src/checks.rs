//! The checks of `fraiseql preflight`: one file each, facts in, a finding out.
//!
//! Who gathers the facts says why when something cannot be looked at; that is never a pass.

use std::fmt;

mod approved;
mod backup;
mod backup_drill;
mod certificate;
mod clock;
mod connections;
mod cpus;
mod database;
mod database_role;
mod database_settings;
mod database_tls;
mod disk;
mod disk_sync;
mod invalid_indexes;
mod listening;
mod memory;
mod monitored;
mod oidc;
mod open_files;
mod postgres_version;
mod primary;
mod rate_limits;
mod redis;
mod replicas;
mod rollback_plan;
mod scan;
mod secret_store;
mod secrets;
mod settings;
mod ssh_keys;
mod tests_passed;
mod wraparound;

pub use approved::approved;
pub use backup::{BackupFacts, backup};
pub use backup_drill::{DrillFacts, backup_drill};
pub use certificate::{CertificateFacts, certificate};
pub use clock::{ClockFacts, clock};
pub use connections::{ConnectionFacts, connections};
pub use cpus::cpus;
pub use database::database;
pub use database_role::{GrantedRole, database_role};
pub use database_settings::database_settings;
pub use database_tls::{DatabaseWay, database_tls};
pub use disk::{DiskFacts, disk};
pub use disk_sync::disk_sync;
pub use invalid_indexes::invalid_indexes;
pub use listening::{ListeningFacts, listening};
pub use memory::memory;
pub use monitored::{MonitoringFacts, monitoring};
pub use oidc::{IssuerFacts, oidc};
pub use open_files::open_files;
pub use postgres_version::postgres_version;
pub use primary::primary;
pub use rate_limits::{RateLimitFacts, rate_limits};
pub use redis::{RedisFacts, redis};
pub use replicas::{ReplicaFacts, replicas};
pub use rollback_plan::{KeptRelease, rollback_plan};
pub use scan::scan;
pub use secret_store::{FollowedReference, secret_store};
pub use secrets::{PlainSecret, secrets};
pub use settings::{SettingsFacts, settings};
pub use ssh_keys::{SshKeyFacts, ssh_keys};
pub use tests_passed::{TestsFacts, tests};
pub use wraparound::{DatabaseAge, wraparound};

/// A check: what is looked at, and what there is to say whatever is found.
#[derive(Debug, PartialEq, Eq)]
pub struct PreflightCheck {
    /// Its name on the command line.
    pub name: &'static str,
    /// Where it stands.
    pub list: CheckList,
    /// What must be so, in a few words.
    pub title: &'static str,
    /// Why that matters.
    pub why: &'static str,
    /// What to do, or to type, when it is not so.
    pub help: &'static str,
    /// Whether a failure is only a warning with [`CheckProfile::Development`].
    pub mild: bool,
}

/// A list of the deployment guide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckList {
    /// Machines, database, caches, monitoring.
    Infrastructure,
    /// Who gets in, and with what.
    Security,
    /// What the service was told.
    Configuration,
    /// What was proven of the release at hand.
    Release,
}

impl CheckList {
    /// All of them, in the guide's order.
    pub const ALL: &[Self] = &[Self::Infrastructure, Self::Security, Self::Configuration, Self::Release];

    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Infrastructure => "infrastructure",
            Self::Security => "security",
            Self::Configuration => "configuration",
            Self::Release => "pre-deployment",
        }
    }
}

/// How strict to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckProfile {
    /// What a laptop may lack is a warning.
    Development,
    /// Everything counts.
    Production,
}

/// What a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckVerdict {
    /// It is as it must be.
    Pass,
    /// It works, and will not for long or not well.
    Warn,
    /// It is not as it must be.
    Fail,
    /// There is nothing to look at, or nobody could look.
    NotApplicable,
}

impl CheckVerdict {
    /// Returns it in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::NotApplicable => "not applicable",
        }
    }
}

/// A verdict and what it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFinding {
    /// The verdict.
    pub verdict: CheckVerdict,
    /// What was seen, on one line.
    pub evidence: String,
}

impl CheckFinding {
    fn new(verdict: CheckVerdict, evidence: impl Into<String>) -> Self {
        Self { verdict, evidence: evidence.into() }
    }

    /// Makes the finding of a check that could not be finished.
    pub fn unfinished(reason: &str) -> Self {
        fail(format!("the check did not finish: {reason}"))
    }

    /// Returns the finding as it counts with a profile.
    #[must_use]
    pub fn under(self, check: &PreflightCheck, profile: CheckProfile) -> Self {
        match (self.verdict, profile) {
            (CheckVerdict::Fail, CheckProfile::Development) if check.mild => {
                Self { verdict: CheckVerdict::Warn, ..self }
            }
            _ => self,
        }
    }
}

impl fmt::Display for CheckFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.verdict.as_str(), self.evidence)
    }
}

/// What was seen; an error is why nobody could look.
pub type Looked<T> = Result<T, String>;

/// What somebody who was asked has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// This.
    Given(T),
    /// Nothing, or a refusal: why.
    Refused(String),
}

fn pass(evidence: impl Into<String>) -> CheckFinding {
    CheckFinding::new(CheckVerdict::Pass, evidence)
}

fn warn(evidence: impl Into<String>) -> CheckFinding {
    CheckFinding::new(CheckVerdict::Warn, evidence)
}

fn fail(evidence: impl Into<String>) -> CheckFinding {
    CheckFinding::new(CheckVerdict::Fail, evidence)
}

fn judged<T>(facts: &Looked<T>, judge: impl FnOnce(&T) -> CheckFinding) -> CheckFinding {
    match facts {
        Ok(facts) => judge(facts),
        Err(reason) => CheckFinding::new(CheckVerdict::NotApplicable, reason.clone()),
    }
}

fn days(seconds: u64) -> String {
    match seconds {
        0..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Every check, in the order in which they are run and told.
pub const CHECKS: &[&PreflightCheck] = &[
    &cpus::CHECK,
    &memory::CHECK,
    &disk::CHECK,
    &disk_sync::CHECK,
    &open_files::CHECK,
    &clock::CHECK,
    &listening::CHECK,
    &postgres_version::CHECK,
    &primary::CHECK,
    &replicas::CHECK,
    &database_settings::CHECK,
    &connections::CHECK,
    &invalid_indexes::CHECK,
    &wraparound::CHECK,
    &backup::CHECK,
    &backup_drill::CHECK,
    &redis::CHECK,
    &monitored::CHECK,
    &certificate::CHECK,
    &database_tls::CHECK,
    &database_role::CHECK,
    &ssh_keys::CHECK,
    &secrets::CHECK,
    &secret_store::CHECK,
    &settings::CHECK,
    &database::CHECK,
    &oidc::CHECK,
    &rate_limits::CHECK,
    &approved::CHECK,
    &tests_passed::CHECK,
    &scan::CHECK,
    &rollback_plan::CHECK,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_name_stands_once_and_lists_follow_each_other() {
        let names: BTreeSet<_> = CHECKS.iter().map(|check| check.name).collect();
        assert_eq!(names.len(), CHECKS.len());
        assert!(CHECKS.is_sorted_by_key(|check| check.list));
    }

    #[test]
    fn development_makes_warnings_only_of_mild_checks() {
        let verdict = |check, profile| fail("x").under(check, profile).verdict;
        assert_eq!(verdict(&cpus::CHECK, CheckProfile::Development), CheckVerdict::Warn);
        assert_eq!(verdict(&cpus::CHECK, CheckProfile::Production), CheckVerdict::Fail);
        assert_eq!(verdict(&database::CHECK, CheckProfile::Development), CheckVerdict::Fail);
    }

    #[test]
    fn what_nobody_could_look_at_is_never_a_pass() {
        assert_eq!(cpus(&Err("no /proc".into())).to_string(), "not applicable: no /proc");
    }
}
