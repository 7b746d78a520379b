//! Pure nouns that the other crates talk about. No I/O, no clock, no randomness.

pub mod artifact;
pub mod catalog;
pub mod diagnostic;
pub mod digest;
pub mod errors;
pub mod health;
pub mod identity;
pub mod manifest;
pub mod names;
mod outcome;
pub mod response;
pub mod settings;
