//! Gathers the facts for the checks of `fraiseql-ops` and runs them, each within its time. Nothing is judged here.

use std::sync::Arc;
use std::time::Duration;

use fraiseql_model::names::nearest;
use fraiseql_ops::CheckWaiver;
use fraiseql_ops::checks::{self, CHECKS, CheckFinding, CheckProfile, CheckVerdict, Looked, PreflightCheck};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use crate::clock;
use crate::commands::serve::is_production;
use crate::failure::Failure;
use crate::project::Project;

mod configuration;
mod database;
mod machine;
mod release;
mod services;
mod ssh;
mod waived;

use database::Connected;
pub(crate) use waived::{waive, waivers};

/// How long one check may take.
const CHECK_TIME: Duration = Duration::from_secs(5);
/// How many failing checks the gate names.
const NAMED_MAX: usize = 5;

/// What is looked at.
pub(crate) struct Preflight {
    project: Project,
    /// The release: its first digits, or `latest`.
    release: String,
    /// The release that serves now.
    stable: Looked<Option<String>>,
    /// The database of the instances, when an agent runs one of its own.
    database_url: Option<String>,
    connected: OnceCell<Result<Connected, String>>,
}

/// A check with what it says, as it counts.
#[derive(Debug)]
pub(crate) struct CheckResult {
    pub(crate) check: &'static PreflightCheck,
    pub(crate) finding: CheckFinding,
    /// Who has taken the failure upon themselves.
    pub(crate) waiver: Option<CheckWaiver>,
}

impl CheckResult {
    /// Returns whether it stands in the way.
    pub(crate) fn stands_in_the_way(&self) -> bool {
        self.finding.verdict == CheckVerdict::Fail && self.waiver.is_none()
    }
}

impl Preflight {
    /// Looks at a project and one of its releases.
    pub(crate) fn new(
        project: Project,
        release: &str,
        stable: Looked<Option<String>>,
        database_url: Option<String>,
    ) -> Self {
        Self { project, release: release.to_owned(), stable, database_url, connected: OnceCell::new() }
    }

    /// Runs the checks one after the other; an empty `only` is all of them.
    ///
    /// Fails for a name that no check has, and when the waivers cannot be read.
    pub(crate) async fn run(
        self,
        profile: CheckProfile,
        only: &[String],
    ) -> Result<Vec<CheckResult>, Failure> {
        let checks = chosen(only)?;
        let waivers = waivers(&self.project.state())?;
        let now_s = clock::now_s();
        let looking = Arc::new(self);
        let mut results = Vec::new();
        for check in checks {
            let looking = Arc::clone(&looking);
            let look = async move { looking.look(check.name).await };
            let finding = within(CHECK_TIME, look).await.under(check, profile);
            let failed = finding.verdict == CheckVerdict::Fail;
            let waiver = waivers.iter().find(|waiver| failed && waiver.holds(check.name, now_s)).cloned();
            results.push(CheckResult { check, finding, waiver });
        }
        Ok(results)
    }

    async fn look(&self, name: &str) -> CheckFinding {
        match name {
            "cpus" => checks::cpus(&machine::cpus()),
            "memory" => checks::memory(&machine::memory()),
            "disk" => checks::disk(&machine::disk(&self.project.state())),
            "disk-sync" => checks::disk_sync(&machine::disk_sync(&self.project.state())),
            "open-files" => checks::open_files(&Ok(machine::open_files())),
            "clock" => checks::clock(&machine::clock(self.clock_ahead_ms().await).await),
            "listening" => checks::listening(&self.listening().await),
            "redis" => checks::redis(&services::redis(&self.project.settings).await),
            "monitoring" => checks::monitoring(&services::monitoring(&self.project.settings).await),
            "oidc" => checks::oidc(&services::oidc(&self.project.settings).await),
            "certificate" => checks::certificate(&configuration::certificate(&self.project)),
            "ssh-keys" => checks::ssh_keys(&ssh::keys()),
            "secrets" => checks::secrets(&Ok(configuration::plain_secrets(&self.project.settings))),
            "secret-store" => {
                checks::secret_store(&configuration::followed_references(&self.project.settings).await)
            }
            "settings" => checks::settings(&Ok(configuration::settings(&self.project.settings))),
            "rate-limits" => checks::rate_limits(&Ok(configuration::rate_limits(&self.project.settings))),
            "backup" => checks::backup(&release::backup(&self.project).await),
            "backup-drill" => checks::backup_drill(&release::drill(&self.project).await),
            "approved" => checks::approved(&release::approved(&self.project, &self.release)),
            "tests" => checks::tests(&release::tests(&self.project, &self.release)),
            "security-scan" => checks::scan(&release::scan(&self.project, &self.release)),
            "rollback-plan" => checks::rollback_plan(&release::kept(&self.project, &self.stable)),
            _ => self.look_at_database(name).await,
        }
    }
}

/// Says whether a release may be deployed, as far as the checks are asked; both ways with the evidence.
///
/// Never asked before a rollback: the way back must not depend on anything.
pub(crate) async fn gate(
    project: &Project,
    release: &str,
    stable: Option<String>,
    database_url: Option<String>,
) -> Result<String, String> {
    let profile = profile(project);
    let project = Project { dir: project.dir.clone(), settings: project.settings.clone() };
    let results = Preflight::new(project, release, Ok(stable), database_url).run(profile, &[]).await;
    let results = results.map_err(|failure| failure.message)?;
    let failing: Vec<String> = results
        .iter()
        .filter(|result| result.stands_in_the_way())
        .take(NAMED_MAX)
        .map(|result| format!("{}: {}", result.check.name, result.finding.evidence))
        .collect();
    match failing.is_empty() {
        true => Ok(summary(&results)),
        false => Err(format!(
            "{}; `fraiseql preflight` tells what to do ({})",
            failing.join("; "),
            summary(&results)
        )),
    }
}

/// Returns how strict to be when nobody says so.
pub(crate) fn profile(project: &Project) -> CheckProfile {
    match is_production(&project.settings) {
        true => CheckProfile::Production,
        false => CheckProfile::Development,
    }
}

/// Returns how many checks say what.
pub(crate) fn summary(results: &[CheckResult]) -> String {
    let count = |verdict| results.iter().filter(|result| result.finding.verdict == verdict).count();
    let waived = results.iter().filter(|result| result.waiver.is_some()).count();
    format!(
        "{} pass, {} warn, {} fail, {waived} of them waived, {} not applicable",
        count(CheckVerdict::Pass),
        count(CheckVerdict::Warn),
        count(CheckVerdict::Fail),
        count(CheckVerdict::NotApplicable)
    )
}

/// Returns the checks of these names, in the order in which they are run.
fn chosen(only: &[String]) -> Result<Vec<&'static PreflightCheck>, Failure> {
    for name in only {
        known(name)?;
    }
    let wanted = |check: &&&PreflightCheck| only.is_empty() || only.iter().any(|name| name == check.name);
    Ok(CHECKS.iter().filter(wanted).copied().collect())
}

/// Fails for a name that no check has.
fn known(name: &str) -> Result<(), Failure> {
    let names = || CHECKS.iter().map(|check| check.name);
    if names().any(|check| check == name) {
        return Ok(());
    }
    let hint = match nearest(name, names()) {
        Some(meant) => format!("do you mean {meant}? `fraiseql preflight` lists all"),
        None => "`fraiseql preflight` lists all".to_owned(),
    };
    let message = format!("look at {name:?}: there is no such check");
    Err(Failure::new(&fraiseql_model::errors::PRE_CHECK, message).hint(hint))
}

/// Runs one look; one that takes too long or panics is a finding.
async fn within(time: Duration, look: impl Future<Output = CheckFinding> + Send + 'static) -> CheckFinding {
    let mut running = JoinSet::new();
    running.spawn(look);
    match tokio::time::timeout(time, running.join_next()).await {
        Ok(Some(Ok(finding))) => finding,
        Ok(Some(Err(error))) if error.is_panic() => CheckFinding::unfinished("it panicked, which is a bug"),
        Ok(_) => CheckFinding::unfinished("it was cancelled"),
        Err(_elapsed) => CheckFinding::unfinished(&format!("it took longer than {} ms", time.as_millis())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_check_that_hangs_or_panics_is_a_finding() {
        let hanging = within(Duration::from_millis(5), std::future::pending()).await;
        assert_eq!(hanging.to_string(), "fail: the check did not finish: it took longer than 5 ms");
        let panicking = within(CHECK_TIME, async { panic!("on purpose") }).await;
        assert_eq!(panicking.to_string(), "fail: the check did not finish: it panicked, which is a bug");
    }

    #[test]
    fn a_slip_in_a_name_is_told() {
        let failure = chosen(&["memry".to_owned()]).unwrap_err();
        assert_eq!(failure.hint.unwrap(), "do you mean memory? `fraiseql preflight` lists all");
        let chosen = chosen(&["oidc".to_owned(), "cpus".to_owned()]).unwrap();
        assert_eq!(chosen.iter().map(|check| check.name).collect::<Vec<_>>(), ["cpus", "oidc"]);
    }
}
