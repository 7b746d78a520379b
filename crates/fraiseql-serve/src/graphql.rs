//! `/graphql`: GraphQL over HTTP (draft of the GraphQL foundation), from request to response.

use std::sync::Arc;
use std::time::Duration;

use fraiseql_engine::Limit;
use fraiseql_model::response::{Code, GraphqlError};
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::answer::{Answer, errors_json};
use crate::batch;
use crate::body::{self, ReadError, Reply};
use crate::cors;
use crate::fault::Faults;
use crate::identity::Denial;
use crate::live::event_stream::{self, Admitted, Events};
use crate::media::{self, ResponseType};
use crate::observe::RequestKind;
use crate::params::Params;
use crate::pipeline::{self, Way};
use crate::rate::Overdraft;
use crate::record::Record;
use crate::replicas;
use crate::serving::Serving;
use crate::stream::{Outcome, Reading};

/// How long a request body may take to come in.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Pieces of a streamed response that wait for the client.
const PIECES_WAITING: usize = 2;

/// Tells a proxy that wants to know how many faults an answer has, whatever its status.
const X_FRAISEQL_ERRORS: HeaderName = HeaderName::from_static("x-fraiseql-errors");
/// When to come back while nobody can tell who asks.
const RETRY_AFTER_S: &str = "1";

/// Answers a GET or POST to `/graphql`.
pub(crate) async fn respond(
    serving: &Arc<Serving>,
    request: Request<Incoming>,
    mut record: Record,
) -> Response<Reply> {
    record.kind = RequestKind::Invalid;
    record.client = serving.usage.client(request.headers());
    let deadline = Instant::now() + serving.tuning().request_timeout;
    let accepted = media::negotiate(request.headers());
    let events = match event_stream::is_wanted(request.headers()) {
        true if accepted.is_none() => Events::Always,
        true => Events::ForSubscriptions,
        false => Events::Never,
    };
    let Some(media) = accepted.or((events == Events::Always).then_some(ResponseType::Json)) else {
        let message = "the client accepts neither application/json nor application/graphql-response+json";
        let errors = [GraphqlError::new(Code::BadRequest, message)];
        return refuse(record, StatusCode::NOT_ACCEPTABLE, ResponseType::Json, &errors);
    };
    if cors::is_foreign(&serving.tuning().policy.origins, request.headers()) {
        let message = "a page of another site may not ask here: allow its origin with cors.origins";
        let errors = [GraphqlError::new(Code::BadRequest, message)];
        return refuse(record, StatusCode::FORBIDDEN, media, &errors);
    }
    if let Err(overdraft) = serving.rates.charge_address(record.origin.address, 1).await {
        return refuse_rate(record, media, overdraft);
    }
    let caller = match serving.identities.caller(&serving.pool, request.headers()).await {
        Ok(caller) => caller,
        Err(denial) => return refuse_caller(record, media, denial),
    };
    let admitted = Admitted::new(caller, events, request.headers());
    record.caller = Some(Arc::clone(admitted.identity()));
    if let Err(overdraft) = serving.rates.charge_caller(admitted.identity(), 1).await {
        return refuse_rate(record, media, overdraft);
    }
    if request.method() == Method::GET {
        let uri = request.uri().clone();
        let params = Params::from_query(uri.query().unwrap_or(""));
        return match params.map(|params| params.asked_by(admitted.identity(), &record.origin)) {
            Ok(params) if events.are_for(serving, &params) => {
                event_stream::respond(serving, params.into_owned(), Way::Get, admitted, record)
            }
            Ok(params) => run(serving, params, Way::Get, media, deadline, record).await,
            Err(error) => refuse(record, StatusCode::BAD_REQUEST, media, &[error]),
        };
    }
    if !media::is_json(request.headers()) {
        let message = "send a POST with the content type application/json in UTF-8";
        let errors = [GraphqlError::new(Code::BadRequest, message)];
        return refuse(record, StatusCode::UNSUPPORTED_MEDIA_TYPE, media, &errors);
    }
    let time = BODY_TIMEOUT.min(serving.tuning().request_timeout);
    let bytes = match body::read(request.into_body(), serving.tuning().body_bytes, time).await {
        Ok(bytes) => bytes,
        Err(error) => return unread(error, serving.tuning().body_bytes, media, record),
    };
    if batch::is_batch(&bytes) {
        return batch::respond(serving, &bytes, admitted.identity(), media, deadline, record).await;
    }
    match Params::from_body(&bytes).map(|params| params.asked_by(admitted.identity(), &record.origin)) {
        Ok(params) if events.are_for(serving, &params) => {
            event_stream::respond(serving, params.into_owned(), Way::Post, admitted, record)
        }
        Ok(params) => run(serving, params, Way::Post, media, deadline, record).await,
        Err(error) => refuse(record, StatusCode::BAD_REQUEST, media, &[error]),
    }
}

async fn run(
    serving: &Arc<Serving>,
    params: Params<'_>,
    way: Way,
    media: ResponseType,
    deadline: Instant,
    mut record: Record,
) -> Response<Reply> {
    let params = params.timed_by(&record.stopwatch);
    let answer = pipeline::answer(serving, params, way, deadline, &mut record).await;
    let asked = std::mem::take(&mut record.asked);
    match answer {
        Answer::Data(reply, rows) => {
            record.rows = rows;
            asked.dress(way, finish(record, StatusCode::OK, media, reply))
        }
        Answer::Streaming(reading) => {
            asked.dress(way, respond_streaming(serving, reading, media, deadline, record))
        }
        Answer::Partial(partial, rows) => {
            record.rows = rows;
            record.errors(&partial.errors);
            finish(record, StatusCode::OK, media, Reply::whole(partial.json()))
        }
        Answer::Refused(refusal, errors) => refuse(record, refusal.status(media), media, &errors),
        Answer::NotByGet => {
            let message = "GET is for queries: send mutations by POST";
            let errors = [GraphqlError::new(Code::BadRequest, message)];
            let mut response = refuse(record, StatusCode::METHOD_NOT_ALLOWED, media, &errors);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            response
        }
    }
}

/// Begins the response of a long list; a task of the server feeds it and ends the record.
fn respond_streaming(
    serving: &Arc<Serving>,
    reading: Reading,
    media: ResponseType,
    deadline: Instant,
    mut record: Record,
) -> Response<Reply> {
    let (sender, receiver) = mpsc::channel(PIECES_WAITING);
    let (observer, detailed) = (Arc::clone(&serving.observer), serving.tuning().detailed_errors);
    serving.tasks.spawn(async move {
        let (outcome, sent) = reading.feed(sender, deadline).await;
        record.rows = sent.rows;
        let status = StatusCode::OK.as_u16();
        match outcome {
            Outcome::Complete => return record.finish(status, sent.bytes),
            // As if the request had been dropped before its answer.
            Outcome::Left => return drop(record),
            Outcome::Late => record.error(Code::Timeout),
            Outcome::Failed(error) => {
                let faults = Faults::new(record.request_id.clone(), observer, detailed);
                record.error(faults.translate(&error, None).extensions.code);
            }
        }
        record.abort(status, sent.bytes);
    });
    response(StatusCode::OK, media, Reply::Stream(receiver))
}

fn unread(error: ReadError, limit: usize, media: ResponseType, record: Record) -> Response<Reply> {
    let (status, error) = match error {
        ReadError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Limit::Body.error(limit)),
        ReadError::TooSlow => {
            let message = "the body did not come in time";
            (StatusCode::REQUEST_TIMEOUT, GraphqlError::new(Code::Timeout, message))
        }
        ReadError::Broken => {
            let message = "the body cannot be read to its end";
            (StatusCode::BAD_REQUEST, GraphqlError::new(Code::BadRequest, message))
        }
    };
    let mut response = refuse(record, status, media, &[error]);
    // The rest of the body is still on its way: the connection cannot be used again.
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Ends a request whose caller is not let in.
pub(crate) fn refuse_caller(record: Record, media: ResponseType, denial: Denial) -> Response<Reply> {
    let mut response = refuse(record, denial.status(), media, &[denial.error()]);
    let (name, value) = match denial {
        Denial::Provider => (RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S)),
        _ => (WWW_AUTHENTICATE, denial.challenge()),
    };
    response.headers_mut().insert(name, value);
    response
}

/// Ends a request of somebody who asks too often.
pub(crate) fn refuse_rate(record: Record, media: ResponseType, overdraft: Overdraft) -> Response<Reply> {
    let mut response = refuse(record, StatusCode::TOO_MANY_REQUESTS, media, &[overdraft.error()]);
    overdraft.tell(response.headers_mut());
    response
}

/// Ends a request with errors and no data.
pub(crate) fn refuse(
    mut record: Record,
    status: StatusCode,
    media: ResponseType,
    errors: &[GraphqlError],
) -> Response<Reply> {
    record.errors(errors);
    let mut response = finish(record, status, media, Reply::whole(errors_json(errors)));
    if let Some(seconds) = errors.iter().find_map(|error| error.extensions.retry_after_seconds) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Ends a request with its answer.
pub(crate) fn finish(
    record: Record,
    status: StatusCode,
    media: ResponseType,
    reply: Reply,
) -> Response<Reply> {
    let faults = record.reported();
    let wrote = record.origin.read_after.filter(|_| record.wrote);
    record.finish(status.as_u16(), reply.bytes().unwrap_or(0));
    let mut response = response(status, media, reply);
    if let Some(position) = wrote {
        response.headers_mut().insert(replicas::HEADER, position.header());
    }
    if let Some(faults) = faults {
        response.headers_mut().insert(X_FRAISEQL_ERRORS, HeaderValue::from(faults));
    }
    response
}

fn response(status: StatusCode, media: ResponseType, reply: Reply) -> Response<Reply> {
    let mut response = Response::new(reply);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, media.header());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Answers a method that `/graphql` does not know.
pub(crate) fn refuse_method(mut record: Record) -> Response<Reply> {
    record.kind = RequestKind::Invalid;
    let error = GraphqlError::new(Code::BadRequest, "GraphQL is asked by POST, or by GET for queries");
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let mut response = refuse(record, status, ResponseType::Json, &[error]);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST, OPTIONS"));
    response
}
