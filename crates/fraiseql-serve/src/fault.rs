//! Failures in the database become GraphQL errors; what the client must not see goes to the observer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fraiseql_engine::{CONFLICT_MARKER, DENIED_MARKER, NULL_MARKER};
use fraiseql_model::response::{Code, GraphqlError};
use fraiseql_postgres::{PostgresError, SqlError};

use crate::observe::{Event, Observe, SqlFault};
use crate::request_id::RequestId;
use crate::sqlstate::{self, Told};

/// Syntax error: PostgreSQL's message quotes the statement, which nobody outside may see.
const QUOTES_SQL: &str = "42601";

/// Translates the failures of one request.
pub(crate) struct Faults {
    request_id: RequestId,
    observer: Arc<dyn Observe>,
    /// Adds PostgreSQL's message for internal errors: for development.
    detailed: bool,
    count: AtomicUsize,
}

impl Faults {
    /// Makes a translator for one request.
    pub(crate) fn new(request_id: RequestId, observer: Arc<dyn Observe>, detailed: bool) -> Self {
        Self { request_id, observer, detailed, count: AtomicUsize::new(0) }
    }

    /// Returns the client's id of the request, or ours.
    pub(crate) fn request_id(&self) -> &str {
        self.request_id.as_str()
    }

    /// Returns what the client is told, and tells the observer the rest. `field` is the root field.
    pub(crate) fn translate(&self, error: &PostgresError, field: Option<&str>) -> GraphqlError {
        let log_id = self.log_id();
        let (told, sqlstate, message) = match error {
            PostgresError::Sql(sql) => (self.told(sql), sql.sqlstate.as_str(), sql.message.clone()),
            PostgresError::Timeout => {
                let busy = "no connection to the database was free in time: try again later";
                (GraphqlError::new(Code::Unavailable, busy), "", chain(error))
            }
            other => (GraphqlError::new(Code::Unavailable, sqlstate::UNAVAILABLE), "", chain(other)),
        };
        let sql = match error {
            PostgresError::Sql(sql) => Some(&**sql),
            _ => None,
        };
        self.observer.observe(&Event::SqlError(&SqlFault {
            log_id: &log_id,
            code: told.extensions.code,
            field,
            sqlstate,
            message: &message,
            detail: sql.and_then(|sql| sql.detail.as_deref()),
            hint: sql.and_then(|sql| sql.hint.as_deref()),
        }));
        let mut told = told;
        told.extensions.log_id = Some(log_id);
        told
    }

    fn log_id(&self) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        format!("{}-{number}", self.request_id.as_str())
    }

    fn told(&self, sql: &SqlError) -> GraphqlError {
        if let Some(field) = null_guard(sql) {
            return GraphqlError::new(
                Code::NullInNonNull,
                format!("{field} is declared non-null and was null"),
            );
        }
        if let Some(object) = marked(sql, CONFLICT_MARKER) {
            let message = format!("{object} has another version by now: read it again, then decide");
            return GraphqlError::new(Code::Conflict, message);
        }
        if let Some(object) = marked(sql, DENIED_MARKER) {
            let message = format!("this {object} is none that the caller may write");
            return GraphqlError::new(Code::Forbidden, message);
        }
        let Told { code, message } = sqlstate::told(&sql.sqlstate);
        let message = match code {
            Code::Raised => sql.message.clone(),
            Code::Internal if self.detailed && sql.sqlstate != QUOTES_SQL => {
                format!("{message}: {} (SQLSTATE {})", sql.message, sql.sqlstate)
            }
            _ => message.to_owned(),
        };
        let mut error = GraphqlError::new(code, message);
        if sql.sqlstate.starts_with("23") {
            error.extensions.constraint = sql.constraint.clone();
        }
        error
    }
}

/// Returns `Type.field` when the error is the engine's own guard against nulls.
pub(crate) fn null_guard(sql: &SqlError) -> Option<&str> {
    marked(sql, NULL_MARKER)
}

/// Returns what stands behind a marker of the engine.
fn marked<'e>(sql: &'e SqlError, marker: &str) -> Option<&'e str> {
    if sql.sqlstate != "22P02" {
        return None;
    }
    let (_, marked) = sql.message.split_once(marker)?;
    Some(marked.split('"').next().unwrap_or(marked))
}

/// Returns an error and its causes as one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use hyper::HeaderMap;

    use super::*;
    use crate::request_id::RequestIds;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Observe for Heard {
        fn observe(&self, event: &Event<'_>) {
            self.0.lock().unwrap().push(format!("{event:?}"));
        }
    }

    fn sql(sqlstate: &str, message: &str) -> PostgresError {
        PostgresError::Sql(Box::new(SqlError {
            sqlstate: sqlstate.to_owned(),
            message: message.to_owned(),
            detail: Some("Key (email)=(secret) exists".to_owned()),
            constraint: Some("user_email_key".to_owned()),
            ..SqlError::default()
        }))
    }

    #[track_caller]
    fn check(error: &PostgresError, detailed: bool, message: &str, constraint: Option<&str>) -> String {
        let (id, observer) = (RequestIds::new().id(&HeaderMap::new()), Arc::new(Heard::default()));
        let heard = Arc::clone(&observer);
        let told = Faults::new(id.clone(), observer, detailed).translate(error, Some("users"));
        assert_eq!(told.message, message);
        assert_eq!(told.extensions.constraint.as_deref(), constraint);
        let log_id = told.extensions.log_id.clone().unwrap();
        assert_eq!(log_id, format!("{}-1", id.as_str()));
        let heard = heard.0.lock().unwrap().join("\n");
        assert!(heard.contains(&log_id), "{heard}");
        assert!(!serde_json::to_string(&told).unwrap().contains("secret"));
        heard
    }

    #[test]
    fn internal_text_goes_to_the_observer_only() {
        let heard =
            check(&sql("XX000", "cache lookup failed"), false, "the request failed inside the server", None);
        assert!(heard.contains("cache lookup failed") && heard.contains("secret"), "{heard}");
    }

    #[test]
    fn development_shows_messages_but_never_the_statement() {
        let message = "the request failed inside the server: relation \"a\" does not exist (SQLSTATE 42P01)";
        check(&sql("42P01", "relation \"a\" does not exist"), true, message, None);
        check(
            &sql("42601", "syntax error at or near \"x\""),
            true,
            "the request failed inside the server",
            None,
        );
    }

    #[test]
    fn a_raised_message_and_a_constraints_name_pass() {
        check(&sql("P0001", "out of stock"), false, "out of stock", None);
        check(
            &sql("23505", "duplicate key"),
            false,
            "a row with these values exists already",
            Some("user_email_key"),
        );
    }

    #[test]
    fn the_engines_guard_is_told_as_a_null() {
        let guard = sql("22P02", "invalid input syntax for type integer: \"fraiseql.null:User.email\"");
        check(&guard, false, "User.email is declared non-null and was null", None);
        check(
            &sql("22P02", "invalid input syntax: \"x\""),
            false,
            "a value does not have the form that its type asks for",
            None,
        );
    }

    #[test]
    fn a_version_that_is_gone_is_a_conflict() {
        let guard = sql("22P02", "invalid input syntax for type integer: \"fraiseql.conflict:Account\"");
        check(&guard, false, "Account has another version by now: read it again, then decide", None);
        let (id, observer) = (RequestIds::new().id(&HeaderMap::new()), Arc::new(Heard::default()));
        let told = Faults::new(id, observer, false).translate(&guard, Some("updateAccount"));
        assert_eq!(told.extensions.code, Code::Conflict);
    }

    #[test]
    fn a_lost_database_is_told_without_its_address() {
        let source = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let error = PostgresError::Connect { target: "secret.example:5432".to_owned(), source };
        let heard = check(&error, true, sqlstate::UNAVAILABLE, None);
        assert!(heard.contains("connection refused"), "{heard}");
    }
}
