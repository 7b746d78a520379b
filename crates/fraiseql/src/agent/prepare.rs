//! What is done before an instance of a new release starts: a backup to go back to, and migrations.
//!
//! Both may be begun again after a crash of the agent: a backup that is young enough is not taken twice,
//! and a statement that has run does not run again.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use fraiseql_backup::{BackupEvent, RecentBackup, Repository, RestorePoint, create_point};
use fraiseql_postgres::Target;
use fraiseql_rollout::GateState;

use super::gates::{failed, not_available, passed};
use super::work::Said;
use crate::archiving;
use crate::commands::backup::require_backup;
use crate::commands::migrate::{has_migrations, run_pending};
use crate::commands::usage::database_target;
use crate::failure::Failure;
use crate::project::Project;

/// Runs what is pending of the migrations of a release, up to its indexes; its contract is for later.
pub(super) async fn migrations(
    project: &Project,
    release: &Path,
    database_url: Option<&str>,
    said: &Said,
) -> GateState {
    if !has_migrations(release) {
        return passed("the release has none");
    }
    let target = match target(project, database_url).await {
        Ok(target) => target,
        Err(failure) => return told(&failure),
    };
    match run_pending(release, &target, &|text| said.set(text)).await {
        Ok(0) => passed("everything has run"),
        Ok(count) => passed(format!("{count} statements have run")),
        Err(failure) => told(&failure),
    }
}

/// Sees to a base backup that is young enough, and makes the restore point of a rollout.
pub(super) async fn backup(
    project: &Project,
    rollout: (i64, u64),
    database_url: Option<&str>,
    said: &Said,
) -> GateState {
    match backed_up(project, rollout, database_url, said).await {
        Ok(None) => not_available("no repository is configured (backup.repository)"),
        Ok(Some((backup, point))) => {
            let backup = match &backup {
                RecentBackup::There(backup) => format!("base backup {}", backup.label),
                RecentBackup::Taken(backup) => format!("base backup {}, taken now", backup.label),
            };
            passed(format!("{backup}; restore point {} at {}, {}", point.name, point.lsn, point.at))
        }
        Err(failure) => told(&failure),
    }
}

async fn backed_up(
    project: &Project,
    rollout: (i64, u64),
    database_url: Option<&str>,
    said: &Said,
) -> Result<Option<(RecentBackup, RestorePoint)>, Failure> {
    if project.settings.text("backup.repository").is_none() {
        return Ok(None);
    }
    let target = target(project, database_url).await?;
    let moved = Mutex::new((String::new(), 0, 0));
    let tell = |event: BackupEvent| {
        let mut moved = moved.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            BackupEvent::Began { what, bytes } => *moved = (what, 0, bytes),
            BackupEvent::Moved(bytes) => moved.1 += bytes,
            BackupEvent::Ended => {}
            BackupEvent::Step(name) => *moved = (name.to_owned(), 0, 0),
        }
        let (what, done, all) = &*moved;
        let bytes = if *all > 0 { format!(": {} of {} MiB", done >> 20, all >> 20) } else { String::new() };
        said.set(format!("{what}{bytes}"));
    };
    let Some(backup) = require_backup(project, None, &target, &tell).await? else { return Ok(None) };
    let Some(access) = archiving::access(project, None).await? else { return Ok(None) };
    let repository = Repository::open(&access.location, access.key)?;
    said.set("making the restore point");
    Ok(Some((backup, point(&repository, &target, rollout).await?)))
}

/// Returns the restore point of a rollout. One that an earlier agent has made for it is as good; that of
/// another rollout of the same number, from before the journal was lost, keeps its name.
async fn point(
    repository: &Repository,
    target: &Target,
    (rollout, began_ms): (i64, u64),
) -> Result<RestorePoint, Failure> {
    const NAMES_MAX: u32 = 100;
    let began = std::time::UNIX_EPOCH + std::time::Duration::from_millis(began_ms);
    let began = fraiseql_backup::Moment::of(began);
    let points = repository.points()?;
    let mut name = format!("before-deploy-{rollout}");
    for number in 2..NAMES_MAX {
        match points.iter().find(|point| point.name == name) {
            None => break,
            Some(point) if point.at >= began => return Ok(point.clone()),
            Some(_) => name = format!("before-deploy-{rollout}.{number}"),
        }
    }
    Ok(create_point(repository, target, &name).await?)
}

async fn target(project: &Project, database_url: Option<&str>) -> Result<Target, Failure> {
    match database_url {
        Some(url) => Ok(Target::parse(url)?),
        None => database_target(project).await,
    }
}

fn told(failure: &Failure) -> GateState {
    let causes: String = failure.causes.iter().map(|cause| format!(": {cause}")).collect();
    let hint = failure.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    failed(format!("{}: {}{causes}{hint}", failure.code.code, failure.message))
}
