//! The migrations of a release, as a deployment runs them: what is pending, up to the indexes.

use std::path::Path;
use std::time::Duration;

use fraiseql_locks::Section;
use fraiseql_migrate::{MigrateEvent, Migrator};
use fraiseql_postgres::Target;

use super::FOLDER;
use super::run::{Known, options, refuse_unsafe};
use crate::failure::Failure;

/// How long another runner, and a lock, is waited for.
const RUNNER_WAIT: Duration = Duration::from_secs(30);
const LOCK_WAIT: Duration = Duration::from_secs(300);
/// The longest statement that is told.
const TEXT_CHARS_MAX: usize = 100;

/// Returns true when a project, or a release, has migrations.
pub(crate) fn has_migrations(dir: &Path) -> bool {
    let Ok(mut entries) = std::fs::read_dir(dir.join(FOLDER)) else { return false };
    entries.any(|entry| entry.is_ok_and(|entry| entry.path().extension().is_some_and(|end| end == "sql")))
}

/// Returns what has not run and comes before the contract: place, section and statement, a line each.
pub(crate) async fn pending(dir: &Path, target: &Target) -> Result<Vec<String>, Failure> {
    let known = Known::of(dir, target.clone()).await?;
    let line = |step: &&fraiseql_migrate::MigrationStep| {
        let text: Vec<&str> = step.text.split_whitespace().collect();
        let mut text = text.join(" ");
        if let Some((end, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
            text.truncate(end);
            text.push_str(" ...");
        }
        format!("{}  {}  {text}", step.place(), step.section.as_str())
    };
    Ok(known.pending(Section::Index).iter().map(line).collect())
}

/// Runs it, telling how far it is; returns how many statements have run now.
///
/// A statement that would keep clients waiting is refused before anything runs.
pub(crate) async fn run_pending(
    dir: &Path,
    target: &Target,
    tell: &dyn Fn(String),
) -> Result<usize, Failure> {
    let known = Known::of(dir, target.clone()).await?;
    refuse_unsafe(&known.pending(Section::Index), &[])?;
    let mut place = String::new();
    let mut told = |event: MigrateEvent<'_>| match event {
        MigrateEvent::Began(step) => {
            place = step.place();
            tell(place.clone());
        }
        MigrateEvent::Waits { blockers, .. } => tell(format!("{place}: its lock is not free: {blockers}")),
        MigrateEvent::Rows { done, total } => tell(format!("{place}: {done} of {total} rows")),
        MigrateEvent::Blocks { done, total } => tell(format!("{place}: {done} of {total} blocks")),
        MigrateEvent::Note(text) => tell(format!("{place}: {text}")),
        MigrateEvent::Ended(..) => {}
    };
    let mut migrator = Migrator::begin(&known.target, options(RUNNER_WAIT, LOCK_WAIT)).await?;
    Ok(migrator.run(&known.steps, Section::Index, &mut told).await?)
}
