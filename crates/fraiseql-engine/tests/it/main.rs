//! Tests of the engine at its boundary.

mod chinook;
mod fixture;
mod hostile;
mod live;
mod mutations;
mod nasty;
mod property;
mod world;
