//! Tests of the engine at its boundary.

mod chinook;
mod fixture;
mod hostile;
mod mutations;
mod nasty;
mod nested;
mod outcomes;
mod property;
mod rows;
mod version;
mod world;
