//! What a process uses of the machine.

use std::time::Duration;

use crate::{ProcessId, is_alive, number, stat};

/// What a process uses of the machine, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Memory that is its own: resident pages that it does not share, in bytes.
    pub memory_bytes: u64,
    /// Time on a processor since its start.
    pub cpu: Duration,
    /// Open files, sockets among them.
    pub files: u64,
    /// Threads.
    pub threads: u64,
}

impl ProcessUsage {
    /// Looks at a process; `None` when it has ended or may not be looked at.
    pub fn of(process: ProcessId) -> Option<Self> {
        let stat = stat(process.pid)?;
        let ticks = number(stat.get(11)?)? + number(stat.get(12)?)?;
        let per_second = rustix::param::clock_ticks_per_second();
        let cpu = Duration::from_millis(ticks.saturating_mul(1_000) / per_second.max(1));
        let pages = std::fs::read_to_string(format!("/proc/{}/statm", process.pid)).ok()?;
        let pages: Vec<&str> = pages.split_whitespace().collect();
        let own = number(pages.get(1)?)?.saturating_sub(number(pages.get(2)?)?);
        let page_bytes = u64::try_from(rustix::param::page_size()).unwrap_or(4_096);
        let files = std::fs::read_dir(format!("/proc/{}/fd", process.pid)).ok()?.count();
        let usage = Self {
            memory_bytes: own.saturating_mul(page_bytes),
            cpu,
            files: u64::try_from(files).unwrap_or(u64::MAX),
            threads: number(stat.get(17)?)?,
        };
        // Looked at last: had another process taken the pid meanwhile, this would be its usage.
        is_alive(process).then_some(usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_seen() {
        let me = ProcessId::of(std::process::id()).unwrap();
        let before = ProcessUsage::of(me).unwrap();
        let block = vec![1_u8; 64 << 20];
        let open: Vec<_> = (0..8).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        let after = ProcessUsage::of(me).unwrap();
        assert!(after.memory_bytes >= before.memory_bytes + (48 << 20), "{before:?} {after:?}");
        assert!(after.files >= before.files + 8, "{before:?} {after:?}");
        assert_eq!((block.len(), open.len()), (64 << 20, 8));
        assert_eq!(ProcessUsage::of(ProcessId { start_ticks: me.start_ticks + 1, ..me }), None);
    }
}
