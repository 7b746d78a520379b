//! Development only: databases of their own for tests, faults on the wire, and waiting for conditions.

mod aws;
mod bouncer;
mod certificates;
mod checkout;
mod collector;
mod database;
mod endpoint;
mod fault;
mod haproxy;
mod oidc;
mod ports;
mod redis;
mod replication;
mod s3;
mod tls_server;
mod vault;
mod wait;

pub use aws::{AwsUser, aws_store};
pub use bouncer::Bouncer;
pub use certificates::{Authority, Certified, replace};
pub use checkout::checkout;
pub use collector::Collector;
pub use database::{Database, chinook_sql, nasty_sql, server_major};
pub use endpoint::{Asked, HttpEndpoint};
pub use fault::{Fault, FaultProxy};
pub use fraiseql_cluster::{Scratch, ScratchOptions};
pub use haproxy::HaProxyServer;
pub use oidc::{OidcProvider, Signer};
pub use ports::free_port;
pub use redis::RedisServer;
pub use replication::Replicated;
pub use s3::S3Server;
pub use tls_server::TlsServer;
pub use vault::Vault;
pub use wait::wait_until;
