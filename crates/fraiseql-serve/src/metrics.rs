//! The counters of the server: fixed atomics, so that counting costs nothing and cannot fail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use fraiseql_engine::Limit;
use fraiseql_model::response::Code;

use crate::admission::Admission;
use crate::exposition::Exposition;
use crate::observe::RequestKind;

/// Upper bounds of the histogram's buckets, in seconds, as they are printed.
const BUCKETS: [&str; 15] = [
    "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30",
    "60",
];
/// The same, in microseconds.
const BUCKETS_US: [u64; 15] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000, 60_000_000,
];

/// Upper bounds for one operation, as printed and in microseconds: few, because there are many.
const OPERATION_BUCKETS: [(&str, u64); 6] = [
    ("0.0025", 2_500),
    ("0.01", 10_000),
    ("0.05", 50_000),
    ("0.25", 250_000),
    ("1", 1_000_000),
    ("5", 5_000_000),
];
/// How a request of an operation can end.
const OUTCOMES: [&str; 2] = ["ok", "error"];

/// What can become of a request that passes a limit.
const LIMIT_OUTCOMES: [&str; 2] = ["refused", "warned"];

/// The smallest HTTP status, and how many there are.
const STATUS_MIN: u16 = 100;
const STATUSES: usize = 500;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub(crate) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the count.
    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    statuses: Vec<Counter>,
    buckets: [Counter; BUCKETS.len() + 1],
    duration_sum_us: AtomicU64,
    codes: Vec<Counter>,
    kinds: [Counter; RequestKind::GRAPHQL.len()],
    /// Responses that were cut off after they had begun.
    pub(crate) aborted: Counter,
    /// Documents that were found parsed.
    pub(crate) document_hits: Counter,
    /// Documents that had to be parsed.
    pub(crate) document_misses: Counter,
    /// Plans that were found.
    pub(crate) plan_hits: Counter,
    /// Plans that had to be made.
    pub(crate) plan_misses: Counter,
    /// Requests that got no connection in time.
    pub(crate) acquire_timeouts: Counter,
    /// Requests that wanted a connection, and those sent away.
    pub(crate) admission: Admission,
    /// Loads of another artifact.
    pub(crate) reloads: Counter,
    limits: [[Counter; LIMIT_OUTCOMES.len()]; Limit::ALL.len()],
    /// Persisted operations of the artifact that is served, by name.
    operations: ArcSwap<BTreeMap<String, Arc<OperationCounts>>>,
}

/// What is counted of one persisted operation. There are as many as the project has files, so a
/// client cannot make more.
#[derive(Debug, Default)]
pub(crate) struct OperationCounts {
    /// The operation's name.
    pub(crate) name: String,
    outcomes: [Counter; OUTCOMES.len()],
    buckets: [Counter; OPERATION_BUCKETS.len() + 1],
    duration_sum_us: AtomicU64,
}

impl OperationCounts {
    /// Counts a request.
    pub(crate) fn count(&self, duration: Duration, failed: bool) {
        self.outcomes[usize::from(failed)].increment();
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = OPERATION_BUCKETS.iter().position(|(_, bound)| micros <= *bound);
        self.buckets[bucket.unwrap_or(OPERATION_BUCKETS.len())].increment();
        self.duration_sum_us.fetch_add(micros, Ordering::Relaxed);
    }
}

/// What is measured at the moment of a scrape.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    /// Parsed documents that are kept.
    pub(crate) document_entries: usize,
    /// Plans that are kept.
    pub(crate) plan_entries: usize,
    /// The most connections that the pool opens.
    pub(crate) pool_size: usize,
    /// Connections that are open.
    pub(crate) pool_open: usize,
    /// Connections that nobody uses.
    pub(crate) pool_idle: usize,
    /// Requests that wait for a connection.
    pub(crate) pool_waiting: usize,
    /// Client connections that are open.
    pub(crate) connections: usize,
    /// Whether readiness says yes.
    pub(crate) ready: bool,
    /// Whether the last probe of the database was answered.
    pub(crate) database_up: bool,
}

impl Metrics {
    /// Returns counters at zero.
    pub(crate) fn new() -> Self {
        let counters = |count: usize| (0..count).map(|_| Counter::default()).collect();
        Self {
            statuses: counters(STATUSES),
            buckets: Default::default(),
            duration_sum_us: AtomicU64::new(0),
            codes: counters(Code::ALL.len()),
            kinds: Default::default(),
            aborted: Counter::default(),
            document_hits: Counter::default(),
            document_misses: Counter::default(),
            plan_hits: Counter::default(),
            plan_misses: Counter::default(),
            acquire_timeouts: Counter::default(),
            admission: Admission::default(),
            reloads: Counter::default(),
            limits: Default::default(),
            operations: ArcSwap::default(),
        }
    }

    /// Returns the counters of these operations, in their order, and forgets all others. One that
    /// was there before goes on from where it was.
    pub(crate) fn operations<'n>(&self, names: impl Iterator<Item = &'n str>) -> Vec<Arc<OperationCounts>> {
        let before = self.operations.load();
        let new = |name: &str| OperationCounts { name: name.to_owned(), ..Default::default() };
        let counts = |name: &str| before.get(name).cloned().unwrap_or_else(|| Arc::new(new(name)));
        let named: Vec<(String, Arc<OperationCounts>)> =
            names.map(|name| (name.to_owned(), counts(name))).collect();
        self.operations.store(Arc::new(named.iter().cloned().collect()));
        named.into_iter().map(|(_, counts)| counts).collect()
    }

    /// Counts a finished HTTP request.
    pub(crate) fn request(&self, status: u16, duration: Duration) {
        if let Some(counter) = self.statuses.get(usize::from(status.saturating_sub(STATUS_MIN))) {
            counter.increment();
        }
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_US.iter().position(|bound| micros <= *bound).unwrap_or(BUCKETS.len());
        self.buckets[bucket].increment();
        self.duration_sum_us.fetch_add(micros, Ordering::Relaxed);
    }

    /// Counts an error in a GraphQL response.
    pub(crate) fn graphql_error(&self, code: Code) {
        if let Some(index) = Code::ALL.iter().position(|known| *known == code) {
            self.codes[index].increment();
        }
    }

    /// Counts a request that was refused for a limit, by the setting's key.
    pub(crate) fn limit_refused(&self, setting: &str) {
        if let Some(index) = Limit::ALL.iter().position(|known| known.setting() == setting) {
            self.limits[index][0].increment();
        }
    }

    /// Counts a request that passed a limit and ran.
    pub(crate) fn limit_warned(&self, limit: Limit) {
        if let Some(index) = Limit::ALL.iter().position(|known| *known == limit) {
            self.limits[index][1].increment();
        }
    }

    /// Counts a GraphQL request; a page is none.
    pub(crate) fn graphql_request(&self, kind: RequestKind) {
        if let Some(index) = RequestKind::GRAPHQL.iter().position(|known| *known == kind) {
            self.kinds[index].increment();
        }
    }

    /// Returns everything in the Prometheus text format, without the process's own numbers.
    pub(crate) fn render(&self, gauges: &Gauges, version: &str) -> Exposition {
        let mut page = Exposition::default();
        self.render_http(&mut page);
        self.render_graphql(&mut page);
        self.render_operations(&mut page);
        self.render_caches(&mut page, gauges);
        self.render_pool(&mut page, gauges);
        page.gauge("fraiseql_ready", "1 when /health/ready answers 200.", u64::from(gauges.ready));
        page.gauge(
            "fraiseql_database_up",
            "1 when the last probe of the database was answered.",
            u64::from(gauges.database_up),
        );
        page.head("fraiseql_build_info", "gauge", "Always 1; the label tells the version.");
        page.sample("fraiseql_build_info", &[("version", version)], 1);
        page
    }

    fn render_http(&self, page: &mut Exposition) {
        page.head("http_requests_total", "counter", "HTTP requests by status, without health and metrics.");
        for (index, counter) in self.statuses.iter().enumerate() {
            let status = usize::from(STATUS_MIN) + index;
            // 200 and 500 are there from the start, so that a rate over them exists.
            if counter.value() > 0 || matches!(status, 200 | 500) {
                page.sample("http_requests_total", &[("status", &status.to_string())], counter.value());
            }
        }
        let name = "http_request_duration_seconds";
        page.head(name, "histogram", "Time to answer an HTTP request, without health and metrics.");
        let mut below = 0;
        for (counter, bound) in self.buckets.iter().zip(BUCKETS.into_iter().chain(["+Inf"])) {
            below += counter.value();
            page.sample("http_request_duration_seconds_bucket", &[("le", bound)], below);
        }
        let sum_us = self.duration_sum_us.load(Ordering::Relaxed);
        page.micros("http_request_duration_seconds_sum", &[], sum_us);
        page.sample("http_request_duration_seconds_count", &[], below);
        page.counter(
            "fraiseql_responses_aborted_total",
            "Responses that were cut off after their first byte.",
            self.aborted.value(),
        );
    }

    fn render_graphql(&self, page: &mut Exposition) {
        let name = "fraiseql_graphql_requests_total";
        page.head(name, "counter", "GraphQL requests by kind of operation.");
        for (kind, counter) in RequestKind::GRAPHQL.iter().zip(&self.kinds) {
            page.sample(name, &[("kind", kind.as_str())], counter.value());
        }
        let name = "fraiseql_graphql_errors_total";
        page.head(name, "counter", "Errors in GraphQL responses by code, whatever the HTTP status.");
        for (code, counter) in Code::ALL.iter().zip(&self.codes) {
            page.sample(name, &[("code", code.as_str())], counter.value());
        }
        let name = "fraiseql_limits_passed_total";
        page.head(name, "counter", "Requests that passed a limit, by setting and what became of them.");
        for (limit, counters) in Limit::ALL.iter().zip(&self.limits) {
            for (outcome, counter) in LIMIT_OUTCOMES.into_iter().zip(counters) {
                page.sample(name, &[("limit", limit.setting()), ("outcome", outcome)], counter.value());
            }
        }
        page.counter("fraiseql_schema_reloads_total", "Schemas loaded while running.", self.reloads.value());
    }

    fn render_operations(&self, page: &mut Exposition) {
        let operations = self.operations.load();
        if operations.is_empty() {
            return;
        }
        let name = "fraiseql_operation_requests_total";
        page.head(name, "counter", "Requests of persisted operations by name and outcome.");
        for (operation, counts) in operations.iter() {
            for (outcome, counter) in OUTCOMES.into_iter().zip(&counts.outcomes) {
                page.sample(name, &[("operation", operation), ("outcome", outcome)], counter.value());
            }
        }
        let name = "fraiseql_operation_duration_seconds";
        page.head(name, "histogram", "Time to answer requests of persisted operations by name.");
        for (operation, counts) in operations.iter() {
            let bounds = OPERATION_BUCKETS.into_iter().map(|(text, _)| text).chain(["+Inf"]);
            let mut below = 0;
            for (counter, bound) in counts.buckets.iter().zip(bounds) {
                below += counter.value();
                let labels = [("operation", operation.as_str()), ("le", bound)];
                page.sample("fraiseql_operation_duration_seconds_bucket", &labels, below);
            }
            let labels = [("operation", operation.as_str())];
            let sum_us = counts.duration_sum_us.load(Ordering::Relaxed);
            page.micros("fraiseql_operation_duration_seconds_sum", &labels, sum_us);
            page.sample("fraiseql_operation_duration_seconds_count", &labels, below);
        }
    }

    fn render_caches(&self, page: &mut Exposition, gauges: &Gauges) {
        let documents = [
            ("fraiseql_document_cache_hits_total", "Documents found parsed.", self.document_hits.value()),
            (
                "fraiseql_document_cache_misses_total",
                "Documents that were parsed.",
                self.document_misses.value(),
            ),
            ("fraiseql_plan_cache_hits_total", "Plans found ready.", self.plan_hits.value()),
            ("fraiseql_plan_cache_misses_total", "Plans that were made.", self.plan_misses.value()),
        ];
        for (name, help, value) in documents {
            page.counter(name, help, value);
        }
        page.gauge(
            "fraiseql_document_cache_entries",
            "Parsed documents that are kept.",
            gauges.document_entries as u64,
        );
        page.gauge("fraiseql_plan_cache_entries", "Plans that are kept.", gauges.plan_entries as u64);
    }

    fn render_pool(&self, page: &mut Exposition, gauges: &Gauges) {
        let pool = [
            ("fraiseql_pool_size", "The most database connections that are opened.", gauges.pool_size),
            ("fraiseql_pool_open", "Database connections that are open.", gauges.pool_open),
            ("fraiseql_pool_idle", "Open database connections that nobody uses.", gauges.pool_idle),
            ("fraiseql_pool_waiting", "Requests that wait for a database connection.", gauges.pool_waiting),
            ("fraiseql_http_connections", "Client connections that are open.", gauges.connections),
        ];
        for (name, help, value) in pool {
            page.gauge(name, help, value as u64);
        }
        page.counter(
            "fraiseql_pool_acquire_timeouts_total",
            "Requests that got no database connection in time.",
            self.acquire_timeouts.value(),
        );
        self.admission.render(page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_printed_as_they_are_compared() {
        for (text, micros) in BUCKETS.iter().zip(BUCKETS_US) {
            let seconds: f64 = text.parse().unwrap();
            assert_eq!((seconds * 1e6).round() as u64, micros, "{text}");
        }
    }

    #[test]
    fn a_duration_lands_in_its_bucket_and_all_above() {
        let metrics = Metrics::new();
        metrics.request(200, Duration::from_millis(1));
        metrics.request(200, Duration::from_micros(1_001));
        metrics.request(504, Duration::from_secs(61));
        let text = metrics.render(&Gauges::default(), "1.2.3").finish();
        for line in [
            "http_requests_total{status=\"200\"} 2",
            "http_requests_total{status=\"500\"} 0",
            "http_requests_total{status=\"504\"} 1",
            "http_request_duration_seconds_bucket{le=\"0.001\"} 1",
            "http_request_duration_seconds_bucket{le=\"0.0025\"} 2",
            "http_request_duration_seconds_bucket{le=\"60\"} 2",
            "http_request_duration_seconds_bucket{le=\"+Inf\"} 3",
            "http_request_duration_seconds_sum 61.002001",
            "http_request_duration_seconds_count 3",
            "fraiseql_build_info{version=\"1.2.3\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
    }
}
