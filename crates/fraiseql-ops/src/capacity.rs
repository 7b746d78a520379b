//! Capacity: what a service uses, when that will be too much, and how many instances a rate needs.

mod forecast;
mod scalability;
mod trigger;

pub use forecast::{CapacityForecast, CapacityTrend, forecast};
pub use scalability::{LoadPoint, Scalability, ScalabilityFit, instances_for};
pub use trigger::{ScalingTrigger, TriggerState, scaling_triggers};

use serde::{Deserialize, Serialize};

/// The share of the measured most that a service is to be used to.
pub const KNEE_SHARE: f64 = 0.7;

/// What was seen of a service since the sample before. Shares are of 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapacitySample {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Instances that were asked.
    pub instances: u32,
    /// GraphQL requests a second.
    pub requests_s: f64,
    /// Their time on average, in milliseconds; 0 without requests.
    pub latency_ms: f64,
    /// The share of answers that were 5xx.
    pub errors: f64,
    /// The share of the pools' connections that were at work.
    pub connections: f64,
    /// The share of the machine's processors.
    pub cpu: f64,
    /// The share of the machine's memory.
    pub memory: f64,
    /// The share of the disk with the state directory.
    pub disk: f64,
}

/// One of the figures that the deployment guide tracks, and CPU, which it scales by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CapacityMetric {
    /// Requests a second.
    Requests,
    /// Average latency in milliseconds.
    Latency,
    /// Share of answers that were errors.
    Errors,
    /// Share of the connections to the database.
    Connections,
    /// Share of the memory.
    Memory,
    /// Share of the disk.
    Disk,
    /// Share of the processors.
    Cpu,
}

impl CapacityMetric {
    /// All of them, in the guide's order.
    pub const ALL: [Self; 7] =
        [Self::Requests, Self::Latency, Self::Errors, Self::Connections, Self::Memory, Self::Disk, Self::Cpu];

    /// Returns what people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests a second",
            Self::Latency => "average latency",
            Self::Errors => "error rate",
            Self::Connections => "database connections",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Cpu => "CPU",
        }
    }

    /// Returns its value in a sample.
    pub fn of(self, sample: &CapacitySample) -> f64 {
        match self {
            Self::Requests => sample.requests_s,
            Self::Latency => sample.latency_ms,
            Self::Errors => sample.errors,
            Self::Connections => sample.connections,
            Self::Memory => sample.memory,
            Self::Disk => sample.disk,
            Self::Cpu => sample.cpu,
        }
    }

    /// Returns where it becomes too much; `None` where nobody has said so.
    pub fn limit(self, limits: &CapacityLimits) -> Option<f64> {
        match self {
            Self::Requests => limits.requests_s,
            Self::Latency | Self::Errors => None,
            Self::Connections => Some(0.8),
            Self::Memory => Some(0.8),
            Self::Disk => Some(0.9),
            Self::Cpu => Some(0.7),
        }
    }

    /// Writes a value as people read it.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Requests if value >= 100.0 => format!("{value:.0}"),
            Self::Requests => format!("{value:.1}"),
            Self::Latency => format!("{value:.1} ms"),
            Self::Errors => format!("{:.2} %", value * 100.0),
            Self::Connections | Self::Memory | Self::Disk | Self::Cpu => format!("{:.0} %", value * 100.0),
        }
    }
}

/// Limits that differ from service to service.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CapacityLimits {
    /// Requests a second: a share of what was measured.
    pub requests_s: Option<f64>,
}

/// Returns the average of a metric over the samples of the last `span_ms`; `None` without any, and where
/// there was no request to have a latency or an error.
pub fn average(samples: &[CapacitySample], metric: CapacityMetric, now_ms: u64, span_ms: u64) -> Option<f64> {
    let weight = |sample: &CapacitySample| match metric {
        // Of requests, and not of moments.
        CapacityMetric::Latency | CapacityMetric::Errors => sample.requests_s,
        _ => 1.0,
    };
    let (mut sum, mut weights) = (0.0, 0.0);
    for sample in within(samples, now_ms, span_ms) {
        sum += weight(sample) * metric.of(sample);
        weights += weight(sample);
    }
    (weights > 0.0).then(|| sum / weights)
}

/// Reads samples, one on a line. A line that was being written when the power went is passed over.
pub fn read_samples(text: &str) -> Vec<CapacitySample> {
    let samples = text.lines().map(serde_json::from_str);
    // A torn line is one sample less.
    samples.filter_map(Result::ok).collect()
}

fn within(samples: &[CapacitySample], now_ms: u64, span_ms: u64) -> impl Iterator<Item = &CapacitySample> {
    let from = now_ms.saturating_sub(span_ms);
    samples.iter().filter(move |sample| sample.at_ms > from && sample.at_ms <= now_ms)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sample(at_s: u64, cpu: f64) -> CapacitySample {
        CapacitySample {
            at_ms: at_s * 1000,
            instances: 1,
            requests_s: 100.0,
            latency_ms: 2.0,
            errors: 0.0,
            connections: 0.1,
            cpu,
            memory: 0.4,
            disk: 0.2,
        }
    }

    #[test]
    fn samples_are_read_and_broken_lines_passed_over() {
        let line = serde_json::to_string(&sample(60, 0.5)).unwrap();
        assert_eq!(read_samples(&format!("{line}\n{{\"at_ms\":1")), [sample(60, 0.5)]);
        assert_eq!(read_samples(""), []);
    }

    #[test]
    fn an_average_is_of_the_last_minutes() {
        let samples = [sample(0, 1.0), sample(601, 0.2), sample(900, 0.4), sample(2000, 1.0)];
        let average = |now_s: u64| average(&samples, CapacityMetric::Cpu, now_s * 1000, 600_000);
        assert!((average(1200).unwrap() - 0.3).abs() < 1e-9);
        assert_eq!(average(100_000), None);
        let idle = CapacitySample { requests_s: 0.0, latency_ms: 0.0, ..sample(880, 0.4) };
        let samples = [samples[2], idle];
        let latency = |samples| super::average(samples, CapacityMetric::Latency, 900_000, 600_000);
        assert_eq!((latency(&samples), latency(&samples[1..])), (Some(2.0), None));
    }
}
