//! Backups of a PostgreSQL cluster and restore to a point in time, by PostgreSQL's own programs.
//!
//! PostgreSQL's exit codes are not believed: what a restore reached is looked at. Nothing is overwritten:
//! a restore goes to a new data directory and takes the old one's place only after it was verified.
//! Knows no releases and no traffic.

mod base;
mod bucket;
mod chain;
mod check;
mod cipher;
mod create;
mod drill;
mod error;
mod event;
mod folder;
mod freshness;
mod journal;
mod lsn;
mod moment;
mod page;
mod plan;
mod point;
mod prune;
mod push;
mod records;
mod recover;
mod repository;
mod restore;
mod sealed;
mod source;
mod storage;
mod timeline;
mod tool;
mod verify;
mod waldump;

pub use bucket::BucketOptions;
pub use cipher::BackupKey;
pub use create::{CreateOptions, create_backup};
pub use drill::drill;
pub use error::BackupError;
pub use event::{BackupEvent, Watcher};
pub use freshness::{Freshness, RecentBackup, ensure_backup, freshness};
pub use journal::unfinished_restore;
pub use lsn::Lsn;
pub use moment::Moment;
pub use plan::{RestorePlan, RestoreRequest, RestoreTarget, plan_restore};
pub use point::create_point;
pub use prune::{Pruned, Retention, prune};
pub use push::{Pushed, push_wal};
pub use records::{BackupManifest, DrillRecord, RestorePoint};
pub use repository::Repository;
pub use restore::{Inspection, RestoreOptions, RestoreReport, abandon, restore, resume};
pub use storage::BackupPlace;
pub use verify::{Verification, verify};
