//! The record of a release's deployment: a file to which lines are only added, each down to the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use fraiseql_model::errors;
use fraiseql_model::release::ReleaseId;
use fraiseql_ops::{RunbookEntry, StepEnd, read_runbook};
use rustix::fs::{FlockOperation, flock};

use crate::clock;
use crate::failure::Failure;

/// A record, held by this process alone.
pub(super) struct Record {
    path: PathBuf,
    file: File,
    entries: Vec<RunbookEntry>,
}

fn failed(action: &str, path: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::new(&errors::RBK_FILE, format!("{action} {}", path.display())).because(error)
}

impl Record {
    /// Opens or begins the record. Fails while another process has it, and when it is damaged; a last
    /// line that was being written when the power went is cut off.
    pub(super) fn open(state: &Path, release: &ReleaseId) -> Result<Self, Failure> {
        let folder = state.join("runbooks");
        let path = folder.join(format!("{}.jsonl", release.as_str()));
        let unwritable = |error: std::io::Error| failed("write", &path, &error);
        fs::create_dir_all(&folder).map_err(unwritable)?;
        let file = OpenOptions::new().append(true).create(true).open(&path).map_err(unwritable)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| {
            failed("take", &path, &error).hint("another `fraiseql runbook` works on it: wait for it")
        })?;
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("read", &path, &error)),
            read => read.unwrap_or_default(),
        };
        let (entries, whole) = read_runbook(&text).map_err(|reason| {
            Failure::new(&errors::RBK_FILE, format!("read {}: {reason}", path.display()))
                .hint("mend the line, or move the file away and begin again")
        })?;
        if whole < text.len() {
            file.set_len(u64::try_from(whole).unwrap_or(0)).map_err(unwritable)?;
        }
        Ok(Self { path, file, entries })
    }

    /// Returns what was written down.
    pub(super) fn entries(&self) -> &[RunbookEntry] {
        &self.entries
    }

    /// Returns where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a line down to the disk.
    pub(super) fn add(&mut self, step: &str, end: StepEnd, by: &str, evidence: &str) -> Result<(), Failure> {
        let (step, by, evidence) = (step.to_owned(), by.to_owned(), evidence.to_owned());
        let entry =
            RunbookEntry { format: RunbookEntry::FORMAT, step, end, by, at_s: clock::now_s(), evidence };
        let line =
            serde_json::to_string(&entry).map_err(|error| Failure::internal("write a step", &error))?;
        let written = self.file.write_all(format!("{line}\n").as_bytes()).and_then(|()| self.file.sync_all());
        written.map_err(|error| failed("write", &self.path, &error))?;
        self.entries.push(entry);
        Ok(())
    }
}
