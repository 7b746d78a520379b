//! Where the objects of a repository lie: in a folder or in a bucket. Both keep the same names.

use std::io::{Read, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::bucket::{Bucket, BucketLock, BucketOptions};
use crate::error::BackupError;
use crate::folder::{Folder, FolderLock};

/// Where backups are kept.
#[derive(Clone, Debug)]
pub enum BackupPlace {
    /// In a folder.
    Folder(PathBuf),
    /// In a bucket of S3, or of what speaks like it.
    Bucket(BucketOptions),
}

/// The objects of a repository, by their names: `wal/00000001/...`, `base/LABEL/...`.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    Folder(Folder),
    Bucket(Bucket),
}

/// The right to add and remove backups. Dropping it gives it back.
#[derive(Debug)]
pub(crate) enum RepositoryLock {
    Folder { _lock: FolderLock },
    Bucket { _lock: BucketLock },
}

/// A large object that is being written: it is there once it was finished.
pub(crate) trait Upload: Write {
    /// Returns when it lasts.
    fn finish(self: Box<Self>) -> Result<(), BackupError>;
}

impl Storage {
    /// Returns an object; `None` when there is none of that name.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, BackupError> {
        match self {
            Self::Folder(folder) => folder.read(name),
            Self::Bucket(bucket) => bucket.read(name),
        }
    }

    /// Writes an object unless there is one of that name: then it returns false.
    pub(crate) fn add(&self, name: &str, bytes: Vec<u8>) -> Result<bool, BackupError> {
        match self {
            Self::Folder(folder) => folder.add(name, &bytes),
            Self::Bucket(bucket) => bucket.add(name, bytes),
        }
    }

    /// Removes an object. Does nothing when there is none.
    pub(crate) fn remove(&self, name: &str) -> Result<(), BackupError> {
        match self {
            Self::Folder(folder) => folder.remove(name),
            Self::Bucket(bucket) => bucket.remove(name),
        }
    }

    /// Removes everything below a name.
    pub(crate) fn remove_below(&self, name: &str) -> Result<(), BackupError> {
        match self {
            Self::Folder(folder) => folder.remove_below(name),
            Self::Bucket(bucket) => bucket.remove_below(name),
        }
    }

    /// Returns the names of all objects below a name, sorted, and their bytes.
    pub(crate) fn list(&self, below: &str) -> Result<Vec<(String, u64)>, BackupError> {
        match self {
            Self::Folder(folder) => folder.list(below),
            Self::Bucket(bucket) => bucket.list(below),
        }
    }

    /// Returns true when there is an object of that name.
    pub(crate) fn has(&self, name: &str) -> Result<bool, BackupError> {
        match self {
            Self::Folder(folder) => Ok(folder.has(name)),
            Self::Bucket(bucket) => bucket.has(name),
        }
    }

    /// Begins to write a large object.
    pub(crate) fn upload(&self, name: &str) -> Result<Box<dyn Upload>, BackupError> {
        match self {
            Self::Folder(folder) => folder.upload(name),
            Self::Bucket(bucket) => bucket.upload(name),
        }
    }

    /// Begins to read a large object. Several parts of it are fetched at once, where that is quicker.
    pub(crate) fn download(&self, name: &str) -> Result<Box<dyn Read>, BackupError> {
        match self {
            Self::Folder(folder) => folder.download(name),
            Self::Bucket(bucket) => bucket.download(name),
        }
    }

    /// Takes the lock for commands that add or remove backups.
    pub(crate) fn lock(&self) -> Result<RepositoryLock, BackupError> {
        match self {
            Self::Folder(folder) => folder.lock().map(|lock| RepositoryLock::Folder { _lock: lock }),
            Self::Bucket(bucket) => bucket.lock().map(|lock| RepositoryLock::Bucket { _lock: lock }),
        }
    }

    /// Returns how it is called in messages.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Folder(folder) => folder.root().display().to_string(),
            Self::Bucket(bucket) => bucket.shown(),
        }
    }

    /// Returns how many objects are worth to be moved at once.
    pub(crate) fn parallel(&self) -> NonZeroUsize {
        match self {
            Self::Folder(_) => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            Self::Bucket(bucket) => bucket.parallel(),
        }
    }
}
