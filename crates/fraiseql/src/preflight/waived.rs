//! The waivers of a project: a file to which lines are only added.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fraiseql_model::errors;
use fraiseql_ops::{CheckWaiver, read_waivers};

use super::known;
use crate::clock;
use crate::failure::Failure;

/// For how long a waiver may be given: what nobody looks at for longer is no waiver any more.
const TIME_MAX: Duration = Duration::from_secs(90 * 86_400);
/// The longest reason.
const REASON_BYTES_MAX: usize = 500;

fn path(state: &Path) -> PathBuf {
    state.join("preflight").join("waivers.jsonl")
}

/// Returns the last waiver of each check, also those that have ended.
pub(crate) fn waivers(state: &Path) -> Result<Vec<CheckWaiver>, Failure> {
    let path = path(state);
    let unreadable = |reason: String| {
        Failure::new(&errors::PRE_FILE, format!("read {}: {reason}", path.display()))
            .hint("mend the line, or move the file away and give the waivers again")
    };
    match fs::read_to_string(&path) {
        Ok(text) => read_waivers(&text).map_err(unreadable),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

/// Adds a waiver, down to the disk. Fails when it is for no check, says nothing, or holds for too long.
pub(crate) fn waive(
    state: &Path,
    check: &str,
    reason: &str,
    by: &str,
    until_s: u64,
) -> Result<CheckWaiver, Failure> {
    known(check)?;
    let refused = |message: String, hint: &str| Err(Failure::new(&errors::PRE_WAIVER, message).hint(hint));
    let at_s = clock::now_s();
    if reason.trim().is_empty() || reason.len() > REASON_BYTES_MAX {
        let message = format!("waive {check}: the reason has {} bytes", reason.len());
        return refused(message, "say in 1 to 500 bytes why the check may fail");
    }
    if until_s > at_s.saturating_add(TIME_MAX.as_secs()) {
        return refused(format!("waive {check} for more than 90 days"), "name an earlier day with --until");
    }
    // One that ends at once takes an earlier one back.
    let (reason, by) = (reason.to_owned(), by.to_owned());
    let waiver =
        CheckWaiver { format: CheckWaiver::FORMAT, check: check.to_owned(), reason, by, at_s, until_s };
    waivers(state)?;
    append(&path(state), &waiver)?;
    Ok(waiver)
}

fn append(path: &Path, waiver: &CheckWaiver) -> Result<(), Failure> {
    let line = serde_json::to_string(waiver).map_err(|error| Failure::internal("write a waiver", &error))?;
    let write = || {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error: std::io::Error| {
        Failure::new(&errors::IO_WRITE, format!("write {}", path.display())).because(&error)
    })
}
