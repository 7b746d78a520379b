//! Processes by pid and start time, so that a reused pid is never mistaken for the old process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// A process: its pid, and the tick since boot at which it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessId {
    /// The pid.
    pub pid: u32,
    /// Field 22 of `/proc/<pid>/stat`.
    pub start_ticks: u64,
}

impl ProcessId {
    /// Returns the process that has the pid now, unless it is dead or a zombie.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may contain anything, also spaces and parentheses.
        let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_whitespace().collect();
        if matches!(fields.first(), Some(&"Z" | &"X")) {
            return None;
        }
        Some(Self { pid, start_ticks: number(fields.get(19)?)? })
    }

    /// Sends a signal, if it is still this process.
    pub fn signal(self, signal: Signal) {
        if is_alive(self)
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
            // It may end between the look and the signal: then there is nothing to stop.
            && kill_process(pid, signal).is_err()
        {}
    }

    /// Waits until it is gone; returns false when it is still there after `limit`.
    pub async fn gone(self, limit: Duration) -> bool {
        let deadline = tokio::time::Instant::now() + limit;
        while is_alive(self) {
            if tokio::time::Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        true
    }

    /// Returns true when it is a PostgreSQL process of that data directory.
    pub(crate) fn serves(self, data_dir: &Path) -> bool {
        self.is_postgres() && self.folder().is_ok_and(|folder| folder == data_dir)
    }

    /// Returns true when it could be one: a container may forbid us to see its working directory.
    pub(crate) fn may_serve(self, data_dir: &Path) -> bool {
        self.is_postgres() && self.folder().map_or(true, |folder| folder == data_dir)
    }

    fn is_postgres(self) -> bool {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", self.pid)).unwrap_or_default();
        name.starts_with("postgres")
    }

    fn folder(self) -> std::io::Result<PathBuf> {
        std::fs::read_link(format!("/proc/{}/cwd", self.pid))
    }
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
pub(crate) fn serving(data_dir: &Path) -> Vec<ProcessId> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| number(entry.file_name().to_str()?))
        .filter_map(ProcessId::of)
        .filter(|process| process.serves(data_dir))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_another_start_is_another_process() {
        let me = ProcessId::of(std::process::id()).unwrap();
        assert!(is_alive(me));
        assert!(!is_alive(ProcessId { start_ticks: me.start_ticks + 1, ..me }));
    }
}
