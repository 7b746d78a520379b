//! What an SQL statement locks, rewrites and scans on PostgreSQL 10 to 18, and how to write it so
//! that nobody has to wait; and which releases it would break.
//!
//! Pure: text in, reports out. What this crate does not know it reports as unknown, which counts
//! as the worst; it never guesses that a statement is harmless.

mod act;
mod effect;
mod expression;
mod fix;
mod guard;
mod lint;
mod lock_mode;
mod reading;
mod rules;
mod schema;
mod script;
mod server_version;
mod tree;

pub use fix::fixed;
pub use guard::{
    Breakage, GuardRequest, GuardedRelease, GuardedUse, LiveDependents, LiveFunction, LiveRelation, guard,
};
pub use lint::{LintFinding, LintRequest, SqlFile, StatementReport, Unreadable, lint};
pub use lock_mode::LockMode;
pub use script::Section;
pub use server_version::ServerVersion;
