//! Room on the disk that is kept for outcomes: what was begun can be written down to its end.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Enough for thousands of entries.
const RESERVE_BYTES: usize = 1 << 20;

/// The room.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Makes sure that there is room. Fails when the disk is too full for it.
    pub(crate) fn keep(&self) -> io::Result<()> {
        let kept =
            fs::metadata(&self.path).is_ok_and(|found| usize::try_from(found.len()) == Ok(RESERVE_BYTES));
        if kept {
            return Ok(());
        }
        match fill(&self.path) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.give()?;
                Err(error)
            }
        }
    }

    /// Gives the room back to the disk.
    pub(crate) fn give(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Written, not only made long: a file with holes takes no room.
fn fill(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&vec![0xa5; RESERVE_BYTES])?;
    file.sync_all()
}
