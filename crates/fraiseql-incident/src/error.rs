//! Errors of this crate.

use std::io;
use std::path::PathBuf;

use fraiseql_model::errors::{self, ErrorCode};
use thiserror::Error;

/// What went wrong.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IncidentError {
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
    /// What is on disk is not what this program writes.
    #[error("read line {line} of {}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such incident.
    #[error("find incident {number}")]
    Unknown {
        /// Its number.
        number: u64,
    },
    /// There is no incident at all.
    #[error("find an incident: none was declared yet")]
    Nothing,
    /// A text that an incident cannot have.
    #[error("write down the {what}: {reason}")]
    Text {
        /// Title, note or name.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// The incident is over.
    #[error("{action} incident {number}: {by} has resolved it")]
    Over {
        /// What was tried.
        action: &'static str,
        /// Its number.
        number: u64,
        /// Who resolved it.
        by: String,
    },
}

impl IncidentError {
    /// Returns its entry in the registry.
    pub fn code(&self) -> &'static ErrorCode {
        match self {
            Self::File { .. } | Self::Malformed { .. } => &errors::INC_FILE,
            Self::Unknown { .. } | Self::Nothing => &errors::INC_UNKNOWN,
            Self::Text { .. } => &errors::INC_TEXT,
            Self::Over { .. } => &errors::INC_OVER,
        }
    }

    /// Returns what to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::File { .. } => "check the permissions of .fraiseql/incidents, and the disk",
            Self::Malformed { .. } => "set the file aside, or use the newer fraiseql that wrote it",
            Self::Unknown { .. } => "`fraiseql incident list` shows them",
            Self::Nothing => "fraiseql incident declare --title \"what is wrong\"",
            Self::Text { .. } => "write it shorter, on one line",
            Self::Over { .. } => {
                "add to it with `fraiseql incident note`, or declare another with `fraiseql incident declare`"
            }
        }
        .to_owned()
    }
}
