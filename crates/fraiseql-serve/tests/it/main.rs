//! The server over real sockets, before a real PostgreSQL. One module for each thing that it promises.

mod client;
mod drain;
mod errors;
mod events;
mod fixture;
mod health;
mod http;
mod metrics;
mod pages;
mod protocol;
mod reload;
mod socket;
mod sources;
mod streaming;
mod subscribers;
mod timeouts;
