//! The parameters of a GraphQL request, from a body or from a query string. Nothing is run here.

use std::borrow::Cow;

use fraiseql_model::response::{Code, GraphqlError};
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::{Map, Value};

/// One GraphQL request.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Params<'a> {
    /// The document.
    pub(crate) query: Cow<'a, str>,
    /// The operation to run, when the document has several.
    pub(crate) operation: Option<String>,
    /// Raw values of variables.
    pub(crate) variables: Map<String, Value>,
}

/// What the GraphQL over HTTP draft lets a body have; what else stands in it is for others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object with \"query\"")]
struct Parameters<'a> {
    #[serde(borrow, default)]
    query: Cow<'a, str>,
    #[serde(default)]
    operation_name: Option<String>,
    #[serde(default)]
    variables: Option<Map<String, Value>>,
    #[serde(default, rename = "extensions")]
    _extensions: Option<Map<String, Value>>,
}

impl<'a> Params<'a> {
    /// Reads a JSON body. The document is borrowed when nothing in it is escaped.
    pub(crate) fn from_body(body: &'a [u8]) -> Result<Self, GraphqlError> {
        let parameters: Parameters<'a> = serde_json::from_slice(body).map_err(|error| body_error(&error))?;
        let Parameters { query, operation_name, variables, _extensions } = parameters;
        Self::new(query, operation_name, variables.unwrap_or_default())
    }

    /// Reads the query string of a URL: `query`, `operationName`, `variables` (JSON).
    pub(crate) fn from_query(text: &'a str) -> Result<Self, GraphqlError> {
        let mut query = Cow::Borrowed("");
        let mut operation = None;
        let mut variables = Map::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match &*name {
                "query" => query = value,
                "operationName" => operation = Some(value.into_owned()),
                "variables" => variables = json_object("variables", &value)?,
                "extensions" => drop(json_object("extensions", &value)?),
                _ => {}
            }
        }
        Self::new(query, operation, variables)
    }

    /// Returns the same, borrowing nothing.
    pub(crate) fn into_owned(self) -> Params<'static> {
        let Self { query, operation, variables } = self;
        Params { query: Cow::Owned(query.into_owned()), operation, variables }
    }

    fn new(
        query: Cow<'a, str>,
        operation: Option<String>,
        variables: Map<String, Value>,
    ) -> Result<Self, GraphqlError> {
        if query.is_empty() {
            return Err(bad_request("\"query\" is missing: it must be a string with a GraphQL document"));
        }
        Ok(Self { query, operation: operation.filter(|name| !name.is_empty()), variables })
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
             \"operationName\" must be strings, \"variables\" and \"extensions\" objects; batches are not served"
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
        check_body("[{\"query\":\"{a}\"}]", Err("batches"));
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
