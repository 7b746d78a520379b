//! Processes by pid and start time, so that a reused pid is never mistaken for the old process.
//!
//! It must not act on a pid alone: between a look and a signal another process may have it.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use crate::account::Account;

/// A process: its pid, and the tick since boot at which it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessId {
    /// The pid.
    pub pid: u32,
    /// Field 22 of `/proc/<pid>/stat`.
    pub start_ticks: u64,
}

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

const LOOK_EVERY: Duration = Duration::from_millis(20);

impl ProcessId {
    /// Returns the process that has the pid now, unless it is dead or a zombie.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = stat(pid)?;
        if matches!(stat.first().map(String::as_str), Some("Z" | "X")) {
            return None;
        }
        Some(Self { pid, start_ticks: start_ticks(&stat)? })
    }

    /// Returns the process of a child, which keeps its pid until we have taken its exit status.
    pub(crate) fn of_child(child: &Child) -> Option<Self> {
        let pid = child.id();
        Some(Self { pid, start_ticks: start_ticks(&stat(pid)?)? })
    }

    /// Sends a signal, if it is still this process. Returns false when it has ended, or when we may
    /// not signal it.
    pub fn signal(self, signal: Signal) -> bool {
        // Taken before the look at the start time, a pidfd cannot be of a later process.
        let pidfd = self.open();
        if !is_alive(self) {
            return false;
        }
        match pidfd {
            Some(pidfd) => pidfd_send_signal(pidfd, signal).is_ok(),
            None => self.raw().is_some_and(|pid| kill_process(pid, signal).is_ok()),
        }
    }

    /// Waits until it has ended.
    pub async fn ended(self) {
        while is_alive(self) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until it has ended; returns false when it is still there after `limit`.
    pub async fn gone(self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.ended()).await.is_ok()
    }

    /// Tells whether it is a PostgreSQL process of that data directory, whose path has no links.
    pub(crate) fn serves(self, data_dir: &Path, account: &Account) -> Serves {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", self.pid)).unwrap_or_default();
        if !matches!(name.trim_end(), "postgres" | "postmaster") {
            return Serves::Other;
        }
        match self.folder(account) {
            Some(folder) if folder == data_dir => Serves::This,
            Some(_) => Serves::Other,
            None if is_alive(self) => Serves::Unknown,
            None => Serves::Other,
        }
    }

    /// Returns its working directory, which for PostgreSQL is the data directory.
    fn folder(self, account: &Account) -> Option<PathBuf> {
        let link = format!("/proc/{}/cwd", self.pid);
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

    fn open(self) -> Option<OwnedFd> {
        pidfd_open(self.raw()?, PidfdFlags::empty()).ok()
    }

    fn raw(self) -> Option<Pid> {
        i32::try_from(self.pid).ok().and_then(Pid::from_raw)
    }
}

/// Returns the fields of `/proc/<pid>/stat` from the state on, which is field 3.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain anything, also spaces and parentheses.
    Some(stat.get(stat.rfind(')')? + 1..)?.split_whitespace().map(str::to_owned).collect())
}

fn start_ticks(stat: &[String]) -> Option<u64> {
    number(stat.get(19)?)
}

/// Returns true while the process runs under this pid, with this start.
pub fn is_alive(process: ProcessId) -> bool {
    ProcessId::of(process.pid) == Some(process)
}

/// Reads a number; a word that is none is `None`.
pub(crate) fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    let number = text.parse();
    number.ok()
}

/// Returns every PostgreSQL process of that data directory.
pub(crate) fn serving(data_dir: &Path, account: &Account) -> Vec<ProcessId> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| number(entry.file_name().to_str()?))
        .filter_map(ProcessId::of)
        .filter(|process| process.serves(data_dir, account) == Serves::This)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_another_start_is_another_process() {
        let me = ProcessId::of(std::process::id()).unwrap();
        assert!(is_alive(me));
        let later = ProcessId { start_ticks: me.start_ticks + 1, ..me };
        assert!(!is_alive(later));
        assert!(!later.signal(Signal::KILL), "a signal for another start reaches nobody");
    }

    #[test]
    fn a_process_that_is_no_server_serves_nothing() {
        let me = ProcessId::of(std::process::id()).unwrap();
        let account = Account::of_servers().unwrap();
        assert_eq!(me.serves(&std::env::current_dir().unwrap(), &account), Serves::Other);
    }
}
