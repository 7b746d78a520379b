//! From path and method to an answer, with the headers that every answer has.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use fraiseql_model::response::{Code, GraphqlError};
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode, Version};

use crate::answer::errors_json;
use crate::body::Reply;
use crate::cache::Asked;
use crate::compress::Coding;
use crate::health::Readiness;
use crate::live::socket;
use crate::observe::Event;
use crate::rate::Peer;
use crate::record::Record;
use crate::replicas::Lsn;
use crate::request_id::RequestId;
use crate::serving::Serving;
use crate::trace::{TraceContext, TraceSource};
use crate::usage;
use crate::{compress, cors, exposition, graphiql, graphql, request_id, sqlstate};

const X_REQUEST_ID: HeaderName = HeaderName::from_static(request_id::HEADER);
/// A proxy wants to know how many faults the answer has.
const X_FRAISEQL_REPORT: HeaderName = HeaderName::from_static("x-fraiseql-report");
const JSON: &str = "application/json; charset=utf-8";
const NOT_FOUND: &str =
    "{\"error\":\"not found\",\"endpoints\":[\"/graphql\",\"/health\",\"/health/ready\",\"/metrics\"]}";
const NOT_ALLOWED: &str = "{\"error\":\"method not allowed\"}";
/// Methods of what can only be read.
const READING: &str = "GET, HEAD, OPTIONS";
/// Methods of `/graphql`.
const ASKING: &str = "GET, POST, OPTIONS";

/// Answers one request.
pub(crate) async fn respond(serving: &Arc<Serving>, request: Request<Incoming>) -> Response<Reply> {
    let id = serving.request_ids.id(request.headers());
    let header = id.header();
    let coding =
        serving.tuning().policy.compression.then(|| compress::negotiate(request.headers())).flatten();
    let allowances = cors::headers(&serving.tuning().policy.origins, request.headers());
    let version = request.version();
    let mut response = match watch(serving, request.method(), request.uri().path()) {
        // Never counted, never made to wait.
        Some(response) => response,
        None => {
            let (method, uri) = (request.method().clone(), request.uri().clone());
            let mut record = Record::new(serving, id.clone(), method, uri);
            record.reporting = request.headers().contains_key(X_FRAISEQL_REPORT);
            record.asked = serving.cache.as_ref().map(|_| Asked::of(request.headers())).unwrap_or_default();
            let told = TraceContext::of_headers(request.headers());
            let begun = || serving.traces.as_ref().map(TraceSource::begin);
            record.origin.trace = told.or_else(begun).map(Arc::new);
            record.origin.client = usage::client_name(request.headers());
            record.origin.read_after = Lsn::of_headers(request.headers());
            record.origin.address =
                serving.rates.address(request.extensions().get::<Peer>(), request.headers());
            match shielded(counted(serving, request, record)).await {
                Ok(response) => dress(serving, response, coding, allowances),
                Err(message) => dress(serving, panicked(serving, &id, &message), coding, allowances),
            }
        }
    };
    let headers = response.headers_mut();
    headers.insert(X_REQUEST_ID, header);
    serving.life.protect(headers);
    if version < Version::HTTP_2 && serving.health.readiness() == Readiness::Draining {
        // A client that keeps its connection goes to another instance with its next request.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Adds what the client asked for besides the answer: a coding, and leave for its page to read it.
fn dress(
    serving: &Serving,
    response: Response<Reply>,
    coding: Option<Coding>,
    allowances: HeaderMap,
) -> Response<Reply> {
    let mut response =
        if serving.tuning().policy.compression { compress::apply(response, coding) } else { response };
    for (name, value) in &allowances {
        response.headers_mut().append(name, value.clone());
    }
    response
}

/// Answers what watches the server: health, readiness, metrics.
fn watch(serving: &Serving, method: &Method, path: &str) -> Option<Response<Reply>> {
    if !matches!(path, "/health" | "/health/ready" | "/metrics") {
        return None;
    }
    if let Some(response) = other_method(method) {
        return Some(response);
    }
    let mut response = match path {
        "/health" => {
            let body = serde_json::to_vec(&serving.health_document()).expect("health has only string keys");
            page(StatusCode::OK, JSON, Reply::whole(body))
        }
        "/health/ready" => {
            let readiness = serving.health.readiness();
            let status = match readiness {
                Readiness::Ready => StatusCode::OK,
                Readiness::Starting | Readiness::Draining | Readiness::Unready | Readiness::Mismatched => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
            };
            page(status, JSON, Reply::whole(serving.health.ready_body(serving.tuning().detailed_errors)))
        }
        _ => page(StatusCode::OK, exposition::CONTENT_TYPE, Reply::whole(serving.metrics_page())),
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(response)
}

async fn counted(serving: &Arc<Serving>, request: Request<Incoming>, record: Record) -> Response<Reply> {
    if let Some(notice) = serving.life.mode.notice() {
        return recorded(record, notice);
    }
    if request.uri().path() == "/graphql" {
        if *request.method() == Method::GET && socket::is_wanted(request.headers()) {
            return socket::respond(serving, request, record).await;
        }
        return match *request.method() {
            Method::GET | Method::POST => graphql::respond(serving, request, record).await,
            Method::OPTIONS => {
                let mut response = options(ASKING);
                response
                    .headers_mut()
                    .extend(cors::preflight(&serving.tuning().policy.origins, request.headers()));
                recorded(record, response)
            }
            _ => graphql::refuse_method(record),
        };
    }
    let asset = if serving.tuning().graphiql { graphiql::find(request.uri().path()) } else { None };
    let response = match asset {
        Some(asset) => other_method(request.method()).unwrap_or_else(|| asset.response()),
        None => page(StatusCode::NOT_FOUND, JSON, Reply::whole(NOT_FOUND)),
    };
    recorded(record, response)
}

/// Runs a handler; returns what it said when it panicked.
///
/// Without this a fault in one request would end every request of its connection.
async fn shielded<T>(handler: impl Future<Output = T>) -> Result<T, String> {
    let mut handler = pin!(handler);
    poll_fn(|context| {
        // Nothing of the handler is looked at after a panic.
        match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(payload) => {
                let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
                Poll::Ready(Err(text.unwrap_or_else(|| "a panic without a message".to_owned())))
            }
        }
    })
    .await
}

fn panicked(serving: &Serving, id: &RequestId, message: &str) -> Response<Reply> {
    let request_id = id.as_str();
    serving.observer.observe(&Event::Panicked { request_id, message });
    let mut error = GraphqlError::new(Code::Internal, sqlstate::INTERNAL);
    error.extensions.log_id = Some(request_id.to_owned());
    page(StatusCode::INTERNAL_SERVER_ERROR, JSON, Reply::whole(errors_json(&[error])))
}

fn recorded(record: Record, response: Response<Reply>) -> Response<Reply> {
    record.finish(response.status().as_u16(), response.body().bytes().unwrap_or(0));
    response
}

/// Answers methods other than GET and HEAD for what can only be read.
fn other_method(method: &Method) -> Option<Response<Reply>> {
    match *method {
        Method::GET | Method::HEAD => None,
        Method::OPTIONS => Some(options(READING)),
        _ => {
            let mut response = page(StatusCode::METHOD_NOT_ALLOWED, JSON, Reply::whole(NOT_ALLOWED));
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(READING));
            Some(response)
        }
    }
}

/// Says which methods there are. Without more a browser keeps other origins out.
fn options(methods: &'static str) -> Response<Reply> {
    let mut response = Response::new(Reply::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

/// Returns a response of a known content type.
pub(crate) fn page(status: StatusCode, content_type: &'static str, reply: Reply) -> Response<Reply> {
    let mut response = Response::new(reply);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_its_handler_only() {
        assert_eq!(shielded(async { 1 }).await, Ok(1));
        assert_eq!(shielded(async { panic!("oh {}", 1) }).await, Err::<(), _>("oh 1".to_owned()));
        assert_eq!(shielded(async { panic!("oh") }).await, Err::<(), _>("oh".to_owned()));
    }
}
