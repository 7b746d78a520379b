//! Development only: checks of this repository, the test runner, generated reference pages.
//!
//! Nothing that ships depends on this crate. The checks run under `cargo test -p xtask` too, so that
//! a rule of the house is a test and not a habit.

pub mod reference;
mod rust_file;
pub mod suite;
pub mod tidy;
pub mod workspace;
