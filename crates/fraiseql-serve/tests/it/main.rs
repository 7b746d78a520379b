//! The server over real sockets, before a real PostgreSQL. One module for each thing that it promises.

mod client;
mod drain;
mod errors;
mod fixture;
mod fuzz;
mod health;
mod http;
mod metrics;
mod pages;
mod reload;
mod streaming;
mod timeouts;
