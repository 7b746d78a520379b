//! What can go wrong between us and a server of our own.

use std::path::PathBuf;

use fraiseql_model::errors::{self, ErrorCode};
use fraiseql_postgres::PostgresError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No folder has `postgres` and `initdb`.
    #[error("find PostgreSQL's server programs in {}", looked_in.join(", "))]
    NoPrograms {
        /// Where we looked.
        looked_in: Vec<String>,
    },
    /// A configured folder lacks a program.
    #[error("use the programs in {}: there is no {missing}", dir.display())]
    Incomplete {
        /// The folder.
        dir: PathBuf,
        /// The program.
        missing: &'static str,
    },
    /// Older than PostgreSQL 10.
    #[error("use PostgreSQL {found} in {}: 10 is the oldest that is served", dir.display())]
    TooOld {
        /// The folder.
        dir: PathBuf,
        /// The version, as the program tells it.
        found: String,
    },
    /// A program that does not tell its version: a library is missing, or it is another program.
    #[error("run {}: {output}", program.display())]
    Broken {
        /// The program.
        program: PathBuf,
        /// The first line that it printed.
        output: String,
    },
    /// The server's user may not pass through a folder above, or may not run a program.
    #[error("reach {} as user {uid}, whom the server runs as", path.display())]
    Unreachable {
        /// What that user needs.
        path: PathBuf,
        /// The user.
        uid: u32,
    },
    /// Running as root, and no other user to run the server as.
    #[error("find an unprivileged user: PostgreSQL refuses to run as root")]
    NoUser,
    /// The file system is in the way.
    #[error("{action} {}", path.display())]
    File {
        /// A verb: "create", "read", ...
        action: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// `initdb` ended with an error.
    #[error("make a new data directory: {output}")]
    Initdb {
        /// The last lines that it printed.
        output: String,
    },
    /// The server ended, or did not become ready in time.
    #[error("start PostgreSQL: {reason}")]
    Start {
        /// The last lines of its log.
        reason: String,
    },
    /// Another process uses the data directory and is not ours to stop.
    #[error("use {}: process {pid} uses it", data_dir.display())]
    InUse {
        /// The data directory.
        data_dir: PathBuf,
        /// The process.
        pid: u32,
    },
    /// The data directory is of another major version.
    #[error("use {} with PostgreSQL {programs}: it was made by PostgreSQL {data}", data_dir.display())]
    OtherMajor {
        /// The data directory.
        data_dir: PathBuf,
        /// The major version of the data.
        data: String,
        /// The major version of the programs.
        programs: u32,
    },
    /// The server runs but refuses us.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
}

impl ClusterError {
    /// Returns the registered code.
    pub fn code(&self) -> &'static ErrorCode {
        match self {
            Self::NoPrograms { .. } | Self::Incomplete { .. } | Self::Broken { .. } => &errors::PG_NO_SERVER,
            Self::TooOld { .. } => &errors::PG_TOO_OLD,
            Self::NoUser => &errors::PG_NO_USER,
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                &errors::IO_DISK_FULL
            }
            Self::Unreachable { .. } => &errors::IO_READ,
            Self::File { .. } => &errors::IO_WRITE,
            Self::Initdb { .. } => &errors::PG_INITDB,
            Self::Start { .. } => &errors::PG_START,
            Self::InUse { .. } => &errors::PG_DATA_IN_USE,
            Self::OtherMajor { .. } => &errors::PG_DATA_VERSION,
            Self::Postgres(error) => error.code(),
        }
    }

    /// Returns what to type.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoPrograms { .. } => Some(
                "run `make setup`, or `apt-get install postgresql`, or name a folder with embedded.bin_dir"
                    .to_owned(),
            ),
            Self::Incomplete { .. } => {
                Some("name a folder that has postgres and initdb with embedded.bin_dir".to_owned())
            }
            Self::TooOld { .. } | Self::Broken { .. } => {
                Some("install PostgreSQL 10 or newer, or name its folder with embedded.bin_dir".to_owned())
            }
            Self::Unreachable { .. } => Some(
                "open the folders above it to every user with `chmod o+x`, or choose another place with \
                 embedded.bin_dir or embedded.data_dir"
                    .to_owned(),
            ),
            Self::InUse { pid, .. } => Some(format!("stop it, for example with `kill {pid}`, and try again")),
            Self::OtherMajor { data, .. } => {
                Some(format!("install PostgreSQL {data}, or name its folder with embedded.bin_dir"))
            }
            Self::NoUser => Some("create a user named postgres, or do not run as root".to_owned()),
            _ => None,
        }
    }
}

/// Makes a [`ClusterError::File`].
pub(crate) fn file(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(std::io::Error) -> ClusterError {
    let path = path.into();
    move |source| ClusterError::File { action, path, source }
}
