//! Rollouts in a simulated world: strategies, broken releases, and a controller that is killed before
//! and after everything that it does.

mod crashes;
mod scenarios;
mod statistics;
mod world;
