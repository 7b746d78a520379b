//! Runs migrations while the service goes on: locks that nobody waits for, keyset batches, indexes
//! built beside the traffic, and a ledger in the database that tells what is done.
//!
//! Everything may be killed at any moment: what is in the ledger has happened, what is not is looked at
//! again before it is done again.

mod batches;
mod dependents;
mod error;
mod index;
mod ledger;
mod plan;
mod run;
mod trash;

pub use dependents::live_dependents;
pub use error::MigrateError;
pub use ledger::{LedgerRow, StepState, rows as ledger};
pub use plan::{MigrationFile, MigrationStep, StepWay, steps};
pub use run::{MigrateEvent, MigrateOptions, Migrator, blockers};
pub use trash::{Contracted, TrashRow, trash};
