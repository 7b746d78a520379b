//! What a reload may change: how requests are let in, within which limits, and what is told.

use std::time::Duration;

use fraiseql_engine::Limits;

use crate::policy::RequestPolicy;

/// Settings that take effect while the server runs. A request keeps those that it meets.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// What a client may send in a document.
    pub limits: Limits,
    /// How requests are let in.
    pub policy: RequestPolicy,
    /// The largest request body, in bytes.
    pub body_bytes: usize,
    /// How long a request may take; then its statement is cancelled.
    pub request_timeout: Duration,
    /// Serves GraphiQL at `/`.
    pub graphiql: bool,
    /// Adds PostgreSQL's message to internal errors: for development. Never the statement.
    pub detailed_errors: bool,
}
