//! JSON Web Tokens (RFC 7519, RFC 8725): taken apart, and their claims judged. Pure: time is an argument.

use std::collections::BTreeSet;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fraiseql_model::identity::Identity;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::denial::Denial;

/// A token that nobody has verified yet.
pub(crate) struct Unverified<'t> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    pub(crate) claims: Map<String, Value>,
    /// What was signed.
    pub(crate) message: &'t str,
    pub(crate) signature: &'t str,
}

/// What claims must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClaimRules {
    pub(crate) audiences: Vec<String>,
    pub(crate) clock_skew_ms: u64,
    pub(crate) roles_claim: String,
    pub(crate) scope_claim: String,
}

/// Members of the head that nobody here reads are passed over, as RFC 7515 wants it; `crit` forbids that.
#[derive(Deserialize)]
struct Head {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

/// Returns true for what has the form of a JSON Web Token.
pub(crate) fn is_jwt(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Takes a token apart.
pub(crate) fn parse(text: &str) -> Result<Unverified<'_>, Denial> {
    let (message, signature) = text.rsplit_once('.').ok_or(Denial::Malformed)?;
    let (head, claims) = message.split_once('.').ok_or(Denial::Malformed)?;
    let head: Head = part(head)?;
    let claims = part(claims)?;
    if head.alg.eq_ignore_ascii_case("none") {
        return Err(Denial::Unsigned);
    }
    if head.crit.is_some() {
        return Err(Denial::Malformed);
    }
    let algorithm = Algorithm::from_str(&head.alg).map_err(|_unknown| Denial::Algorithm)?;
    Ok(Unverified { algorithm, kid: head.kid, claims, message, signature })
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Denial> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_wrong| Denial::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_wrong| Denial::Malformed)
}

/// Returns until when a token with these claims is taken, in milliseconds since 1970, the skew of
/// clocks included; fails when that is not now. `exp` is needed where `must_end`.
pub(crate) fn valid_until(
    claims: &Map<String, Value>,
    rules: &ClaimRules,
    now_ms: u64,
    must_end: bool,
) -> Result<Option<u64>, Denial> {
    let until = time(claims, "exp")?.map(|exp| exp.saturating_add(rules.clock_skew_ms));
    if until.is_none() && must_end {
        return Err(Denial::Claims);
    }
    if until.is_some_and(|until| until <= now_ms) {
        return Err(Denial::Expired);
    }
    let begins = time(claims, "nbf")?.unwrap_or(0);
    if begins > now_ms.saturating_add(rules.clock_skew_ms) {
        return Err(Denial::Early);
    }
    Ok(until)
}

/// Returns a NumericDate (RFC 7519, section 2) in milliseconds.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, Denial> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    // Beyond what milliseconds can hold it is for ever.
    Ok(Some((seconds.ok_or(Denial::Claims)? * 1_000.0) as u64))
}

/// Fails when the claims name an audience and none of ours, or none where one is needed.
pub(crate) fn audience(claims: &Map<String, Value>, rules: &ClaimRules, needed: bool) -> Result<(), Denial> {
    let is_ours = |value: &Value| {
        value.as_str().is_some_and(|name| rules.audiences.iter().any(|audience| audience == name))
    };
    let ours = match claims.get("aud") {
        None => !needed,
        Some(Value::Array(several)) => several.iter().any(is_ours),
        Some(one) => is_ours(one),
    };
    if ours || rules.audiences.is_empty() { Ok(()) } else { Err(Denial::Audience) }
}

/// Returns who is meant by claims that were verified.
pub(crate) fn identity(claims: Map<String, Value>, rules: &ClaimRules) -> Identity {
    Identity {
        subject: claims.get("sub").and_then(Value::as_str).map(str::to_owned),
        roles: words(at(&claims, &rules.roles_claim)),
        scopes: words(at(&claims, &rules.scope_claim)),
        claims,
    }
}

/// Returns a claim by its name, else by a path of names. Names with dots come first: many are URLs.
fn at<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut ends = path.match_indices('.').map(|(at, _)| at);
    ends.find_map(|end| at(claims.get(&path[..end])?.as_object()?, &path[end + 1..]))
}

fn words(value: Option<&Value>) -> BTreeSet<String> {
    match value {
        Some(Value::String(text)) => text.split_ascii_whitespace().map(str::to_owned).collect(),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_000_000;

    fn rules() -> ClaimRules {
        ClaimRules {
            audiences: vec!["shop".to_owned(), "app".to_owned()],
            clock_skew_ms: 30_000,
            roles_claim: "realm_access.roles".to_owned(),
            scope_claim: "scope".to_owned(),
        }
    }

    fn claims(json: &str) -> Map<String, Value> {
        serde_json::from_str(json).unwrap()
    }

    #[track_caller]
    fn check(json: &str, expected: Result<Option<u64>, Denial>) {
        let claims = claims(json);
        let found = valid_until(&claims, &rules(), NOW_MS, true);
        assert_eq!(found.and_then(|until| audience(&claims, &rules(), true).map(|()| until)), expected);
    }

    #[test]
    fn times_are_judged_with_the_skew_of_clocks() {
        check(r#"{"exp":1000,"aud":"shop"}"#, Ok(Some(1_030_000)));
        check(r#"{"exp":970.5,"aud":"shop"}"#, Ok(Some(1_000_500)));
        check(r#"{"exp":970,"aud":"shop"}"#, Err(Denial::Expired));
        check(r#"{"exp":2000,"nbf":1030,"aud":"shop"}"#, Ok(Some(2_030_000)));
        check(r#"{"exp":2000,"nbf":1031,"aud":"shop"}"#, Err(Denial::Early));
        check(r#"{"aud":"shop"}"#, Err(Denial::Claims));
        check(r#"{"exp":"2000","aud":"shop"}"#, Err(Denial::Claims));
        check(r#"{"exp":-1,"aud":"shop"}"#, Err(Denial::Claims));
        check(r#"{"exp":1e300,"aud":"shop"}"#, Ok(Some(u64::MAX)));
    }

    #[test]
    fn one_audience_must_be_ours() {
        check(r#"{"exp":1000,"aud":["other","app"]}"#, Ok(Some(1_030_000)));
        check(r#"{"exp":1000,"aud":"other"}"#, Err(Denial::Audience));
        check(r#"{"exp":1000,"aud":[]}"#, Err(Denial::Audience));
        check(r#"{"exp":1000,"aud":{"shop":1}}"#, Err(Denial::Audience));
        check(r#"{"exp":1000}"#, Err(Denial::Audience));
    }

    #[test]
    fn roles_and_scopes_stand_where_the_settings_say() {
        let json = r#"{"sub":"ada","scope":"read write","realm_access":{"roles":["a","b",7]},"https://x.y/roles":["c"]}"#;
        let found = identity(claims(json), &rules());
        assert_eq!(found.subject.as_deref(), Some("ada"));
        assert_eq!(found.roles, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        assert_eq!(found.scopes, BTreeSet::from(["read".to_owned(), "write".to_owned()]));
        let url = ClaimRules { roles_claim: "https://x.y/roles".to_owned(), ..rules() };
        assert_eq!(identity(claims(json), &url).roles, BTreeSet::from(["c".to_owned()]));
        let none = ClaimRules { roles_claim: "realm_access.groups".to_owned(), ..rules() };
        assert_eq!(identity(claims(json), &none).roles, BTreeSet::new());
    }

    #[track_caller]
    fn check_form(head: &str, expected: Option<Denial>) {
        let text = format!("{}.{}.AA", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode("{}"));
        assert_eq!(parse(&text).err(), expected, "{head}");
    }

    #[test]
    fn heads_that_try_something_are_refused() {
        check_form(r#"{"alg":"RS256","typ":"JWT","kid":"a","x":1}"#, None);
        check_form(r#"{"alg":"none"}"#, Some(Denial::Unsigned));
        check_form(r#"{"alg":"nOnE"}"#, Some(Denial::Unsigned));
        check_form(r#"{"alg":"RS257"}"#, Some(Denial::Algorithm));
        check_form(r#"{"alg":""}"#, Some(Denial::Algorithm));
        check_form(r#"{"alg":"RS256","crit":["b64"]}"#, Some(Denial::Malformed));
        check_form(r#"{"kid":"a"}"#, Some(Denial::Malformed));
        check_form(r#"{"alg":"RS256","alg":"none"}"#, Some(Denial::Malformed));
        check_form("[]", Some(Denial::Malformed));
        assert_eq!(parse("a.b").err(), Some(Denial::Malformed));
        assert_eq!(parse("e30=.e30.AA").err(), Some(Denial::Malformed));
    }
}
