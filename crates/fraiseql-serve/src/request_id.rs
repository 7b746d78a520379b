//! Request ids: a client's own when it is sane, else one that is unique in this process.
//!
//! An id ends up in logs and in a response header, so nothing but visible ASCII passes.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::HeaderValue;

/// The header, in requests and responses.
pub(crate) const HEADER: &str = "x-request-id";

/// The longest id that is taken over from a client.
const LENGTH_MAX: usize = 128;

/// Hands out request ids.
#[derive(Debug)]
pub(crate) struct RequestIds {
    /// Differs between processes, so that the ids of instances can be told apart in one log.
    process: u32,
    next: AtomicU64,
}

impl RequestIds {
    /// Makes a source of ids.
    pub(crate) fn new() -> Self {
        let random = RandomState::new().hash_one(std::process::id());
        let [a, b, c, d, ..] = random.to_le_bytes();
        Self { process: u32::from_le_bytes([a, b, c, d]), next: AtomicU64::new(1) }
    }

    /// Returns the id of a request with these headers.
    pub(crate) fn id(&self, headers: &HeaderMap) -> RequestId {
        match headers.get(HEADER) {
            Some(given) if is_sane(given.as_bytes()) => RequestId(given.clone()),
            _ => self.generate(),
        }
    }

    /// Returns an id that no request had before.
    pub(crate) fn generate(&self) -> RequestId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let text = Bytes::from(format!("{:08x}-{number:x}", self.process));
        RequestId(HeaderValue::from_maybe_shared(text).expect("hexadecimal digits are a header value"))
    }
}

/// The id of one request: visible ASCII, at most 128 characters.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// Returns it as text.
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().expect("only visible ASCII becomes a request id")
    }

    /// Returns it for a response's header.
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

fn is_sane(id: &[u8]) -> bool {
    (1..=LENGTH_MAX).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &[u8], kept: bool) {
        let ids = RequestIds::new();
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_bytes(given).unwrap());
        let id = ids.id(&headers);
        assert_eq!(id.as_str().as_bytes() == given, kept, "{id:?}");
    }

    #[test]
    fn sane_ids_are_kept_and_others_replaced() {
        check(b"a", true);
        check("!~".repeat(64).as_bytes(), true);
        check("x".repeat(129).as_bytes(), false);
        check(b"", false);
        check(b"two words", false);
        check(b"tab\there", false);
        check("naïve".as_bytes(), false);
    }

    #[test]
    fn generated_ids_differ() {
        let ids = RequestIds::new();
        assert_ne!(ids.id(&HeaderMap::new()).as_str(), ids.id(&HeaderMap::new()).as_str());
    }
}
