//! Which processes are the servers of a data directory.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use fraiseql_process::{ProcessId, is_alive};

use crate::account::Account;

/// Whether a process belongs to the server of a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serves {
    /// It does.
    This,
    /// It does not, or it has ended.
    Other,
    /// It is of PostgreSQL, and the operating system does not tell more.
    Unknown,
}

/// Tells whether a process is a PostgreSQL process of that data directory, whose path has no links.
pub(crate) fn serves(process: ProcessId, data_dir: &Path, account: &Account) -> Serves {
    let name = std::fs::read_to_string(format!("/proc/{}/comm", process.pid)).unwrap_or_default();
    if !matches!(name.trim_end(), "postgres" | "postmaster") {
        return Serves::Other;
    }
    match folder(process, account) {
        Some(folder) if folder == data_dir => Serves::This,
        Some(_) => Serves::Other,
        None if is_alive(process) => Serves::Unknown,
        None => Serves::Other,
    }
}

/// Returns every PostgreSQL process of that data directory.
pub(crate) fn serving(data_dir: &Path, account: &Account) -> Vec<ProcessId> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| number(entry.file_name().to_str()?))
        .filter_map(ProcessId::of)
        .filter(|process| serves(*process, data_dir, account) == Serves::This)
        .collect()
}

/// Returns its working directory, which for PostgreSQL is the data directory.
fn folder(process: ProcessId, account: &Account) -> Option<PathBuf> {
    let link = format!("/proc/{}/cwd", process.pid);
    match std::fs::read_link(&link) {
        Ok(folder) => Some(folder),
        // In a container even root may not look into another user's processes: that user may.
        Err(error) if error.kind() == ErrorKind::PermissionDenied && account.switch => {
            let mut command = Command::new("readlink");
            command.arg("-n").arg(&link);
            account.dress(&mut command);
            let output = command.output().ok()?;
            output.status.success().then(|| OsString::from_vec(output.stdout).into())
        }
        Err(_) => None,
    }
}

/// Reads a number; a word that is none is `None`.
pub(crate) fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    let number = text.parse();
    number.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_no_server_serves_nothing() {
        let me = ProcessId::of(std::process::id()).unwrap();
        let account = Account::of_servers().unwrap();
        assert_eq!(serves(me, &std::env::current_dir().unwrap(), &account), Serves::Other);
    }
}
