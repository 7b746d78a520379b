//! Requests as an `ExportTraceServiceRequest` in JSON (OTLP 1.x), with the names of OpenTelemetry's semantic
//! conventions.

use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

use fraiseql_serve::RequestKind;
use serde_json::{Value, json};

use super::TracedRequest;
use crate::slow::cut;

/// Kinds of spans, by their numbers in the protocol.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
/// The status of a span that failed.
const FAILED: u8 = 2;

/// Returns the message that tells of `requests`.
pub(super) fn message(requests: &[TracedRequest]) -> Value {
    let random = RandomState::new();
    let mut number = 0_u64;
    let mut id = || {
        number += 1;
        format!("{:016x}", random.hash_one(number) | 1)
    };
    let spans: Vec<Value> = requests.iter().flat_map(|request| spans(request, &mut id)).collect();
    let resource = attributes([
        ("service.name", json!("fraiseql")),
        ("service.version", json!(env!("CARGO_PKG_VERSION"))),
        ("process.pid", json!(std::process::id())),
    ]);
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": { "name": "fraiseql", "version": env!("CARGO_PKG_VERSION") }, "spans": spans }],
    }] })
}

fn spans(request: &TracedRequest, id: &mut impl FnMut() -> String) -> Vec<Value> {
    let own = id();
    let nanos = |at: Instant| nanos(request, at);
    let span = |id: String, parent: Option<&str>, name: &str, kind: u8, (from, to): (Instant, Instant)| {
        json!({
            "traceId": request.trace.trace_id, "spanId": id, "parentSpanId": parent.unwrap_or_default(),
            "name": name, "kind": kind, "startTimeUnixNano": nanos(from), "endTimeUnixNano": nanos(to),
        })
    };
    let parent = request.trace.parent_id.as_deref();
    let mut whole = span(own.clone(), parent, &name(request), SERVER, (request.started, request.ended));
    whole["attributes"] = of_request(request);
    if request.status >= 500 || !request.codes.is_empty() {
        whole["status"] = json!({ "code": FAILED, "message": request.codes.first() });
    }
    let waits = request.times.waits.iter().map(|wait| (wait.started, wait.ended));
    let waits: Vec<Value> =
        waits.map(|time| span(id(), Some(&own), "wait for a connection", INTERNAL, time)).collect();
    let statements = request.times.statements.iter().map(|one| {
        let mut span = span(id(), Some(&own), "postgresql", CLIENT, (one.started, one.ended));
        let sql = json!(cut(&one.sql));
        span["attributes"] = attributes([("db.system.name", json!("postgresql")), ("db.query.text", sql)]);
        span
    });
    let statements: Vec<Value> = statements.collect();
    std::iter::once(whole).chain(waits).chain(statements).collect()
}

/// Returns the name of the span: of a low number of different ones, as far as operations have names.
fn name(request: &TracedRequest) -> String {
    match (request.kind, &request.operation) {
        (RequestKind::Page, _) => request.method.clone(),
        (kind, Some(operation)) => format!("{} {operation}", kind.as_str()),
        (kind, None) => kind.as_str().to_owned(),
    }
}

fn of_request(request: &TracedRequest) -> Value {
    let graphql = (request.kind != RequestKind::Page).then(|| request.kind.as_str());
    attributes([
        ("http.request.method", json!(request.method)),
        ("url.path", json!(request.path)),
        ("http.response.status_code", json!(request.status)),
        ("client.address", json!(request.address)),
        ("user.id", json!(request.caller)),
        ("graphql.operation.type", json!(graphql)),
        ("graphql.operation.name", json!(request.operation)),
        ("error.type", json!(request.codes.first())),
        ("fraiseql.client", json!(request.client)),
        ("fraiseql.request_id", json!(request.request_id)),
        ("fraiseql.rows", json!(request.rows)),
    ])
}

/// Returns attributes as the protocol writes them, without those that have no value.
fn attributes<const N: usize>(named: [(&str, Value); N]) -> Value {
    let told = named.into_iter().filter_map(|(key, value)| {
        let value = match value {
            Value::Null => return None,
            // 64-bit numbers are text in JSON.
            Value::Number(number) => json!({ "intValue": number.to_string() }),
            Value::String(text) => json!({ "stringValue": text }),
            other => json!({ "stringValue": other.to_string() }),
        };
        Some(json!({ "key": key, "value": value }))
    });
    told.collect()
}

/// Returns nanoseconds since 1970, as text.
fn nanos(request: &TracedRequest, at: Instant) -> String {
    let before = request.ended.saturating_duration_since(at);
    let after = at.saturating_duration_since(request.ended);
    (request.ended_at.saturating_sub(before) + after).as_nanos().to_string()
}
