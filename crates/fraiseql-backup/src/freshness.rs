//! How fresh a repository is: what an alarm looks at, and what a deployment asks for.

use std::time::Duration;

use serde::Serialize;

use crate::create::{CreateOptions, create_backup};
use crate::error::BackupError;
use crate::event::Watcher;
use crate::lsn::WalFile;
use crate::moment::Moment;
use crate::records::BackupManifest;
use crate::repository::Repository;

/// When something was last done; `None` is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Freshness {
    /// When the newest verified base backup ended, by the server's clock.
    pub backup_at: Option<Moment>,
    /// When the last segment of WAL was archived.
    pub wal_at: Option<Moment>,
    /// When the last successful drill began.
    pub drill_at: Option<Moment>,
}

/// Looks how fresh a repository is. Reads its lists, one segment, and the records of drills.
pub fn freshness(repository: &Repository) -> Result<Freshness, BackupError> {
    let is_segment = |name: &&String| matches!(WalFile::of(name), Some(WalFile::Segment { .. }));
    let (names, _) = repository.wal_names()?;
    let header = match names.iter().rfind(is_segment) {
        Some(name) => repository.wal_header(name)?,
        None => None,
    };
    Ok(Freshness {
        backup_at: repository.backups()?.last().map(|backup| backup.stopped_at),
        wal_at: header.map(|header| header.archived_at),
        drill_at: repository.drills()?.last().map(|drill| drill.at),
    })
}

/// A base backup that is young enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecentBackup {
    /// It was there.
    There(BackupManifest),
    /// It was taken now.
    Taken(BackupManifest),
}

/// Returns the newest verified base backup of the server when it is younger than `age_max`, else takes
/// one and returns that.
///
/// Fails as [`create_backup`] does; also where the repository holds another cluster. A second call
/// within `age_max` changes nothing. One that runs beside another command on the repository fails with
/// [`BackupError::Busy`] only when a backup has to be taken.
pub async fn ensure_backup(
    options: &CreateOptions<'_>,
    age_max: Duration,
    watcher: &Watcher<'_>,
) -> Result<RecentBackup, BackupError> {
    let now = Moment::of((options.clock)());
    let newest = options.repository.backups()?.pop();
    match newest.filter(|backup| is_recent(backup.stopped_at, now, age_max)) {
        Some(backup) => Ok(RecentBackup::There(backup)),
        None => create_backup(options, watcher).await.map(RecentBackup::Taken),
    }
}

fn is_recent(stopped_at: Moment, now: Moment, age_max: Duration) -> bool {
    now.since(stopped_at) < age_max
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stopped_at: &str, expected: bool) {
        let now = Moment::parse("2026-01-26 14:00:00Z").unwrap();
        let found = is_recent(Moment::parse(stopped_at).unwrap(), now, Duration::from_secs(3_600));
        assert_eq!(found, expected, "{stopped_at}");
    }

    #[test]
    fn a_backup_is_recent_for_less_than_its_age() {
        check("2026-01-26 13:00:01Z", true);
        check("2026-01-26 13:00:00Z", false);
        check("2025-01-26 13:00:01Z", false);
        // The server's clock may be ahead of ours.
        check("2026-01-26 14:00:02Z", true);
    }
}
