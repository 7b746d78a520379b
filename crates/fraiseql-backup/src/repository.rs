//! The backups of one cluster: base backups, archived WAL, restore points, drills.
//!
//! Nothing is written twice under a name. A backup is there once its manifest is, which comes last.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Read};
use std::num::NonZeroUsize;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use fraiseql_cluster::Custody;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bucket::Bucket;
use crate::cipher::BackupKey;
use crate::error::{BackupError, damaged, file};
use crate::folder::Folder;
use crate::lsn::WalFile;
use crate::moment::Moment;
use crate::records::{BackupManifest, DrillRecord, FORMAT, Identity, RestorePoint};
use crate::sealed::{self, Header};
use crate::storage::{BackupPlace, RepositoryLock, Storage, Upload};

const IDENTITY: &str = "repository.json";
const ENCRYPTION: &str = "encryption.json";
const WAL: &str = "wal";
const BASE: &str = "base";
const POINTS: &str = "points";
const DRILLS: &str = "drills";
const MANIFEST: &str = "manifest.json";
/// The base backup's files, as PostgreSQL sends them.
const ARCHIVE: &str = "base.tar.zst";

/// Backups of one cluster.
#[derive(Clone, Debug)]
pub struct Repository {
    storage: Storage,
    key: BackupKey,
}

/// To whom a repository is encrypted: `encryption.json`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Encryption {
    format: u32,
    recipient: String,
}

impl Repository {
    /// Makes the folder if it is new, and opens it. With a `custody`, the server may then archive into
    /// it. A bucket must be there.
    pub fn prepare(
        location: &BackupPlace,
        key: BackupKey,
        custody: Option<&Custody>,
    ) -> Result<Self, BackupError> {
        if let BackupPlace::Folder(root) = location {
            make_folders(root, custody)?;
        }
        Self::open(location, key)
    }

    /// Opens a folder that was prepared, or a bucket. Fails when it is encrypted to another key.
    pub fn open(location: &BackupPlace, key: BackupKey) -> Result<Self, BackupError> {
        let storage = match location {
            BackupPlace::Bucket(options) => Storage::Bucket(Bucket::open(options)?),
            BackupPlace::Folder(root) => {
                let reason =
                    |reason: String| BackupError::Repository { root: root.display().to_string(), reason };
                let found = root.canonicalize().map_err(|error| reason(error.to_string()))?;
                if !found.join(WAL).is_dir() || !found.join(BASE).is_dir() {
                    return Err(reason("it has no folders `wal` and `base`".to_owned()));
                }
                Storage::Folder(Folder::new(found))
            }
        };
        let repository = Self { storage, key };
        repository.require_key()?;
        Ok(repository)
    }

    /// Fails unless everything is encrypted to our key, or nothing and we have none.
    fn require_key(&self) -> Result<(), BackupError> {
        let wrong = |reason: String| BackupError::Key { reason };
        let Some(public) = self.key.public() else {
            return match self.storage.has(ENCRYPTION)? {
                true => Err(wrong(format!("{} is encrypted, and no key is set", self.shown()))),
                false => Ok(()),
            };
        };
        let ours = Encryption { format: FORMAT, recipient: public };
        let found: Encryption = match self.storage.read(ENCRYPTION)? {
            Some(bytes) => from_json(ENCRYPTION, &bytes)?,
            None if self.identity()?.is_some() => {
                let reason = format!("{} was begun without encryption", self.shown());
                return Err(wrong(reason));
            }
            None => {
                self.storage.add(ENCRYPTION, json(&ours))?;
                return Ok(());
            }
        };
        match found == ours {
            true => Ok(()),
            false => {
                let (theirs, ours) = (found.recipient, ours.recipient);
                Err(wrong(format!("{} is encrypted to {theirs}, the key is that of {ours}", self.shown())))
            }
        }
    }

    /// Returns how it is called in messages: its folder or its URL.
    pub fn shown(&self) -> String {
        self.storage.shown()
    }

    /// Returns the folder; `None` when it is a bucket.
    pub fn root(&self) -> Option<&Path> {
        match &self.storage {
            Storage::Folder(folder) => Some(folder.root()),
            Storage::Bucket(_) => None,
        }
    }

    /// Returns how many objects are worth to be moved at once.
    pub(crate) fn parallel(&self) -> NonZeroUsize {
        self.storage.parallel()
    }

    /// Takes the lock for commands that add or remove backups.
    pub(crate) fn lock(&self) -> Result<RepositoryLock, BackupError> {
        self.storage.lock()
    }

    /// Returns whose backups these are; `None` before the first.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, BackupError> {
        let Some(bytes) = self.storage.read(IDENTITY)? else { return Ok(None) };
        let identity: Identity = from_json(IDENTITY, &bytes)?;
        if identity.format == FORMAT {
            return Ok(Some(identity));
        }
        let reason = format!("it has format {}, this version reads {FORMAT}", identity.format);
        Err(BackupError::Repository { root: self.shown(), reason })
    }

    /// Makes the repository that of a cluster, or checks that it is.
    pub(crate) fn claim(&self, system_id: u64, segment_bytes: u64) -> Result<(), BackupError> {
        let new = Identity { format: FORMAT, system_id: system_id.to_string(), segment_bytes };
        if self.identity()?.is_none() {
            // Of two at once the first wins; the comparison below is for the second.
            self.storage.add(IDENTITY, json(&new))?;
        }
        match self.identity()? {
            Some(found) if found == new => Ok(()),
            found => Err(BackupError::OtherCluster {
                root: self.shown(),
                expected: found.map(|found| found.system_id).unwrap_or_default(),
                found: new.system_id,
            }),
        }
    }

    /// Archives a WAL file. Returns false when there is one of that name.
    pub(crate) fn add_wal(&self, name: &str, content: &[u8], now: Moment) -> Result<bool, BackupError> {
        self.storage.add(&wal_name(name), sealed::seal(name, content, now, &self.key)?)
    }

    /// Returns the header of an archived file, after a check; `None` when there is none.
    pub(crate) fn wal_header(&self, name: &str) -> Result<Option<Header>, BackupError> {
        let sealed = self.storage.read(&wal_name(name))?;
        sealed.map(|sealed| sealed::inspect(name, &sealed)).transpose()
    }

    /// Returns header and content of an archived file, after a check; `None` when there is none.
    pub(crate) fn wal(&self, name: &str) -> Result<Option<(Header, Vec<u8>)>, BackupError> {
        let sealed = self.storage.read(&wal_name(name))?;
        sealed.map(|sealed| sealed::open(name, &sealed, &self.key)).transpose()
    }

    pub(crate) fn has_wal(&self, name: &str) -> Result<bool, BackupError> {
        self.storage.has(&wal_name(name))
    }

    /// Returns the names of all archived WAL files, in their order, and the bytes that they take.
    pub(crate) fn wal_names(&self) -> Result<(BTreeSet<String>, u64), BackupError> {
        let (mut names, mut bytes) = (BTreeSet::new(), 0);
        for (name, size) in self.storage.list(WAL)? {
            let last = name.rsplit('/').next().and_then(|last| last.strip_suffix(".zst"));
            if let Some(name) = last.filter(|name| WalFile::of(name).is_some()) {
                bytes += size;
                names.insert(name.to_owned());
            }
        }
        Ok((names, bytes))
    }

    /// Removes an archived WAL file.
    pub(crate) fn remove_wal(&self, name: &str) -> Result<(), BackupError> {
        self.storage.remove(&wal_name(name))
    }

    /// Returns the text of each history file, by its timeline.
    pub(crate) fn histories(&self) -> Result<BTreeMap<u32, String>, BackupError> {
        let mut histories = BTreeMap::new();
        for name in self.wal_names()?.0 {
            if let Some(WalFile::History { timeline }) = WalFile::of(&name) {
                let content = self.wal(&name)?.map(|(_, content)| content).unwrap_or_default();
                let text = String::from_utf8(content).map_err(|error| damaged(&*name, error.to_string()))?;
                histories.insert(timeline, text);
            }
        }
        Ok(histories)
    }

    /// Begins to write the files of a backup, encrypted by whoever writes.
    pub(crate) fn upload_base(&self, label: &str) -> Result<Box<dyn Upload>, BackupError> {
        self.storage.upload(&base_name(label, ARCHIVE))
    }

    /// Begins to read what is stored of a backup's files.
    pub(crate) fn download_base(&self, label: &str) -> Result<Box<dyn Read>, BackupError> {
        self.storage.download(&base_name(label, ARCHIVE))
    }

    /// Returns the key for the files of backups.
    pub(crate) fn key(&self) -> &BackupKey {
        &self.key
    }

    /// Returns the usable backups, oldest first: one without a manifest is none.
    pub fn backups(&self) -> Result<Vec<BackupManifest>, BackupError> {
        let mut backups = Vec::new();
        for (name, _) in self.storage.list(BASE)? {
            if name.rsplit('/').next() != Some(MANIFEST) {
                continue;
            }
            let Some(manifest) = self.read_record::<BackupManifest>(&name)? else { continue };
            if manifest.format != FORMAT {
                let reason = format!("it has format {}, this version reads {FORMAT}", manifest.format);
                return Err(damaged(manifest.label, reason));
            }
            backups.push(manifest);
        }
        backups.sort_by_key(|backup| (backup.stopped_at, backup.stop_lsn));
        Ok(backups)
    }

    /// Writes a backup's manifest: from now on it is one.
    pub(crate) fn add_manifest(&self, manifest: &BackupManifest) -> Result<(), BackupError> {
        match self.add_record(&base_name(&manifest.label, MANIFEST), manifest)? {
            true => Ok(()),
            false => Err(BackupError::Conflict { name: manifest.label.clone() }),
        }
    }

    /// Removes a backup: first its manifest, so that half a backup is never taken for one.
    pub(crate) fn remove_backup(&self, label: &str) -> Result<(), BackupError> {
        self.storage.remove(&base_name(label, MANIFEST))?;
        self.storage.remove_below(&format!("{BASE}/{label}"))
    }

    /// Returns the labels of backups that nobody finished. Under the lock only: nobody works on them.
    pub(crate) fn unfinished(&self) -> Result<BTreeSet<String>, BackupError> {
        let (mut begun, mut finished) = (BTreeSet::new(), BTreeSet::new());
        for (name, _) in self.storage.list(BASE)? {
            let Some((label, last)) = name[BASE.len() + 1..].split_once('/') else { continue };
            begun.insert(label.to_owned());
            if last == MANIFEST {
                finished.insert(label.to_owned());
            }
        }
        Ok(&begun - &finished)
    }

    /// Returns the restore points, in the order of their positions.
    pub fn points(&self) -> Result<Vec<RestorePoint>, BackupError> {
        let mut points: Vec<RestorePoint> = self.records(POINTS)?;
        points.sort_by_key(|point| (point.at, point.lsn));
        Ok(points)
    }

    /// Writes a restore point down. Returns false when there is one of that name.
    pub(crate) fn add_point(&self, point: &RestorePoint) -> Result<bool, BackupError> {
        self.add_record(&format!("{POINTS}/{}.json", point.name), point)
    }

    /// Forgets a restore point.
    pub(crate) fn remove_point(&self, name: &str) -> Result<(), BackupError> {
        self.storage.remove(&format!("{POINTS}/{name}.json"))
    }

    /// Returns the drills, oldest first.
    pub fn drills(&self) -> Result<Vec<DrillRecord>, BackupError> {
        let mut drills: Vec<DrillRecord> = self.records(DRILLS)?;
        drills.sort_by_key(|drill| drill.at);
        Ok(drills)
    }

    /// Writes a drill down.
    pub(crate) fn add_drill(&self, drill: &DrillRecord) -> Result<(), BackupError> {
        self.add_record(&format!("{DRILLS}/{}.json", drill.at.compact()), drill).map(|_| ())
    }

    fn records<T: DeserializeOwned>(&self, below: &str) -> Result<Vec<T>, BackupError> {
        let mut records = Vec::new();
        for (name, _) in self.storage.list(below)? {
            if name.ends_with(".json") {
                records.extend(self.read_record(&name)?);
            }
        }
        Ok(records)
    }

    fn read_record<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, BackupError> {
        let Some(stored) = self.storage.read(name)? else { return Ok(None) };
        let shown = format!("{}/{name}", self.shown());
        from_json(&shown, &self.key.decrypt(&shown, stored)?).map(Some)
    }

    fn add_record(&self, name: &str, record: &impl Serialize) -> Result<bool, BackupError> {
        self.storage.add(name, self.key.encrypt(&json(record))?)
    }
}

fn make_folders(root: &Path, custody: Option<&Custody>) -> Result<(), BackupError> {
    fs::create_dir_all(root).map_err(file("create", root))?;
    let root = root.canonicalize().map_err(file("find", root))?;
    for name in [BASE, POINTS, WAL, DRILLS] {
        let folder = root.join(name);
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(file("create", &folder)(error));
            }
            _ => {}
        }
        if let Some(custody) = custody {
            custody.give(&folder)?;
        }
    }
    if let Some(custody) = custody {
        let closed = fs::Permissions::from_mode(0o700);
        fs::set_permissions(&root, closed).map_err(file("close", &root))?;
        custody.give(&root)?;
    }
    Ok(())
}

fn wal_name(name: &str) -> String {
    let timeline = WalFile::of(name).map_or(0, WalFile::timeline);
    format!("{WAL}/{timeline:08X}/{name}.zst")
}

fn base_name(label: &str, last: &str) -> String {
    format!("{BASE}/{label}/{last}")
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("its keys are strings")
}

fn from_json<T: DeserializeOwned>(shown: &str, bytes: &[u8]) -> Result<T, BackupError> {
    serde_json::from_slice(bytes).map_err(|error| damaged(shown, error.to_string()))
}
