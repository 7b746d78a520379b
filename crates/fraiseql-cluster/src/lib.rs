//! Finds, makes, starts, adopts and stops PostgreSQL servers; scratch servers that die with their owner.
//!
//! It must not know what is in a database.

mod account;
mod cluster;
mod custody;
mod error;
mod initdb;
mod launch;
mod pidfile;
mod place;
mod process;
mod programs;
mod scratch;
mod server;
mod start_lock;
mod takeover;
mod watcher;

pub use cluster::{Cluster, ClusterOptions, Progress};
pub use custody::Custody;
pub use error::ClusterError;
pub use place::default_data_dir;
pub use programs::Programs;
pub use scratch::{Scratch, ScratchOptions};
