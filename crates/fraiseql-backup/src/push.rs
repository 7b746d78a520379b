//! `archive_command`: takes a file of WAL into the repository. Returns only when it is on the disk.

use std::fs;
use std::path::Path;

use fraiseql_model::digest::sha256_hex;

use crate::error::{BackupError, damaged, file};
use crate::lsn::{WalFile, segment_number};
use crate::moment::Moment;
use crate::page::FirstPage;
use crate::repository::Repository;

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is archived now.
    New,
    /// It was archived before, with this content.
    Again,
}

/// Archives a file of WAL under its own name.
///
/// A second call with the same content changes nothing and succeeds; with other content it fails
/// with [`BackupError::Conflict`] and changes nothing. A segment of another cluster, or one that
/// stands under a wrong name, is refused. A crash leaves no half file under the name.
pub fn push_wal(repository: &Repository, path: &Path, now: Moment) -> Result<Pushed, BackupError> {
    let not_wal = || BackupError::NotWal { file: path.to_owned() };
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(not_wal)?;
    let kind = WalFile::of(name).ok_or_else(not_wal)?;
    let content = fs::read(path).map_err(file("read", path))?;
    if let WalFile::Segment { high, low, .. } | WalFile::Partial { high, low, .. } = kind {
        check_segment(repository, name, &content, (high, low))?;
    }
    // The beginning of a segment may be cut short at different places by different restores. Nobody
    // reads it back: the timeline that follows has a copy.
    let name = match kind {
        WalFile::Partial { .. }
            if repository.wal_header(name)?.is_some_and(|found| found.sha256 != sha256_hex(&content)) =>
        {
            return Ok(Pushed::Again);
        }
        _ => name,
    };
    if repository.add_wal(name, &content, now)? {
        return Ok(Pushed::New);
    }
    match repository.wal_header(name)? {
        Some(found) if found.sha256 == sha256_hex(&content) => Ok(Pushed::Again),
        _ => Err(BackupError::Conflict { name: name.to_owned() }),
    }
}

fn check_segment(
    repository: &Repository,
    name: &str,
    content: &[u8],
    (high, low): (u32, u32),
) -> Result<(), BackupError> {
    let page = FirstPage::of(content).ok_or_else(|| damaged(name, "it does not begin as a segment"))?;
    if page.segment_bytes != content.len() as u64 || !page.segment_bytes.is_power_of_two() {
        let reason = format!("it has {} bytes, a segment has {}", content.len(), page.segment_bytes);
        return Err(damaged(name, reason));
    }
    if page.begins.0 != segment_number(high, low, page.segment_bytes) * page.segment_bytes {
        return Err(damaged(name, format!("it holds the WAL from {}", page.begins)));
    }
    repository.claim(page.system_id, page.segment_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cipher::BackupKey;
    use crate::lsn::segment_name;
    use crate::storage::BackupPlace;

    const SEGMENT: usize = 1024 * 1024;

    struct Bench {
        folder: tempfile::TempDir,
        repository: Repository,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let repository = Repository::prepare(
                &BackupPlace::Folder(folder.path().join("repository")),
                BackupKey::Open,
                None,
            )
            .unwrap();
            Self { folder, repository }
        }

        fn segment(&self, number: u64, system_id: u64, fill: u8) -> std::path::PathBuf {
            let mut content = vec![fill; SEGMENT];
            content[2..4].copy_from_slice(&2_u16.to_ne_bytes());
            content[8..16].copy_from_slice(&(number * SEGMENT as u64).to_ne_bytes());
            content[24..32].copy_from_slice(&system_id.to_ne_bytes());
            content[32..36].copy_from_slice(&(SEGMENT as u32).to_ne_bytes());
            let path = self.folder.path().join(segment_name(1, number, SEGMENT as u64));
            crate::folder::replace(&path, &content).unwrap();
            path
        }

        #[track_caller]
        fn check(&self, path: &Path, expected: &str) {
            let now = Moment::parse("2026-01-26 14:03:00Z").unwrap();
            let shown = match push_wal(&self.repository, path, now) {
                Ok(pushed) => format!("{pushed:?}"),
                Err(error) => error.to_string(),
            };
            assert!(shown.contains(expected), "{shown}");
        }
    }

    #[test]
    fn the_same_content_is_taken_twice_and_other_content_never() {
        let bench = Bench::new();
        bench.check(&bench.segment(3, 7, 1), "New");
        bench.check(&bench.segment(3, 7, 1), "Again");
        bench.check(&bench.segment(3, 7, 2), "archived already, with other content");
        let (header, content) = bench.repository.wal("000000010000000000000003").unwrap().unwrap();
        assert_eq!((header.bytes, content[SEGMENT - 1]), (SEGMENT as u64, 1));
    }

    #[test]
    fn another_cluster_a_wrong_name_and_half_a_segment_are_refused() {
        let bench = Bench::new();
        bench.check(&bench.segment(3, 7, 1), "New");
        bench.check(&bench.segment(4, 8, 1), "it holds cluster 7, this is 8");
        let path = bench.segment(5, 7, 1);
        let renamed = path.with_file_name(segment_name(1, 6, SEGMENT as u64));
        fs::rename(&path, &renamed).unwrap();
        bench.check(&renamed, "it holds the WAL from 0/500000");
        let path = bench.segment(7, 7, 1);
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(9_000).unwrap();
        bench.check(&path, "it has 9000 bytes");
        bench.check(&bench.folder.path().join("notes.txt"), "its name is not one of WAL");
        assert_eq!(bench.repository.wal_names().unwrap().0.len(), 1);
    }

    #[test]
    fn a_bit_that_flipped_in_the_archive_is_found_when_it_is_read() {
        let bench = Bench::new();
        bench.check(&bench.segment(3, 7, 1), "New");
        let path = bench.repository.root().unwrap().join("wal/00000001/000000010000000000000003.zst");
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        crate::folder::replace(&path, &bytes).unwrap();
        assert!(matches!(bench.repository.wal("000000010000000000000003"), Err(BackupError::Damaged { .. })));
    }
}
