//! What the proxy adds to the page of metrics: requests, failures and times by release, and who is well.

use std::fmt::{Arguments, Write};

use fraiseql_model::traffic::{ArmCounts, BackendHealth, LATENCY_BOUNDS_US};

use crate::table::{Table, short};

/// Returns the page of the releases that can be reached. Others are left out, so that it stays short.
pub(crate) fn page(table: &Table, counts: &[ArmCounts]) -> String {
    let mut page = ReleasePage::default();
    let live: Vec<(&ArmCounts, u8)> = table
        .arms
        .iter()
        .filter_map(|arm| Some((counts.iter().find(|counts| counts.release == arm.release)?, arm.weight)))
        .collect();
    page.by_release("weight_percent", "gauge", "Share of the requests.", &live, |_, weight| {
        u64::from(weight)
    });
    page.by_release("requests_total", "counter", "Requests that have ended.", &live, |arm, _| arm.requests);
    page.by_release(
        "requests_failed_total",
        "counter",
        "Of these, without an answer or with 500 and above.",
        &live,
        |arm, _| arm.failed,
    );
    page.by_release(
        "requests_timed_out_total",
        "counter",
        "Of these, without an answer in time.",
        &live,
        |arm, _| arm.timed_out,
    );
    page.by_release(
        "requests_graphql_failed_total",
        "counter",
        "With a good status and an internal error in the answer.",
        &live,
        |arm, _| arm.graphql_failed,
    );
    page.by_release("requests_in_flight", "gauge", "Requests that run now.", &live, |arm, _| arm.in_flight);
    page.head(
        "request_duration_seconds",
        "histogram",
        "From the end of a request's head to the head of its answer.",
    );
    for (counts, _) in &live {
        page.histogram(counts);
    }
    page.head("backend_ready", "gauge", "Whether an instance gets requests.");
    for arm in &table.arms {
        for slot in arm.all() {
            let ready = u8::from(slot.health() == BackendHealth::Ready);
            let release = short(&arm.release);
            page.line(format_args!(
                "fraiseql_proxy_backend_ready{{release=\"{release}\",instance=\"{}\"}} {ready}",
                slot.name
            ));
        }
    }
    page.text
}

#[derive(Default)]
struct ReleasePage {
    text: String,
}

impl ReleasePage {
    fn line(&mut self, line: Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a String takes every write");
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP fraiseql_proxy_{name} {help}"));
        self.line(format_args!("# TYPE fraiseql_proxy_{name} {kind}"));
    }

    fn by_release(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        live: &[(&ArmCounts, u8)],
        value: impl Fn(&ArmCounts, u8) -> u64,
    ) {
        self.head(name, kind, help);
        for (counts, weight) in live {
            let release = short(&counts.release);
            let value = value(counts, *weight);
            self.line(format_args!("fraiseql_proxy_{name}{{release=\"{release}\"}} {value}"));
        }
    }

    fn histogram(&mut self, counts: &ArmCounts) {
        let release = short(&counts.release);
        let mut sum = 0;
        for (bound, count) in LATENCY_BOUNDS_US.iter().zip(&counts.latency) {
            sum += count;
            let (whole, rest) = (bound / 1_000_000, bound % 1_000_000);
            let bound = format!("{whole}.{rest:06}");
            let bound = bound.trim_end_matches('0').trim_end_matches('.');
            self.line(format_args!(
                "fraiseql_proxy_request_duration_seconds_bucket{{release=\"{release}\",le=\"{bound}\"}} {sum}"
            ));
        }
        let all: u64 = counts.latency.iter().sum();
        self.line(format_args!(
            "fraiseql_proxy_request_duration_seconds_bucket{{release=\"{release}\",le=\"+Inf\"}} {all}"
        ));
        self.line(format_args!(
            "fraiseql_proxy_request_duration_seconds_count{{release=\"{release}\"}} {all}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fraiseql_model::traffic::{
        Arm, GENERATION_FORMAT, Generation, GenerationOrigin, Stamp, Sticky, TrafficGate,
    };

    use super::page;
    use crate::counts::{Counts, RequestEnd};
    use crate::table::Table;

    #[test]
    fn each_release_that_is_reachable_is_told_of() {
        let counts = Counts::default();
        counts.of("gone").count(RequestEnd::Unanswered, Duration::ZERO);
        counts.of("blue").count(RequestEnd::TimedOut, Duration::from_micros(1_500));
        let arms = vec![Arm { release: "blue".to_owned(), weight: 100, backends: Vec::new() }];
        let generation = Generation {
            format: GENERATION_FORMAT,
            stamp: Stamp::default(),
            stable: "blue".to_owned(),
            previous: None,
            arms,
            lease_ms: None,
            sticky: Sticky::None,
            gate: TrafficGate::Open,
        };
        let table = Table::new(generation, GenerationOrigin::Control, None, &counts);
        let page = page(&table, &counts.snapshot());
        for line in [
            "fraiseql_proxy_weight_percent{release=\"blue\"} 100",
            "fraiseql_proxy_requests_timed_out_total{release=\"blue\"} 1",
            "fraiseql_proxy_request_duration_seconds_bucket{release=\"blue\",le=\"0.001259\"} 0",
            "fraiseql_proxy_request_duration_seconds_bucket{release=\"blue\",le=\"0.001585\"} 1",
            "fraiseql_proxy_request_duration_seconds_bucket{release=\"blue\",le=\"10\"} 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
        assert!(!page.contains("gone"), "{page}");
    }
}
