//! The load balancer in front of the instances: which release gets which request, who is well, and
//! what the service as a whole says of itself.
//!
//! It outlives the control plane: what holds lies on its disk. It must not know what a rollout is.

mod aggregate;
mod backend;
mod body;
mod choose;
mod control;
mod counts;
mod error;
mod forward;
mod headers;
mod health;
mod observe;
mod release_metrics;
mod sample;
mod server;
mod store;
mod table;
mod traffic;
mod tunnel;

pub use error::ProxyError;
pub use observe::{ProxyEvent, ProxyObserver};
pub use server::{Proxy, ProxyOptions, ProxyReport};
