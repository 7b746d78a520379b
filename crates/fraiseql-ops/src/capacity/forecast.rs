//! Where a figure goes, and when it meets its limit: a straight line through averages, with its doubt.

use serde::Serialize;

use super::{CapacityMetric, CapacitySample};

/// Averages that the line goes through, at most.
const BUCKETS: usize = 48;
/// Fewer tell nothing.
const BUCKETS_MIN: usize = 8;
/// A shorter past tells nothing of the future.
const SPAN_MIN_MS: u64 = 3_600_000;
const DAY_MS: f64 = 86_400_000.0;
/// Standard errors on both sides: 19 of 20 lines.
const ERRORS: f64 = 2.0;

/// Where a figure goes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CapacityTrend {
    /// The change in a day.
    pub per_day: f64,
    /// The least and the most that it may be.
    pub between: (f64, f64),
    /// How long the past is that tells so, in milliseconds.
    pub span_ms: u64,
}

/// When a figure meets its limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "when")]
pub enum CapacityForecast {
    /// It has.
    Now,
    /// At this trend, in so many days; `latest` is nothing where the trend may also be none.
    In {
        /// The soonest.
        soonest: f64,
        /// The likeliest.
        days: f64,
        /// The latest.
        latest: Option<f64>,
    },
    /// Not at this trend.
    Never,
    /// The past is too short to tell.
    Unknown,
}

/// Returns the trend of a metric, and when it meets a limit.
pub fn forecast(
    samples: &[CapacitySample],
    metric: CapacityMetric,
    limit: Option<f64>,
) -> (Option<CapacityTrend>, CapacityForecast) {
    let averages = averages(samples, metric);
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return (None, CapacityForecast::Unknown);
    };
    let reached = limit.is_some_and(|limit| averages.last().is_some_and(|(_, value)| *value >= limit));
    let span_ms = last.at_ms.saturating_sub(first.at_ms);
    if averages.len() < BUCKETS_MIN || span_ms < SPAN_MIN_MS {
        let when = if reached { CapacityForecast::Now } else { CapacityForecast::Unknown };
        return (None, when);
    }
    let (slope, error, level) = line(&averages);
    let between = (slope - ERRORS * error, slope + ERRORS * error);
    let trend = CapacityTrend { per_day: slope, between, span_ms };
    let when = match limit {
        _ if reached => CapacityForecast::Now,
        Some(limit) if slope > 0.0 && level < limit => {
            let in_days = |slope: f64| (limit - level) / slope;
            let latest = (between.0 > 0.0).then(|| in_days(between.0));
            CapacityForecast::In { soonest: in_days(between.1), days: in_days(slope), latest }
        }
        Some(limit) if level >= limit => CapacityForecast::Now,
        _ => CapacityForecast::Never,
    };
    (Some(trend), when)
}

/// Averages over equal parts of the past: its days, and a value.
fn averages(samples: &[CapacitySample], metric: CapacityMetric) -> Vec<(f64, f64)> {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return Vec::new() };
    let width = (last.at_ms.saturating_sub(first.at_ms) / BUCKETS as u64 + 1).max(1);
    let mut buckets: Vec<(f64, f64, f64)> = Vec::new();
    let mut number = None;
    for sample in samples {
        let bucket = sample.at_ms.saturating_sub(first.at_ms) / width;
        if number != Some(bucket) {
            (number, _) = (Some(bucket), buckets.push((0.0, 0.0, 0.0)));
        }
        if let Some(sums) = buckets.last_mut() {
            let days = sample.at_ms.saturating_sub(first.at_ms) as f64 / DAY_MS;
            *sums = (sums.0 + days, sums.1 + metric.of(sample), sums.2 + 1.0);
        }
    }
    buckets.into_iter().map(|(days, values, count)| (days / count, values / count)).collect()
}

/// Returns the slope of the straight line through points, its standard error, and its height at the last.
fn line(points: &[(f64, f64)]) -> (f64, f64, f64) {
    let count = points.len() as f64;
    let (mean_x, mean_y) = (
        points.iter().map(|point| point.0).sum::<f64>() / count,
        points.iter().map(|point| point.1).sum::<f64>() / count,
    );
    let spread: f64 = points.iter().map(|point| (point.0 - mean_x).powi(2)).sum();
    let common: f64 = points.iter().map(|point| (point.0 - mean_x) * (point.1 - mean_y)).sum();
    let slope = common / spread;
    let height = |x: f64| mean_y + slope * (x - mean_x);
    let off: f64 = points.iter().map(|point| (point.1 - height(point.0)).powi(2)).sum();
    let error = (off / (count - 2.0) / spread).sqrt();
    (slope, error, height(points.last().map_or(mean_x, |point| point.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::tests::sample;

    /// Samples of `hours`, one a minute.
    fn past(hours: u64, share: impl Fn(f64) -> f64) -> Vec<CapacitySample> {
        (0..hours * 60).map(|minute| sample(minute * 60, share(minute as f64 / 1440.0))).collect()
    }

    fn when(samples: &[CapacitySample]) -> CapacityForecast {
        forecast(samples, CapacityMetric::Cpu, Some(0.7)).1
    }

    #[test]
    fn a_steady_rise_meets_its_limit() {
        let samples = past(48, |day| 0.3 + 0.05 * day);
        let (trend, when) = forecast(&samples, CapacityMetric::Cpu, Some(0.7));
        assert!((trend.unwrap().per_day - 0.05).abs() < 1e-6, "{trend:?}");
        let CapacityForecast::In { soonest, days, latest: Some(latest) } = when else { panic!("{when:?}") };
        assert!(soonest <= days && days <= latest && (days - 6.0).abs() < 0.1, "{when:?}");
    }

    #[test]
    fn noise_widens_the_interval_and_the_truth_lies_in_it() {
        let mut seed = 3_u64;
        let mut noise = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((seed >> 33) % 1000) as f64 / 1000.0 - 0.5
        };
        let noises: Vec<f64> = (0..48 * 60).map(|_| noise()).collect();
        let samples = past(48, |day| 0.3 + 0.05 * day + 0.3 * noises[(day * 1440.0) as usize]);
        let CapacityForecast::In { soonest, latest: Some(latest), .. } = when(&samples) else {
            panic!("{:?}", when(&samples))
        };
        assert!(soonest < 6.0 && latest > 6.0 && latest - soonest > 0.1, "{soonest} {latest}");
    }

    #[test]
    fn what_falls_or_is_short_meets_nothing() {
        assert_eq!(when(&past(48, |day| 0.5 - 0.05 * day)), CapacityForecast::Never);
        assert_eq!(when(&past(48, |_| 0.75)), CapacityForecast::Now);
        assert_eq!(when(&past(1, |day| 0.3 + day)), CapacityForecast::Unknown);
        assert_eq!(when(&[]), CapacityForecast::Unknown);
    }
}
