//! Operations over server-sent events: graphql-sse, distinct connections mode. One request, one operation.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fraiseql_engine::OperationKind;
use fraiseql_model::identity::Identity;
use fraiseql_model::response::{Code, GraphqlError};
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::answer::errors_json;
use crate::body::{Chunk, Reply};
use crate::identity::{Caller, Credential};
use crate::live::hub::State;
use crate::live::requests::{self, Whole};
use crate::live::session::newest;
use crate::params::Params;
use crate::pipeline::Way;
use crate::record::Record;
use crate::serving::Serving;

/// The media type of the WHATWG's specification.
const EVENT_STREAM: &str = "text/event-stream";
/// Tells nginx not to hold events back.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Between two comments, so that nobody on the way takes a quiet stream for a dead one.
const COMMENT_EVERY: Duration = Duration::from_secs(25);

/// Which operations of a request are answered by events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Events {
    /// The client reads nothing else.
    Always,
    /// The client reads JSON too, which is enough for what has one answer.
    ForSubscriptions,
    /// The client does not read them.
    Never,
}

/// A caller of a request, and what is needed to look again while events go on.
pub(crate) struct Admitted {
    caller: Caller,
    credential: Option<Credential<'static>>,
}

impl Admitted {
    /// Keeps what the headers bring where events may follow.
    pub(crate) fn new(caller: Caller, events: Events, headers: &HeaderMap) -> Self {
        let credential = match events {
            Events::Never => None,
            // It was read before, without a fault.
            Events::Always | Events::ForSubscriptions => {
                Credential::of_headers(headers).unwrap_or(None).map(Credential::into_owned)
            }
        };
        Self { caller, credential }
    }

    /// Returns who asks.
    pub(crate) fn identity(&self) -> &Arc<Identity> {
        &self.caller.identity
    }
}

impl Events {
    /// True when this request is answered by events.
    pub(crate) fn are_for(self, serving: &Arc<Serving>, params: &Params<'_>) -> bool {
        match self {
            Self::Always => true,
            Self::ForSubscriptions => requests::kind(serving, params) == Ok(OperationKind::Subscription),
            Self::Never => false,
        }
    }
}

/// True when the client names events among what it accepts.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let mut ranges =
        values.flat_map(|value| value.split(',')).map(|range| range.split(';').next().unwrap_or(""));
    ranges.any(|name| name.trim().eq_ignore_ascii_case(EVENT_STREAM))
}

/// Begins to answer; a task of the server feeds the stream. Errors are events too, as the protocol has it.
pub(crate) fn respond(
    serving: &Arc<Serving>,
    params: Params<'static>,
    way: Way,
    admitted: Admitted,
    mut record: Record,
) -> Response<Reply> {
    let (sender, receiver) = mpsc::channel(serving.live.options.buffer_results.max(1));
    let kind = requests::kind(serving, &params).and_then(|kind| {
        record.kind = kind.into();
        record.operation = params.operation.clone();
        if kind == OperationKind::Mutation && way == Way::Get {
            let message = "GET is for queries and subscriptions: send mutations by POST";
            return Err(vec![GraphqlError::new(Code::BadRequest, message)]);
        }
        Ok(kind)
    });
    if let Err(errors) = &kind {
        record.errors(errors);
    }
    let stream = Stream { serving: Arc::clone(serving), sender };
    serving.tasks.spawn(stream.feed(params, kind, admitted));
    record.finish(StatusCode::OK.as_u16(), 0);
    let mut response = Response::new(Reply::Stream(receiver));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

struct Stream {
    serving: Arc<Serving>,
    sender: mpsc::Sender<Chunk>,
}

/// The client is gone, or does not read.
struct Gone;

impl Stream {
    async fn feed(
        self,
        params: Params<'static>,
        kind: Result<OperationKind, Vec<GraphqlError>>,
        Admitted { caller, credential }: Admitted,
    ) {
        let (identities, pool) = (&self.serving.identities, &self.serving.pool);
        let live = kind == Ok(OperationKind::Subscription);
        let fed = tokio::select! {
            fed = self.events(params, kind) => fed,
            denial = identities.until_denied(pool, credential.as_ref(), caller), if live => {
                self.next(&errors_json(&[denial.error()])).await
            }
            () = self.serving.live.draining.cancelled() => Ok(()),
            () = self.sender.closed() => return,
        };
        if fed.is_ok() && self.send(event("complete", b"")).await.is_ok() {
            // A client that left in this moment has its end.
            let _left = self.sender.send(Chunk::End).await.is_err();
        }
    }

    async fn events(
        &self,
        params: Params<'static>,
        kind: Result<OperationKind, Vec<GraphqlError>>,
    ) -> Result<(), Gone> {
        match kind {
            Err(errors) => self.next(&errors_json(&errors)).await,
            Ok(OperationKind::Subscription) => self.subscribed(params).await,
            Ok(OperationKind::Query | OperationKind::Mutation) => {
                match requests::once(&self.serving, &params).await {
                    Whole::Response { json, .. } => self.next(&json).await,
                    Whole::Refused(_, errors) => self.next(&errors_json(&errors)).await,
                }
            }
        }
    }

    async fn subscribed(&self, params: Params<'static>) -> Result<(), Gone> {
        let live = &self.serving.live;
        let Some(_active) = live.tally.enter(live.options.total) else {
            let message = "the server has as many subscriptions as it may: try again later";
            return self.next(&errors_json(&[GraphqlError::new(Code::LimitExceeded, message)])).await;
        };
        let mut states = live.hub.join(&self.serving, params);
        let mut comment = interval_at(Instant::now() + COMMENT_EVERY, COMMENT_EVERY);
        comment.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The head of the response goes out with the first byte.
        self.send(Bytes::from_static(b":\n\n")).await?;
        loop {
            let state = tokio::select! {
                state = newest(&mut states) => state,
                _ = comment.tick() => {
                    self.send(Bytes::from_static(b":\n\n")).await?;
                    continue;
                }
            };
            match state {
                Some(State::Answered(json)) => self.next(&json).await?,
                Some(State::Ended(errors)) => return self.next(&errors_json(&errors)).await,
                Some(State::Waiting) => {}
                None => return Ok(()),
            }
        }
    }

    async fn next(&self, json: &[u8]) -> Result<(), Gone> {
        self.serving.live.tally.sent.increment();
        self.send(event("next", json)).await
    }

    async fn send(&self, bytes: Bytes) -> Result<(), Gone> {
        match timeout(self.serving.live.options.send_timeout, self.sender.send(Chunk::Data(bytes))).await {
            Ok(sent) => sent.map_err(|_left| Gone),
            Err(_elapsed) => {
                self.serving.live.tally.slow.increment();
                Err(Gone)
            }
        }
    }
}

/// Writes an event. JSON text has no line breaks of its own but those between its tokens.
fn event(name: &str, data: &[u8]) -> Bytes {
    let mut text = BytesMut::with_capacity(data.len() + name.len() + 24);
    text.extend_from_slice(b"event: ");
    text.extend_from_slice(name.as_bytes());
    for line in data.split(|byte| matches!(byte, b'\n' | b'\r')) {
        text.extend_from_slice(b"\ndata: ");
        text.extend_from_slice(line);
    }
    text.extend_from_slice(b"\n\n");
    text.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_written_as_the_format_wants() {
        assert_eq!(&event("next", b"{\"a\":1}")[..], b"event: next\ndata: {\"a\":1}\n\n");
        assert_eq!(&event("next", b"{\n1}")[..], b"event: next\ndata: {\ndata: 1}\n\n");
        assert_eq!(&event("complete", b"")[..], b"event: complete\ndata: \n\n");
    }

    #[track_caller]
    fn check(accept: &'static str, expected: bool) {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
        assert_eq!(is_wanted(&headers), expected, "{accept}");
    }

    #[test]
    fn only_who_names_events_gets_them() {
        check("text/event-stream", true);
        check("application/json, Text/Event-Stream; q=0.5", true);
        check("*/*", false);
        check("text/*", false);
    }
}
