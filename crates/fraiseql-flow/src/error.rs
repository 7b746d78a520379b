//! Errors of this crate.

use std::io;
use std::path::PathBuf;

use fraiseql_model::errors::{self, ErrorCode};
use thiserror::Error;

/// What went wrong.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FlowError {
    /// A file stands in the way.
    #[error("{action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// With which path.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The journal cannot be read or written.
    #[error("{action} the journal {}", path.display())]
    Database {
        /// What was tried.
        action: &'static str,
        /// The journal.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// Another executor works on the same state directory.
    #[error("take over the journal {}: process {pid} works on it", path.display())]
    InUse {
        /// The journal.
        path: PathBuf,
        /// The other process.
        pid: String,
    },
    /// There is no room to write down what comes of a step, so none begins.
    #[error("begin a step: there is no room for its outcome in {}", path.display())]
    NoReserve {
        /// The state directory.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file system on which two machines can both think that they have the lock.
    #[error("keep a journal in {}: it is on a network file system ({kind})", path.display())]
    NotLocal {
        /// The state directory.
        path: PathBuf,
        /// Which file system.
        kind: &'static str,
    },
    /// Written by a newer program, or damaged.
    #[error("read the journal {}: {reason}", path.display())]
    Malformed {
        /// The journal.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl FlowError {
    /// Returns the code for users.
    pub fn code(&self) -> &'static ErrorCode {
        match self {
            Self::File { .. } | Self::Database { .. } => &errors::FLO_WRITE,
            Self::InUse { .. } => &errors::FLO_IN_USE,
            Self::NoReserve { .. } => &errors::FLO_NO_ROOM,
            Self::NotLocal { .. } => &errors::FLO_NOT_LOCAL,
            Self::Malformed { .. } => &errors::FLO_MALFORMED,
        }
    }

    /// Returns what to type.
    pub fn hint(&self) -> String {
        match self {
            Self::File { path, .. } | Self::Database { path, .. } => {
                format!("check the room on its disk, and who owns {}", path.display())
            }
            Self::InUse { pid, .. } => format!("stop it with `kill {pid}`, or talk to it: the commands do"),
            Self::NoReserve { .. } => "make room on that disk; traffic is untouched".to_owned(),
            Self::NotLocal { .. } => "move the project, or its folder .fraiseql, to a local disk".to_owned(),
            Self::Malformed { .. } => "use the version of fraiseql that wrote it, or a newer one".to_owned(),
        }
    }
}
