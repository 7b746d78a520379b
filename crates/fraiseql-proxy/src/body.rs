//! Bodies on their way through, and the short ones of our own.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};

use crate::backend::InFlight;
use crate::sample::Sample;

/// What is sent to a client.
pub(crate) enum Outgoing {
    /// From one side to the other.
    Passing(PassingBody),
    /// Of ours.
    Own(Full<Bytes>),
}

/// A body on its way through.
pub(crate) struct PassingBody {
    body: Incoming,
    /// What counts it as open.
    open: Option<InFlight>,
    /// What reads it along.
    sample: Option<Box<Sample>>,
}

impl PassingBody {
    /// Returns the body of a request.
    pub(crate) fn of_client(body: Incoming) -> Self {
        Self { body, open: None, sample: None }
    }

    /// Returns the body of an answer, which counts as open until it has ended.
    pub(crate) fn of_instance(body: Incoming, open: InFlight, sample: Option<Box<Sample>>) -> Self {
        Self { body, open: Some(open), sample }
    }
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
            Self::Passing(PassingBody { body, open, sample }) => {
                let polled = Pin::new(body).poll_frame(context);
                if let (Some(sample), Poll::Ready(Some(Ok(frame)))) = (sample.as_mut(), &polled)
                    && let Some(piece) = frame.data_ref()
                {
                    sample.see(piece);
                }
                if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
                    drop((open.take(), sample.take()));
                }
                polled
            }
            Self::Own(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Passing(passing) => passing.body.is_end_stream(),
            Self::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Passing(passing) => passing.body.size_hint(),
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
