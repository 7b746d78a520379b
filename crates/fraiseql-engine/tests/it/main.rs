//! Tests of the engine at its boundary.

mod chinook;
mod conformance;
mod fixture;
mod fuzz;
mod hostile;
mod mutations;
mod nasty;
mod property;
mod world;
