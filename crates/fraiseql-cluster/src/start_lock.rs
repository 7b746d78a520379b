//! One start of a data directory at a time, also between processes.
//!
//! The lock goes with the process that holds it, however that ends. The server does not hold it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;

use crate::error::{ClusterError, file};
use crate::pidfile::pid_of;
use crate::place::beside;

/// Longer than any start that is not a long recovery.
const TIMEOUT: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The right to make and start a data directory. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct StartLock {
    _file: File,
}

impl StartLock {
    /// Waits until no other start of the data directory is under way.
    ///
    /// Fails with [`ClusterError::InUse`] when one takes too long.
    pub(crate) async fn take(data_dir: &Path) -> Result<Self, ClusterError> {
        let path = beside(data_dir, ".lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(file("open", &path))?;
        let deadline = tokio::time::Instant::now() + TIMEOUT;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(file("lock", &path)(error)),
                Err(TryLockError::WouldBlock) if tokio::time::Instant::now() >= deadline => {
                    let mut holder = String::new();
                    lock.read_to_string(&mut holder).map_err(file("read", &path))?;
                    let pid = pid_of(&holder).unwrap_or(0);
                    return Err(ClusterError::InUse { data_dir: data_dir.to_owned(), pid });
                }
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
        let write = |lock: &mut File| {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())
        };
        write(&mut lock).map_err(file("write", &path))?;
        Ok(Self { _file: lock })
    }
}
