//! What the agent is made of: instances, traffic and gates as rollouts want them, and who may ask it.

mod alerts;
pub(crate) mod api;
mod console;
mod fleet;
mod gates;
mod haproxy;
mod modes;
mod pager;
mod prepare;
mod sampler;
mod traffic;
mod work;

pub(crate) use console::{Console, TOKEN as CONSOLE_TOKEN};
pub(crate) use fleet::LocalFleet;
pub(crate) use gates::{ALL as ALL_GATES, LocalGates, PREPARE as PREPARE_GATES, SCHEMA as SCHEMA_GATE};
pub(crate) use haproxy::{HELD as HAPROXY_HELD, HaProxyTraffic};
pub(crate) use modes::InstanceModes;
pub(crate) use pager::{NAME as PAGER, Pager};
pub(crate) use sampler::{CAPACITY, Sampler, noted_samples};
pub(crate) use traffic::{DriverTraffic, ProxyTraffic};
pub(crate) use work::GateWork;

/// The name of the agent's socket in the state directory.
pub(crate) const SOCKET: &str = "agent.sock";
