//! Tests of the engine at its boundary.

mod aggregates;
mod chinook;
mod computed;
mod connections;
mod documents;
mod fixture;
mod hostile;
mod live;
mod mutations;
mod nasty;
mod operators;
mod property;
mod world;
