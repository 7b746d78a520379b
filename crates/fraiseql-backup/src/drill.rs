//! A drill: restores the newest state aside, checks it, throws it away, and tells how long it took.

use std::path::Path;
use std::time::{Instant, SystemTime};

use fraiseql_cluster::Programs;

use crate::error::BackupError;
use crate::event::Watcher;
use crate::moment::Moment;
use crate::plan::{RestoreRequest, RestoreTarget};
use crate::records::{DrillRecord, FORMAT};
use crate::recover::Aside;
use crate::repository::Repository;
use crate::restore::{Inspection, Work};

/// Holds a drill in a new folder below `above`, and writes it down in the repository.
///
/// The recovery time is from the first step to a server that passed every check. The recovery point
/// is how long before the drill the last WAL was archived: commits since then might not be in it.
pub async fn drill(
    repository: &Repository,
    programs: &Programs,
    above: &Path,
    clock: fn() -> SystemTime,
    watcher: &Watcher<'_>,
) -> Result<DrillRecord, BackupError> {
    let at = Moment::of(clock());
    let begun = Instant::now();
    let root = above.join(format!("fraiseql-drill-{}-{}", at.compact(), std::process::id()));
    let aside = Aside::create(root)?;
    let request = RestoreRequest { target: RestoreTarget::Latest, timeline: None, backup: None };
    let inspection = Inspection::Full;
    let work = Work { repository, request: &request, programs, watcher, inspection, journal: None };
    let done = work.until_checked(&aside, &aside.data()).await;
    let took = begun.elapsed();
    aside.remove().await?;
    let done = done?;
    let millis = |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let record = DrillRecord {
        format: FORMAT,
        at,
        backup: done.plan.backup,
        bytes: done.plan.backup_bytes,
        rto_ms: millis(took),
        rpo_ms: millis(at.since(done.plan.archived_until)),
        checks: done.checks,
    };
    repository.add_drill(&record)?;
    Ok(record)
}
