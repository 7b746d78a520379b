//! Exports spans by OTLP over HTTP, in JSON: one for each request, and below it one for each wait for a
//! connection and each statement.
//!
//! Nothing here holds a request up: what the collector does not take in time is counted and dropped.

mod otlp;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fraiseql_model::settings::Settings;
use fraiseql_model::{errors, secret::Secret};
use fraiseql_serve::{FinishedRequest, Gauge, GaugeKind, RequestKind, Times, TraceContext};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock::since_epoch;
use crate::failure::Failure;
use crate::log::Log;
use crate::secrets;

/// Requests whose spans wait to be sent.
const WAITING: usize = 4_096;
/// The most requests in one message.
const BATCH: usize = 512;
/// How long a message is collected.
const COLLECT: Duration = Duration::from_secs(1);
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a message is sent that the collector could not take.
const ATTEMPTS: u32 = 4;
/// How long the last messages may take when the server ends.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Takes requests whose trace is kept.
#[derive(Clone)]
pub(crate) struct SpanSink {
    sender: mpsc::Sender<TracedRequest>,
    counts: Arc<Counts>,
}

/// What became of requests whose trace is kept.
#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    dropped: AtomicU64,
}

/// A request at its end, as its spans tell it.
#[derive(Debug)]
struct TracedRequest {
    trace: TraceContext,
    request_id: String,
    method: String,
    path: String,
    kind: RequestKind,
    operation: Option<String>,
    client: Option<String>,
    caller: Option<String>,
    address: Option<String>,
    status: u16,
    codes: Vec<&'static str>,
    rows: u64,
    started: Instant,
    ended: Instant,
    /// The time of day of `ended`, since the epoch of Unix.
    ended_at: Duration,
    times: Times,
}

/// Sends what a [`SpanSink`] takes.
pub(crate) struct Exporter {
    client: Client,
    url: Url,
    receiver: mpsc::Receiver<TracedRequest>,
    counts: Arc<Counts>,
    log: Log,
    failing: bool,
}

/// Makes both ends when the settings name a collector.
pub(crate) async fn pair(settings: &Settings, log: &Log) -> Result<Option<(SpanSink, Exporter)>, Failure> {
    let Some(endpoint) = settings.text("tracing.endpoint") else { return Ok(None) };
    let url = url(endpoint)?;
    let headers = secrets::value(&*secrets::resolver(settings)?, settings, "tracing.headers").await?;
    let headers = headers.map_or(Ok(HeaderMap::new()), |text| headers_of(&text))?;
    let client = Client::builder()
        .timeout(SEND_TIMEOUT)
        .default_headers(headers)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("fraiseql/", env!("CARGO_PKG_VERSION")));
    let client =
        client.build().map_err(|error| Failure::internal("make a client for the collector", &error))?;
    let (sender, receiver) = mpsc::channel(WAITING);
    let counts = Arc::new(Counts::default());
    let sink = SpanSink { sender, counts: Arc::clone(&counts) };
    Ok(Some((sink, Exporter { client, url, receiver, counts, log: log.clone(), failing: false })))
}

fn url(endpoint: &str) -> Result<Url, Failure> {
    let wrong = |why: String| {
        Failure::new(&errors::CFG_BAD_VALUE, format!("tracing.endpoint: {endpoint:?} {why}"))
            .hint("write the base address of an OTLP receiver for HTTP, for example http://collector:4318")
    };
    let text = format!("{}/v1/traces", endpoint.trim_end_matches('/').trim_end_matches("/v1/traces"));
    let url: Url = text.parse().map_err(|error| wrong(format!("is no URL: {error}")))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(wrong(format!("begins with {other}, not with http or https"))),
    }
}

/// Reads `name=value,name=value`. What is wrong is never told with a value.
fn headers_of(text: &Secret) -> Result<HeaderMap, Failure> {
    let wrong = |place: usize| {
        Failure::new(
            &errors::CFG_BAD_VALUE,
            format!("tracing.headers: number {} is no name=value", place + 1),
        )
        .hint("write headers as name=value,name=value")
    };
    let mut headers = HeaderMap::new();
    for (place, pair) in text.expose().split(',').filter(|pair| !pair.trim().is_empty()).enumerate() {
        let (name, value) = pair.split_once('=').ok_or_else(|| wrong(place))?;
        let name = HeaderName::try_from(name.trim()).map_err(|_| wrong(place))?;
        let mut value = HeaderValue::try_from(value.trim()).map_err(|_| wrong(place))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

impl SpanSink {
    /// Takes a request when its trace is kept; never waits.
    pub(crate) fn take(&self, request: &FinishedRequest<'_>) {
        let Some(trace) = request.trace.filter(|trace| trace.sampled) else { return };
        let traced = TracedRequest {
            trace: trace.clone(),
            request_id: request.request_id.to_owned(),
            method: request.method.to_owned(),
            path: request.path.to_owned(),
            kind: request.kind,
            operation: request.operation.map(str::to_owned),
            client: request.client.map(str::to_owned),
            caller: request.caller.map(str::to_owned),
            address: request.address.map(|address| address.to_string()),
            status: request.status,
            codes: request.codes.iter().map(|code| code.as_str()).collect(),
            rows: request.rows,
            started: request.started,
            ended: request.started + request.duration,
            ended_at: since_epoch(),
            times: request.times.clone(),
        };
        if self.sender.try_send(traced).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the metrics.
    pub(crate) fn gauges(&self) -> Vec<Gauge> {
        let gauge = |name, help, count: &AtomicU64| Gauge {
            name,
            kind: GaugeKind::Counter,
            help,
            labels: Vec::new(),
            value: count.load(Ordering::Relaxed),
        };
        vec![
            gauge(
                "fraiseql_traces_sent_total",
                "Traced requests that the collector took.",
                &self.counts.sent,
            ),
            gauge(
                "fraiseql_traces_dropped_total",
                "Traced requests that the collector did not take in time.",
                &self.counts.dropped,
            ),
        ]
    }
}

impl Exporter {
    /// Sends until `ended`, then what is left.
    pub(crate) async fn run(mut self, ended: CancellationToken) {
        loop {
            let first = tokio::select! {
                first = self.receiver.recv() => first,
                () = ended.cancelled() => break,
            };
            let Some(first) = first else { return };
            let mut batch = vec![first];
            let until = tokio::time::Instant::now() + COLLECT;
            while batch.len() < BATCH && !ended.is_cancelled() {
                tokio::select! {
                    Some(next) = self.receiver.recv() => batch.push(next),
                    () = tokio::time::sleep_until(until) => break,
                    () = ended.cancelled() => break,
                }
            }
            self.send(&batch, ATTEMPTS).await;
        }
        let rest = async {
            while let Ok(first) = self.receiver.try_recv() {
                let mut batch = vec![first];
                while let (true, Ok(next)) = (batch.len() < BATCH, self.receiver.try_recv()) {
                    batch.push(next);
                }
                self.send(&batch, 1).await;
            }
        };
        if tokio::time::timeout(END_TIMEOUT, rest).await.is_err() {
            self.log.line("warn", "the collector did not take the last spans in time");
        }
    }

    async fn send(&mut self, batch: &[TracedRequest], attempts: u32) {
        let body = otlp::message(batch).to_string();
        let mut pause = Duration::from_secs(1);
        let mut told = String::new();
        for attempt in 1..=attempts {
            match self.post(&body).await {
                Ok(()) => {
                    self.counts.sent.fetch_add(batch.len() as u64, Ordering::Relaxed);
                    if std::mem::take(&mut self.failing) {
                        self.log.line("info", "the collector takes spans again");
                    }
                    return;
                }
                Err(Unsent { reason, again }) => {
                    told = reason;
                    if !again || attempt == attempts {
                        break;
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.counts.dropped.fetch_add(batch.len() as u64, Ordering::Relaxed);
        if !std::mem::replace(&mut self.failing, true) {
            self.log.line("error", &format!("spans are dropped until the collector takes them: {told}"));
        }
    }

    async fn post(&self, body: &str) -> Result<(), Unsent> {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        let sent = request.body(body.to_owned()).send().await;
        let response = sent.map_err(|error| {
            let error = error.without_url();
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            Unsent { reason: format!("{error}{cause}"), again: true }
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        // What the protocol calls retryable.
        let again = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        Err(Unsent { reason: format!("it answers {status}"), again })
    }
}

/// A message that the collector did not take.
struct Unsent {
    reason: String,
    /// It may take it later.
    again: bool,
}
