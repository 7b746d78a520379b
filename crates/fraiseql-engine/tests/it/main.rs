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
mod nested;
mod operators;
mod outcomes;
mod poly;
mod poly_mixed;
mod property;
mod rows;
mod version;
mod world;
