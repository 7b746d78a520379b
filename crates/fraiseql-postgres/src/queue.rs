//! How many may wait for a session, and for how long. Does not wait itself.

use std::time::Duration;

/// The bounds of the queue before a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueBounds {
    /// The most that wait at a time; 0 lets nobody wait.
    pub waiting_max: usize,
    /// The longest that one waits for a session that others use. Connecting is not waiting.
    pub wait_max: Duration,
}

impl Default for QueueBounds {
    /// Returns the defaults of the settings `database.queue_max` and `database.queue_wait_ms`.
    fn default() -> Self {
        Self { waiting_max: 1_000, wait_max: Duration::from_secs(2) }
    }
}

/// Why somebody was sent away who could have waited until the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// As many waited as may.
    Full,
    /// The turn did not come within the longest wait.
    Late,
}
