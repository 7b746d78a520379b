//! What the crate promises, from outside.

mod monitoring;
mod preflight;
