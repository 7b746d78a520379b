//! What pages of other origins may do: nothing, unless a setting names them.
//!
//! A browser sends `application/json` across origins only after asking, so a form of another site
//! cannot post GraphQL, and GET never runs a mutation. What a browser itself calls cross-site is
//! refused besides, also where it sends no question first.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};

use crate::policy::Origins;
use crate::{replicas, request_id};

/// For how long a browser remembers that it may send a request, in seconds.
const REMEMBERED_S: &str = "7200";
const METHODS: &str = "GET, POST";
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Returns true when a browser says that a page of another site sent this, one that is not allowed.
pub(crate) fn is_foreign(origins: &Origins, headers: &HeaderMap) -> bool {
    let cross_site = headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site");
    cross_site && allowed(origins, headers).is_none()
}

/// Returns the headers of an answer to whoever asked, also of one that refuses.
pub(crate) fn headers(origins: &Origins, request: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !origins.is_empty() {
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
    if let Some(origin) = allowed(origins, request) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        for exposed in [request_id::HEADER, replicas::HEADER] {
            headers.append(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
        }
    }
    headers
}

/// Returns the headers that answer a browser's question whether it may send a request; none when
/// it may not, which it takes for no.
pub(crate) fn preflight(origins: &Origins, request: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if allowed(origins, request).is_none() || !request.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return headers;
    }
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(REMEMBERED_S));
    if let Some(wanted) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        // No header makes us do more than its sender may do anyway.
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        headers.append(VARY, HeaderValue::from_static("access-control-request-headers"));
    }
    headers
}

/// Returns what to say of the request's origin when it is allowed.
fn allowed(origins: &Origins, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    if origins.any() {
        return Some(HeaderValue::from_static("*"));
    }
    origins.contains(origin.to_str().unwrap_or("")).then(|| origin.clone())
}
