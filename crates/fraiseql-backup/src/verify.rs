//! Reads everything in a repository again, and says what could not be restored.

use serde::Serialize;

use crate::base::read_base;
use crate::chain::Chain;
use crate::error::BackupError;
use crate::event::Watcher;
use crate::records::BackupManifest;
use crate::repository::Repository;
use crate::restore::require_same;
use crate::timeline::TimelinePath;

/// What was read.
#[derive(Debug, Default, Serialize)]
pub struct Verification {
    /// Labels of the backups that are whole, and whose WAL is, as far as it goes.
    pub backups: Vec<String>,
    /// How many WAL files were read.
    pub wal_files: u64,
    /// Bytes that they take.
    pub wal_bytes: u64,
    /// What is wrong, worst first.
    #[serde(skip)]
    pub problems: Vec<BackupError>,
}

/// Reads every backup and every WAL file, compares all digests, and looks for gaps.
pub fn verify(repository: &Repository, watcher: &Watcher<'_>) -> Result<Verification, BackupError> {
    let (names, bytes) = repository.wal_names()?;
    let mut found =
        Verification { wal_files: names.len() as u64, wal_bytes: bytes, ..Verification::default() };
    watcher.begin(format!("reading {} files of WAL", names.len()), names.len() as u64);
    for name in &names {
        keep_damage(repository.wal(name).map(|_| ()), &mut found.problems)?;
        watcher.bytes(1);
    }
    watcher.end();
    let histories = repository.histories()?;
    let newest = histories.keys().copied().max().unwrap_or(1);
    let path = TimelinePath::to(newest, &histories)?;
    for backup in repository.backups()? {
        let before = found.problems.len();
        keep_damage(verify_backup(repository, &backup, watcher), &mut found.problems)?;
        let path = match path.holds(backup.timeline, backup.stop_lsn) {
            true => path.clone(),
            false => TimelinePath::to(backup.timeline, &histories)?,
        };
        let chain = Chain::find(repository, &backup, &path)?;
        if chain.gap.is_some() || chain.end() < backup.stop_lsn {
            found.problems.push(chain.gap_error(&backup));
        }
        if found.problems.len() == before {
            found.backups.push(backup.label);
        }
    }
    Ok(found)
}

fn verify_backup(
    repository: &Repository,
    backup: &BackupManifest,
    watcher: &Watcher<'_>,
) -> Result<(), BackupError> {
    watcher.begin(format!("reading backup {}", backup.label), backup.stored_bytes);
    let facts = read_base(repository, &backup.label, None, watcher)?;
    watcher.end();
    require_same(backup, &facts.stored_sha256)
}

/// Goes on after what is damaged; everything else ends the look.
fn keep_damage(read: Result<(), BackupError>, problems: &mut Vec<BackupError>) -> Result<(), BackupError> {
    match read {
        Err(error @ BackupError::Damaged { .. }) => problems.push(error),
        other => other?,
    }
    Ok(())
}
