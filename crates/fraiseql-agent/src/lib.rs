//! Keeps releases, and supervises the instances that serve them.
//!
//! It must not decide about traffic, and it must not touch a database.

mod ask;
mod attestations;
mod error;
mod instance;
mod junit;
mod keeper;
mod probe;
mod releases;
mod report;
mod supervisor;
mod written;

pub use ask::{AskError, ask};
pub use attestations::Attestations;
pub use error::AgentError;
pub use instance::Launch;
pub use junit::{TestReport, read_junit};
pub use keeper::ProxyKeeper;
pub use releases::{Kept, Releases, StoredRelease};
pub use report::{LoadReport, read_load, read_sarif};
pub use supervisor::{InstanceEvent, InstanceView, LaunchOf, Supervisor, SupervisorOptions};
