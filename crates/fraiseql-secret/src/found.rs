//! What a reference led to, and how a value is taken out of it.

use std::collections::BTreeMap;

use fraiseql_model::secret::Secret;
use serde_json::Value;
use tokio::time::{Duration, Instant};

use crate::error::SecretError;

/// What lies at a reference.
#[derive(Clone, Debug)]
pub struct Found {
    /// The reference, as it is shown.
    pub reference: String,
    /// The values.
    pub content: Content,
    /// For how long they hold, where somebody said so.
    pub(crate) lease: Option<Lease>,
}

/// One text, or fields with names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// One text.
    Text(Secret),
    /// Fields by name.
    Fields(BTreeMap<String, Secret>),
}

/// A user and its password that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The user's name.
    pub username: Secret,
    /// The password.
    pub password: Secret,
}

/// For how long a secret holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) id: String,
    /// How long it was given for at first.
    pub(crate) granted: Duration,
    /// When it ends, unless it is renewed.
    pub(crate) ends: Instant,
    pub(crate) renewable: bool,
    /// The login that it was given to, and ends with.
    pub(crate) login: u64,
}

impl Found {
    /// Returns the value that the reference asks for by `key`, or the only one.
    pub fn take(&self, key: Option<&str>) -> Result<Secret, SecretError> {
        let secret = match (&self.content, key) {
            (Content::Text(text), None) => Some(text),
            (Content::Text(_), Some(_)) => return Err(self.field("no fields: it is no JSON object")),
            (Content::Fields(fields), Some(key)) => fields.get(key),
            (Content::Fields(fields), None) if fields.len() == 1 => fields.values().next(),
            (Content::Fields(_), None) => None,
        };
        secret.cloned().ok_or_else(|| self.field(&format!("the fields {}", self.keys().join(", "))))
    }

    /// Returns user and password.
    pub fn login(&self) -> Result<Login, SecretError> {
        Ok(Login { username: self.take(Some("username"))?, password: self.take(Some("password"))? })
    }

    /// Returns the names of the fields; none for a text.
    pub fn keys(&self) -> Vec<&str> {
        match &self.content {
            Content::Text(_) => Vec::new(),
            Content::Fields(fields) => fields.keys().map(String::as_str).collect(),
        }
    }

    fn field(&self, known: &str) -> SecretError {
        SecretError::Field { reference: self.reference.clone(), known: known.to_owned() }
    }
}

impl Content {
    /// Takes what a store or a command gave: a JSON object has fields, anything else is one text.
    pub(crate) fn of_text(text: Secret) -> Self {
        match serde_json::from_str::<Value>(text.expose()) {
            Ok(Value::Object(fields)) => Self::of_json(fields),
            Ok(_) | Err(_) => Self::Text(text),
        }
    }

    /// Takes fields; those that are no text become their JSON.
    pub(crate) fn of_json(fields: serde_json::Map<String, Value>) -> Self {
        let text = |value| match value {
            Value::String(text) => Secret::new(text),
            other => Secret::new(other.to_string()),
        };
        Self::Fields(fields.into_iter().map(|(key, value)| (key, text(value))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, key: Option<&str>, expected: Result<&str, &str>) {
        let content = Content::of_text(Secret::new(text.to_owned()));
        let found = Found { reference: "env://X".to_owned(), content, lease: None };
        match (found.take(key), expected) {
            (Ok(secret), Ok(expected)) => assert_eq!(secret.expose(), expected),
            (Err(error), Err(expected)) => assert_eq!(error.to_string(), expected),
            (taken, _) => panic!("{taken:?}"),
        }
    }

    #[test]
    fn a_field_is_named_unless_there_is_one() {
        check("plain", None, Ok("plain"));
        check(r#"{"a":"1"}"#, None, Ok("1"));
        check(r#"{"a":"1","b":2}"#, Some("b"), Ok("2"));
        check(r#"{"a":"1","b":"2"}"#, None, Err("take a field of env://X: it has the fields a, b"));
        check(r#"{"a":"1","b":"2"}"#, Some("c"), Err("take a field of env://X: it has the fields a, b"));
        check("plain", Some("a"), Err("take a field of env://X: it has no fields: it is no JSON object"));
        check("[1]", None, Ok("[1]"));
    }
}
