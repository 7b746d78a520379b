//! What is seen: instances, traffic and counts of one moment. What nobody could look at is unknown.

use std::collections::BTreeMap;

use fraiseql_model::traffic::{ArmCounts, GenerationOrigin};

/// What is seen at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// When, in milliseconds since the epoch of Unix.
    pub now_ms: u64,
    /// Instances by release.
    pub instances: BTreeMap<String, InstancesSeen>,
    /// What the proxy says of itself; `None` when it does not answer.
    pub traffic: Option<TrafficSeen>,
    /// What the proxy has counted, by release; `None` when it does not answer.
    pub counts: Option<Vec<ArmCounts>>,
}

/// The instances of a release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstancesSeen {
    /// Processes that run.
    pub running: u32,
    /// Of these, ready to serve.
    pub ready: u32,
    /// Its instances end again and again: they are not started any more.
    pub crashing: bool,
    /// What the last one said that ended or is not ready.
    pub said: String,
}

/// What the proxy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficSeen {
    /// The stable release.
    pub stable: String,
    /// Shares in percent by release.
    pub shares: BTreeMap<String, u8>,
    /// Who made it.
    pub origin: GenerationOrigin,
    /// True when it is what we told it last.
    pub is_ours: bool,
    /// Open requests of instances that drain.
    pub draining: u64,
}

impl Observation {
    /// Returns the instances of a release.
    pub fn of(&self, release: &str) -> InstancesSeen {
        self.instances.get(release).cloned().unwrap_or_default()
    }
}
