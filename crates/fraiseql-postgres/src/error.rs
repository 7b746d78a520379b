//! What can go wrong between us and PostgreSQL.

use fraiseql_model::errors::{self, ErrorCode};

use crate::queue::Overload;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The connection string cannot be understood.
    #[error("understand the connection string: {reason}")]
    Url {
        /// What is wrong with it; never the string itself.
        reason: String,
    },
    /// No server answers there.
    #[error("connect to {target}")]
    Connect {
        /// Where, without the password.
        target: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The server refuses the user or the password.
    #[error("log in to {target}: {reason}")]
    Auth {
        /// Where and as whom, without the password.
        target: String,
        /// What the server said.
        reason: String,
    },
    /// The server has no such database.
    #[error("open the database of {target}: it does not exist")]
    NoDatabase {
        /// Where.
        target: String,
    },
    /// No TLS as asked for.
    #[error("start TLS with {target}: {reason}")]
    Tls {
        /// Where.
        target: String,
        /// What failed.
        reason: String,
    },
    /// Older than PostgreSQL 10.
    #[error("work with PostgreSQL {found}: 10 is the oldest that is served")]
    TooOld {
        /// The version, as the server tells it.
        found: String,
    },
    /// Behind a pooler, the role lacks settings that no session can make.
    #[error("rely on the settings of {target}: behind a pooler the role must have {wanted}")]
    Contract {
        /// Where and as whom.
        target: String,
        /// The settings with their values.
        wanted: String,
    },
    /// The server refused a statement.
    #[error("run a statement")]
    Sql(#[source] Box<SqlError>),
    /// The connection broke.
    #[error("talk to the database")]
    Io(#[from] std::io::Error),
    /// The server said something that the protocol does not allow here.
    #[error("understand the database: {what}")]
    Protocol {
        /// What it said.
        what: &'static str,
    },
    /// No session became free, or no answer came, in time.
    #[error("get an answer from the database in time")]
    Timeout,
    /// Too many want a session at the same time.
    #[error("get a session: {}", match .0 {
        Overload::Full => "as many requests wait for one as may",
        Overload::Late => "others kept them longer than a request may wait",
    })]
    Overload(Overload),
    /// The pool was closed.
    #[error("use a pool that is closed")]
    Closed,
}

/// An ErrorResponse: section 55.8 of PostgreSQL's manual.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{severity} {sqlstate}: {message}")]
pub struct SqlError {
    /// Five characters.
    pub sqlstate: String,
    /// ERROR, FATAL or PANIC.
    pub severity: String,
    /// One line.
    pub message: String,
    /// More lines.
    pub detail: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// The constraint that was violated.
    pub constraint: Option<String>,
    /// Its schema.
    pub schema: Option<String>,
    /// Its table.
    pub table: Option<String>,
    /// Its column.
    pub column: Option<String>,
    /// Index of the statement of the batch that failed.
    pub statement: Option<usize>,
}

impl PostgresError {
    /// Returns the registered code.
    pub fn code(&self) -> &'static ErrorCode {
        match self {
            Self::Url { .. } => &errors::PG_URL,
            Self::Connect { .. } | Self::Io(_) | Self::Timeout | Self::Closed => &errors::PG_CONNECT,
            Self::Overload(_) => &errors::LIM_QUEUE,
            Self::Auth { .. } => &errors::PG_AUTH,
            Self::NoDatabase { .. } => &errors::PG_NO_DATABASE,
            Self::Tls { .. } => &errors::PG_TLS,
            Self::TooOld { .. } => &errors::PG_TOO_OLD,
            Self::Contract { .. } => &errors::PG_CONTRACT,
            Self::Sql(_) | Self::Protocol { .. } => &errors::PG_QUERY,
        }
    }
}
