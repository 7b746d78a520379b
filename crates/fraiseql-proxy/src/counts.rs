//! What came of the requests of each release, counted without a lock, and kept over restarts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fraiseql_model::traffic::{ArmCounts, LATENCY_BOUNDS_US};

/// The most releases that are counted; the ones counted first are forgotten first.
const RELEASES_MAX: usize = 64;

/// Counts of one release.
#[derive(Debug)]
pub(crate) struct ArmCounter {
    release: String,
    requests: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
    graphql_failed: AtomicU64,
    latency: Vec<AtomicU64>,
    pub(crate) in_flight: AtomicU64,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestEnd {
    /// With this status, and so many internal errors inside of a good answer.
    Answered { status: u16, graphql_errors: u64 },
    /// Without an answer.
    Unanswered,
    /// Without an answer in time.
    TimedOut,
}

impl ArmCounter {
    fn new(counts: &ArmCounts) -> Self {
        let bucket = |index: usize| AtomicU64::new(counts.latency.get(index).copied().unwrap_or(0));
        Self {
            release: counts.release.clone(),
            requests: AtomicU64::new(counts.requests),
            failed: AtomicU64::new(counts.failed),
            timed_out: AtomicU64::new(counts.timed_out),
            graphql_failed: AtomicU64::new(counts.graphql_failed),
            latency: (0..=LATENCY_BOUNDS_US.len()).map(bucket).collect(),
            in_flight: AtomicU64::new(0),
        }
    }

    /// Counts a request that has ended.
    pub(crate) fn count(&self, end: RequestEnd, duration: Duration) {
        let add = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        match end {
            RequestEnd::Answered { status, .. } if status >= 500 => {
                add(&self.failed);
            }
            RequestEnd::Answered { graphql_errors: 0, .. } => {}
            RequestEnd::Answered { .. } => {
                add(&self.graphql_failed);
            }
            RequestEnd::Unanswered => {
                add(&self.failed);
            }
            RequestEnd::TimedOut => {
                add(&self.failed);
                add(&self.timed_out);
            }
        }
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        add(&self.latency[LATENCY_BOUNDS_US.partition_point(|bound| *bound < micros)]);
        // Last: whoever reads never finds more failures than requests.
        self.requests.fetch_add(1, Ordering::Release);
    }

    /// Counts an answer as bad after all, when `failed`, whose instance had told otherwise.
    pub(crate) fn correct(&self, failed: bool) {
        if failed {
            self.graphql_failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn snapshot(&self) -> ArmCounts {
        let requests = self.requests.load(Ordering::Acquire);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed).min(requests);
        ArmCounts {
            release: self.release.clone(),
            requests,
            failed: read(&self.failed),
            timed_out: read(&self.timed_out),
            graphql_failed: read(&self.graphql_failed),
            latency: self.latency.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect(),
            in_flight: self.in_flight.load(Ordering::Relaxed),
        }
    }
}

/// The counts of all releases that were served.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// In the order in which they were first served.
    arms: Mutex<Vec<Arc<ArmCounter>>>,
}

impl Counts {
    /// Goes on from what was counted before.
    pub(crate) fn resume(counts: &[ArmCounts]) -> Self {
        let arms = counts.iter().map(|counts| Arc::new(ArmCounter::new(counts))).collect();
        Self { arms: Mutex::new(arms) }
    }

    /// Returns the counter of a release.
    pub(crate) fn of(&self, release: &str) -> Arc<ArmCounter> {
        let mut arms = self.arms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = arms.iter().find(|arm| arm.release == release) {
            return Arc::clone(known);
        }
        let counts = ArmCounts { release: release.to_owned(), ..ArmCounts::default() };
        let counter = Arc::new(ArmCounter::new(&counts));
        arms.push(Arc::clone(&counter));
        if arms.len() > RELEASES_MAX {
            arms.remove(0);
        }
        counter
    }

    /// Returns what was counted.
    pub(crate) fn snapshot(&self) -> Vec<ArmCounts> {
        let arms = self.arms.lock().unwrap_or_else(PoisonError::into_inner);
        arms.iter().map(|arm| arm.snapshot()).collect()
    }
}

/// Returns the sum over releases of what ended badly at the proxy itself, by status.
pub(crate) fn own_failures(own: &Mutex<BTreeMap<u16, u64>>) -> BTreeMap<u16, u64> {
    own.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_is_counted_where_it_belongs() {
        let counts = Counts::default();
        let arm = counts.of("blue");
        let ends = [
            (RequestEnd::Answered { status: 200, graphql_errors: 0 }, 90),
            (RequestEnd::Answered { status: 200, graphql_errors: 3 }, 100),
            (RequestEnd::Answered { status: 404, graphql_errors: 0 }, 101),
            (RequestEnd::Answered { status: 500, graphql_errors: 1 }, 1_000),
            (RequestEnd::Unanswered, 20_000_000),
            (RequestEnd::TimedOut, 20_000_000),
        ];
        for (end, micros) in ends {
            arm.count(end, Duration::from_micros(micros));
        }
        let [seen] = &counts.snapshot()[..] else { panic!("one release") };
        assert_eq!((seen.requests, seen.failed, seen.timed_out, seen.graphql_failed), (6, 3, 1, 1));
        assert_eq!((seen.latency[0], seen.latency[1], seen.latency[10], seen.latency[51]), (2, 1, 1, 2));
        assert_eq!(seen.latency.iter().sum::<u64>(), seen.requests);

        let resumed = Counts::resume(&counts.snapshot());
        resumed.of("blue").count(RequestEnd::Unanswered, Duration::ZERO);
        assert_eq!(resumed.snapshot()[0].requests, 7);
    }

    #[test]
    fn the_oldest_releases_are_forgotten() {
        let counts = Counts::default();
        for release in 0..=RELEASES_MAX {
            counts.of(&release.to_string());
        }
        let kept = counts.snapshot();
        assert_eq!((kept.len(), kept[0].release.as_str()), (RELEASES_MAX, "1"));
    }
}
