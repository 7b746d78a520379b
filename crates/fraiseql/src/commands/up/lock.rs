//! One `up` for one project. The lock goes with the process, however it ends.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;

use fraiseql_model::errors;
use rustix::fs::{FlockOperation, flock};

use crate::failure::Failure;

/// The lock of a project, held while it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock; fails when another process has it, and names that process.
    pub(crate) fn take(dir: &Path) -> Result<Self, Failure> {
        let folder = dir.join(".fraiseql");
        let path = folder.join("lock");
        let failed = |error: std::io::Error| {
            Failure::new(&errors::IO_WRITE, format!("write {}", path.display())).because(&error)
        };
        fs::create_dir_all(&folder).map_err(failed)?;
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options.map_err(failed)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut pid = String::new();
            file.read_to_string(&mut pid).map_err(failed)?;
            let pid = pid.trim();
            let message = format!("run {}: it is running already, as process {pid}", dir.display());
            return Err(
                Failure::new(&errors::RUN_ALREADY, message).hint(format!("stop it with `kill {pid}`"))
            );
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(failed)?;
        Ok(Self { _file: file })
    }
}
