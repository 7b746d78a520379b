//! The log of slow operations: their statements, and PostgreSQL's plans of these.
//!
//! Values are parameters and plans are those for any values, so that nothing personal is in a line.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fraiseql_postgres::Target;
use fraiseql_serve::{FinishedRequest, RequestKind, TimedStatement};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::commands::explain::plan_and_advice;
use crate::log::{Log, millis};

/// Slow operations that wait to be told; of further ones only the line of the request is there.
const WAITING: usize = 16;
/// A statement is explained once in this time.
const AGAIN: Duration = Duration::from_secs(600);
/// The most statements whose explaining is remembered.
const REMEMBERED: usize = 500;
/// How long one plan may take, a connection included.
const EXPLAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest statement that is told whole, in bytes.
const SQL_BYTES_MAX: usize = 8_192;

/// Takes operations that were slow.
pub(crate) struct SlowSink {
    from: Duration,
    sender: mpsc::Sender<SlowOperation>,
}

/// One that was.
pub(crate) struct SlowOperation {
    request_id: String,
    operation: Option<String>,
    kind: RequestKind,
    duration: Duration,
    waited: Duration,
    statements: Vec<TimedStatement>,
}

/// Makes both ends of the log of operations that take longer than `from`; `None` for no time at all.
pub(crate) fn pair(from: Duration) -> Option<(SlowSink, mpsc::Receiver<SlowOperation>)> {
    let (sender, receiver) = mpsc::channel(WAITING);
    (!from.is_zero()).then_some((SlowSink { from, sender }, receiver))
}

impl SlowSink {
    /// Takes one that was slow; never waits.
    pub(crate) fn take(&self, request: &FinishedRequest<'_>) {
        if request.duration < self.from || request.kind == RequestKind::Page {
            return;
        }
        let slow = SlowOperation {
            request_id: request.request_id.to_owned(),
            operation: request.operation.map(str::to_owned),
            kind: request.kind,
            duration: request.duration,
            waited: request.times.waiting(),
            statements: request.times.statements.clone(),
        };
        // Full: many are slow, and those before it say why.
        if self.sender.try_send(slow).is_err() {}
    }
}

/// Tells slow operations until there can be no more.
pub(crate) async fn run(
    mut slow: mpsc::Receiver<SlowOperation>,
    target: impl Fn() -> Option<Target>,
    log: Log,
) {
    let mut explained: BTreeMap<Arc<str>, Instant> = BTreeMap::new();
    while let Some(one) = slow.recv().await {
        let mut statements = Vec::new();
        for statement in &one.statements {
            let now = Instant::now();
            explained.retain(|_, at| now.duration_since(*at) < AGAIN);
            let known = explained.contains_key(&statement.sql) || explained.len() >= REMEMBERED;
            let plan = match target().filter(|_| !known) {
                Some(target) => {
                    explained.insert(Arc::clone(&statement.sql), now);
                    plan(target, statement).await
                }
                None => Value::Null,
            };
            let took = statement.ended.duration_since(statement.started);
            statements.push(json!({ "ms": millis(took), "sql": cut(&statement.sql), "plan": plan }));
        }
        let details = json!({
            "id": one.request_id, "operation": one.operation, "kind": one.kind.as_str(), "ms": millis(one.duration),
            "waitMs": millis(one.waited), "statements": statements,
        });
        log.details("warn", "slow operation", &details);
    }
}

async fn plan(target: Target, statement: &TimedStatement) -> Value {
    let asking = plan_and_advice(target, &statement.sql, statement.params);
    match tokio::time::timeout(EXPLAIN_TIMEOUT, asking).await {
        Ok(Ok((plan, advice))) => json!({ "tree": plan, "missingIndexes": advice }),
        Ok(Err(failure)) => json!({ "failed": failure.message }),
        Err(_elapsed) => json!({ "failed": "PostgreSQL did not answer in time" }),
    }
}

/// Returns the beginning of a statement that is too long for a line.
pub(crate) fn cut(sql: &str) -> &str {
    sql.get(..sql.floor_char_boundary(SQL_BYTES_MAX)).unwrap_or(sql)
}
