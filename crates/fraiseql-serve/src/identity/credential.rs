//! What a request brings to show who asks. Nothing is verified here, and nothing is printed.

use std::borrow::Cow;
use std::fmt;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::api_key;
use super::denial::Denial;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A token or an API key, as it came.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credential<'a> {
    Token(Cow<'a, str>),
    ApiKey(Cow<'a, str>),
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token(..)",
            Self::ApiKey(_) => "ApiKey(..)",
        })
    }
}

impl<'a> Credential<'a> {
    /// Returns what the headers of a request bring, if anything. Two of them are none.
    pub(crate) fn of_headers(headers: &'a HeaderMap) -> Result<Option<Self>, Denial> {
        let mut found = None;
        for value in headers.get_all(AUTHORIZATION) {
            set(&mut found, Self::of_scheme(text(value)?)?)?;
        }
        for value in headers.get_all(X_API_KEY) {
            set(&mut found, Self::ApiKey(Cow::Borrowed(text(value)?)))?;
        }
        Ok(found)
    }

    /// Returns what the payload of `connection_init` brings: `Authorization`, `X-API-Key`, in any
    /// case, there or in `headers`.
    pub(crate) fn of_payload(payload: &'a Map<String, Value>) -> Result<Option<Self>, Denial> {
        let mut found = None;
        let headers = payload.get("headers").and_then(Value::as_object);
        for (name, value) in payload.iter().chain(headers.into_iter().flatten()) {
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
            if !is(AUTHORIZATION.as_str()) && !is(X_API_KEY.as_str()) || value.is_null() {
                continue;
            }
            let text = value.as_str().ok_or(Denial::Malformed)?;
            let credential = match is(X_API_KEY.as_str()) {
                true => Self::ApiKey(Cow::Borrowed(text)),
                false => Self::of_scheme(text)?,
            };
            set(&mut found, credential)?;
        }
        Ok(found)
    }

    fn of_scheme(text: &'a str) -> Result<Self, Denial> {
        let (scheme, token) = text.split_once(' ').ok_or(Denial::Malformed)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Denial::Malformed);
        }
        let token = token.trim_matches(' ');
        // RFC 6750, section 2.1: b64token.
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if token.is_empty() || !token.bytes().all(fits) {
            return Err(Denial::Malformed);
        }
        Ok(match token.starts_with(api_key::PREFIX) {
            true => Self::ApiKey(Cow::Borrowed(token)),
            false => Self::Token(Cow::Borrowed(token)),
        })
    }

    /// Returns the same, borrowing nothing.
    pub(crate) fn into_owned(self) -> Credential<'static> {
        match self {
            Self::Token(text) => Credential::Token(Cow::Owned(text.into_owned())),
            Self::ApiKey(text) => Credential::ApiKey(Cow::Owned(text.into_owned())),
        }
    }

    /// Returns the secret itself.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Token(text) | Self::ApiKey(text) => text,
        }
    }
}

fn text(value: &HeaderValue) -> Result<&str, Denial> {
    value.to_str().map_err(|_not_ascii| Denial::Malformed)
}

fn set<'a>(found: &mut Option<Credential<'a>>, credential: Credential<'a>) -> Result<(), Denial> {
    match found.replace(credential) {
        None => Ok(()),
        Some(_) => Err(Denial::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], expected: &str) {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut map = HeaderMap::new();
        headers.for_each(|(name, value)| {
            map.append(name, value);
        });
        compare(Credential::of_headers(&map), expected);
    }

    #[track_caller]
    fn check_payload(payload: &str, expected: &str) {
        compare(Credential::of_payload(&serde_json::from_str(payload).unwrap()), expected);
    }

    #[track_caller]
    fn compare(found: Result<Option<Credential<'_>>, Denial>, expected: &str) {
        let found = match found {
            Ok(None) => "none".to_owned(),
            Ok(Some(credential)) => format!("{credential:?} {}", credential.text()),
            Err(denial) => format!("{denial:?}"),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn one_credential_is_read_and_two_are_none() {
        check(&[], "none");
        check(&[("authorization", "Bearer a.b.c")], "Token(..) a.b.c");
        check(&[("authorization", "bearer  a.b.c ")], "Token(..) a.b.c");
        check(&[("authorization", "Bearer fq_a_b")], "ApiKey(..) fq_a_b");
        check(&[("x-api-key", "fq_a_b")], "ApiKey(..) fq_a_b");
        check(&[("authorization", "Bearer a"), ("authorization", "Bearer a")], "Malformed");
        check(&[("authorization", "Bearer a"), ("x-api-key", "fq_a_b")], "Malformed");
        check(&[("authorization", "Basic YTpi")], "Malformed");
        check(&[("authorization", "Bearer")], "Malformed");
        check(&[("authorization", "Bearer ")], "Malformed");
        check(&[("authorization", "Bearer a b")], "Malformed");
    }

    #[test]
    fn payloads_are_read_as_clients_write_them() {
        check_payload("{}", "none");
        check_payload(r#"{"Authorization":"Bearer a"}"#, "Token(..) a");
        check_payload(r#"{"authorization":"Bearer a"}"#, "Token(..) a");
        check_payload(r#"{"headers":{"Authorization":"Bearer a"}}"#, "Token(..) a");
        check_payload(r#"{"headers":{"x-api-key":"fq_a_b"},"x":1}"#, "ApiKey(..) fq_a_b");
        check_payload(r#"{"authorization":null}"#, "none");
        check_payload(r#"{"authorization":7}"#, "Malformed");
        check_payload(r#"{"authorization":"Bearer a","headers":{"authorization":"Bearer b"}}"#, "Malformed");
    }
}
