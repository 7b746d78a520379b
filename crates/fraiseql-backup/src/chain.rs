//! The WAL from a base backup on: which segments follow each other in the archive, and the proof that
//! each is what was archived.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use fraiseql_cluster::Custody;

use crate::error::{BackupError, damaged, file};
use crate::event::Watcher;
use crate::lsn::{Lsn, WalFile, segment_name, segment_number};
use crate::moment::Moment;
use crate::records::BackupManifest;
use crate::repository::Repository;
use crate::timeline::TimelinePath;

/// Segments that follow each other without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) segment_bytes: u64,
    pub(crate) first: u64,
    /// The names, from the first on.
    pub(crate) names: Vec<String>,
    /// The first segment that is missing although a later one is there.
    pub(crate) gap: Option<String>,
}

impl Chain {
    /// Finds the segments of a path from the beginning of a backup on.
    pub(crate) fn find(
        repository: &Repository,
        backup: &BackupManifest,
        path: &TimelinePath,
    ) -> Result<Self, BackupError> {
        let segment_bytes = backup.segment_bytes;
        let (archived, _) = repository.wal_names()?;
        let name =
            |segment| segment_name(path.timeline_of_segment(segment, segment_bytes), segment, segment_bytes);
        let newest = archived.iter().filter_map(|found| match WalFile::of(found) {
            Some(WalFile::Segment { high, low, .. }) => {
                let segment = segment_number(high, low, segment_bytes);
                (*found == name(segment)).then_some(segment)
            }
            _ => None,
        });
        let newest = newest.max();
        let first = backup.start_lsn.segment(segment_bytes);
        let mut names = Vec::new();
        let mut segment = first;
        while archived.contains(&name(segment)) {
            names.push(name(segment));
            segment += 1;
        }
        let gap = newest.is_some_and(|newest| newest >= segment).then(|| name(segment));
        Ok(Self { segment_bytes, first, names, gap })
    }

    /// Returns where it ends: the position behind its last segment.
    pub(crate) fn end(&self) -> Lsn {
        Lsn((self.first + self.names.len() as u64) * self.segment_bytes)
    }

    /// Returns the chain up to what holds `lsn`; fails where it does not reach that far.
    pub(crate) fn require_to(mut self, backup: &BackupManifest, lsn: Lsn) -> Result<Self, BackupError> {
        if self.end() < lsn {
            return Err(self.gap_error(backup));
        }
        let needed = lsn.0.div_ceil(self.segment_bytes).saturating_sub(self.first);
        self.names.truncate(usize::try_from(needed).unwrap_or(usize::MAX));
        self.gap = None;
        Ok(self)
    }

    /// Returns the error of what is missing behind it.
    pub(crate) fn gap_error(&self, backup: &BackupManifest) -> BackupError {
        let next = || segment_name(backup.timeline, self.first + self.names.len() as u64, self.segment_bytes);
        BackupError::Gap {
            backup: backup.label.clone(),
            missing: self.gap.clone().unwrap_or_else(next),
            last: self.names.last().cloned().unwrap_or_else(|| "nothing".to_owned()),
        }
    }

    /// Fails when one of the segments is not what was archived.
    pub(crate) fn check(&self, repository: &Repository) -> Result<(), BackupError> {
        for name in &self.names {
            repository.wal(name)?.ok_or_else(|| damaged(name.as_str(), "it has just gone"))?;
        }
        Ok(())
    }

    /// Unpacks the segments, checked, and every history file into a folder that the server may read.
    /// Returns the part that could be unpacked, when its last segment was archived, and why it ends
    /// there when more should follow.
    pub(crate) fn stage(
        mut self,
        repository: &Repository,
        backup: &BackupManifest,
        folder: &Path,
        custody: &Custody,
        watcher: &Watcher<'_>,
    ) -> Result<(Self, Moment, Option<BackupError>), BackupError> {
        let what = format!("unpacking and checking {} segments of WAL", self.names.len());
        watcher.begin(what, self.names.len() as u64 * self.segment_bytes);
        let mut last = Moment::of(std::time::UNIX_EPOCH);
        let mut broken = self.gap.is_some().then(|| self.gap_error(backup));
        let unpacked = self.unpack(repository, folder, custody, watcher);
        for (index, unpacked) in unpacked.into_iter().enumerate() {
            match unpacked {
                Ok(archived_at) => last = archived_at,
                Err(error @ BackupError::Damaged { .. }) => {
                    broken = Some(error);
                    self.names.truncate(index);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        for (timeline, text) in repository.histories()? {
            place(&folder.join(format!("{timeline:08X}.history")), text.as_bytes(), custody)?;
        }
        watcher.end();
        Ok((self, last, broken))
    }

    /// Fetches, checks and writes the segments, several at once, and returns when each was archived.
    /// What comes behind the first that is broken may be missing from the list and from the folder.
    fn unpack(
        &self,
        repository: &Repository,
        folder: &Path,
        custody: &Custody,
        watcher: &Watcher<'_>,
    ) -> Vec<Result<Moment, BackupError>> {
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let one = |name: &str| -> Result<Moment, BackupError> {
            let (header, content) = repository.wal(name)?.ok_or_else(|| damaged(name, "it has just gone"))?;
            place(&folder.join(name), &content, custody)?;
            watcher.bytes(self.segment_bytes);
            Ok(header.archived_at)
        };
        let work = || {
            let mut done = Vec::new();
            while !failed.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(name) = self.names.get(index) else { break };
                let unpacked = one(name);
                failed.fetch_or(unpacked.is_err(), Ordering::Relaxed);
                done.push((index, unpacked));
            }
            done
        };
        let mut done: Vec<_> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..repository.parallel().get()).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("no worker panics")).collect()
        });
        // Whoever took an earlier number has ended it: up to the first failure none is missing.
        done.sort_by_key(|(index, _)| *index);
        done.into_iter().map(|(_, unpacked)| unpacked).collect()
    }
}

fn place(path: &Path, content: &[u8], custody: &Custody) -> Result<(), BackupError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let write = || -> std::io::Result<()> {
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(content)
    };
    write().map_err(file("write", path))?;
    Ok(custody.give(path)?)
}
