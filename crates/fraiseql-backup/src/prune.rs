//! Forgets what is too old: backups first, then the WAL and the points that no kept backup leads to.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::error::BackupError;
use crate::lsn::{Lsn, WalFile, segment_number};
use crate::moment::Moment;
use crate::records::{BackupManifest, RestorePoint};
use crate::repository::Repository;

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// At least so many backups, the newest; never none.
    pub count: u64,
    /// Every moment of so long can be restored; backups that are younger are kept.
    pub age: Duration,
}

/// What is forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Labels.
    pub backups: Vec<String>,
    /// Names of restore points.
    pub points: Vec<String>,
    /// Names of WAL files.
    pub wal: Vec<String>,
}

/// Returns what the retention does not keep, and with `remove` removes it: backups before the WAL that
/// they need, so that a crash leaves no backup without its WAL.
pub fn prune(
    repository: &Repository,
    retention: Retention,
    now: Moment,
    remove: bool,
) -> Result<Pruned, BackupError> {
    let _lock = repository.lock()?;
    let (backups, points) = (repository.backups()?, repository.points()?);
    let pruned = decide(&backups, &points, &repository.wal_names()?.0, retention, now);
    if remove {
        for label in &pruned.backups {
            repository.remove_backup(label)?;
        }
        for name in &pruned.points {
            repository.remove_point(name)?;
        }
        for name in &pruned.wal {
            repository.remove_wal(name)?;
        }
    }
    Ok(pruned)
}

/// Decides what goes; `backups` oldest first. Without a backup that stays nothing goes.
fn decide(
    backups: &[BackupManifest],
    points: &[RestorePoint],
    wal: &BTreeSet<String>,
    retention: Retention,
    now: Moment,
) -> Pruned {
    let since = now.before(retention.age);
    let by_count =
        backups.len().saturating_sub(usize::try_from(retention.count.max(1)).unwrap_or(usize::MAX));
    // The newest that ended before the window is where each moment at its beginning is restored from.
    let by_age = backups.iter().rposition(|backup| backup.stopped_at <= since).unwrap_or(0);
    let (gone, kept) = backups.split_at(by_count.min(by_age));
    let Some(first) = kept.iter().map(|backup| backup.start_lsn).min() else { return Pruned::default() };
    let oldest_stop = kept.iter().map(|backup| backup.stop_lsn).min().unwrap_or(Lsn(0));
    let segment_bytes = kept[0].segment_bytes;
    let is_before = |name: &&String| match WalFile::of(name) {
        Some(WalFile::Segment { high, low, .. } | WalFile::Partial { high, low, .. }) => {
            segment_number(high, low, segment_bytes) < first.segment(segment_bytes)
        }
        // Histories are small, and the way to every later timeline.
        _ => false,
    };
    Pruned {
        backups: gone.iter().map(|backup| backup.label.clone()).collect(),
        points: points
            .iter()
            .filter(|point| point.lsn < oldest_stop)
            .map(|point| point.name.clone())
            .collect(),
        wal: wal.iter().filter(is_before).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::lsn::segment_name;

    const SEGMENT: u64 = 1 << 24;
    const DAY: u64 = 86_400;

    fn now() -> Moment {
        Moment::parse("2026-01-26 14:00:00Z").unwrap()
    }

    /// A backup `days` ago, with the WAL of the segment of that number from the end.
    fn backup(days: u64) -> BackupManifest {
        let at = now().before(Duration::from_secs(days * DAY));
        BackupManifest {
            format: 1,
            label: format!("d{days}"),
            system_id: "7".to_owned(),
            major: 15,
            timeline: 1,
            start_lsn: Lsn((100 - days) * SEGMENT + 40),
            stop_lsn: Lsn((100 - days) * SEGMENT + 400),
            started_at: at,
            stopped_at: at,
            segment_bytes: SEGMENT,
            bytes: 1,
            files: 1,
            stored_bytes: 1,
            stored_sha256: String::new(),
            verified_at: at,
            settings: BTreeMap::new(),
        }
    }

    #[track_caller]
    fn check(count: u64, days: u64, expected: &[&str]) {
        let backups: Vec<_> = [30, 20, 10, 5, 1].into_iter().map(backup).collect();
        let wal = (60..100).map(|number| segment_name(1, number, SEGMENT));
        let wal = wal.chain(["00000002.history".to_owned()]).collect();
        let point = RestorePoint {
            format: 1,
            name: "old".to_owned(),
            timeline: 1,
            lsn: Lsn(71 * SEGMENT),
            at: now(),
            rows: BTreeMap::new(),
        };
        let retention = Retention { count, age: Duration::from_secs(days * DAY) };
        let pruned = decide(&backups, &[point], &wal, retention, now());
        assert_eq!(pruned.backups, expected);
        let kept = &backups[expected.len()];
        let first = kept.start_lsn.segment(SEGMENT);
        assert_eq!(pruned.wal.len() as u64, first - 60, "all before what {} needs", kept.label);
        assert!(pruned.wal.iter().all(|name| *name < segment_name(1, first, SEGMENT)));
        assert_eq!(pruned.points.is_empty(), expected.is_empty());
    }

    #[test]
    fn both_count_and_age_keep() {
        check(3, 0, &["d30", "d20"]);
        check(1, 7, &["d30", "d20"]);
        check(1, 0, &["d30", "d20", "d10", "d5"]);
        check(0, 0, &["d30", "d20", "d10", "d5"]);
        check(5, 0, &[]);
        check(1, 365, &[]);
    }

    #[test]
    fn every_moment_of_the_window_can_be_restored() {
        // The window begins 12 days ago: only the backup of 20 days ago ended before.
        check(1, 12, &["d30"]);
    }

    #[test]
    fn without_a_backup_no_wal_goes() {
        let wal = BTreeSet::from([segment_name(1, 3, SEGMENT)]);
        let retention = Retention { count: 1, age: Duration::ZERO };
        assert_eq!(decide(&[], &[], &wal, retention, now()), Pruned::default());
    }
}
