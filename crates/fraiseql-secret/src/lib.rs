//! Follows references to secrets: Vault and OpenBao, AWS Secrets Manager, environment, files, a command.
//!
//! Reads no environment by itself: the binary hands in what it may look up. Nothing here prints, and no
//! error holds a secret: what a store says is passed on only where it cannot hold one.

mod aws;
mod command;
mod error;
mod found;
mod http;
mod keeper;
mod local;
mod options;
mod resolver;
mod vault;

pub use error::SecretError;
pub use found::{Content, Found, Login};
pub use keeper::{Keeper, KeeperEvent, KeeperView, SecretStatus};
pub use options::{AwsOptions, CommandOptions, SecretOptions, VariableLookup, VaultLogin, VaultOptions};
pub use resolver::Resolver;
