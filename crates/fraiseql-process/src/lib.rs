//! Processes by pid and start time, so that a reused pid is never mistaken for the old process.
//!
//! It must not act on a pid alone: between a look and a signal another process may have it.

mod usage;

use std::process::Child;
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

pub use usage::ProcessUsage;

/// A process: its pid, and the tick since boot at which it started.
///
/// After a reboot another process may have both; whoever keeps one over reboots also keeps [`boot_id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessId {
    /// The pid.
    pub pid: u32,
    /// Field 22 of `/proc/<pid>/stat`.
    pub start_ticks: u64,
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
    pub fn of_child(child: &Child) -> Option<Self> {
        Self::of_unreaped(child.id())
    }

    /// Returns the process of the pid of a child whose exit status nobody has taken, also when it has ended.
    pub fn of_unreaped(pid: u32) -> Option<Self> {
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

    fn open(self) -> Option<OwnedFd> {
        pidfd_open(self.raw()?, PidfdFlags::empty()).ok()
    }

    fn raw(self) -> Option<Pid> {
        i32::try_from(self.pid).ok().and_then(Pid::from_raw)
    }
}

/// Returns true while the process runs under this pid, with this start.
pub fn is_alive(process: ProcessId) -> bool {
    ProcessId::of(process.pid) == Some(process)
}

/// Returns what differs between two runs of the machine, so that a [`ProcessId`] of the one before is
/// known to be gone. Empty where the operating system does not tell.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
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

/// Reads a number; a word that is none is `None`.
fn number(text: &str) -> Option<u64> {
    let number = text.parse();
    number.ok()
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
    fn a_run_of_the_machine_has_a_name() {
        assert_eq!(boot_id().len(), 36, "a UUID");
    }
}
