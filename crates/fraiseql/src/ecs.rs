//! Log lines in Elastic Common Schema, with the dotted names of its logging libraries.
//!
//! What the schema has no name for is under `fraiseql`. Neither variables nor tokens are ever in a line.

use std::time::Duration;

use fraiseql_serve::FinishedRequest;
use serde_json::{Map, Value, json};

/// The version of the schema whose names these are.
const ECS_VERSION: &str = "8.11.0";

/// Names of ours that the schema has a name for.
const KNOWN: &[(&str, &str)] = &[
    ("id", "http.request.id"),
    ("logId", "http.request.id"),
    ("code", "error.code"),
    ("address", "client.ip"),
    ("method", "http.request.method"),
    ("path", "url.path"),
    ("status", "http.response.status_code"),
];

/// Returns a line about anything but a request.
pub(crate) fn line(now: String, level: &str, message: &str, details: &Value) -> Value {
    let mut line = begin(now, level, message);
    for (key, value) in details.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        let known = KNOWN.iter().find(|(ours, _)| ours == key);
        let name = known.map_or_else(|| format!("fraiseql.{key}"), |(_, name)| (*name).to_owned());
        line.insert(name, value.clone());
    }
    Value::Object(line)
}

/// Returns nanoseconds; null for no time at all.
fn told(duration: Duration) -> Value {
    if duration.is_zero() {
        Value::Null
    } else {
        json!(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Returns the line about a request that has ended.
pub(crate) fn request(now: String, level: &str, request: &FinishedRequest<'_>) -> Value {
    let mut line = begin(now, level, &format!("{} {}", request.method, request.path));
    let failed = request.status >= 500 || request.aborted || !request.codes.is_empty();
    let nanoseconds = u64::try_from(request.duration.as_nanos()).unwrap_or(u64::MAX);
    let codes: Vec<&str> = request.codes.iter().map(|code| code.as_str()).collect();
    let facts = [
        ("event.dataset", json!("fraiseql.request")),
        ("event.duration", json!(nanoseconds)),
        ("event.outcome", json!(if failed { "failure" } else { "success" })),
        ("http.request.id", json!(request.request_id)),
        ("http.request.method", json!(request.method)),
        ("http.response.status_code", json!(request.status)),
        ("http.response.body.bytes", json!(request.bytes)),
        ("url.path", json!(request.path)),
        ("client.ip", json!(request.address)),
        ("user.id", json!(request.caller)),
        ("trace.id", json!(request.trace.map(|trace| &trace.trace_id))),
        ("parent.id", json!(request.trace.and_then(|trace| trace.parent_id.as_ref()))),
        ("fraiseql.client", json!(request.client)),
        ("fraiseql.sql_duration", told(request.times.in_sql())),
        ("fraiseql.wait_duration", told(request.times.waiting())),
        ("error.code", json!(codes.first())),
        ("fraiseql.codes", if codes.len() > 1 { json!(codes) } else { Value::Null }),
        ("fraiseql.operation", json!(request.operation)),
        ("fraiseql.kind", json!(request.kind.as_str())),
        ("fraiseql.rows", json!(request.rows)),
        ("fraiseql.aborted", if request.aborted { json!(true) } else { Value::Null }),
    ];
    line.extend(
        facts.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)),
    );
    Value::Object(line)
}

fn begin(now: String, level: &str, message: &str) -> Map<String, Value> {
    let facts = [
        ("@timestamp", json!(now)),
        ("log.level", json!(level)),
        ("message", json!(message)),
        ("ecs.version", json!(ECS_VERSION)),
        ("service.name", json!("fraiseql")),
        ("service.version", json!(env!("CARGO_PKG_VERSION"))),
    ];
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
