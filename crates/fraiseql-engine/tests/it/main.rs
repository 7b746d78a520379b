//! Tests of the engine at its boundary.

mod chinook;
mod fixture;
mod hostile;
mod mutations;
mod nasty;
mod poly;
mod property;
mod world;
