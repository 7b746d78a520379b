//! Tests of the engine at its boundary.

mod access;
mod aggregates;
mod chinook;
mod computed;
mod conformance;
mod connections;
mod diff;
mod documents;
mod fixture;
mod fuzz;
mod hostile;
mod imported;
mod inputs;
mod live;
mod mutations;
mod nasty;
mod nested;
mod operators;
mod outcomes;
mod poly;
mod poly_mixed;
mod property;
mod related;
mod rows;
mod version;
mod world;
