//! Traffic in an HAProxy that somebody else runs: addresses, states and weights over its runtime socket.
//!
//! The backend needs places for instances, which are used as they are needed:
//! `server-template fq 1-16 127.0.0.1:1 disabled check`. It must not know what a rollout is.

mod driver;
mod error;
mod held;
mod plan;
mod runtime;
mod stats;

pub use driver::{HaProxy, HaProxyAbout, HaProxyOptions};
pub use error::HaProxyError;
