//! The binary as its users meet it: what they type, what they see, what survives a `kill -9`.

mod crash;
mod disk;
mod http;
mod init;
mod outbox;
mod process;
mod project;
mod refusing;
mod reload;
mod serve;
mod up;
