//! The deployment guide's triggers: what was too much for long enough.

use serde::Serialize;

use super::{CapacityLimits, CapacityMetric, CapacitySample, within};

/// How long something must be so without a pause.
const LASTING_MS: u64 = 600_000;
/// Samples may be so far apart: longer, and nobody knows what was between them.
const GAP_MAX_MS: u64 = 120_000;

/// What became of a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerState {
    /// There is too much of it: scale up.
    Fires,
    /// There is not.
    Quiet,
    /// There are not enough samples to tell.
    Unknown,
    /// Nobody has said what is too much.
    NotConfigured,
}

/// One of the guide's reasons to scale up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ScalingTrigger {
    /// What is looked at.
    pub metric: CapacityMetric,
    /// What is too much.
    pub above: Option<f64>,
    /// How long it must be so, in milliseconds; 0 where the newest sample decides.
    pub lasting_ms: u64,
    /// What became of it.
    pub state: TriggerState,
}

/// Evaluates the guide's four triggers, in its order.
pub fn scaling_triggers(
    samples: &[CapacitySample],
    limits: &CapacityLimits,
    now_ms: u64,
) -> Vec<ScalingTrigger> {
    let asked = [
        (CapacityMetric::Cpu, LASTING_MS),
        (CapacityMetric::Memory, LASTING_MS),
        (CapacityMetric::Requests, 0),
        (CapacityMetric::Connections, 0),
    ];
    let evaluate = |(metric, lasting_ms): (CapacityMetric, u64)| {
        let above = metric.limit(limits);
        let state = above
            .map_or(TriggerState::NotConfigured, |above| state(samples, metric, above, now_ms, lasting_ms));
        ScalingTrigger { metric, above, lasting_ms, state }
    };
    asked.into_iter().map(evaluate).collect()
}

fn state(
    samples: &[CapacitySample],
    metric: CapacityMetric,
    above: f64,
    now_ms: u64,
    lasting_ms: u64,
) -> TriggerState {
    let recent: Vec<&CapacitySample> = within(samples, now_ms, lasting_ms + GAP_MAX_MS).collect();
    let Some(newest) = recent.last().filter(|newest| now_ms - newest.at_ms <= GAP_MAX_MS) else {
        return TriggerState::Unknown;
    };
    if metric.of(newest) <= above {
        return TriggerState::Quiet;
    }
    // Back from the newest, for as long as it was so and somebody has looked.
    let mut since_ms = newest.at_ms;
    for sample in recent.iter().rev() {
        if since_ms - sample.at_ms > GAP_MAX_MS {
            return TriggerState::Unknown;
        }
        if metric.of(sample) <= above {
            return TriggerState::Quiet;
        }
        since_ms = sample.at_ms;
        if now_ms - since_ms >= lasting_ms {
            return TriggerState::Fires;
        }
    }
    TriggerState::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::tests::sample;

    #[track_caller]
    fn check(shares: impl Fn(u64) -> Option<f64>, expected: TriggerState) {
        let samples: Vec<CapacitySample> =
            (0..=900).step_by(15).filter_map(|at| Some(sample(at, shares(at)?))).collect();
        let triggers = scaling_triggers(&samples, &CapacityLimits::default(), 900_000);
        assert_eq!(triggers[0].state, expected);
    }

    #[test]
    fn only_what_lasts_fires() {
        check(|_| Some(0.9), TriggerState::Fires);
        check(|at| Some(if at == 600 { 0.6 } else { 0.9 }), TriggerState::Quiet);
        check(|at| Some(if at == 285 { 0.6 } else { 0.9 }), TriggerState::Fires);
        check(|_| Some(0.7), TriggerState::Quiet);
        check(|at| (at > 400).then_some(0.9), TriggerState::Unknown);
        check(|at| (!(500..700).contains(&at)).then_some(0.9), TriggerState::Unknown);
        check(|at| (at < 600).then_some(0.9), TriggerState::Unknown);
        check(|_| None, TriggerState::Unknown);
    }

    #[test]
    fn a_rate_needs_a_limit_and_the_newest_sample_decides() {
        let samples = [sample(890, 0.1)];
        let state = |requests_s| scaling_triggers(&samples, &CapacityLimits { requests_s }, 900_000)[2].state;
        assert_eq!(state(None), TriggerState::NotConfigured);
        assert_eq!(state(Some(99.0)), TriggerState::Fires);
        assert_eq!(state(Some(100.0)), TriggerState::Quiet);
    }

    #[test]
    fn a_noisy_week_does_not_fire() {
        // Around 60 %, up to 90 % for a sample at a time, by a generator without a library.
        let mut seed = 7_u64;
        let mut samples: Vec<CapacitySample> = Vec::new();
        let mut fired = 0;
        for at_s in (0..7 * 86_400).step_by(15) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let noise = ((seed >> 33) % 1000) as f64 / 1000.0;
            samples.push(sample(at_s, 0.3 + 0.6 * noise));
            let recent = &samples[samples.len().saturating_sub(60)..];
            let state = scaling_triggers(recent, &CapacityLimits::default(), at_s * 1000)[0].state;
            fired += u32::from(state == TriggerState::Fires);
        }
        assert_eq!((samples.len(), fired), (40_320, 0));
    }
}
