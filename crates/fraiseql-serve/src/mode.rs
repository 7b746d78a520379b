//! What the service does for now: everything, reads only, or nothing but say that it is being worked on.
//!
//! A switch is told to be done only when nothing that began before it can still write: PostgreSQL
//! itself holds read-only what runs from then on.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use fraiseql_engine::OperationKind;
use fraiseql_model::response::{Code, GraphqlError};
use fraiseql_postgres::Pool;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};

use crate::answer::{Answer, Refusal};
use crate::body::Reply;
use crate::exposition::Exposition;
use crate::observe::{Event, Observe};

const READ_ONLY: &str = "the service is read-only for now, nothing was written: try again later (FQ-RUN-005)";
const MAINTENANCE: &str = "the service is being worked on: try again later (FQ-RUN-006)";
const NOTICE: &str =
    "{\"error\":\"the service is being worked on: try again later\",\"code\":\"FQ-RUN-006\"}";

/// What the service does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Everything.
    #[default]
    Normal,
    /// Queries and subscriptions.
    ReadOnly,
    /// Nothing but health and metrics.
    Maintenance,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Normal, Self::ReadOnly, Self::Maintenance];

    /// Returns it as one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::ReadOnly => "read-only",
            Self::Maintenance => "maintenance",
        }
    }

    /// Returns the mode of that name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What clients are told who have to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// After how many seconds to try again.
    pub retry_after_s: u32,
    /// The body of 503 in maintenance, with its content type; `None` says it in JSON.
    pub body: Option<(HeaderValue, Bytes)>,
}

impl Default for Notice {
    fn default() -> Self {
        Self { retry_after_s: 30, body: None }
    }
}

/// Requests that began before a switch still write.
#[derive(Debug, thiserror::Error)]
#[error("wait for {writing} requests that began before")]
pub struct StillWriting {
    /// How many.
    pub writing: usize,
}

/// The mode in force.
#[derive(Debug)]
pub(crate) struct ModeState {
    current: ArcSwap<(Mode, Notice)>,
    switches: AtomicU64,
    refused: AtomicU64,
    /// One switch at a time, or two could wait for each other's writers.
    switching: tokio::sync::Mutex<()>,
}

impl ModeState {
    /// Returns the state at the start; `pool` is held accordingly.
    pub(crate) fn new(mode: Mode, notice: Notice, pool: &Pool) -> Self {
        pool.hold_read_only(mode != Mode::Normal);
        Self {
            current: ArcSwap::from_pointee((mode, notice)),
            switches: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            switching: tokio::sync::Mutex::new(()),
        }
    }

    /// Returns the mode in force.
    pub(crate) fn mode(&self) -> Mode {
        self.current.load().0
    }

    /// Replaces what clients are told.
    pub(crate) fn set_notice(&self, notice: Notice) {
        self.current.rcu(|current| (current.0, notice.clone()));
    }

    /// Switches, and returns when nothing that began before can still write.
    ///
    /// From the call on new requests meet the new mode. Fails when some still write after `patience`;
    /// the new mode holds nevertheless, and a second call waits again.
    pub(crate) async fn switch(
        &self,
        mode: Mode,
        pool: &Pool,
        patience: Duration,
        observer: &Arc<dyn Observe>,
    ) -> Result<(), StillWriting> {
        let _one = self.switching.lock().await;
        let before = self.mode();
        self.current.rcu(|current| (mode, current.1.clone()));
        pool.hold_read_only(mode != Mode::Normal);
        if before != mode {
            self.switches.fetch_add(1, Ordering::Relaxed);
        }
        if mode != Mode::Normal && tokio::time::timeout(patience, pool.writers_gone()).await.is_err() {
            return Err(StillWriting { writing: pool.writers() });
        }
        if before != mode {
            observer.observe(&Event::ModeSwitched { from: before, to: mode });
        }
        Ok(())
    }

    /// Refuses an operation that the mode does not allow.
    pub(crate) fn admit(&self, kind: OperationKind) -> Result<(), Answer> {
        let current = self.current.load();
        let (code, message) = match (current.0, kind) {
            (Mode::Normal, _) | (Mode::ReadOnly, OperationKind::Query | OperationKind::Subscription) => {
                return Ok(());
            }
            (Mode::ReadOnly, OperationKind::Mutation) => (Code::ReadOnly, READ_ONLY),
            (Mode::Maintenance, _) => (Code::Unavailable, MAINTENANCE),
        };
        self.refused.fetch_add(1, Ordering::Relaxed);
        let mut error = GraphqlError::new(code, message);
        error.extensions.retry_after_seconds = Some(current.1.retry_after_s);
        Err(Answer::refused(Refusal::Unavailable, error))
    }

    /// Returns the answer to whatever is asked in maintenance; `None` in the other modes.
    pub(crate) fn notice(&self) -> Option<Response<Reply>> {
        let current = self.current.load();
        let (Mode::Maintenance, notice) = (current.0, &current.1) else { return None };
        self.refused.fetch_add(1, Ordering::Relaxed);
        let (content_type, body) = match &notice.body {
            Some((content_type, body)) => (content_type.clone(), body.clone()),
            None => (HeaderValue::from_static("application/json"), Bytes::from_static(NOTICE.as_bytes())),
        };
        let mut response = Response::new(Reply::whole(body));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(RETRY_AFTER, HeaderValue::from(notice.retry_after_s));
        Some(response)
    }

    /// Adds the mode to a page of metrics.
    pub(crate) fn render(&self, page: &mut Exposition) {
        let name = "fraiseql_mode";
        page.head(name, "gauge", "1 for what the service does for now.");
        for mode in Mode::ALL {
            page.sample(name, &[("mode", mode.as_str())], u64::from(mode == self.mode()));
        }
        let switches = self.switches.load(Ordering::Relaxed);
        page.counter("fraiseql_mode_switches_total", "Changes of the mode while running.", switches);
        let refused = self.refused.load(Ordering::Relaxed);
        page.counter("fraiseql_mode_refused_total", "Requests that the mode did not allow.", refused);
    }
}
