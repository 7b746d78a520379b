//! How long a request waited for a connection, and ran in the database.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fraiseql_engine::Statement;

/// A statement that ran for a request; several of one round trip count as the first of them.
#[derive(Clone, Debug)]
pub struct TimedStatement {
    /// The SQL; values are parameters.
    pub sql: Arc<str>,
    /// How many parameters it has.
    pub params: usize,
    /// When it was sent.
    pub started: Instant,
    /// When its last row was there, or it was given up.
    pub ended: Instant,
}

/// A wait for a connection of the pool.
#[derive(Clone, Copy, Debug)]
pub struct TimedWait {
    /// When it began.
    pub started: Instant,
    /// When there was one, or none in time.
    pub ended: Instant,
}

/// The times of one request.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// Waits for connections, in order.
    pub waits: Vec<TimedWait>,
    /// Statements, in the order in which they ended.
    pub statements: Vec<TimedStatement>,
}

impl Times {
    /// Returns how long statements ran.
    pub fn in_sql(&self) -> Duration {
        self.statements.iter().map(|one| one.ended.duration_since(one.started)).sum()
    }

    /// Returns how long it waited for connections.
    pub fn waiting(&self) -> Duration {
        self.waits.iter().map(|one| one.ended.duration_since(one.started)).sum()
    }
}

/// Takes the times of one request.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch(Mutex<Times>);

/// A statement under way; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    watch: Arc<Stopwatch>,
    sql: Arc<str>,
    params: usize,
    started: Instant,
}

impl Stopwatch {
    /// Begins to time a statement.
    pub(crate) fn statement(self: &Arc<Self>, statement: &Statement) -> Running {
        Running {
            watch: Arc::clone(self),
            sql: Arc::clone(&statement.sql),
            params: statement.params.len(),
            started: Instant::now(),
        }
    }

    /// Notes a wait that ends now.
    pub(crate) fn waited(&self, started: Instant) {
        let wait = TimedWait { started, ended: Instant::now() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).waits.push(wait);
    }

    /// Returns the times until now, and forgets them.
    pub(crate) fn take(&self) -> Times {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Requests are the same or not whatever their times are.
impl PartialEq for Stopwatch {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Self { sql, params, started, .. } = self;
        let ended = Instant::now();
        let timed = TimedStatement { sql: Arc::clone(sql), params: *params, started: *started, ended };
        self.watch.0.lock().unwrap_or_else(PoisonError::into_inner).statements.push(timed);
    }
}
