//! Headers on their way through: what ends at each hop, and what is said of the client.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fraiseql_model::traffic::Sticky;
use hyper::header::{
    AUTHORIZATION, CONNECTION, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use ipnet::IpNet;

/// How instances say how many internal errors an answer has; it does not leave the proxy.
pub(crate) const ERRORS: HeaderName = HeaderName::from_static("x-fraiseql-errors");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
/// The longest token whose claims are looked at.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// Removes what concerns one hop only (RFC 9110, section 7.6.1).
pub(crate) fn end_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
}

/// Says who the client is. What it says of itself counts only when a trusted proxy tells it.
pub(crate) fn introduce(headers: &mut HeaderMap, peer: IpAddr, trusted: &[IpNet], secure: bool) {
    let is_trusted = trusted.iter().any(|network| network.contains(&peer.to_canonical()));
    let before = headers.get(X_FORWARDED_FOR).filter(|_| is_trusted).and_then(|value| value.to_str().ok());
    let chain = before.map_or_else(|| peer.to_string(), |before| format!("{before}, {peer}"));
    if let Ok(chain) = HeaderValue::from_str(&chain) {
        headers.insert(X_FORWARDED_FOR, chain);
    }
    if !is_trusted || !headers.contains_key(X_FORWARDED_PROTO) {
        let scheme = if secure { "https" } else { "http" };
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    }
    if !is_trusted || !headers.contains_key(X_FORWARDED_HOST) {
        match headers.get(HOST).cloned() {
            Some(host) => headers.insert(X_FORWARDED_HOST, host),
            None => headers.remove(X_FORWARDED_HOST),
        };
    }
}

/// Returns what keeps the user of a request on one release.
pub(crate) fn sticky_key(headers: &HeaderMap, sticky: &Sticky) -> Option<Vec<u8>> {
    match sticky {
        Sticky::None => None,
        Sticky::Header(name) => headers.get(name).map(|value| value.as_bytes().to_vec()),
        Sticky::Cookie(name) => cookie(headers, name),
        Sticky::Claim(name) => claim(headers, name),
    }
    .filter(|key| !key.is_empty())
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value.as_bytes().to_vec())
}

/// Reads a claim without looking at the signature: the instance does, and to lie here only moves the
/// liar to another release.
fn claim(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    let token = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = token.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?);
    let claims: Result<serde_json::Value, _> = serde_json::from_slice(&payload.ok()?);
    match claims.ok()?.get(name)? {
        serde_json::Value::String(text) => Some(text.as_bytes().to_vec()),
        serde_json::Value::Number(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

/// Returns true for a request that wants another protocol on its connection.
pub(crate) fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn what_concerns_one_hop_goes_no_further() {
        let mut hop = headers(&[
            ("connection", "close, X-Secret"),
            ("x-secret", "a"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("accept", "a"),
        ]);
        end_hop(&mut hop);
        assert_eq!(hop.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }

    #[track_caller]
    fn check(trusted: &[&str], claimed: &[(&'static str, &str)], expected: [&str; 3]) {
        let mut sent = headers(claimed);
        sent.insert(HOST, HeaderValue::from_static("api.example"));
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        introduce(&mut sent, "10.0.0.9".parse().unwrap(), &trusted, true);
        let found = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];
        assert_eq!(found.map(|name| sent[name].to_str().unwrap()), expected);
    }

    #[test]
    fn who_the_client_is_cannot_be_forged() {
        let claimed =
            [("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "http"), ("x-forwarded-host", "a")];
        check(&[], &claimed, ["10.0.0.9", "https", "api.example"]);
        check(&["10.0.0.0/24"], &claimed, ["1.2.3.4, 10.0.0.9", "http", "a"]);
        check(&["10.0.1.0/24"], &[], ["10.0.0.9", "https", "api.example"]);
    }

    #[track_caller]
    fn check_key(pairs: &[(&'static str, &str)], sticky: &Sticky, expected: Option<&str>) {
        let key = sticky_key(&headers(pairs), sticky).map(|key| String::from_utf8(key).unwrap());
        assert_eq!(key.as_deref(), expected);
    }

    #[test]
    fn a_user_is_known_by_header_cookie_or_claim() {
        check_key(&[("x-user", "ann")], &Sticky::Header("x-user".to_owned()), Some("ann"));
        check_key(&[], &Sticky::Header("x-user".to_owned()), None);
        let cookie = Sticky::Cookie("sid".to_owned());
        check_key(&[("cookie", "a=b; sid=7; c=d")], &cookie, Some("7"));
        check_key(&[("cookie", "asid=7")], &cookie, None);
        let claim = Sticky::Claim("sub".to_owned());
        let token = |claims: &str| format!("Bearer e30.{}.x", URL_SAFE_NO_PAD.encode(claims));
        check_key(&[("authorization", &token(r#"{"sub":"ann"}"#))], &claim, Some("ann"));
        check_key(&[("authorization", &token(r#"{"sub":["ann"]}"#))], &claim, None);
        check_key(&[("authorization", "Bearer opaque")], &claim, None);
        check_key(&[("x-user", "")], &Sticky::Header("x-user".to_owned()), None);
    }
}
