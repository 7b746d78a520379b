//! One request: to which release, to which instance, and again to another one where that is safe.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fraiseql_model::traffic::TrafficGate;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, UPGRADE};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::client::legacy::Error as ClientError;

use crate::backend::{BackendSlot, InFlight};
use crate::body::{Outgoing, PassingBody, refusal};
use crate::choose::{spread, sticky};
use crate::counts::{ArmCounter, RequestEnd};
use crate::headers::{ERRORS, end_hop, introduce, sticky_key, wants_upgrade};
use crate::observe::ProxyEvent;
use crate::sample::{Sample, is_sampled};
use crate::server::Shared;
use crate::table::{Table, TableArm, short};
use crate::tunnel;

/// Asks an instance to tell how many internal errors are in its answer.
const REPORT: HeaderName = HeaderName::from_static("x-fraiseql-report");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The most instances that one request is tried on.
const ATTEMPTS_MAX: usize = 3;
/// Bodies up to this size are held, so that they can be sent again to another instance.
const HELD_BYTES_MAX: usize = 256 << 10;
/// What `Retry-After` says when nobody can tell how long it takes.
const RETRY_AFTER_S: u32 = 1;

/// Why an instance gave no answer.
enum Unanswered {
    /// Nothing reached it.
    NotSent(String),
    /// It may have begun.
    Broken(String),
    /// It takes too long.
    TimedOut,
}

/// What an instance answered.
struct Answered {
    response: Response<Incoming>,
    slot: Arc<BackendSlot>,
    open: InFlight,
    /// It is to be read along.
    sampled: bool,
}

/// Answers a request.
pub(crate) async fn respond(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
    peer: IpAddr,
) -> Response<Outgoing> {
    if let Some(table) = shared.traffic.table() {
        if let Some(refused) = wait_for_gate(shared, &table.generation.gate).await {
            return refused;
        }
        // What holds may have changed while the request waited.
        if let Some(table) = shared.traffic.table() {
            return to_release(shared, request, peer, &table).await;
        }
    }
    shared.own(StatusCode::SERVICE_UNAVAILABLE);
    refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        "UNAVAILABLE",
        "the service has no release yet",
        Some(RETRY_AFTER_S),
    )
}

/// Waits while traffic is paused; returns the refusal when that takes too long, or traffic is refused.
async fn wait_for_gate(shared: &Shared, gate: &TrafficGate) -> Option<Response<Outgoing>> {
    let refused = |message: &str| {
        shared.own(StatusCode::SERVICE_UNAVAILABLE);
        Some(refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "UNAVAILABLE",
            message,
            Some(shared.options.retry_after_s),
        ))
    };
    match gate {
        TrafficGate::Open => None,
        TrafficGate::Closed { body } => {
            let body = body.as_ref().and_then(|path| std::fs::read(path).ok());
            let mut response = refused("the service is down for maintenance")?;
            if let Some(body) = body {
                *response.body_mut() = Outgoing::text(body);
                response.headers_mut().remove(hyper::header::CONTENT_TYPE);
            }
            Some(response)
        }
        TrafficGate::Paused { wait_ms } => {
            let Ok(_seat) = shared.waiting.try_acquire() else {
                return refused("too many requests wait while the service is paused");
            };
            let mut watched = shared.traffic.gate();
            let open = watched.wait_for(|gate| !matches!(gate, TrafficGate::Paused { .. }));
            match tokio::time::timeout(Duration::from_millis(*wait_ms), open).await {
                Ok(Ok(gate)) if *gate == TrafficGate::Open => None,
                _ => refused("the service is paused"),
            }
        }
    }
}

async fn to_release(
    shared: &Arc<Shared>,
    mut request: Request<Incoming>,
    peer: IpAddr,
    table: &Table,
) -> Response<Outgoing> {
    let Some(arm) = arm_of(shared, request.headers(), table) else {
        shared.own(StatusCode::SERVICE_UNAVAILABLE);
        return refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "UNAVAILABLE",
            "no release serves",
            Some(RETRY_AFTER_S),
        );
    };
    let started = Instant::now();
    let upgrading = wants_upgrade(request.headers()) && request.version() == Version::HTTP_11;
    let client = upgrading.then(|| hyper::upgrade::on(&mut request));
    let asked =
        Asked { path: request.uri().path().to_owned(), method: request.method().clone(), peer, started };
    let mut outbound = match outbound(shared, request, peer, upgrading).await {
        Ok(outbound) => outbound,
        Err(refused) => return refused,
    };
    match outbound.send(shared, table, arm).await {
        Ok(answered) => asked.answer(shared, arm, answered, client),
        Err(unanswered) => {
            let refused = unanswered.refuse(shared, arm, started.elapsed());
            // The release has failed, and it counts; its user need not notice.
            let stable = table.arms.last().filter(|stable| stable.release != arm.release);
            let Some(stable) = stable.filter(|_| unanswered.allows_another(outbound.is_safe())) else {
                shared.own(refused.status());
                return refused;
            };
            match outbound.send(shared, table, stable).await {
                Ok(answered) => asked.answer(shared, stable, answered, client),
                Err(_) => {
                    shared.own(refused.status());
                    refused
                }
            }
        }
    }
}

/// Counts a request of a release for as long as it waits for its answer.
struct Busy(Arc<ArmCounter>);

impl Busy {
    fn new(arm: &TableArm) -> Self {
        arm.counter.in_flight.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(&arm.counter))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What is told of a request.
struct Asked {
    path: String,
    method: Method,
    peer: IpAddr,
    started: Instant,
}

impl Asked {
    fn answer(
        &self,
        shared: &Arc<Shared>,
        arm: &TableArm,
        Answered { response, slot, open, sampled }: Answered,
        client: Option<hyper::upgrade::OnUpgrade>,
    ) -> Response<Outgoing> {
        let (status, duration) = (response.status().as_u16(), self.started.elapsed());
        let graphql_errors = reported(response.headers());
        arm.counter.count(RequestEnd::Answered { status, graphql_errors }, duration);
        shared.observer.observe(&ProxyEvent::Answered {
            release: short(&arm.release),
            backend: &slot.name,
            method: self.method.as_str(),
            path: &self.path,
            status,
            peer: self.peer,
            request_id: response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()),
            duration,
        });
        let sample = match sampled {
            true => Sample::begin(response.headers(), graphql_errors, &arm.counter, &slot),
            false => None,
        };
        inbound(shared, response, (&slot, open, sample), client)
    }
}

/// Returns the release of a request: the one that a tester names, the one of its user, or the next.
fn arm_of<'t>(shared: &Shared, headers: &HeaderMap, table: &'t Table) -> Option<&'t TableArm> {
    let named = shared.options.choose_header.as_ref().and_then(|name| headers.get(name)?.to_str().ok());
    if let Some(arm) = named.filter(|name| name.len() >= 4).and_then(|name| table.arm_named(name)) {
        return Some(arm);
    }
    let point = match sticky_key(headers, &table.generation.sticky) {
        Some(key) => sticky(&key),
        None => spread(shared.numbers.fetch_add(1, Ordering::Relaxed)),
    };
    table.arm_at(point)
}

fn reported(headers: &HeaderMap) -> u64 {
    let text = headers.get(ERRORS).and_then(|value| value.to_str().ok()).unwrap_or("0");
    let number = text.parse();
    number.unwrap_or(0)
}

/// A request as it goes to an instance.
struct Outbound {
    method: Method,
    path_and_query: String,
    headers: HeaderMap,
    /// Sent again when it must be; `None` when it is streamed.
    held: Option<Bytes>,
    streamed: Option<Incoming>,
}

/// Makes a request ready to go on. Fails with the answer when the client does not send its body.
async fn outbound(
    shared: &Shared,
    request: Request<Incoming>,
    peer: IpAddr,
    upgrading: bool,
) -> Result<Outbound, Response<Outgoing>> {
    let (parts, body) = request.into_parts();
    let mut headers = parts.headers;
    if !headers.contains_key(HOST)
        && let Some(authority) = parts.uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        headers.insert(HOST, host);
    }
    let protocol = headers.get(UPGRADE).cloned();
    end_hop(&mut headers);
    introduce(&mut headers, peer, &shared.options.trusted_proxies, shared.tls.is_some());
    headers.insert(REPORT, HeaderValue::from_static("errors"));
    if upgrading && let Some(protocol) = protocol {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
    let path_and_query = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let mut outbound =
        Outbound { method: parts.method, path_and_query, headers, held: Some(Bytes::new()), streamed: None };
    if body.is_end_stream() {
        return Ok(outbound);
    }
    let fits = body.size_hint().upper().is_some_and(|bytes| bytes <= HELD_BYTES_MAX as u64);
    if !fits {
        (outbound.held, outbound.streamed) = (None, Some(body));
        return Ok(outbound);
    }
    let collecting = Limited::new(body, HELD_BYTES_MAX).collect();
    match tokio::time::timeout(shared.options.answer_timeout, collecting).await {
        Ok(Ok(collected)) => {
            let bytes = collected.to_bytes();
            outbound.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            outbound.held = Some(bytes);
            Ok(outbound)
        }
        // The client has left or is too slow: nothing that a release could be blamed for.
        _ => Err(refusal(
            StatusCode::REQUEST_TIMEOUT,
            "BAD_REQUEST",
            "the body of the request did not come",
            None,
        )),
    }
}

impl Outbound {
    /// Sends it to an instance of a release, and to another one when nothing can have happened yet.
    async fn send(&mut self, shared: &Shared, table: &Table, arm: &TableArm) -> Result<Answered, Unanswered> {
        let _busy = Busy::new(arm);
        let mut tried: Vec<Arc<BackendSlot>> = Vec::new();
        let mut last = Unanswered::NotSent("the release has no instance".to_owned());
        while tried.len() < ATTEMPTS_MAX {
            let Some(slot) = arm.pick(&tried) else { return Err(last) };
            let Some(body) = self.body() else { return Err(last) };
            let open = InFlight::new(&slot);
            let sampled = is_sampled(&slot, shared.samples.fetch_add(1, Ordering::Relaxed));
            let attempt = self.attempt(shared, &slot, body, sampled);
            let hung = self.given_up(table, arm, &slot);
            let outcome = tokio::select! {
                outcome = attempt => outcome,
                () = hung => Err(Unanswered::Broken("it hangs".to_owned())),
            };
            match outcome {
                Ok(response) => return Ok(Answered { response, slot, open, sampled }),
                Err(unanswered) => {
                    if let Unanswered::NotSent(reason) | Unanswered::Broken(reason) = &unanswered
                        && slot.doubt()
                    {
                        let event = ProxyEvent::HealthChanged { backend: &slot.name, ready: false, reason };
                        shared.observer.observe(&event);
                    }
                    last = unanswered;
                    if !last.allows_another(self.is_safe()) {
                        return Err(last);
                    }
                }
            }
            tried.push(slot);
        }
        Err(last)
    }

    /// Resolves when the instance does not answer probes any more, the request may be asked of another
    /// one, and there is one.
    async fn given_up(&self, table: &Table, arm: &TableArm, slot: &Arc<BackendSlot>) {
        loop {
            slot.hung.notified().await;
            let stable = table.arms.last().filter(|stable| stable.release != arm.release);
            let others = arm.has_ready_beside(slot) || stable.is_some_and(|arm| arm.has_ready_beside(slot));
            if others && self.is_safe() {
                return;
            }
        }
    }

    /// Returns true when it can only read, so that it may happen twice.
    fn is_safe(&self) -> bool {
        match self.method {
            Method::GET | Method::HEAD | Method::OPTIONS => true,
            Method::POST => self.held.as_ref().is_some_and(|body| is_certainly_query(body)),
            _ => false,
        }
    }

    fn body(&mut self) -> Option<Outgoing> {
        match &self.held {
            Some(bytes) => Some(Outgoing::Own(Full::new(bytes.clone()))),
            None => self.streamed.take().map(|body| Outgoing::Passing(PassingBody::of_client(body))),
        }
    }

    async fn attempt(
        &self,
        shared: &Shared,
        slot: &BackendSlot,
        body: Outgoing,
        sampled: bool,
    ) -> Result<Response<Incoming>, Unanswered> {
        let uri = format!("http://{}{}", slot.address, self.path_and_query);
        let uri: Uri =
            uri.parse().map_err(|_| Unanswered::Broken("the path cannot be sent on".to_owned()))?;
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        if sampled {
            request.headers_mut().remove(ACCEPT_ENCODING);
        }
        match tokio::time::timeout(shared.options.answer_timeout, shared.client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_connect() => Err(Unanswered::NotSent(chain(&error))),
            Ok(Err(error)) => Err(Unanswered::Broken(chain(&error))),
            Err(_elapsed) => Err(Unanswered::TimedOut),
        }
    }
}

impl Unanswered {
    /// Returns true when another instance may be asked: nothing can happen twice then.
    fn allows_another(&self, is_safe: bool) -> bool {
        match self {
            Self::NotSent(_) => true,
            Self::Broken(_) => is_safe,
            Self::TimedOut => false,
        }
    }

    fn refuse(&self, shared: &Shared, arm: &TableArm, duration: Duration) -> Response<Outgoing> {
        let (status, end, message) = match self {
            Self::NotSent(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, RequestEnd::Unanswered, "no instance answers")
            }
            Self::Broken(_) => (StatusCode::BAD_GATEWAY, RequestEnd::Unanswered, "the instance broke off"),
            Self::TimedOut => {
                (StatusCode::GATEWAY_TIMEOUT, RequestEnd::TimedOut, "the answer takes too long")
            }
        };
        arm.counter.count(end, duration);
        let reason = match self {
            Self::NotSent(reason) | Self::Broken(reason) => reason,
            Self::TimedOut => message,
        };
        let release = short(&arm.release);
        shared.observer.observe(&ProxyEvent::Unanswered { release, status: status.as_u16(), reason });
        let code = if status == StatusCode::GATEWAY_TIMEOUT { "TIMEOUT" } else { "UNAVAILABLE" };
        refusal(status, code, message, Some(RETRY_AFTER_S))
    }
}

/// Returns true for a body that can hold nothing but queries: it has their text, the word for what
/// writes is nowhere in it, nor an escape that could hide the word, nor the name of an operation whose
/// text is elsewhere.
fn is_certainly_query(body: &[u8]) -> bool {
    let holds = |word: &[u8]| body.windows(word.len()).any(|found| found == word);
    let hiding: [&[u8]; 5] = [b"mutation", b"subscription", b"\\u", b"documentId", b"persistedQuery"];
    holds(b"\"query\"") && !hiding.iter().any(|word| holds(word))
}

/// Makes an instance's answer ready for the client.
fn inbound(
    shared: &Arc<Shared>,
    mut response: Response<Incoming>,
    (slot, open, sample): (&Arc<BackendSlot>, InFlight, Option<Box<Sample>>),
    client: Option<hyper::upgrade::OnUpgrade>,
) -> Response<Outgoing> {
    response.headers_mut().remove(ERRORS);
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let instance = hyper::upgrade::on(&mut response);
        if let Some(client) = client {
            drop(shared.tasks.spawn(tunnel::run(
                Arc::clone(shared),
                client,
                instance,
                InFlight::stream(slot),
            )));
        }
        let (parts, _body) = response.into_parts();
        return Response::from_parts(parts, Outgoing::empty());
    }
    end_hop(response.headers_mut());
    let (mut parts, body) = response.into_parts();
    parts.version = Version::HTTP_11;
    let kind = parts.headers.get(hyper::header::CONTENT_TYPE);
    let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let open = if is_stream { InFlight::stream(slot) } else { open };
    Response::from_parts(parts, Outgoing::Passing(PassingBody::of_instance(body, open, sample)))
}

fn chain(error: &ClientError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::is_certainly_query;

    #[test]
    fn only_what_cannot_write_is_sent_twice() {
        for (body, expected) in [
            (r#"{"query":"{ artists { name } }"}"#, true),
            (r#"[{"query":"{ a }"},{"query":"query B { b }"}]"#, true),
            (r#"{"query":"mutation { a }"}"#, false),
            (r#"[{"query":"{ a }"},{"query":"mutation B { b }"}]"#, false),
            (r#"{"query":"\u006dutation { a }"}"#, false),
            (r#"{"documentId":"sha256:00"}"#, false),
            (r#"{"query":"{ a }","documentId":"sha256:00"}"#, false),
            (r#"{"extensions":{"persistedQuery":{"version":1}}}"#, false),
            ("", false),
        ] {
            assert_eq!(is_certainly_query(body.as_bytes()), expected, "{body}");
        }
    }
}
