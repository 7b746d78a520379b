//! Bodies on their way through, and the short ones of our own.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};

use crate::backend::InFlight;

/// What is sent to a client.
pub(crate) enum Outgoing {
    /// Of an instance, with what counts it as open.
    Passing(Incoming, Option<InFlight>),
    /// Of ours.
    Own(Full<Bytes>),
}

impl Outgoing {
    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        Self::Own(Full::new(text.into()))
    }

    pub(crate) fn empty() -> Self {
        Self::text(Bytes::new())
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Passing(body, open) => {
                let polled = Pin::new(body).poll_frame(context);
                if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
                    drop(open.take());
                }
                polled
            }
            Self::Own(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Passing(body, _) => body.is_end_stream(),
            Self::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Passing(body, _) => body.size_hint(),
            Self::Own(body) => body.size_hint(),
        }
    }
}

/// Returns an answer of the proxy itself, in the form of a GraphQL error.
pub(crate) fn refusal(
    status: StatusCode,
    code: &str,
    message: &str,
    retry_after_s: Option<u32>,
) -> Response<Outgoing> {
    let body = serde_json::json!({ "errors": [{ "message": message, "extensions": { "code": code } }] });
    let mut response = Response::new(Outgoing::text(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    if let Some(seconds) = retry_after_s {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
