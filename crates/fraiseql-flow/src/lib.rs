//! Durable work: what is to be done is written down before it is done, and what came of it after.
//!
//! It must not know what the work is.

mod error;
mod journal;
mod lock;
mod place;
mod reserve;

pub use error::FlowError;
pub use journal::{Entry, EntryKind, Flow, FlowId, Journal};
