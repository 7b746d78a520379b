//! Keeps releases, and supervises the instances that serve them.
//!
//! It must not decide about traffic, and it must not touch a database.

mod attestations;
mod error;
mod junit;
mod releases;
mod written;

pub use attestations::Attestations;
pub use error::AgentError;
pub use junit::{TestReport, read_junit};
pub use releases::{Kept, Releases, StoredRelease};
