//! A repository in a folder, and how a file takes its place: by a rename after an fsync, and nothing is
//! written twice under a name.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::error::{BackupError, file};
use crate::storage::Upload;

/// What a file is called before it has its name.
const TEMPORARY: &str = ".new-";

/// A folder of objects.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

/// The lock of a folder.
#[derive(Debug)]
pub(crate) struct FolderLock {
    file: File,
}

impl Drop for FolderLock {
    /// Closing would not do: a child that is being started beside this has the file open until it runs.
    fn drop(&mut self) {
        drop(self.file.unlock());
    }
}

impl Folder {
    /// Takes a folder that is there, by its path without links.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Makes the folders above a name.
    fn make_above(&self, name: &str) -> Result<PathBuf, BackupError> {
        let path = self.path(name);
        let folder = path.parent().expect("it is in a folder").to_owned();
        if !folder.is_dir() {
            fs::DirBuilder::new()
                .mode(0o700)
                .recursive(true)
                .create(&folder)
                .map_err(file("create", &folder))?;
            sync_folder(folder.parent().expect("it is below the root"))?;
        }
        Ok(path)
    }

    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, BackupError> {
        let path = self.path(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file("read", path)(error)),
        }
    }

    pub(crate) fn add(&self, name: &str, bytes: &[u8]) -> Result<bool, BackupError> {
        let path = self.make_above(name)?;
        let folder = path.parent().expect("it is in a folder");
        let new = temporary(folder, bytes).map_err(file("write", &path))?;
        match new.persist_noclobber(&path) {
            Ok(_) => {
                sync_folder(folder)?;
                Ok(true)
            }
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(file("write", path)(error.error)),
        }
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), BackupError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Ok(()) => sync_folder(path.parent().expect("it is in a folder")),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(file("remove", path)(error)),
        }
    }

    pub(crate) fn remove_below(&self, name: &str) -> Result<(), BackupError> {
        let path = self.path(name);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(file("remove", path)(error)),
            _ => Ok(()),
        }
    }

    pub(crate) fn list(&self, below: &str) -> Result<Vec<(String, u64)>, BackupError> {
        let mut found = Vec::new();
        let mut folders = vec![below.to_owned()];
        while let Some(name) = folders.pop() {
            let folder = self.path(&name);
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                other => other.map_err(file("read", &folder))?,
            };
            for entry in entries {
                let entry = entry.map_err(file("read", &folder))?;
                let Ok(last) = entry.file_name().into_string() else { continue };
                if last.starts_with(TEMPORARY) {
                    continue;
                }
                let facts = entry.metadata().map_err(file("look at", entry.path()))?;
                let name = format!("{name}/{last}");
                match facts.is_dir() {
                    true => folders.push(name),
                    false => found.push((name, facts.len())),
                }
            }
        }
        found.sort();
        Ok(found)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).is_file()
    }

    pub(crate) fn upload(&self, name: &str) -> Result<Box<dyn Upload>, BackupError> {
        let path = self.make_above(name)?;
        let file = File::create_new(&path).map_err(file("create", &path))?;
        Ok(Box::new(FileUpload { path, file }))
    }

    pub(crate) fn download(&self, name: &str) -> Result<Box<dyn Read>, BackupError> {
        let path = self.path(name);
        Ok(Box::new(File::open(&path).map_err(file("read", path))?))
    }

    pub(crate) fn lock(&self) -> Result<FolderLock, BackupError> {
        let path = self.root.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(file("open", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(FolderLock { file: lock }),
            Err(TryLockError::WouldBlock) => Err(BackupError::Busy { root: self.root.display().to_string() }),
            Err(TryLockError::Error(error)) => Err(file("lock", &path)(error)),
        }
    }
}

struct FileUpload {
    path: PathBuf,
    file: File,
}

impl Write for FileUpload {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Upload for FileUpload {
    fn finish(self: Box<Self>) -> Result<(), BackupError> {
        self.file.sync_all().map_err(file("sync", &self.path))?;
        sync_folder(self.path.parent().expect("it is in a folder"))
    }
}

/// Writes a file in the place of what is there.
#[cfg(test)]
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), BackupError> {
    let folder = path.parent().expect("it is in a folder");
    let new = temporary(folder, bytes).map_err(file("write", path))?;
    new.persist(path).map_err(|error| file("write", path)(error.error))?;
    sync_folder(folder)
}

fn temporary(folder: &Path, bytes: &[u8]) -> std::io::Result<tempfile::NamedTempFile> {
    let mut new = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder)?;
    if rustix::process::geteuid().is_root() {
        // Whoever owns the folder, the server's user, must be able to read what root writes there.
        let owner = fs::metadata(folder)?;
        std::os::unix::fs::fchown(new.as_file(), Some(owner.uid()), Some(owner.gid()))?;
    }
    new.write_all(bytes)?;
    new.as_file().sync_all()?;
    Ok(new)
}

/// Adds a line to a file, on the disk when this returns.
pub(crate) fn append_line(path: &Path, line: &[u8]) -> Result<(), BackupError> {
    let append = || -> std::io::Result<()> {
        let mut target = OpenOptions::new().create(true).append(true).open(path)?;
        target.write_all(&[line, b"\n"].concat())?;
        target.sync_all()
    };
    append().map_err(file("write", path))?;
    sync_folder(path.parent().expect("it is in a folder"))
}

/// Makes names in a folder last.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), BackupError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(file("sync", folder))
}
