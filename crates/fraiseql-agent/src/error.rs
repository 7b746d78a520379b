//! Errors of this crate.

use std::io;
use std::path::{Path, PathBuf};

use fraiseql_model::errors::{self, ErrorCode};
use thiserror::Error;

/// What went wrong.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AgentError {
    /// A file or folder stands in the way.
    #[error("{action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// With which path.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Nothing is called so.
    #[error("find a release called {name:?}")]
    UnknownRelease {
        /// What was asked for.
        name: String,
    },
    /// Several are called so.
    #[error("choose a release called {name:?}: there are {}", shown(found))]
    AmbiguousRelease {
        /// What was asked for.
        name: String,
        /// Their identifiers.
        found: Vec<String>,
    },
    /// What lies there is not what its name says.
    #[error("use release {release}: {reason}")]
    ChangedRelease {
        /// Its identifier.
        release: String,
        /// What is different.
        reason: String,
    },
    /// A report of tests that proves nothing.
    #[error("take {} as proof that tests passed: {reason}", path.display())]
    Report {
        /// The report.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Something written by another version, or damaged.
    #[error("read {}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl AgentError {
    /// Returns the code for users.
    pub fn code(&self) -> &'static ErrorCode {
        match self {
            Self::File { source, .. } if is_full(source) => &errors::IO_DISK_FULL,
            Self::File { action: "read" | "look at" | "open", .. } => &errors::IO_READ,
            Self::File { .. } => &errors::IO_WRITE,
            Self::UnknownRelease { .. } | Self::AmbiguousRelease { .. } => &errors::REL_UNKNOWN,
            Self::ChangedRelease { .. } => &errors::REL_CHANGED,
            Self::Report { .. } => &errors::REL_EVIDENCE,
            Self::Malformed { .. } => &errors::IO_READ,
        }
    }

    /// Returns what to type.
    pub fn hint(&self) -> String {
        match self {
            Self::File { source, .. } if is_full(source) => {
                "make room and run the command again; what was there before is unchanged".to_owned()
            }
            Self::File { path, .. } => format!("check who owns {} and its permissions", path.display()),
            Self::UnknownRelease { .. } => {
                "`fraiseql releases` lists them; `fraiseql release build` makes one of the project".to_owned()
            }
            Self::AmbiguousRelease { .. } => "give more digits".to_owned(),
            Self::ChangedRelease { .. } => {
                "remove its folder, and make it again with `fraiseql release build` from the same sources"
                    .to_owned()
            }
            Self::Report { .. } => {
                "give the JUnit XML of tests that all passed, the SARIF of a scan, or what `fraiseql load --json` printed"
                    .to_owned()
            }
            Self::Malformed { .. } => "use the version of fraiseql that wrote it, or a newer one".to_owned(),
        }
    }
}

/// Returns what makes an error of the operating system one of a file.
pub(crate) fn file<'p>(action: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> AgentError + 'p {
    move |source| AgentError::File { action, path: path.to_owned(), source }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

fn shown(names: &[String]) -> String {
    names.join(", ")
}
