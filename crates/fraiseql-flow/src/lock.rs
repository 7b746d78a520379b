//! One executor at a time. The lock goes with the process, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::error::FlowError;

/// The right to act, held while it lives.
#[derive(Debug)]
pub(crate) struct ExecutorLock {
    file: File,
}

impl ExecutorLock {
    /// Takes the lock; fails when another process has it.
    pub(crate) fn take(path: &Path) -> Result<Self, FlowError> {
        let failed = |source| FlowError::File { action: "lock", path: path.to_owned(), source };
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = opened.map_err(failed)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut pid = String::new();
            file.read_to_string(&mut pid).map_err(failed)?;
            return Err(FlowError::InUse { path: path.to_owned(), pid: pid.trim().to_owned() });
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        // A full disk is no reason not to act: the number is for people.
        drop(write(&mut file));
        Ok(Self { file })
    }
}

impl Drop for ExecutorLock {
    /// Closing would not do: a child that is being started beside this has the file open until it runs.
    fn drop(&mut self) {
        drop(self.file.unlock());
    }
}
