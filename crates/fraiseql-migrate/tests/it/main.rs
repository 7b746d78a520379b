//! Tests of the crate on a real server.
mod dependents;
