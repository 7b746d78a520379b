//! What can go wrong, with its code and what to do.

use fraiseql_model::errors::{self, ErrorCode};
use fraiseql_postgres::PostgresError;
use thiserror::Error;

/// What can go wrong.
#[derive(Debug, Error)]
pub enum MigrateError {
    /// The database.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// A file is not SQL.
    #[error("{0}")]
    Unreadable(String),
    /// A statement cannot run as it is.
    #[error("{place}: {reason}")]
    Refused {
        /// File and line.
        place: String,
        /// Why.
        reason: String,
        /// What to write.
        hint: &'static str,
    },
    /// A statement has failed.
    #[error("{place}: {source}")]
    Failed {
        /// File and line.
        place: String,
        /// How.
        source: PostgresError,
    },
    /// A statement that has run is another one now.
    #[error("{place}: it has run, and was another statement then")]
    Drifted {
        /// File and line.
        place: String,
    },
    /// Somebody else runs migrations.
    #[error("another runner is at work: {0}")]
    Busy(String),
    /// The lock was not to be had.
    #[error("{place}: its lock was not free for {seconds} s; in the way: {blockers}")]
    Blocked {
        /// File and line.
        place: String,
        /// How long it was tried.
        seconds: u64,
        /// Who holds it.
        blockers: String,
    },
    /// An index is there, and is not what it should be.
    #[error("{place}: the index {index} is there already, is not valid, and is not ours")]
    ForeignIndex {
        /// File and line.
        place: String,
        /// Its name.
        index: String,
    },
    /// There is nothing to take back.
    #[error("{0}")]
    NoUndo(String),
}

impl MigrateError {
    /// Returns the registered code.
    pub fn code(&self) -> &'static ErrorCode {
        match self {
            Self::Postgres(error) => error.code(),
            Self::Unreadable(_) => &errors::MIG_SQL,
            Self::Refused { .. } => &errors::MIG_REFUSED,
            Self::Failed { .. } => &errors::MIG_FAILED,
            Self::Drifted { .. } => &errors::MIG_DRIFT,
            Self::Busy(_) => &errors::MIG_BUSY,
            Self::Blocked { .. } => &errors::MIG_BLOCKED,
            Self::ForeignIndex { .. } => &errors::MIG_INDEX,
            Self::NoUndo(_) => &errors::MIG_UNDO,
        }
    }

    /// Returns what to do.
    pub fn hint(&self) -> String {
        match self {
            Self::Refused { hint, .. } => (*hint).to_owned(),
            Self::Postgres(_) | Self::Failed { .. } => {
                "what is done stays done; run the command again when that is over".to_owned()
            }
            Self::Unreadable(_) => "`fraiseql migrate lint` shows the place".to_owned(),
            Self::Drifted { .. } => {
                "write what is new into a new migration: `fraiseql migrate new NAME`".to_owned()
            }
            Self::Busy(_) => "wait until it has ended, or give --wait more time".to_owned(),
            Self::Blocked { .. } => {
                "end what is in the way, or give --lock-wait more time; nothing was changed by this statement"
                    .to_owned()
            }
            Self::ForeignIndex { index, .. } => format!("look at it, and DROP INDEX CONCURRENTLY {index}"),
            Self::NoUndo(_) => "`fraiseql migrate status` shows what has run".to_owned(),
        }
    }
}
