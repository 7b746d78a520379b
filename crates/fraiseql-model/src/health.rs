//! The body of `GET /health`: exactly the keys of the deployment guide.

use serde::Serialize;

/// The document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The whole.
    pub status: Status,
    /// The version of the binary.
    pub version: &'static str,
    /// The database, as the last probe saw it.
    pub database: Component,
    /// The cache, as the last probe saw it.
    pub cache: Component,
    /// Whole seconds since the process started.
    pub uptime_seconds: u64,
}

/// The whole service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Everything answers.
    Healthy,
    /// It serves, with a part away that it can do without.
    Degraded,
    /// It cannot answer GraphQL now.
    Unhealthy,
}

/// A part of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Component {
    /// Whether it answers.
    pub status: Connection,
    /// Milliseconds of the last successful probe; null when there was none or none is due.
    pub latency_ms: Option<u64>,
}

/// Whether a part answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Connection {
    /// The last probe was answered.
    Connected,
    /// The last probe failed.
    Disconnected,
    /// Not configured.
    Disabled,
}
