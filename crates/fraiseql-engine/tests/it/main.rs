//! Tests of the engine at its boundary.

mod fixture;
mod hostile;
