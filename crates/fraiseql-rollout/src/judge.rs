//! Who is worse: counts of two releases become evidence, and evidence a judgement. Pure.
//!
//! Everything becomes counts: a bad event is a 5xx, a request without an answer, an internal GraphQL
//! error in a good answer; a slow one is above the old release's own p99.
//!
//! - *Relative*, which blames the release: given a bad event, it is the canary's with probability
//!   h = r w / (r w + 1 - w) at most, when w of the requests are the canary's and it fails at most r
//!   times as often. The evidence is the likelihood ratio against a mixture of worse releases: always
//!   valid, so it may be looked at after every request (Ville's inequality; Lindon and Malek,
//!   arXiv 2011.03567). Slow requests are not independent of each other: their evidence is weighed less.
//! - *Absolute*, which does not need another release: a mixture of likelihood ratios against "at most so
//!   many of the requests are bad".
//! - *Promotion* is a test of its own: enough requests, of which few enough were bad, to exclude more
//!   than the limit.

use std::fmt;

use fraiseql_model::traffic::{ArmCounts, LATENCY_BOUNDS_US};
use serde::{Deserialize, Serialize};

/// How much worse the releases are that the relative test looks for.
const RATIOS: [f64; 6] = [3.0, 5.0, 10.0, 20.0, 50.0, 200.0];
/// How often the releases fail that the absolute test looks for.
const RATES: [f64; 6] = [0.08, 0.15, 0.3, 0.5, 0.8, 0.99];
/// Slow requests come together, since one stall of the machine slows down all that run then: so many of them
/// count as one. A good release was blamed for a stall of a second without it.
const SLOW_CLUMP: f64 = 3.0;
/// How many requests of the old release make a p99.
const BASELINE_MIN: u64 = 200;

/// What counts as bad, and how sure it must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgePolicy {
    /// The most of the requests that may be bad, as a fraction.
    pub error_rate_max: f64,
    /// How many times as often as the old release the new one may fail.
    pub ratio_max: f64,
    /// How often a good release may be blamed, as a fraction.
    pub false_alarm: f64,
    /// How often a release that is above the limit may pass, as a fraction.
    pub false_pass: f64,
}

impl Default for JudgePolicy {
    fn default() -> Self {
        Self { error_rate_max: 0.05, ratio_max: 2.0, false_alarm: 0.0003, false_pass: 0.05 }
    }
}

/// What came of the requests of a release within a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Requests.
    pub requests: u64,
    /// Of these, bad ones.
    pub bad: u64,
}

/// What was seen that blames somebody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blame {
    /// Which test.
    pub kind: BlameKind,
    /// The new release.
    pub new: Tally,
    /// The old release.
    pub old: Tally,
    /// How many times as likely what was seen is with a bad release than with a good one.
    pub e: f64,
}

/// Which test found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlameKind {
    /// It fails more often than the old release.
    Errors,
    /// It is slow more often than the old release.
    Latency,
    /// It fails too often, whatever the old release does.
    Limit,
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bad = match self.kind {
            BlameKind::Errors | BlameKind::Limit => "bad",
            BlameKind::Latency => "slow",
        };
        let (new, old) = (self.new, self.old);
        write!(f, "new release {} of {} {bad}", grouped(new.bad), grouped(new.requests))?;
        if old.requests > 0 {
            write!(f, ", old release {} of {}", grouped(old.bad), grouped(old.requests))?;
        }
        write!(f, ", E = {}", short(self.e))
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut text = digits[..first].to_owned();
    for start in (first..digits.len()).step_by(3) {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&digits[start..start + 3]);
    }
    text
}

fn short(e: f64) -> String {
    if e < 1_000.0 { format!("{e:.1}") } else { format!("{e:.1e}") }
}

/// What follows.
#[derive(Clone, Debug, PartialEq)]
pub enum Judgement {
    /// Nothing is wrong, and enough was seen to say so.
    Good,
    /// Nothing is wrong so far.
    TooFew,
    /// The new release is bad.
    Bad(Blame),
    /// Both are bad: it is not the release.
    Both(Blame),
}

/// Judges the new release by what both did since the same moment, and by what was learnt before.
pub fn judge(policy: &JudgePolicy, new: &ArmCounts, old: &ArmCounts, learnt: &[f64]) -> Judgement {
    let alarm = -policy.false_alarm.ln();
    let (bad_new, bad_old) = (tally(new), tally(old));
    let limit = absolute(policy.error_rate_max, bad_new);
    let evidence = |kind, new, old, log_e: f64| Blame { kind, new, old, e: log_e.exp() };
    if limit >= alarm && absolute(policy.error_rate_max, bad_old) >= alarm {
        return Judgement::Both(evidence(BlameKind::Limit, bad_new, bad_old, limit));
    }
    let relative = relative(policy.ratio_max, bad_new, bad_old, learnt);
    if mixed(&relative) >= alarm {
        return Judgement::Bad(evidence(BlameKind::Errors, bad_new, bad_old, mixed(&relative)));
    }
    // While the old release fails as often, the limit blames nobody: the relative test will.
    let shared = bad_old.requests > 0 && rate(bad_old) > policy.error_rate_max;
    if limit >= alarm && !shared {
        return Judgement::Bad(evidence(BlameKind::Limit, bad_new, bad_old, limit));
    }
    if let Some((slow_new, slow_old)) = slow(new, old) {
        let log_e = mixed(&self::relative(policy.ratio_max, slow_new, slow_old, &[])) / SLOW_CLUMP;
        if log_e >= alarm {
            return Judgement::Bad(evidence(BlameKind::Latency, slow_new, slow_old, log_e));
        }
    }
    if excludes(bad_new, policy.error_rate_max, policy.false_pass) {
        Judgement::Good
    } else {
        Judgement::TooFew
    }
}

/// Returns what was learnt in a share, to be handed to [`judge`] in the next one.
pub(crate) fn learn(policy: &JudgePolicy, new: &ArmCounts, old: &ArmCounts, learnt: &[f64]) -> Vec<f64> {
    relative(policy.ratio_max, tally(new), tally(old), learnt)
}

/// Returns what was counted between two looks; `None` when the proxy began to count anew meanwhile.
pub(crate) fn since(mark: Option<&ArmCounts>, now: &ArmCounts) -> Option<ArmCounts> {
    let Some(mark) = mark else { return Some(now.clone()) };
    let latency = now
        .latency
        .iter()
        .enumerate()
        .map(|(index, count)| count.checked_sub(mark.latency.get(index).copied().unwrap_or(0)));
    Some(ArmCounts {
        release: now.release.clone(),
        requests: now.requests.checked_sub(mark.requests)?,
        failed: now.failed.checked_sub(mark.failed)?,
        timed_out: now.timed_out.checked_sub(mark.timed_out)?,
        graphql_failed: now.graphql_failed.checked_sub(mark.graphql_failed)?,
        latency: latency.collect::<Option<_>>()?,
        in_flight: now.in_flight,
    })
}

/// Returns how many requests there were, and how many were bad.
pub(crate) fn tally(counts: &ArmCounts) -> Tally {
    Tally { requests: counts.requests, bad: (counts.failed + counts.graphql_failed).min(counts.requests) }
}

/// Returns requests above the old release's p99 as bad ones; `None` when there are too few to tell.
fn slow(new: &ArmCounts, old: &ArmCounts) -> Option<(Tally, Tally)> {
    if old.requests < BASELINE_MIN || old.latency.len() <= LATENCY_BOUNDS_US.len() {
        return None;
    }
    let mut above = old.requests;
    let bucket = old.latency.iter().position(|count| {
        above = above.saturating_sub(*count);
        above * 100 <= old.requests
    })?;
    // One bucket more: the bound lies somewhere in the one that has the p99.
    let of = |counts: &ArmCounts| Tally {
        requests: counts.requests,
        bad: counts.latency.iter().skip(bucket + 2).sum(),
    };
    Some((of(new), of(old)))
}

/// Returns the logarithms of the likelihood ratios, one for each of [`RATIOS`].
fn relative(ratio_max: f64, new: Tally, old: Tally, learnt: &[f64]) -> Vec<f64> {
    let before = |index: usize| learnt.get(index).copied().unwrap_or(0.0);
    let all = float(new.requests + old.requests);
    if new.requests == 0 || old.requests == 0 {
        return (0..RATIOS.len()).map(before).collect();
    }
    let share = float(new.requests) / all;
    let of_new = |ratio: f64| ratio * share / (ratio * share + 1.0 - share);
    let none = of_new(ratio_max);
    let log = |ratio: f64| {
        let other = of_new(ratio);
        float(new.bad) * (other / none).ln() + float(old.bad) * ((1.0 - other) / (1.0 - none)).ln()
    };
    RATIOS.iter().enumerate().map(|(index, ratio)| before(index) + log(*ratio)).collect()
}

/// Returns the logarithm of the evidence that more than `limit` of the requests are bad.
fn absolute(limit: f64, tally: Tally) -> f64 {
    let (bad, good) = (float(tally.bad), float(tally.requests - tally.bad));
    let log = |rate: f64| bad * (rate / limit).ln() + good * ((1.0 - rate) / (1.0 - limit)).ln();
    mixed(&RATES.iter().filter(|rate| **rate > limit).map(|rate| log(*rate)).collect::<Vec<_>>())
}

/// Returns the logarithm of the mean of numbers given as logarithms.
fn mixed(logs: &[f64]) -> f64 {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !most.is_finite() {
        return f64::NEG_INFINITY;
    }
    let sum: f64 = logs.iter().map(|log| (log - most).exp()).sum();
    most + (sum / float(u64::try_from(logs.len()).unwrap_or(u64::MAX))).ln()
}

/// Returns true when so few bad ones would come with a probability of `false_pass` at most, were the
/// rate at the limit.
fn excludes(tally: Tally, limit: f64, false_pass: f64) -> bool {
    let (requests, mut sum) = (float(tally.requests), 0.0);
    let mut term = requests * (1.0 - limit).ln();
    for bad in 0..=tally.bad.min(10_000) {
        if bad > 0 {
            let bad = float(bad);
            term += ((requests - bad + 1.0) / bad).ln() + (limit / (1.0 - limit)).ln();
        }
        sum += term.exp();
        if sum > false_pass {
            return false;
        }
    }
    tally.requests > 0
}

fn rate(tally: Tally) -> f64 {
    float(tally.bad) / float(tally.requests.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests, far below 2^52")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(requests: u64, bad: u64) -> ArmCounts {
        ArmCounts { requests, failed: bad, ..ArmCounts::default() }
    }

    #[track_caller]
    fn check(new: (u64, u64), old: (u64, u64), expected: &str) {
        let judgement = judge(&JudgePolicy::default(), &counts(new.0, new.1), &counts(old.0, old.1), &[]);
        let told = match judgement {
            Judgement::Good => "good".to_owned(),
            Judgement::TooFew => "too few".to_owned(),
            Judgement::Bad(evidence) => format!("bad: {evidence}"),
            Judgement::Both(evidence) => format!("both: {evidence}"),
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn evidence_is_weighed_and_told() {
        check((0, 0), (0, 0), "too few");
        check((0, 0), (1_000, 10), "too few");
        check((58, 0), (1_100, 0), "too few");
        check((59, 0), (1_100, 0), "good");
        check((5, 5), (95, 0), "bad: new release 5 of 5 bad, old release 0 of 95, E = 1.9e4");
        check((210, 14), (4_010, 2), "bad: new release 14 of 210 bad, old release 2 of 4,010, E = 1.3e11");
        // One per cent in both is what this service is like.
        check((1_000, 12), (19_000, 190), "good");
        // Both fail: nobody is blamed.
        check(
            (100, 40),
            (1_900, 700),
            "both: new release 40 of 100 bad, old release 700 of 1,900, E = 5.6e22",
        );
        // Without another release the limit alone decides.
        check((100, 30), (0, 0), "bad: new release 30 of 100 bad, E = 1.9e13");
        check((1_000, 40), (0, 0), "too few");
    }

    #[test]
    fn slower_than_the_old_release_is_found_and_as_slow_is_not() {
        let with = |buckets: &[(usize, u64)]| {
            let mut latency = vec![0; LATENCY_BOUNDS_US.len() + 1];
            for (bucket, count) in buckets {
                latency[*bucket] = *count;
            }
            ArmCounts { requests: latency.iter().sum(), latency, ..ArmCounts::default() }
        };
        let old = with(&[(20, 9_950), (22, 50)]);
        let policy = JudgePolicy::default();
        assert_eq!(judge(&policy, &with(&[(20, 497), (22, 3)]), &old, &[]), Judgement::Good);
        let Judgement::Bad(evidence) = judge(&policy, &with(&[(20, 400), (26, 100)]), &old, &[]) else {
            panic!("a fifth of its answers are slow")
        };
        assert!(
            evidence.to_string().starts_with("new release 100 of 500 slow, old release 50 of 10,000"),
            "{evidence}"
        );
    }

    #[test]
    fn what_was_learnt_counts_on() {
        let policy = JudgePolicy::default();
        let (new, old) = (counts(50, 3), counts(950, 0));
        assert_eq!(judge(&policy, &new, &old, &[]), Judgement::TooFew);
        let learnt = learn(&policy, &new, &old, &[]);
        assert!(matches!(judge(&policy, &new, &old, &learnt), Judgement::Bad(_)));
    }

    #[test]
    fn counts_that_began_anew_are_no_difference() {
        assert_eq!(since(Some(&counts(10, 1)), &counts(9, 1)), None);
        assert_eq!(since(Some(&counts(10, 1)), &counts(12, 2)).unwrap().requests, 2);
        assert_eq!(since(None, &counts(12, 2)).unwrap().requests, 12);
    }
}
