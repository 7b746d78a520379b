//! What the health endpoints say, kept in memory: a probe writes it, requests only read it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use fraiseql_model::health::{Component, Connection, Health, Status};

/// The most that readiness tells of what the database lacks.
const DETAILS_MAX: usize = 20;
/// No probe was answered yet, or the last one was not.
const NO_LATENCY: u64 = u64::MAX;

/// The state that health and readiness are told from.
#[derive(Debug)]
pub(crate) struct HealthState {
    version: &'static str,
    started: Instant,
    database: AtomicU8,
    latency_us: AtomicU64,
    draining: AtomicBool,
    /// What the database lacks for the artifact.
    lacks: ArcSwap<Vec<String>>,
}

/// What is known of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Database {
    NotProbed = 0,
    Connected = 1,
    Lost = 2,
}

/// What readiness says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Send requests.
    Ready,
    /// The database was not probed yet.
    Starting,
    /// The process is about to end.
    Draining,
    /// The database is away.
    Unready,
    /// The database answers, but it is not one that the artifact can be served from.
    Mismatched,
}

impl Readiness {
    /// Returns the body of `/health/ready`.
    pub(crate) fn body(self) -> &'static str {
        match self {
            Self::Ready => "{\"status\":\"ready\"}",
            Self::Starting => "{\"status\":\"starting\"}",
            Self::Draining => "{\"status\":\"draining\"}",
            Self::Unready => "{\"status\":\"unready\"}",
            Self::Mismatched => "{\"status\":\"mismatched\"}",
        }
    }
}

impl HealthState {
    /// Returns the state of a process that just started.
    pub(crate) fn new(version: &'static str) -> Self {
        Self {
            version,
            started: Instant::now(),
            database: AtomicU8::new(Database::NotProbed as u8),
            latency_us: AtomicU64::new(NO_LATENCY),
            draining: AtomicBool::new(false),
            lacks: ArcSwap::default(),
        }
    }

    /// Notes an answered probe. Returns true when the last one was not answered.
    pub(crate) fn connected(&self, latency: Duration) -> bool {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(NO_LATENCY - 1);
        self.latency_us.store(micros, Ordering::Relaxed);
        self.database.swap(Database::Connected as u8, Ordering::SeqCst) != Database::Connected as u8
    }

    /// Notes a probe without an answer. Returns true when it is the first in a row.
    pub(crate) fn lost(&self) -> bool {
        self.latency_us.store(NO_LATENCY, Ordering::Relaxed);
        self.database.swap(Database::Lost as u8, Ordering::SeqCst) != Database::Lost as u8
    }

    /// Notes what the database lacks for the artifact; nothing when it fits.
    pub(crate) fn mismatch(&self, lacks: Vec<String>) {
        self.lacks.store(Arc::new(lacks));
    }

    /// Returns the body of `/health/ready`: what readiness says and, with details, what the database
    /// lacks. Details name relations: they are for who works on the schema.
    pub(crate) fn ready_body(&self, detailed: bool) -> String {
        let readiness = self.readiness();
        if readiness != Readiness::Mismatched || !detailed {
            return readiness.body().to_owned();
        }
        let lacks: Vec<String> = self.lacks.load().iter().take(DETAILS_MAX).cloned().collect();
        serde_json::json!({ "status": "mismatched", "database_lacks": lacks }).to_string()
    }

    /// From now on readiness says no.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Returns true when the last probe was answered.
    pub(crate) fn database_up(&self) -> bool {
        self.database.load(Ordering::SeqCst) == Database::Connected as u8
    }

    /// Returns what readiness says now.
    pub(crate) fn readiness(&self) -> Readiness {
        if self.draining.load(Ordering::SeqCst) {
            return Readiness::Draining;
        }
        match self.database.load(Ordering::SeqCst) {
            known if known == Database::Connected as u8 && !self.lacks.load().is_empty() => {
                Readiness::Mismatched
            }
            known if known == Database::Connected as u8 => Readiness::Ready,
            known if known == Database::NotProbed as u8 => Readiness::Starting,
            _ => Readiness::Unready,
        }
    }

    /// Returns the health document of now; `cache` is what the cache says of itself, if there is one.
    pub(crate) fn document(&self, cache: Option<Component>) -> Health {
        let up = self.database_up();
        let latency_us = self.latency_us.load(Ordering::Relaxed);
        // Rounded up: a probe always takes some time, and 0 would say that none was measured.
        let latency_ms = (up && latency_us != NO_LATENCY).then(|| latency_us.div_ceil(1_000).max(1));
        let cache = cache.unwrap_or(Component { status: Connection::Disabled, latency_ms: None });
        Health {
            status: match (up, cache.status) {
                (false, _) => Status::Unhealthy,
                (true, Connection::Disconnected) => Status::Degraded,
                (true, Connection::Connected | Connection::Disabled) => Status::Healthy,
            },
            version: self.version,
            database: Component {
                status: if up { Connection::Connected } else { Connection::Disconnected },
                latency_ms,
            },
            cache,
            uptime_seconds: self.started.elapsed().as_secs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(health: &HealthState, readiness: Readiness, status: Status, latency_ms: Option<u64>) {
        assert_eq!(health.readiness(), readiness);
        let document = health.document(None);
        assert_eq!((document.status, document.database.latency_ms), (status, latency_ms));
    }

    #[test]
    fn it_says_what_the_probe_saw_and_draining_wins() {
        let health = HealthState::new("1.2.3");
        check(&health, Readiness::Starting, Status::Unhealthy, None);
        assert!(health.connected(Duration::from_micros(1_400)));
        assert!(!health.connected(Duration::from_micros(2_400)), "only the first is news");
        check(&health, Readiness::Ready, Status::Healthy, Some(3));
        assert!(health.lost());
        assert!(!health.lost());
        check(&health, Readiness::Unready, Status::Unhealthy, None);
        assert!(health.connected(Duration::from_nanos(1)));
        health.drain();
        check(&health, Readiness::Draining, Status::Healthy, Some(1));
    }

    #[test]
    fn without_its_cache_the_service_is_degraded() {
        let health = HealthState::new("1.2.3");
        let cache = |status| Some(Component { status, latency_ms: None });
        assert_eq!(health.document(cache(Connection::Disconnected)).status, Status::Unhealthy);
        health.connected(Duration::from_millis(2));
        assert_eq!(health.document(cache(Connection::Disconnected)).status, Status::Degraded);
        assert_eq!(health.document(cache(Connection::Connected)).status, Status::Healthy);
    }

    #[test]
    fn the_document_has_the_guides_keys() {
        let health = HealthState::new("1.2.3");
        health.connected(Duration::from_millis(2));
        let text = serde_json::to_string(&health.document(None)).unwrap();
        assert_eq!(
            text,
            r#"{"status":"healthy","version":"1.2.3","database":{"status":"connected","latency_ms":2},"cache":{"status":"disabled","latency_ms":null},"uptime_seconds":0}"#
        );
    }
}
