//! What a request says about caching, what the cache did for it, and how the response tells that.

use std::sync::Arc;

use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, VARY,
};
use hyper::{Response, StatusCode};

use crate::body::Reply;
use crate::cache::kept::Kept;
use crate::pipeline::Way;

/// RFC 9211.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// The client may keep an answer for itself, and has to ask each time whether it still holds.
const PRIVATE: &str = "private, no-cache";

/// The part that caching has in one request.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// `Cache-Control: no-cache`: the client wants the database's word.
    pub(super) anew: bool,
    if_none_match: Option<HeaderValue>,
    pub(super) outcome: Outcome,
}

/// What the cache did.
#[derive(Debug, Default)]
pub(super) enum Outcome {
    /// Nothing: it is off, or the request is none that can be kept.
    #[default]
    Absent,
    /// It answered.
    Hit(Arc<Kept>),
    /// What another server had read answered.
    Shared(Arc<Kept>),
    /// The database answered, and the answer was kept.
    Stored(Arc<Kept>),
    /// The database answered.
    Missed,
    /// What is read cannot be watched, or nobody watches now.
    Bypassed,
}

impl Asked {
    /// Reads the fields of a request.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let controls = headers.get_all(CACHE_CONTROL).into_iter();
        let anew =
            controls.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|word| {
                matches!(word.trim().to_ascii_lowercase().as_str(), "no-cache" | "no-store" | "max-age=0")
            });
        Self { anew, if_none_match: headers.get(IF_NONE_MATCH).cloned(), outcome: Outcome::Absent }
    }

    /// Adds what the client may do with the response, which is 304 when the client has the same.
    pub(crate) fn dress(self, way: Way, mut response: Response<Reply>) -> Response<Reply> {
        let (told, kept) = match self.outcome {
            Outcome::Absent => return response,
            Outcome::Hit(kept) => ("fraiseql; hit", Some(kept)),
            Outcome::Shared(kept) => ("fraiseql; hit; detail=redis", Some(kept)),
            Outcome::Stored(kept) => ("fraiseql; fwd=miss; stored", Some(kept)),
            Outcome::Missed => ("fraiseql; fwd=miss", None),
            Outcome::Bypassed => ("fraiseql; fwd=bypass", None),
        };
        let headers = response.headers_mut();
        headers.insert(CACHE_STATUS, HeaderValue::from_static(told));
        let Some(kept) = kept else { return response };
        if way == Way::Get {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(PRIVATE));
            headers.insert(ETAG, kept.etag.clone());
            headers.append(VARY, HeaderValue::from_static("accept, authorization"));
            let sent = self.if_none_match.as_ref().and_then(|value| value.to_str().ok());
            if sent.is_some_and(|sent| kept.is_named_by(sent)) {
                headers.remove(CONTENT_TYPE);
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                *response.body_mut() = Reply::empty();
                return response;
            }
        }
        // Compressed forms are kept beside it.
        response.extensions_mut().insert(kept);
        response
    }
}
