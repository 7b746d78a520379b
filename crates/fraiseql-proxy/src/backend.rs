//! One instance: whether it is well, as probes and requests find, and how many requests it has.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use fraiseql_model::traffic::BackendHealth;
use tokio::sync::Notify;

/// An instance. It stays the same over generations that name it.
#[derive(Debug)]
pub(crate) struct BackendSlot {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// Requests that come to an end by themselves.
    pub(crate) in_flight: AtomicU64,
    /// Sockets and event streams, which stay until somebody ends them.
    pub(crate) streams: AtomicU64,
    health: AtomicU8,
    /// The last body of `/health`.
    pub(crate) told: ArcSwapOption<serde_json::Value>,
    /// Woken when a request has found it unwell, so that it is probed at once.
    pub(crate) doubted: Notify,
    /// Woken when it does not even answer probes.
    pub(crate) hung: Notify,
    /// Its word on errors was found wrong.
    pub(crate) disbelieved: AtomicBool,
}

const UNKNOWN: u8 = 0;
const READY: u8 = 1;
const EJECTED: u8 = 2;

impl BackendSlot {
    pub(crate) fn new(name: &str, address: SocketAddr) -> Self {
        Self {
            name: name.to_owned(),
            address,
            in_flight: AtomicU64::new(0),
            streams: AtomicU64::new(0),
            health: AtomicU8::new(UNKNOWN),
            told: ArcSwapOption::empty(),
            doubted: Notify::new(),
            hung: Notify::new(),
            disbelieved: AtomicBool::new(false),
        }
    }

    pub(crate) fn health(&self) -> BackendHealth {
        match self.health.load(Ordering::Acquire) {
            READY => BackendHealth::Ready,
            EJECTED => BackendHealth::Ejected,
            _ => BackendHealth::Unknown,
        }
    }

    /// Notes what a probe found. Returns true when it is news.
    pub(crate) fn probed(&self, ready: bool) -> bool {
        let now = if ready { READY } else { EJECTED };
        self.health.swap(now, Ordering::AcqRel) != now
    }

    /// Notes that a request found nobody. Returns true when it is news.
    pub(crate) fn doubt(&self) -> bool {
        let news = self.health.swap(EJECTED, Ordering::AcqRel) != EJECTED;
        self.doubted.notify_one();
        news
    }
}

/// Counts a request of an instance for as long as it lives.
#[derive(Debug)]
pub(crate) struct InFlight {
    slot: Arc<BackendSlot>,
    is_stream: bool,
}

impl InFlight {
    pub(crate) fn new(slot: &Arc<BackendSlot>) -> Self {
        Self::counted(slot, false)
    }

    /// Counts something that does not end by itself.
    pub(crate) fn stream(slot: &Arc<BackendSlot>) -> Self {
        Self::counted(slot, true)
    }

    fn counted(slot: &Arc<BackendSlot>, is_stream: bool) -> Self {
        let open = Self { slot: Arc::clone(slot), is_stream };
        open.counter().fetch_add(1, Ordering::AcqRel);
        open
    }

    fn counter(&self) -> &AtomicU64 {
        if self.is_stream { &self.slot.streams } else { &self.slot.in_flight }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.counter().fetch_sub(1, Ordering::AcqRel);
    }
}
