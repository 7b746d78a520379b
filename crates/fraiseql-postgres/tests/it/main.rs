//! Tests of the crate against a real server.

mod catalog;
mod changes;
mod pooler;
mod sessions;
mod tls;
mod writes;
