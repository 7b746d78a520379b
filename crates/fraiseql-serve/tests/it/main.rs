//! The server over real sockets, before a real PostgreSQL. One module for each thing that it promises.

mod batches;
mod browsers;
mod client;
mod compression;
mod drain;
mod errors;
mod events;
mod fixture;
mod fuzz;
mod health;
mod hostile;
mod http;
mod http2;
mod identity;
mod metrics;
mod modes;
mod pages;
mod persisted;
mod protocol;
mod reload;
mod socket;
mod sources;
mod streaming;
mod subscribers;
mod timeouts;
mod tls;
