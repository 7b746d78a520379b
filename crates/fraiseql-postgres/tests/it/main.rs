//! Tests of the crate against a real server.

mod catalog;
mod pooler;
mod changes;
mod sessions;
