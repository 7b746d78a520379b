//! What was proven of the release at hand, what is kept to go back to, and how fresh the backups are.

use std::collections::BTreeMap;

use fraiseql_agent::{Attestations, Releases};
use fraiseql_backup::{Freshness, Moment, freshness};
use fraiseql_model::release::{Attestation, Evidence};
use fraiseql_ops::checks::{Answer, BackupFacts, DrillFacts, KeptRelease, Looked, TestsFacts};

use crate::archiving;
use crate::commands::backup::now;
use crate::project::Project;

fn attestations(project: &Project, release: &str) -> Looked<Vec<Attestation>> {
    let releases = Releases::in_state(&project.state());
    let kept = releases.list().map_err(|error| error.to_string())?;
    if kept.is_empty() {
        return Err("no release was built yet: `fraiseql release build`".to_owned());
    }
    let release = releases.find(release).map_err(|error| error.to_string())?;
    Attestations::in_state(&project.state()).of(&release.id).map_err(|error| error.to_string())
}

pub(super) fn approved(project: &Project, release: &str) -> Looked<Vec<String>> {
    let approvals = attestations(project, release)?.into_iter();
    Ok(approvals.filter(|one| matches!(one.evidence, Evidence::Approval { .. })).map(|one| one.by).collect())
}

pub(super) fn tests(project: &Project, release: &str) -> Looked<Option<TestsFacts>> {
    let all = attestations(project, release)?;
    Ok(all.iter().rev().find_map(|one| match one.evidence {
        Evidence::Tests { run, skipped, .. } => Some(TestsFacts { run, skipped }),
        _ => None,
    }))
}

pub(super) fn scan(project: &Project, release: &str) -> Looked<Option<BTreeMap<String, u64>>> {
    let all = attestations(project, release)?;
    Ok(all.into_iter().rev().find_map(|one| match one.evidence {
        Evidence::Scan { findings, .. } => Some(findings),
        _ => None,
    }))
}

/// Returns the release that serves, with its files compared with what they were.
pub(super) fn kept(project: &Project, stable: &Looked<Option<String>>) -> Looked<KeptRelease> {
    let Some(stable) = stable.clone()? else { return Ok(KeptRelease::First) };
    let found = Releases::in_state(&project.state()).find(&stable);
    let answer = match found.and_then(|stored| stored.verify()) {
        Ok(()) => Answer::Given(()),
        Err(error) => Answer::Refused(error.to_string()),
    };
    Ok(KeptRelease::Serving(stable.get(..12).unwrap_or(&stable).to_owned(), answer))
}

async fn fresh(project: &Project) -> Looked<Answer<Freshness>> {
    if project.settings.text("backup.repository").is_none() {
        return Ok(Answer::Refused("backup.repository is not set".to_owned()));
    }
    let repository = archiving::open(project, None).await.map_err(|failure| failure.message)?;
    freshness(&repository).map(Answer::Given).map_err(|error| error.to_string())
}

fn age_s(at: Option<Moment>) -> Option<u64> {
    at.map(|at| Moment::of(now()).since(at).as_secs())
}

pub(super) async fn backup(project: &Project) -> Looked<Answer<BackupFacts>> {
    Ok(match fresh(project).await {
        Ok(Answer::Given(found)) => Answer::Given(BackupFacts {
            age_s: age_s(found.backup_at),
            age_max_h: project.settings.integer("backup.age_max_h"),
        }),
        Ok(Answer::Refused(reason)) | Err(reason) => Answer::Refused(reason),
    })
}

pub(super) async fn drill(project: &Project) -> Looked<DrillFacts> {
    match fresh(project).await? {
        Answer::Given(found) => Ok(DrillFacts { age_s: age_s(found.drill_at) }),
        Answer::Refused(reason) => Err(reason),
    }
}
