//! Pure nouns that the other crates talk about. No I/O, no clock, no randomness.

pub mod access;
pub mod artifact;
mod artifact_format;
pub mod catalog;
pub mod diagnostic;
pub mod digest;
pub mod errors;
pub mod health;
pub mod identity;
mod input_field;
pub mod manifest;
pub mod names;
mod outcome;
pub mod release;
pub mod response;
pub mod row_rule;
pub mod secret;
pub mod settings;
pub mod traffic;
pub mod traffic_driver;
