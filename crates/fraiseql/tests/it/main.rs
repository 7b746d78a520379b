//! The binary as its users meet it: what they type, what they see, what survives a `kill -9`.

mod control;
mod crash;
mod disk;
mod explain;
mod http;
mod identity;
mod import;
mod init;
mod life;
mod operations;
mod outbox;
mod process;
mod project;
mod proxy;
mod refusing;
mod release;
mod reload;
mod roles;
mod schema;
mod secrets;
mod serve;
mod up;
mod usage;
