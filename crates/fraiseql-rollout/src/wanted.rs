//! What is wanted, absolutely: instances and traffic that follow from the state alone.

use std::collections::BTreeMap;

use fraiseql_model::traffic::TrafficGate;

use crate::policy::{Route, Step};
use crate::state::{HoldReason, Phase, Rollout, Service, Stage};

/// What is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// How many instances of each release run.
    pub fleet: BTreeMap<String, u32>,
    /// How traffic is shared; `None` while there is nothing to serve.
    pub traffic: Option<WantedTraffic>,
}

/// How traffic is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedTraffic {
    /// The stable release.
    pub stable: String,
    /// The release that a rollback leads to.
    pub previous: Option<String>,
    /// Share in percent, and how many of the instances get new requests, by release.
    pub arms: BTreeMap<String, (u8, u32)>,
    /// How long it holds when nobody renews it, in milliseconds; `None`: for ever.
    pub lease_ms: Option<u64>,
    /// Whether requests are let through.
    pub gate: TrafficGate,
}

/// How far both releases are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reached {
    old_running: u32,
    old_serving: u32,
    new_running: u32,
    new_serving: u32,
    share: u8,
}

/// Returns what is wanted of a service in this state.
pub fn wanted(service: &Service) -> Wanted {
    let mut wanted = Wanted::default();
    let mut arms: BTreeMap<String, (u8, u32)> = BTreeMap::new();
    let mut leased = None;
    if let Some(stable) = &service.stable {
        wanted.fleet.insert(stable.clone(), service.instances);
        arms.insert(stable.clone(), (100, service.instances));
    }
    if let Some(previous) = &service.previous {
        wanted.fleet.insert(previous.release.clone(), previous.instances);
        arms.insert(previous.release.clone(), (0, previous.instances));
    }
    if let Some(rollout) = &service.rollout {
        let reached = reached(rollout, service);
        if let Some(old) = &rollout.old {
            wanted.fleet.insert(old.clone(), reached.old_running);
            arms.insert(old.clone(), (100 - reached.share, reached.old_serving));
        }
        wanted.fleet.insert(rollout.new.clone(), reached.new_running);
        arms.insert(rollout.new.clone(), (reached.share, reached.new_serving));
        if (1..100).contains(&reached.share) && rollout.policy.lease_ms > 0 {
            leased = Some(rollout.policy.lease_ms);
        }
    }
    wanted.fleet.retain(|_, count| *count > 0);
    arms.retain(|release, _| wanted.fleet.contains_key(release));
    let Some(stable) = service.stable.clone() else { return wanted };
    if arms.contains_key(&stable) {
        let previous = service.previous.as_ref().map(|previous| previous.release.clone());
        let previous = previous.filter(|release| arms.contains_key(release) && *release != stable);
        wanted.traffic =
            Some(WantedTraffic { stable, previous, arms, lease_ms: leased, gate: service.gate.clone() });
    }
    wanted
}

fn reached(rollout: &Rollout, service: &Service) -> Reached {
    let plan = rollout.route();
    let all = rollout.policy.old_instances;
    match &rollout.phase {
        Phase::Going { step, stage, .. } => {
            let mut reached = going(&plan, all, *step, *stage);
            if matches!(&rollout.hold, Some(hold) if matches!(hold.reason, HoldReason::Environment { .. }))
                && !rollout.is_promoted(service)
            {
                reached.share = 0;
            }
            reached
        }
        Phase::Returning { switched_ms, step, stage, .. } => {
            let came_from = going(&plan, all, *step, *stage);
            let (old_running, old_serving) = match rollout.old {
                Some(_) => (all, all),
                None => (0, 0),
            };
            // Until the old release has all traffic, the new one keeps what it has.
            match switched_ms {
                Some(_) => Reached {
                    old_running,
                    old_serving,
                    new_running: came_from.new_running,
                    new_serving: 0,
                    share: 0,
                },
                None => Reached { old_running, old_serving, ..came_from },
            }
        }
    }
}

/// Returns how far both are in that stage of that step.
fn going(plan: &Route, all: u32, step: usize, stage: Stage) -> Reached {
    let last = plan.steps.len().saturating_sub(1);
    let here = plan.steps[step.min(last)];
    let before = match step {
        0 => Step { old: all, new: 0, share: 0 },
        step => plan.steps[(step - 1).min(last)],
    };
    let order = Stage::order(plan, step);
    let place = |stage: Stage| order.iter().position(|found| *found == stage);
    let now = place(stage).unwrap_or(0);
    let reached = |stage: Stage| place(stage).is_some_and(|place| place <= now);
    let shifted = reached(Stage::Shift);
    let old_serving = if shifted || reached(Stage::Retreat) { here.old } else { before.old };
    Reached {
        old_running: if reached(Stage::Shrink) { here.old } else { before.old },
        old_serving,
        new_running: if reached(Stage::Grow) { here.new } else { before.new },
        new_serving: if shifted { here.new } else { before.new },
        // Without an old instance that serves, the new ones have it all.
        share: if shifted || (old_serving == 0 && step > 0) { here.share } else { before.share },
    }
}
