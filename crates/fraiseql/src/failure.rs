//! Why a command ended: a registered code, a message, causes, and what to type.

use std::error::Error;

use fraiseql_agent::AgentError;
use fraiseql_cluster::ClusterError;
use fraiseql_flow::FlowError;
use fraiseql_haproxy::HaProxyError;
use fraiseql_incident::IncidentError;
use fraiseql_migrate::MigrateError;
use fraiseql_model::errors::{self, ErrorCode};
use fraiseql_postgres::PostgresError;
use fraiseql_proxy::ProxyError;
use fraiseql_rollout::ExecutorError;
use fraiseql_serve::ServeError;

/// The end of a command that did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: &'static ErrorCode,
    /// A fragment that fits after "failed to", or a finding.
    pub(crate) message: String,
    /// What lies below, outermost first.
    pub(crate) causes: Vec<String>,
    /// What to type.
    pub(crate) hint: Option<String>,
    /// Diagnostics as they are shown, when there are any; then the message only sums up.
    pub(crate) shown: Option<String>,
    /// The same diagnostics for machines.
    pub(crate) diagnostics: Vec<serde_json::Value>,
}

impl Failure {
    /// Makes a failure without causes.
    pub(crate) fn new(code: &'static ErrorCode, message: impl Into<String>) -> Self {
        let (causes, diagnostics) = (Vec::new(), Vec::new());
        Self { code, message: message.into(), causes, hint: None, shown: None, diagnostics }
    }

    /// Makes the failure that only a bug can cause.
    pub(crate) fn internal(action: &str, error: &dyn Error) -> Self {
        Self::new(&errors::RUN_INTERNAL, action).because(error)
    }

    /// Adds an error and what lies below it as causes.
    pub(crate) fn because(mut self, error: &dyn Error) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            self.causes.push(error.to_string());
            cause = error.source();
        }
        self
    }

    /// Adds what to type.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn of(code: &'static ErrorCode, error: &dyn Error, hint: Option<String>) -> Self {
        let mut failure = Self::new(code, error.to_string());
        if let Some(source) = error.source() {
            failure = failure.because(source);
        }
        failure.hint = hint;
        failure
    }
}

impl From<PostgresError> for Failure {
    fn from(error: PostgresError) -> Self {
        let hint = match &error {
            PostgresError::Url { .. } => "write it as postgres://user:password@host:5432/database".to_owned(),
            PostgresError::Connect { .. } => {
                "check that the server runs, and the host and port in DATABASE_URL or database.url".to_owned()
            }
            PostgresError::Auth { .. } => {
                "check the user and the password in DATABASE_URL or database.url".to_owned()
            }
            PostgresError::NoDatabase { .. } => {
                "check the name behind the last / of the connection string, or create the database".to_owned()
            }
            PostgresError::Tls { .. } => {
                "set sslmode (disable, prefer, require, verify-ca, verify-full) in the connection string"
                    .to_owned()
            }
            PostgresError::Contract { wanted, .. } => {
                format!("ALTER ROLE ... SET each of {wanted}, and let the pooler reconnect")
            }
            PostgresError::TooOld { .. } => "use PostgreSQL 10 or newer".to_owned(),
            _ => return Self::of(error.code(), &error, None),
        };
        Self::of(error.code(), &error, Some(hint))
    }
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        match error {
            ClusterError::Postgres(error) => error.into(),
            error => Self::of(error.code(), &error, error.hint()),
        }
    }
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        Self::of(error.code(), &error, Some(error.hint()))
    }
}

impl From<IncidentError> for Failure {
    fn from(error: IncidentError) -> Self {
        Self::of(error.code(), &error, Some(error.hint()))
    }
}

impl From<FlowError> for Failure {
    fn from(error: FlowError) -> Self {
        Self::of(error.code(), &error, Some(error.hint()))
    }
}

impl From<ExecutorError> for Failure {
    fn from(error: ExecutorError) -> Self {
        match error {
            ExecutorError::Journal(error) => error.into(),
            ExecutorError::Fenced(_) => Self::of(&errors::PXY_STALE, &error, None),
            error => Self::of(&errors::FLO_MALFORMED, &error, None),
        }
    }
}

impl From<MigrateError> for Failure {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Postgres(error) => error.into(),
            error => Self::of(error.code(), &error, Some(error.hint())),
        }
    }
}

impl From<ProxyError> for Failure {
    fn from(error: ProxyError) -> Self {
        Self::of(error.code(), &error, Some(error.hint()))
    }
}

impl From<HaProxyError> for Failure {
    fn from(error: HaProxyError) -> Self {
        Self::of(error.code(), &error, Some(error.hint()))
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        Self::of(error.code(), &error, Some(error.hint()))
    }
}
