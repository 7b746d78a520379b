//! Development only: databases of their own for tests, faults on the wire, and waiting for conditions.

mod bouncer;
mod certificates;
mod database;
mod fault;
mod tls_server;
mod wait;

pub use bouncer::Bouncer;
pub use certificates::{Authority, Certified, replace};
pub use database::{Database, chinook_sql, nasty_sql};
pub use fault::{Fault, FaultProxy};
pub use fraiseql_cluster::{Scratch, ScratchOptions};
pub use tls_server::TlsServer;
pub use wait::wait_until;
