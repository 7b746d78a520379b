//! A verified base backup before something dangerous: what a deployment asks for, and `backup ensure`.

use std::path::Path;
use std::time::Duration;

use fraiseql_backup::{
    BackupEvent, BackupManifest, CreateOptions, RecentBackup, Repository, Watcher, ensure_backup,
};
use fraiseql_postgres::Target;
use serde_json::json;

use super::{Place, line, now};
use crate::archiving;
use crate::commands::up;
use crate::commands::usage::database_target;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::progress::Progress;
use crate::project::Project;

const HOUR: Duration = Duration::from_secs(3_600);

/// Returns a verified base backup of the project's database that is younger than `backup.age_max_h`,
/// taking one when there is none. `None` without a repository: then nothing is asked for.
///
/// `given` is a repository of the command line. An error is a reason not to deploy.
pub(crate) async fn require_backup(
    project: &Project,
    given: Option<&Path>,
    target: &Target,
    tell: &(dyn Fn(BackupEvent) + Sync),
) -> Result<Option<RecentBackup>, Failure> {
    let Some(access) = archiving::access(project, given).await? else { return Ok(None) };
    let repository = &Repository::open(&access.location, access.key)?;
    let hours = u32::try_from(project.settings.integer("backup.age_max_h")).unwrap_or(u32::MAX);
    let programs = up::programs(project)?;
    let options = CreateOptions { repository, target, programs: &programs, rate_kb: 0, clock: now };
    let found = ensure_backup(&options, HOUR * hours, &Watcher(tell)).await?;
    Ok(Some(found))
}

pub(super) async fn run(place: &Place, printer: &Printer) -> Result<(), Failure> {
    let project = Project::open(&place.project, &[])?;
    let target = database_target(&project).await?;
    let tell = |backup: &BackupManifest, taken: bool| match printer.is_json() {
        true => printer.data_json(&json!({ "backup": backup, "taken": taken })),
        false => {
            printer.data(&format!("{}\n", line(backup)));
            printer.say(if taken { "it was taken now" } else { "it is young enough: none was taken" });
        }
    };
    let progress = Progress::new(printer, "backup");
    let show = |event| progress.show(event);
    match require_backup(&project, place.repository.as_deref(), &target, &show).await? {
        Some(RecentBackup::There(backup)) => tell(&backup, false),
        Some(RecentBackup::Taken(backup)) => tell(&backup, true),
        None => archiving::required(&project, None).await.map(|_| ())?,
    }
    Ok(())
}
