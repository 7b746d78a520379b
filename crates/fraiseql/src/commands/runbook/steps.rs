//! What is done or looked at in each step; where nothing can be, a person is asked.

use fraiseql_backup::RecentBackup;
use fraiseql_flow::{Entry, Flow, Journal};
use fraiseql_model::digest::sha256_hex;
use fraiseql_ops::checks::CheckVerdict;
use fraiseql_ops::{StepEnd, runbook_markdown};

use super::record::Record;
use crate::clock;
use crate::commands::backup::gate::require_backup;
use crate::commands::rollout::status_of;
use crate::commands::usage::database_target;
use crate::files;
use crate::preflight::{self, Preflight};
use crate::printer::Printer;
use crate::progress::Progress;
use crate::project::Project;

/// How many of the newest rollouts are looked at.
const ROLLOUTS_MAX: usize = 100;

/// Steps that nobody may say to have done: what they prove is seen or made here.
const LOOKED_AT: &[&str] = &["preflight", "deploy", "archive"];

/// The release at hand.
pub(super) struct Place {
    pub(super) project: Project,
    /// All digits of its identifier.
    pub(super) release: String,
}

/// What came of a step.
pub(super) enum StepOutcome {
    /// It is over, with the evidence.
    Ended(StepEnd, String),
    /// It failed: why.
    Failed(String),
    /// A person must do it, or say that it was done.
    Asks(String),
}

/// Returns whether the word of a person is enough for a step.
pub(super) fn may_be_said(step: &str) -> bool {
    !LOOKED_AT.contains(&step)
}

fn done(evidence: impl Into<String>) -> StepOutcome {
    StepOutcome::Ended(StepEnd::Done, evidence.into())
}

fn asks(question: impl Into<String>) -> StepOutcome {
    StepOutcome::Asks(question.into())
}

/// Does a step, or looks whether it was done.
pub(super) async fn perform(step: &str, place: &Place, record: &Record, printer: &Printer) -> StepOutcome {
    match step {
        "preflight" => all_checks(place).await,
        "approved" | "tests" | "security-scan" | "rollback-plan" => one_check(place, step).await,
        "baseline" => asks("measure the service as it is now, for example with `fraiseql load`, and note the figures"),
        "backup" => backup(place, printer).await,
        "maintenance" => StepOutcome::Ended(
            StepEnd::NotNeeded,
            "old and new instances serve side by side while traffic moves; `fraiseql maintenance` stops it by hand"
                .to_owned(),
        ),
        "deploy" => deployed(place).await,
        "smoke-tests" => smoke_tests(place),
        "traffic" => traffic(place),
        "watch" => asks("look at errors, latency and saturation for an hour: `fraiseql status --watch`, the dashboard"),
        "verify" => asks("go through what users do"),
        "feedback" => asks("ask users and support, and note what they say"),
        "issues" => asks("note what was not as expected, or that nothing was"),
        "archive" => archive(place, record),
        _ => StepOutcome::Failed("nobody knows how to do it, which is a bug".to_owned()),
    }
}

fn looking(place: &Place, stable: Result<Option<String>, String>) -> Preflight {
    let project = Project { dir: place.project.dir.clone(), settings: place.project.settings.clone() };
    Preflight::new(project, &place.release, stable, None)
}

async fn stable(place: &Place) -> Result<Option<String>, String> {
    let status = status_of(&place.project.state()).await;
    status.map(|status| status.service.stable).map_err(|failure| failure.message)
}

async fn all_checks(place: &Place) -> StepOutcome {
    let profile = preflight::profile(&place.project);
    let results = match looking(place, stable(place).await).run(profile, &[]).await {
        Ok(results) => results,
        Err(failure) => return StepOutcome::Failed(failure.message),
    };
    let failing: Vec<&str> =
        results.iter().filter(|result| result.stands_in_the_way()).map(|result| result.check.name).collect();
    let summary = preflight::summary(&results);
    match failing.is_empty() {
        true => done(summary),
        false => StepOutcome::Failed(format!("{}: {summary}", failing.join(", "))),
    }
}

/// Takes a check that passes, or that somebody has waived, as done; otherwise asks.
async fn one_check(place: &Place, check: &str) -> StepOutcome {
    let only = [check.to_owned()];
    let profile = preflight::profile(&place.project);
    let results = match looking(place, stable(place).await).run(profile, &only).await {
        Ok(results) => results,
        Err(failure) => return StepOutcome::Failed(failure.message),
    };
    let Some(result) = results.first() else { return StepOutcome::Failed("it was not looked at".to_owned()) };
    let evidence = result.finding.evidence.clone();
    match (&result.waiver, result.finding.verdict) {
        (Some(waiver), _) => StepOutcome::Ended(
            StepEnd::NotNeeded,
            format!("{evidence}; waived by {}: {}", waiver.by, waiver.reason),
        ),
        (None, CheckVerdict::Pass) => done(evidence),
        (None, CheckVerdict::Fail) => StepOutcome::Failed(format!("{evidence}; {}", result.check.help)),
        (None, CheckVerdict::Warn | CheckVerdict::NotApplicable) => {
            asks(format!("{evidence}; {}", result.check.help))
        }
    }
}

async fn backup(place: &Place, printer: &Printer) -> StepOutcome {
    let target = match database_target(&place.project).await {
        Ok(target) => target,
        Err(failure) => return StepOutcome::Failed(failure.message),
    };
    let progress = Progress::new(printer, "backup");
    match require_backup(&place.project, None, &target, &|event| progress.show(event)).await {
        Ok(Some(RecentBackup::There(backup))) => done(format!("{} is young enough", backup.label)),
        Ok(Some(RecentBackup::Taken(backup))) => done(format!("{} was taken now and verified", backup.label)),
        Ok(None) => asks("backup.repository is not set: take a backup by other means"),
        Err(failure) => StepOutcome::Failed(failure.message),
    }
}

/// Looks whether the release serves; deploying it is the operator's own command, with its own flags.
async fn deployed(place: &Place) -> StepOutcome {
    let short = &place.release[..12];
    let command = format!("type `fraiseql deploy --release {short}` and run this again when it has ended");
    match stable(place).await {
        Ok(Some(stable)) if stable == place.release => done(format!("{short} is the release that serves")),
        Ok(Some(stable)) => asks(format!("{} serves; {command}", stable.get(..12).unwrap_or(&stable))),
        Ok(None) => asks(format!("nothing serves; {command}")),
        Err(reason) => StepOutcome::Failed(reason),
    }
}

/// Returns the newest rollout of the release, with its entries.
fn rollout(place: &Place) -> Result<Option<(Flow, Vec<Entry>)>, String> {
    let told = |error: &dyn std::error::Error| error.to_string();
    let journal = Journal::read(&place.project.state()).map_err(|error| told(&error))?;
    let Some(journal) = journal else { return Ok(None) };
    let flows = journal.newest("rollout", ROLLOUTS_MAX).map_err(|error| told(&error))?;
    let Some(flow) = flows.into_iter().find(|flow| flow.subject == place.release) else { return Ok(None) };
    let entries = journal.entries(flow.id).map_err(|error| told(&error))?;
    Ok(Some((flow, entries)))
}

fn smoke_tests(place: &Place) -> StepOutcome {
    let unseen = "run smoke tests against the service, and note what they say";
    let entries = match rollout(place) {
        Ok(Some((_, entries))) => entries,
        Ok(None) => return asks(unseen),
        Err(reason) => return StepOutcome::Failed(reason),
    };
    let Some(entry) = entries.iter().rfind(|entry| entry.name == "gate smoke") else { return asks(unseen) };
    let evidence = entry.data["evidence"].as_str().unwrap_or("");
    match entry.data["outcome"].as_str() {
        Some("passed") => done(format!("{evidence}, before it got traffic")),
        Some("failed") => StepOutcome::Failed(evidence.to_owned()),
        _ => asks(format!("{evidence}; {unseen}")),
    }
}

fn traffic(place: &Place) -> StepOutcome {
    match rollout(place) {
        Ok(Some((Flow { id, began_ms, ended_ms: Some(ended_ms), outcome: Some(outcome), .. }, _)))
            if outcome.starts_with("promoted") =>
        {
            let took = std::time::Duration::from_millis(ended_ms.saturating_sub(began_ms));
            done(format!("rollout {} promoted it within {}", id.0, clock::shown_duration(took)))
        }
        Ok(_) => asks("no rollout of this machine has promoted it: move traffic by other means"),
        Err(reason) => StepOutcome::Failed(reason),
    }
}

/// Writes the record beside its lines, with what the release is made of and the digests of both.
fn archive(place: &Place, record: &Record) -> StepOutcome {
    let manifest = match fraiseql_agent::Releases::in_state(&place.project.state()).find(&place.release) {
        Ok(stored) => stored,
        Err(error) => return StepOutcome::Failed(error.to_string()),
    };
    if let Err(error) = manifest.verify() {
        return StepOutcome::Failed(error.to_string());
    }
    let mut text = runbook_markdown(&place.release[..12], record.entries(), clock::shown);
    text.push_str(&format!("\n## Files\n\nRelease {}:\n\n| file | SHA-256 |\n|---|---|\n", place.release));
    for (path, file) in &manifest.release.files {
        text.push_str(&format!("| `{path}` | {} |\n", file.sha256));
    }
    let path = record.path().with_extension("md");
    match files::write(&path, text.as_bytes()) {
        Ok(()) => done(format!("{}, SHA-256 {}", path.display(), sha256_hex(text.as_bytes()))),
        Err(failure) => StepOutcome::Failed(failure.message),
    }
}
