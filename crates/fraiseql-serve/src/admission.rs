//! Lets requests in to the database or sends them away early, and counts both. The queue itself is the pool's.
//!
//! What is sent away has cost the database nothing, and is told when to come again. So whoever asks
//! for twice of what the database can do gets all that it can do, instead of timeouts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fraiseql_model::response::{Code, GraphqlError};
use fraiseql_postgres::{Overload, Pool, PostgresError, QueueBounds, Session};
use tokio::time::Instant;

use crate::exposition::Exposition;
use crate::metrics::Counter;

/// Upper bounds of the histogram of waits, as printed and in microseconds.
const BUCKETS: [(&str, u64); 6] = [
    ("0.001", 1_000),
    ("0.01", 10_000),
    ("0.1", 100_000),
    ("0.5", 500_000),
    ("2", 2_000_000),
    ("10", 10_000_000),
];

const FULL: &str =
    "more is asked than the database can do, and as many requests wait as may: try again later";
const LATE: &str = "more is asked than the database can do, and the wait was too long: try again later";

/// What became of those who wanted a session.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    full: Counter,
    late: Counter,
    waits: [Counter; BUCKETS.len() + 1],
    wait_sum_us: AtomicU64,
}

impl Admission {
    /// Returns a session for a client's request, as [`Pool::admit`] does.
    pub(crate) async fn admit(&self, pool: &Pool, deadline: Instant) -> Result<Session, PostgresError> {
        let asked = Instant::now();
        let admitted = pool.admit(deadline).await;
        match &admitted {
            Ok(_) => self.waited(asked.elapsed()),
            Err(PostgresError::Overload(Overload::Full)) => self.full.increment(),
            Err(PostgresError::Overload(Overload::Late)) => self.late.increment(),
            Err(_) => {}
        }
        admitted
    }

    fn waited(&self, wait: Duration) {
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|(_, bound)| micros <= *bound).unwrap_or(BUCKETS.len());
        self.waits[bucket].increment();
        self.wait_sum_us.fetch_add(micros, Ordering::Relaxed);
    }

    /// Adds what was counted to a page of metrics.
    pub(crate) fn render(&self, page: &mut Exposition) {
        let name = "fraiseql_pool_refused_total";
        page.head(
            name,
            "counter",
            "Requests that were sent away from a full pool by reason, without running.",
        );
        page.sample(name, &[("reason", "full")], self.full.value());
        page.sample(name, &[("reason", "late")], self.late.value());
        let name = "fraiseql_pool_wait_seconds";
        page.head(name, "histogram", "Time until a request that was let in had its database connection.");
        let mut below = 0;
        for (counter, bound) in
            self.waits.iter().zip(BUCKETS.map(|(text, _)| text).into_iter().chain(["+Inf"]))
        {
            below += counter.value();
            page.sample("fraiseql_pool_wait_seconds_bucket", &[("le", bound)], below);
        }
        page.micros("fraiseql_pool_wait_seconds_sum", &[], self.wait_sum_us.load(Ordering::Relaxed));
        page.sample("fraiseql_pool_wait_seconds_count", &[], below);
    }
}

/// Returns what a client is told who was sent away.
///
/// It is to come again after the longest wait: by then all who wait now have been served or sent away.
pub(crate) fn refusal(overload: Overload, bounds: QueueBounds) -> GraphqlError {
    let (message, setting) = match overload {
        Overload::Full => (FULL, "database.queue_max"),
        Overload::Late => (LATE, "database.queue_wait_ms"),
    };
    let mut error = GraphqlError::new(Code::Unavailable, message).exceeding(setting);
    let seconds = bounds.wait_max.as_millis().div_ceil(1_000).max(1);
    error.extensions.retry_after_seconds = Some(u32::try_from(seconds).unwrap_or(u32::MAX));
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(overload: Overload, wait_ms: u64, limit: &str, seconds: u32) {
        let bounds = QueueBounds { waiting_max: 1, wait_max: Duration::from_millis(wait_ms) };
        let told = refusal(overload, bounds);
        assert_eq!(told.extensions.code, Code::Unavailable);
        assert_eq!(told.extensions.limit, Some(limit));
        assert_eq!(told.extensions.retry_after_seconds, Some(seconds));
    }

    #[test]
    fn a_refusal_names_the_setting_and_the_time_in_whole_seconds() {
        check(Overload::Full, 2_000, "database.queue_max", 2);
        check(Overload::Late, 2_001, "database.queue_wait_ms", 3);
        check(Overload::Late, 20, "database.queue_wait_ms", 1);
    }

    #[test]
    fn a_wait_lands_in_its_bucket_and_all_above() {
        let admission = Admission::default();
        for millis in [1, 2, 600, 20_000] {
            admission.waited(Duration::from_millis(millis));
        }
        let mut page = Exposition::default();
        admission.render(&mut page);
        let page = page.finish();
        for line in [
            "fraiseql_pool_wait_seconds_bucket{le=\"0.001\"} 1",
            "fraiseql_pool_wait_seconds_bucket{le=\"0.01\"} 2",
            "fraiseql_pool_wait_seconds_bucket{le=\"0.5\"} 2",
            "fraiseql_pool_wait_seconds_bucket{le=\"2\"} 3",
            "fraiseql_pool_wait_seconds_bucket{le=\"+Inf\"} 4",
            "fraiseql_pool_wait_seconds_sum 20.603000",
            "fraiseql_pool_wait_seconds_count 4",
        ] {
            assert!(page.lines().any(|printed| printed == line), "{line} in {page}");
        }
    }
}
