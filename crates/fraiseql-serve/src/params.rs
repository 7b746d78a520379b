//! The parameters of a GraphQL request, from a body or from a query string. Nothing is run here.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use fraiseql_model::identity::Identity;
use fraiseql_model::response::{Code, GraphqlError};
use hyper::header::HeaderValue;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value};

use crate::replicas::Lsn;
use crate::timing::Stopwatch;
use crate::trace::TraceContext;

/// One GraphQL request.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Params<'a> {
    /// The document; empty when it is named instead.
    pub(crate) query: Cow<'a, str>,
    /// The operation to run, when the document has several.
    pub(crate) operation: Option<String>,
    /// Raw values of variables.
    pub(crate) variables: Map<String, Value>,
    /// Names a persisted operation; then there is no text.
    pub(crate) document_id: Option<String>,
    /// The hash of the text, by the protocol of automatic persisted queries.
    pub(crate) automatic: Option<String>,
    /// Who asks; nobody, until HTTP says otherwise.
    pub(crate) identity: Arc<Identity>,
    /// Where it comes from.
    pub(crate) origin: Origin,
    /// Takes its times, where somebody wants to know them.
    pub(crate) stopwatch: Option<Arc<Stopwatch>>,
}

/// Where a request comes from, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Origin {
    pub(crate) address: Option<IpAddr>,
    pub(crate) trace: Option<Arc<TraceContext>>,
    /// The name that the client gives itself.
    pub(crate) client: Option<HeaderValue>,
    /// What it wants to read is at least as new as this.
    pub(crate) read_after: Option<Lsn>,
}

/// What the GraphQL over HTTP draft lets a body have; what else stands in it is for others.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object with \"query\"")]
struct Parameters<'a> {
    #[serde(borrow, default)]
    query: Cow<'a, str>,
    #[serde(default)]
    operation_name: Option<String>,
    #[serde(default)]
    variables: Option<Map<String, Value>>,
    #[serde(default)]
    document_id: Option<String>,
    #[serde(default)]
    extensions: Option<Map<String, Value>>,
}

impl<'a> Params<'a> {
    /// Reads a JSON body. The document is borrowed when nothing in it is escaped.
    pub(crate) fn from_body(body: &'a [u8]) -> Result<Self, GraphqlError> {
        let parameters: Parameters<'a> = serde_json::from_slice(body).map_err(|error| body_error(&error))?;
        Self::checked(parameters)
    }

    /// Reads a JSON body that is an array of at most `most` requests. One that cannot run stands as
    /// an error in its place; an array that is not of requests is an error as a whole.
    pub(crate) fn from_batch(
        body: &'a [u8],
        most: usize,
    ) -> Result<Vec<Result<Self, GraphqlError>>, GraphqlError> {
        if most == 0 {
            return Err(bad_request("batches are not served: send one request, or set graphql.batch_max"));
        }
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let too_many = Cell::new(false);
        let reader = BatchReader { most, too_many: &too_many };
        let given = deserializer.deserialize_seq(reader).and_then(|given| deserializer.end().map(|()| given));
        match given {
            Ok(given) if given.is_empty() => Err(bad_request("the batch is empty")),
            Ok(given) => Ok(given.into_iter().map(Self::checked).collect()),
            Err(_) if too_many.get() => {
                Err(bad_request(format!("the batch has more than {most} requests (graphql.batch_max)")))
            }
            Err(error) => Err(body_error(&error)),
        }
    }

    /// Reads the query string of a URL: `query`, `operationName`, `variables` (JSON).
    pub(crate) fn from_query(text: &'a str) -> Result<Self, GraphqlError> {
        let mut given = Parameters::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match &*name {
                "query" => given.query = value,
                "operationName" => given.operation_name = Some(value.into_owned()),
                "variables" => given.variables = Some(json_object("variables", &value)?),
                "documentId" => given.document_id = Some(value.into_owned()),
                "extensions" => given.extensions = Some(json_object("extensions", &value)?),
                _ => {}
            }
        }
        Self::checked(given)
    }

    /// Returns the same, borrowing nothing.
    pub(crate) fn into_owned(self) -> Params<'static> {
        let Self { query, operation, variables, document_id, automatic, identity, origin, stopwatch } = self;
        let query = Cow::Owned(query.into_owned());
        Params { query, operation, variables, document_id, automatic, identity, origin, stopwatch }
    }

    /// Returns the same, asked by that caller from there.
    pub(crate) fn asked_by(self, identity: &Arc<Identity>, origin: &Origin) -> Self {
        Self { identity: Arc::clone(identity), origin: origin.clone(), ..self }
    }

    /// Returns the same, timed by that.
    pub(crate) fn timed_by(self, stopwatch: &Arc<Stopwatch>) -> Self {
        Self { stopwatch: Some(Arc::clone(stopwatch)), ..self }
    }

    fn checked(given: Parameters<'a>) -> Result<Self, GraphqlError> {
        let Parameters { query, operation_name, variables, document_id, extensions } = given;
        let automatic = extensions.as_ref().map(persisted_query).transpose()?.flatten();
        if query.is_empty() && document_id.is_none() && automatic.is_none() {
            return Err(bad_request("\"query\" is missing: it must be a string with a GraphQL document"));
        }
        Ok(Self {
            query,
            operation: operation_name.filter(|name| !name.is_empty()),
            variables: variables.unwrap_or_default(),
            document_id,
            automatic,
            identity: Arc::default(),
            origin: Origin::default(),
            stopwatch: None,
        })
    }
}

/// Returns the hash in `extensions.persistedQuery`, if that is there.
fn persisted_query(extensions: &Map<String, Value>) -> Result<Option<String>, GraphqlError> {
    let Some(given) = extensions.get("persistedQuery").filter(|given| !given.is_null()) else {
        return Ok(None);
    };
    match (given["version"].as_u64(), given["sha256Hash"].as_str()) {
        (Some(1), Some(hash)) => Ok(Some(hash.to_ascii_lowercase())),
        _ => Err(bad_request("\"extensions.persistedQuery\" must have \"version\": 1 and a \"sha256Hash\"")),
    }
}

/// Reads requests one by one and stops at the first too many.
struct BatchReader<'c> {
    most: usize,
    too_many: &'c Cell<bool>,
}

impl<'a> Visitor<'a> for BatchReader<'_> {
    type Value = Vec<Parameters<'a>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of requests")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut given = Vec::new();
        while let Some(next) = sequence.next_element()? {
            if given.len() == self.most {
                self.too_many.set(true);
                return Err(serde::de::Error::custom("too many requests"));
            }
            given.push(next);
        }
        Ok(given)
    }
}

fn bad_request(message: impl Into<String>) -> GraphqlError {
    GraphqlError::new(Code::BadRequest, message)
}

fn body_error(error: &serde_json::Error) -> GraphqlError {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        Category::Data => bad_request(format!(
            "the body is not a GraphQL request (line {line}, column {column}): \"query\" and \
             \"operationName\" must be strings, \"variables\" and \"extensions\" objects"
        )),
        _ => bad_request(format!("the body is not JSON (line {line}, column {column})")),
    }
}

fn json_object(name: &str, text: &str) -> Result<Map<String, Value>, GraphqlError> {
    if text.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str::<Option<Map<String, Value>>>(text) {
        Ok(object) => Ok(object.unwrap_or_default()),
        Err(_not_an_object) => Err(bad_request(format!("\"{name}\" must be a JSON object"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_body(body: &str, expected: Result<(&str, Option<&str>, &str), &str>) {
        compare(Params::from_body(body.as_bytes()), expected);
    }

    #[track_caller]
    fn check_query(query: &str, expected: Result<(&str, Option<&str>, &str), &str>) {
        compare(Params::from_query(query), expected);
    }

    #[track_caller]
    fn compare(found: Result<Params<'_>, GraphqlError>, expected: Result<(&str, Option<&str>, &str), &str>) {
        match (found, expected) {
            (Ok(params), Ok((query, operation, variables))) => {
                assert_eq!(params.query, query);
                assert_eq!(params.operation.as_deref(), operation);
                assert_eq!(serde_json::to_string(&params.variables).unwrap(), variables);
            }
            (Err(error), Err(part)) => {
                assert!(error.message.contains(part), "{}", error.message);
                assert_eq!(error.extensions.code, Code::BadRequest);
            }
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn bodies_are_read() {
        check_body(r#"{"query":"{a}"}"#, Ok(("{a}", None, "{}")));
        check_body(
            r#"{"query":"{a}\n","operationName":"A","variables":{"n":9007199254740993,"d":1.10},"extensions":{},"x":1}"#,
            Ok(("{a}\n", Some("A"), r#"{"n":9007199254740993,"d":1.10}"#)),
        );
        check_body(
            r#"{"query":"{a}","operationName":null,"variables":null,"extensions":null}"#,
            Ok(("{a}", None, "{}")),
        );
        check_body(r#"{"query":"{a}","operationName":""}"#, Ok(("{a}", None, "{}")));
        check_body("", Err("not JSON"));
        check_body("{\"query\":\"{a}\"", Err("not JSON (line 1"));
        check_body("[1]", Err("not a GraphQL request"));
        check_body("{}", Err("\"query\" is missing"));
        check_body(r#"{"query":1}"#, Err("must be strings"));
        check_body(r#"{"query":"{a}","variables":[]}"#, Err("objects"));
        check_body(r#"{"query":"{a}","operationName":{}}"#, Err("must be strings"));
        check_body(r#"{"query":"{a}","query":"{b}"}"#, Err("not a GraphQL request"));
    }

    #[test]
    fn an_unescaped_document_is_not_copied() {
        let body = br#"{"query":"{a}"}"#;
        assert!(matches!(Params::from_body(body).unwrap().query, Cow::Borrowed("{a}")));
    }

    #[test]
    fn query_strings_are_read() {
        check_query("query=%7Ba%20b+c%7D", Ok(("{a b c}", None, "{}")));
        check_query(
            "variables=%7B%22n%22%3A1%7D&operationName=A&query=%7Ba%7D",
            Ok(("{a}", Some("A"), r#"{"n":1}"#)),
        );
        check_query("query={a}&variables=&extensions=null", Ok(("{a}", None, "{}")));
        check_query("", Err("\"query\" is missing"));
        check_query("query={a}&variables=1", Err("\"variables\" must be a JSON object"));
    }
}
