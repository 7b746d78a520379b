//! The files of a base backup: read back, compared with PostgreSQL's own manifest, and unpacked.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Component, Path};

use fraiseql_cluster::Custody;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::cipher::BackupKey;
use crate::error::{BackupError, damaged, file};
use crate::event::Watcher;
use crate::lsn::Lsn;
use crate::repository::Repository;

/// The name of PostgreSQL's manifest among the files.
pub(crate) const SERVER_MANIFEST: &str = "backup_manifest";
/// A manifest of a cluster with a hundred thousand files has some 20 MB.
const MANIFEST_BYTES_MAX: u64 = 1 << 30;

/// What was found when the files were read.
#[derive(Debug)]
pub(crate) struct BaseFacts {
    pub(crate) bytes: u64,
    pub(crate) files: u64,
    pub(crate) timeline: u32,
    pub(crate) start_lsn: Lsn,
    pub(crate) stop_lsn: Lsn,
    pub(crate) stored_bytes: u64,
    pub(crate) stored_sha256: String,
}

/// `backup_manifest`, as far as it is needed. PostgreSQL adds keys from version to version.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServerManifest {
    files: Vec<ServerFile>,
    #[serde(rename = "WAL-Ranges")]
    wal_ranges: Vec<WalRange>,
    #[serde(rename = "Manifest-Checksum")]
    checksum: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServerFile {
    path: Option<String>,
    size: u64,
    #[serde(rename = "Checksum-Algorithm")]
    algorithm: Option<String>,
    checksum: Option<String>,
}

#[derive(Debug, Deserialize)]
struct WalRange {
    #[serde(rename = "Timeline")]
    timeline: u32,
    #[serde(rename = "Start-LSN")]
    start: String,
    #[serde(rename = "End-LSN")]
    end: String,
}

/// Reads every byte of a stored base backup and compares each file with PostgreSQL's manifest.
/// With `into`, the files are written there, and belong to whoever runs the server.
pub(crate) fn read_base(
    repository: &Repository,
    label: &str,
    into: Option<(&Path, &Custody)>,
    watcher: &Watcher<'_>,
) -> Result<BaseFacts, BackupError> {
    let stored = repository.download_base(label)?;
    let mut hashing = Hashing { inner: stored, hasher: Sha256::new(), bytes: 0, failed: None, watcher };
    let what = format!("backup {label}");
    let read = unpack(&what, repository.key(), &mut hashing, into);
    if let Some(error) = hashing.failed.take() {
        // What cannot be fetched is not damaged.
        let place = format!("{} of {}", what, repository.shown());
        return Err(BackupError::Storage { action: "read", place, source: Box::new(error) });
    }
    let (found, manifest) = read?;
    let stored = (hashing.bytes, hex(&hashing.hasher.finalize()));
    compare(&what, &manifest, &found, stored)
}

/// Length and SHA-256 of each file, and PostgreSQL's manifest.
type Files = (BTreeMap<String, (u64, String)>, Vec<u8>);

fn unpack(
    what: &str,
    key: &BackupKey,
    hashing: &mut Hashing<'_, impl Read>,
    into: Option<(&Path, &Custody)>,
) -> Result<Files, BackupError> {
    let broken = |error: std::io::Error| damaged(what, error.to_string());
    let opened = key.reader(what, &mut *hashing)?;
    let decoder = zstd::stream::read::Decoder::new(opened).map_err(broken)?;
    let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 20, decoder));
    let (mut found, mut manifest) = (BTreeMap::new(), Vec::new());
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.into_owned();
        if !name.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(damaged(what, format!("it holds {}", name.display())));
        }
        let kind = entry.header().entry_type();
        let target = into.map(|(folder, custody)| (folder.join(&name), custody));
        if kind.is_dir() {
            if let Some((target, custody)) = target {
                make_folder(&target, custody)?;
            }
            continue;
        }
        if !kind.is_file() {
            return Err(damaged(what, format!("{} is neither a file nor a folder", name.display())));
        }
        let is_manifest = name == Path::new(SERVER_MANIFEST);
        let mut sink = Sink::open(target, is_manifest)?;
        let (bytes, digest) = sink.take_all(&mut entry, what)?;
        if is_manifest {
            manifest = sink.kept;
        } else {
            found.insert(name.to_string_lossy().into_owned(), (bytes, digest));
        }
    }
    // Behind the last file come padding and the end of the compression's own check.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(broken)?;
    std::io::copy(hashing, &mut std::io::sink()).map_err(broken)?;
    Ok((found, manifest))
}

fn compare(
    what: &str,
    manifest: &[u8],
    found: &BTreeMap<String, (u64, String)>,
    (stored_bytes, stored_sha256): (u64, String),
) -> Result<BaseFacts, BackupError> {
    let named: ServerManifest = serde_json::from_slice(manifest)
        .map_err(|error| damaged(what, format!("PostgreSQL's manifest: {error}")))?;
    // The checksum is that of everything before the line that it stands on.
    let line = b"\n\"Manifest-Checksum\"";
    let end = manifest.windows(line.len()).rposition(|window| window == line).map_or(0, |at| at + 1);
    if hex(&Sha256::digest(&manifest[..end])) != named.checksum {
        return Err(damaged(what, "PostgreSQL's manifest has another checksum than it says"));
    }
    for wanted in &named.files {
        let Some(path) = &wanted.path else { continue };
        let sha256 = wanted.checksum.as_deref().filter(|_| wanted.algorithm.as_deref() == Some("SHA256"));
        match found.get(path) {
            None => return Err(damaged(what, format!("{path} is missing"))),
            Some((bytes, _)) if *bytes != wanted.size => {
                return Err(damaged(what, format!("{path} has {bytes} bytes instead of {}", wanted.size)));
            }
            Some((_, digest)) if sha256.is_none_or(|sha256| sha256 != digest) => {
                return Err(damaged(what, format!("{path} has another SHA-256 than PostgreSQL wrote down")));
            }
            Some(_) => {}
        }
    }
    let [range, ..] = named.wal_ranges.as_slice() else {
        return Err(damaged(what, "PostgreSQL's manifest names no WAL"));
    };
    Ok(BaseFacts {
        bytes: found.values().map(|(bytes, _)| bytes).sum(),
        files: found.len() as u64,
        timeline: range.timeline,
        start_lsn: Lsn::parse(&range.start)?,
        stop_lsn: Lsn::parse(&named.wal_ranges.last().unwrap_or(range).end)?,
        stored_bytes,
        stored_sha256,
    })
}

fn make_folder(path: &Path, custody: &Custody) -> Result<(), BackupError> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).recursive(true).create(path).map_err(file("create", path))?;
    Ok(custody.give(path)?)
}

/// Where the content of a file goes.
struct Sink {
    target: Option<(std::path::PathBuf, File)>,
    keep: bool,
    kept: Vec<u8>,
}

impl Sink {
    fn open(target: Option<(std::path::PathBuf, &Custody)>, keep: bool) -> Result<Self, BackupError> {
        use std::os::unix::fs::OpenOptionsExt;
        let Some((path, custody)) = target else { return Ok(Self { target: None, keep, kept: Vec::new() }) };
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            make_folder(folder, custody)?;
        }
        let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let opened = opened.map_err(file("create", &path))?;
        custody.give(&path)?;
        Ok(Self { target: Some((path, opened)), keep, kept: Vec::new() })
    }

    /// Takes all of a file; returns its length and its SHA-256.
    fn take_all(&mut self, from: &mut impl Read, what: &str) -> Result<(u64, String), BackupError> {
        use std::io::Write;
        let (mut hasher, mut bytes, mut buffer) = (Sha256::new(), 0_u64, vec![0; 1 << 17]);
        loop {
            let read = from.read(&mut buffer).map_err(|error| damaged(what, error.to_string()))?;
            if read == 0 {
                return Ok((bytes, hex(&hasher.finalize())));
            }
            bytes += read as u64;
            hasher.update(&buffer[..read]);
            if let Some((path, target)) = &mut self.target {
                target.write_all(&buffer[..read]).map_err(file("write", &*path))?;
            }
            if self.keep {
                if bytes > MANIFEST_BYTES_MAX {
                    return Err(damaged(what, "PostgreSQL's manifest is too large"));
                }
                self.kept.extend_from_slice(&buffer[..read]);
            }
        }
    }
}

/// Digests and counts what is read through it.
struct Hashing<'w, R> {
    inner: R,
    hasher: Sha256,
    bytes: u64,
    /// Why there is no more to read.
    failed: Option<std::io::Error>,
    watcher: &'w Watcher<'w>,
}

impl<R: Read> Read for Hashing<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = match self.inner.read(buffer) {
            Ok(read) => read,
            Err(error) => {
                let kind = error.kind();
                self.failed = Some(error);
                return Err(kind.into());
            }
        };
        self.hasher.update(&buffer[..read]);
        self.bytes += read as u64;
        self.watcher.bytes(read as u64);
        Ok(read)
    }
}

pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
