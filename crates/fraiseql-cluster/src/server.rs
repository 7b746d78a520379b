//! A server process: our child, or one that another owner left behind.

use std::process::{Child, ExitStatus};
use std::time::Duration;

use fraiseql_process::{ProcessId, is_alive};
use rustix::process::Signal;

/// How a server is made to end, and how long each step may take: sessions are ended and a
/// checkpoint is written; without a checkpoint, which costs a recovery at the next start; killed.
const STOPPING: [(Signal, Duration); 3] = [
    (Signal::INT, Duration::from_secs(15)),
    (Signal::QUIT, Duration::from_secs(6)),
    (Signal::KILL, Duration::from_secs(5)),
];

/// A server process.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) process: ProcessId,
    /// There when we started it: then we must also take its exit status.
    child: Option<Child>,
}

impl Server {
    /// Returns the server that we started; `None` when the operating system tells nothing about it.
    pub(crate) fn started(child: Child) -> Option<Self> {
        Some(Self { process: ProcessId::of_child(&child)?, child: Some(child) })
    }

    /// Returns a server that another process started.
    pub(crate) fn adopted(process: ProcessId) -> Self {
        Self { process, child: None }
    }

    /// Returns true while it runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.status().is_none() && is_alive(self.process)
    }

    /// Returns the exit status of a server that we started and that has ended.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok()?
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) {
        self.process.ended().await;
        // Takes the exit status, so that no zombie stays.
        self.status();
    }

    /// Makes it end, with more force each time. Returns false when even the last did not help.
    pub(crate) async fn stop(&mut self) -> bool {
        for (signal, limit) in STOPPING {
            self.process.signal(signal);
            if tokio::time::timeout(limit, self.ended()).await.is_ok() {
                return true;
            }
        }
        false
    }

    /// Makes it end at once, without a checkpoint: for data that nobody needs. Blocks, for seconds
    /// at most.
    pub(crate) fn destroy(&mut self) {
        const LOOKS: u32 = 500;
        const LOOK_EVERY: Duration = Duration::from_millis(10);
        for signal in [Signal::QUIT, Signal::KILL] {
            self.process.signal(signal);
            for _ in 0..LOOKS {
                if !self.is_running() {
                    return;
                }
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }
}
