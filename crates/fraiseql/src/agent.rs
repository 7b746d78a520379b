//! What the agent is made of: instances, traffic and gates as rollouts want them, and who may ask it.

pub(crate) mod api;
mod fleet;
mod gates;
mod traffic;

pub(crate) use fleet::LocalFleet;
pub(crate) use gates::{ALL as ALL_GATES, LocalGates, SCHEMA as SCHEMA_GATE};
pub(crate) use traffic::ProxyTraffic;

/// The name of the agent's socket in the state directory.
pub(crate) const SOCKET: &str = "agent.sock";
