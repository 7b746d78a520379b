//! Tests of the crate from outside.
mod guard;
mod guard_cases;
mod reality;
