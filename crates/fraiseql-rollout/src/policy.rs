//! What is wanted of a rollout: the strategy, its steps, its limits.

use std::fmt;

use fraiseql_model::traffic::Sticky;
use fraiseql_model::traffic_driver::TrafficNeed;
use serde::{Deserialize, Serialize};

use crate::judge::JudgePolicy;

/// How traffic gets to the new release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// All instances of the new release start, then all traffic moves at once.
    BlueGreen,
    /// Traffic moves in shares, each of them watched.
    Canary,
    /// Instances are replaced one after the other.
    Rolling,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BlueGreen => "blue-green",
            Self::Canary => "canary",
            Self::Rolling => "rolling",
        })
    }
}

/// All of it. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// How traffic gets to the new release.
    pub strategy: Strategy,
    /// Instances of the new release when it has all traffic.
    pub instances: u32,
    /// Instances that the old release has; a deployment sets it from what runs.
    pub old_instances: u32,
    /// Of a canary: the shares in percent, the last of them 100.
    pub shares: Vec<u8>,
    /// Of a rolling update: how many instances are replaced at a time.
    pub batch: u32,
    /// How long each share is watched before the next one.
    pub step_ms: u64,
    /// How long the new release is watched when it has all traffic.
    pub bake_ms: u64,
    /// How long the old release is kept after that, ready to take traffic back.
    pub keep_ms: u64,
    /// How long instances may take to become ready.
    pub progress_ms: u64,
    /// How long requests of an instance that goes may take.
    pub drain_ms: u64,
    /// How long a share without enough requests to judge is waited upon.
    pub blind_ms: u64,
    /// How long the stable release is watched after a rollback.
    pub after_ms: u64,
    /// How long shares hold when nobody renews them; 0 is for ever.
    pub lease_ms: u64,
    /// What counts as bad, and how sure it must be.
    pub judge: JudgePolicy,
    /// What must be passed before its instances start; programs before format 2 knew none of it.
    #[serde(default)]
    pub prepare: Vec<String>,
    /// What must be passed before any traffic.
    pub gates: Vec<String>,
}

/// A part of the way: so many instances of either release, and the new one's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Instances of the old release.
    pub old: u32,
    /// Instances of the new release.
    pub new: u32,
    /// The share of the new release in percent.
    pub share: u8,
}

/// The way of a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its steps; in the last one the new release has all traffic.
    pub steps: Vec<Step>,
    /// True when new instances start before old ones go.
    pub surge: bool,
    /// True when something must be passed before the first instance starts.
    pub prepared: bool,
}

impl Policy {
    /// Returns the way from an old release, if there is one, to a new one.
    pub fn route(&self, has_old: bool) -> Route {
        let (steps, surge) = self.steps(has_old);
        Route { steps, surge, prepared: !self.prepare.is_empty() }
    }

    fn steps(&self, has_old: bool) -> (Vec<Step>, bool) {
        let all = self.instances.max(1);
        if !has_old {
            return (vec![Step { old: 0, new: all, share: 100 }], true);
        }
        let old = self.old_instances.max(1);
        let whole = Step { old, new: all, share: 100 };
        match self.strategy {
            Strategy::BlueGreen => (vec![whole], true),
            Strategy::Canary => {
                let part = |share: &u8| Step { old, new: of(all, *share), share: *share };
                let mut steps: Vec<Step> =
                    self.shares.iter().filter(|share| **share < 100).map(part).collect();
                steps.push(whole);
                (steps, true)
            }
            Strategy::Rolling => {
                let batch = self.batch.clamp(1, all);
                let mut steps = Vec::new();
                let mut new = 0;
                while new < all {
                    new = (new + batch).min(all);
                    let left = if new == all { 0 } else { old.saturating_sub(new).max(1) };
                    steps.push(Step { old: left, new, share: percent(new, all) });
                }
                // Alone it must not go before its successor has come.
                (steps, batch == all)
            }
        }
    }

    /// Returns what it needs of the one who shares out traffic, with an old release or without one.
    pub fn needs(&self, has_old: bool, sticky: &Sticky) -> Vec<TrafficNeed> {
        if !self.route(has_old).steps.iter().any(|step| step.share < 100) {
            return Vec::new();
        }
        let lease = (self.lease_ms > 0).then_some(TrafficNeed::Lease);
        let sticky = (*sticky != Sticky::None).then_some(TrafficNeed::Sticky);
        [Some(TrafficNeed::Shares), lease, sticky].into_iter().flatten().collect()
    }

    /// Returns what is wrong with it, as a fragment of a sentence.
    ///
    /// # Errors
    ///
    /// When there is no instance, and when shares do not rise.
    pub fn check(&self) -> Result<(), String> {
        if self.instances == 0 {
            return Err("there must be an instance".to_owned());
        }
        if self.shares.iter().any(|share| !(1..=100).contains(share)) {
            return Err("a share is a percentage from 1 to 100".to_owned());
        }
        if !self.shares.is_sorted_by(|left, right| left < right) {
            return Err("each share must be greater than the one before".to_owned());
        }
        Ok(())
    }
}

/// Returns how many of `all` are that share, at least one.
fn of(all: u32, share: u8) -> u32 {
    (all * u32::from(share)).div_ceil(100).max(1)
}

fn percent(part: u32, all: u32) -> u8 {
    u8::try_from(part * 100 / all.max(1)).unwrap_or(100)
}

impl Default for Policy {
    /// The guide's: a canary of 5, 25 and 100 % that takes about an hour, the old release kept for a day.
    fn default() -> Self {
        const MINUTE: u64 = 60_000;
        Self {
            strategy: Strategy::Canary,
            instances: 1,
            old_instances: 1,
            shares: vec![5, 25, 100],
            batch: 1,
            step_ms: 20 * MINUTE,
            bake_ms: 20 * MINUTE,
            keep_ms: 24 * 60 * MINUTE,
            progress_ms: 10 * MINUTE,
            drain_ms: 30_000,
            blind_ms: 60 * MINUTE,
            after_ms: 10_000,
            lease_ms: 15_000,
            judge: JudgePolicy::default(),
            prepare: Vec::new(),
            gates: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        strategy: Strategy,
        instances: u32,
        batch: u32,
        has_old: bool,
        expected: &[(u32, u32, u8)],
        surge: bool,
    ) {
        let policy = Policy { strategy, instances, old_instances: instances, batch, ..Policy::default() };
        policy.check().unwrap();
        let plan = policy.route(has_old);
        let steps: Vec<_> = plan.steps.iter().map(|step| (step.old, step.new, step.share)).collect();
        assert_eq!((steps.as_slice(), plan.surge), (expected, surge));
    }

    #[test]
    fn the_ways_are_those_of_the_guide() {
        check(Strategy::BlueGreen, 3, 1, true, &[(3, 3, 100)], true);
        check(Strategy::Canary, 3, 1, true, &[(3, 1, 5), (3, 1, 25), (3, 3, 100)], true);
        check(Strategy::Canary, 20, 1, true, &[(20, 1, 5), (20, 5, 25), (20, 20, 100)], true);
        check(Strategy::Rolling, 3, 1, true, &[(2, 1, 33), (1, 2, 66), (0, 3, 100)], false);
        check(Strategy::Rolling, 5, 2, true, &[(3, 2, 40), (1, 4, 80), (0, 5, 100)], false);
        // One instance alone: a second one comes first.
        check(Strategy::Rolling, 1, 1, true, &[(0, 1, 100)], true);
        // What runs already stays as it is.
        let grown = Policy { instances: 4, old_instances: 2, ..Policy::default() }.route(true);
        assert_eq!(
            grown.steps.iter().map(|step| (step.old, step.new)).collect::<Vec<_>>(),
            [(2, 1), (2, 1), (2, 4)]
        );
        // The first release has nobody to share with.
        check(Strategy::Canary, 2, 1, false, &[(0, 2, 100)], true);
    }

    #[test]
    fn shares_must_rise() {
        let with = |shares: &[u8]| Policy { shares: shares.to_vec(), ..Policy::default() }.check();
        assert!(with(&[5, 25, 100]).is_ok() && with(&[]).is_ok());
        assert_eq!(with(&[25, 5]).unwrap_err(), "each share must be greater than the one before");
        assert!(with(&[0, 100]).is_err() && with(&[101]).is_err());
    }
}
