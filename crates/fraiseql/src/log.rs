//! Writes the server's events to standard error, as text or as JSON, one line each.

use fraiseql_net::{CertificateNews, TlsFault};
use fraiseql_serve::{Event, FinishedRequest, Observe};
use serde_json::{Value, json};

use crate::clock::now;
use crate::ecs;
use crate::printer::Printer;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

/// The log of one process.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    printer: Printer,
    format: Format,
    /// True to tell every request, not only what went wrong.
    requests: bool,
}

impl Log {
    /// Makes a log; `format` is the setting `log.format`.
    pub(crate) fn new(printer: &Printer, format: &str, requests: bool) -> Self {
        let format = if format == "json" { Format::Json } else { Format::Text };
        Self { printer: printer.clone(), format, requests }
    }

    /// Returns true when every request is told.
    pub(crate) fn tells_requests(&self) -> bool {
        self.requests
    }

    /// Writes a line of our own.
    pub(crate) fn line(&self, level: &str, message: &str) {
        self.write(level, message, &json!({}));
    }

    /// Writes a line of our own with facts beside it.
    pub(crate) fn details(&self, level: &str, message: &str, details: &Value) {
        self.write(level, message, details);
    }

    fn write(&self, level: &str, message: &str, details: &Value) {
        let line = match self.format {
            Format::Json => ecs::line(now(), level, message, details).to_string(),
            Format::Text => {
                let details = details.as_object().into_iter().flatten();
                let details: String = details.map(|(key, value)| format!(" {key}={value}")).collect();
                format!("{} {level:5} {message}{details}", now())
            }
        };
        self.printer.log(&line);
    }
}

impl Log {
    /// Tells of the mode and of the certificate.
    fn life(&self, event: &Event<'_>) {
        match event {
            Event::ModeSwitched { from, to } => {
                self.line("warn", &format!("the service is in mode {to} from now on, it was {from}"));
            }
            Event::CertificateLoaded { days_left, soon } => {
                self.certificate_holds(*days_left, *soon);
            }
            Event::CertificateRefused { fault } => self.certificate_refused(fault),
            other => self.line("info", &format!("{other:?}")),
        }
    }

    fn certificate_holds(&self, days_left: u64, soon: bool) {
        let level = if soon { "warn" } else { "info" };
        self.line(level, &format!("the certificate holds for {days_left} more days"));
    }

    fn certificate_refused(&self, fault: &TlsFault) {
        let cause = std::error::Error::source(fault);
        let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        let told =
            format!("FQ-NET-003: the old certificate stays: failed to {fault}{cause}; {}", fault.hint());
        self.line("error", &told);
    }

    /// Tells what becomes of a certificate.
    pub(crate) fn certificate(&self, news: &CertificateNews<'_>) {
        match news {
            CertificateNews::Loaded { days_left, soon } => self.certificate_holds(*days_left, *soon),
            CertificateNews::Refused { fault } => self.certificate_refused(fault),
        }
    }

    fn request(&self, request: &FinishedRequest<'_>) {
        let failed = request.status >= 500 || request.aborted;
        if !self.requests && !failed {
            return;
        }
        let level = if failed { "error" } else { "info" };
        if self.format == Format::Json {
            return self.printer.log(&ecs::request(now(), level, request).to_string());
        }
        let codes: Vec<&str> = request.codes.iter().map(|code| code.as_str()).collect();
        let details = json!({
            "id": request.request_id, "operation": request.operation, "kind": request.kind.as_str(),
            "status": request.status, "ms": millis(request.duration), "rows": request.rows,
            "bytes": request.bytes, "codes": codes, "aborted": request.aborted,
            "sqlMs": millis(request.times.in_sql()), "client": request.client,
        });
        self.write(level, &format!("{} {}", request.method, request.path), &details);
    }

    /// Tells where changes and kept answers come from.
    fn freshness(&self, event: &Event<'_>) {
        match event {
            Event::ChangeSource { source, cost, because } => {
                let because = if because.is_empty() { String::new() } else { format!(" ({because})") };
                self.line("info", &format!("changes for subscriptions come from {source}: {cost}{because}"));
            }
            Event::ChangeSourceLost { source, reason } => {
                let then = "subscriptions are polled until it is back";
                self.line("error", &format!("{source} was lost, {then}: {reason}"));
            }
            Event::ReplicaReturned { replica } => {
                self.line("info", &format!("queries are read from the replica {replica}"));
            }
            Event::ReplicaLost { replica, reason } => {
                self.line("warn", &format!("no query is read from the replica {replica}: {reason}"));
            }
            Event::SharedRatesReturned => {
                self.line("info", "limits of rates are counted in Redis again");
            }
            Event::SharedRatesLost { reason } => {
                self.line("error", &format!("each server counts limits of rates for itself: {reason}"));
            }
            Event::SharedCacheReturned { latency } => {
                self.line("info", &format!("Redis answers in {:.1} ms", latency.as_secs_f64() * 1_000.0));
            }
            Event::SharedCacheLost { reason } => {
                let then = "each server keeps answers for itself until it does";
                self.line("error", &format!("Redis does not answer, {then}: {reason}"));
            }
            other => self.line("info", &format!("{other:?}")),
        }
    }
}

impl Observe for Log {
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::Listening { address } => self.line("info", &format!("listening on http://{address}")),
            Event::RequestFinished(request) => self.request(request),
            Event::SqlError(fault) => {
                let details = json!({
                    "logId": fault.log_id, "code": fault.code, "field": fault.field, "sqlstate": fault.sqlstate,
                    "detail": fault.detail, "hint": fault.hint,
                });
                self.write("error", fault.message, &details);
            }
            Event::DatabaseLost { reason } => {
                self.line("error", &format!("the database does not answer: {reason}"))
            }
            Event::DatabaseReturned { latency } => {
                self.line("info", &format!("the database answers in {} ms", millis(*latency)));
            }
            Event::Reloaded { digest } => {
                let short = digest.get(..12).unwrap_or(digest);
                self.line("info", &format!("serving schema {short}"));
            }
            Event::ChangeSource { .. }
            | Event::ChangeSourceLost { .. }
            | Event::SharedRatesReturned
            | Event::SharedRatesLost { .. }
            | Event::ReplicaReturned { .. }
            | Event::ReplicaLost { .. }
            | Event::SharedCacheReturned { .. }
            | Event::SharedCacheLost { .. } => self.freshness(event),
            Event::IssuerKeys { issuer, keys } => {
                self.line("info", &format!("{keys} keys of the issuer {issuer} were read"));
            }
            Event::IssuerLost { issuer, reason } => {
                let then = "keys that were read before are kept";
                self.line("error", &format!("the keys of {issuer} cannot be read, {then}: {reason}"));
            }
            Event::IdentityUnknown { reason } => {
                self.line("error", &format!("callers cannot be looked up, they are told 503: {reason}"));
            }
            Event::UsageNotStored { reason } => {
                let help = "`fraiseql usage init` prints the statements that make its table";
                self.line(
                    "error",
                    &format!("usage is kept in memory, it cannot be stored: {reason}; {help}"),
                );
            }
            Event::UsageForgotten { rows } => {
                self.line("info", &format!("usage of {rows} fields was counted and is not stored"));
            }
            Event::ModeSwitched { .. }
            | Event::CertificateLoaded { .. }
            | Event::CertificateRefused { .. } => self.life(event),
            Event::Draining { connections } => {
                self.line("info", &format!("draining {connections} connections"));
            }
            Event::Hastened => self.line("info", "not waiting any more"),
            Event::TasksLeft { tasks } => self.line("error", &format!("{tasks} tasks were left running")),
            Event::LimitPassed { request_id, operation, setting } => {
                let details = json!({ "id": request_id, "operation": operation, "limit": setting });
                self.write("warn", &format!("a request passed {setting}, which only warns"), &details);
            }
            Event::AcceptFailed { error } => {
                self.line("error", &format!("cannot accept a connection: {error}"));
            }
            Event::Panicked { request_id, message } => {
                self.write("error", &format!("a bug: {message}"), &json!({ "id": request_id }));
            }
            other => self.line("info", &format!("{other:?}")),
        }
    }
}

/// Returns milliseconds to the microsecond.
pub(crate) fn millis(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
