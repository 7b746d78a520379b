//! What a request comes to: data, data with errors, or a refusal with a reason that HTTP can tell.

use std::fmt;

use bytes::Bytes;
use fraiseql_model::response::{Code, GraphqlError};
use hyper::StatusCode;

use crate::body::Reply;
use crate::media::ResponseType;
use crate::stream::Reading;

/// The outcome of a request.
pub(crate) enum Answer {
    /// A response without errors, and how many rows were read for it.
    Data(Reply, u64),
    /// The beginning of a response without errors, too long to be kept.
    Streaming(Reading),
    /// It ran, and some of it failed. Rows as for [`Answer::Data`].
    Partial(Partial, u64),
    /// It did not run.
    Refused(Refusal, Vec<GraphqlError>),
    /// A mutation or subscription that came by GET.
    NotByGet,
}

/// Why a request did not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The document, the operation or the variables cannot be used.
    Request,
    /// It took too long.
    Timeout,
    /// There is no database.
    Unavailable,
    /// Too much is asked at the same time.
    Overload,
    /// A fault of ours.
    Internal,
}

impl Refusal {
    /// Returns the status that the GraphQL over HTTP draft wants.
    ///
    /// `application/json` says 200 for whatever is a well-formed request (section 6.4.1), the newer
    /// type tells the reason (section 6.4.2). What was sent away for want of room is told by the status
    /// to everybody, as is one who asks too often: proxies and clients that know only HTTP must hold back.
    pub(crate) fn status(self, response: ResponseType) -> StatusCode {
        match (self, response) {
            (Self::Overload, _) => StatusCode::SERVICE_UNAVAILABLE,
            (_, ResponseType::Json) => StatusCode::OK,
            (Self::Request, ResponseType::GraphqlResponse) => StatusCode::BAD_REQUEST,
            (Self::Timeout, ResponseType::GraphqlResponse) => StatusCode::GATEWAY_TIMEOUT,
            (Self::Unavailable, ResponseType::GraphqlResponse) => StatusCode::SERVICE_UNAVAILABLE,
            (Self::Internal, ResponseType::GraphqlResponse) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns how a request ended that failed as a whole with this code.
    pub(crate) fn of(code: Code) -> Self {
        match code {
            Code::Timeout => Self::Timeout,
            Code::Unavailable => Self::Unavailable,
            Code::BadUserInput => Self::Request,
            _ => Self::Internal,
        }
    }
}

impl Answer {
    /// Returns a refusal with one error.
    pub(crate) fn refused(refusal: Refusal, error: GraphqlError) -> Self {
        Self::Refused(refusal, vec![error])
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(reply, rows) => f.debug_tuple("Data").field(reply).field(rows).finish(),
            Self::Streaming(_) => f.write_str("Streaming"),
            Self::Partial(partial, _) => f.debug_tuple("Partial").field(partial).finish(),
            Self::Refused(refusal, errors) => f.debug_tuple("Refused").field(refusal).field(errors).finish(),
            Self::NotByGet => f.write_str("NotByGet"),
        }
    }
}

/// A response whose root fields did not all succeed.
#[derive(Debug, Default)]
pub(crate) struct Partial {
    /// Root fields in order, JSON text each; `None` is null.
    fields: Vec<(String, Option<Bytes>)>,
    /// A null went past a root field: `data` itself is null.
    bubbled: bool,
    pub(crate) errors: Vec<GraphqlError>,
}

impl Partial {
    /// Adds a root field's value as JSON text; `None` is null.
    pub(crate) fn value(&mut self, key: &str, json: Option<Bytes>) {
        self.fields.push((key.to_owned(), json));
    }

    /// Adds a root field that failed. Where it must not be null, `data` becomes null.
    pub(crate) fn failure(&mut self, key: &str, non_null: bool, error: GraphqlError) {
        self.bubbled |= non_null;
        self.errors.push(error);
        self.value(key, None);
    }

    /// Notes that `data` is null.
    pub(crate) fn bubble(&mut self) {
        self.bubbled = true;
    }

    /// Returns the response.
    pub(crate) fn json(&self) -> Vec<u8> {
        let errors = serde_json::to_vec(&self.errors).expect("errors have only string keys");
        let mut json = Vec::with_capacity(errors.len() + 256);
        json.push(b'{');
        if !self.errors.is_empty() {
            json.extend_from_slice(b"\"errors\":");
            json.extend_from_slice(&errors);
            json.push(b',');
        }
        json.extend_from_slice(b"\"data\":");
        if self.bubbled {
            json.extend_from_slice(b"null}");
            return json;
        }
        json.push(b'{');
        for (index, (key, value)) in self.fields.iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            // A GraphQL name needs no escapes.
            json.push(b'"');
            json.extend_from_slice(key.as_bytes());
            json.extend_from_slice(b"\":");
            json.extend_from_slice(value.as_deref().unwrap_or(b"null"));
        }
        json.extend_from_slice(b"}}");
        json
    }
}

/// Returns the response of a request that did not run: errors and no `data`.
pub(crate) fn errors_json(errors: &[GraphqlError]) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Response<'a> {
        errors: &'a [GraphqlError],
    }
    serde_json::to_vec(&Response { errors }).expect("errors have only string keys")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(key: &str) -> GraphqlError {
        let path = vec![fraiseql_model::response::PathSegment::Key(key.to_owned())];
        GraphqlError::new(Code::Internal, "no").on(path)
    }

    #[track_caller]
    fn check(partial: &Partial, expected: &str) {
        assert_eq!(String::from_utf8(partial.json()).unwrap(), expected);
    }

    #[test]
    fn what_succeeded_stands_beside_the_errors() {
        let mut partial = Partial::default();
        partial.value("a", Some(Bytes::from_static(b"{\"x\":1}")));
        partial.value("b", None);
        check(&partial, r#"{"data":{"a":{"x":1},"b":null}}"#);
        partial.failure("c", false, error("c"));
        check(
            &partial,
            r#"{"errors":[{"message":"no","path":["c"],"extensions":{"code":"INTERNAL_SERVER_ERROR"}}],"data":{"a":{"x":1},"b":null,"c":null}}"#,
        );
        partial.failure("d", true, error("d"));
        assert!(partial.json().ends_with(b"],\"data\":null}"));
    }

    #[track_caller]
    fn check_status(refusal: Refusal, json: u16, graphql: u16) {
        assert_eq!(refusal.status(ResponseType::Json).as_u16(), json, "{refusal:?}");
        assert_eq!(refusal.status(ResponseType::GraphqlResponse).as_u16(), graphql, "{refusal:?}");
    }

    #[test]
    fn statuses_are_those_of_the_draft() {
        check_status(Refusal::Request, 200, 400);
        check_status(Refusal::Timeout, 200, 504);
        check_status(Refusal::Unavailable, 200, 503);
        check_status(Refusal::Internal, 200, 500);
        check_status(Refusal::Overload, 503, 503);
    }
}
