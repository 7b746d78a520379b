//! What follows from what is seen: at most one change of the state at a time.
//!
//! Pure: the same state and the same observation give the same change. What is unknown changes
//! nothing: a share that nobody can judge stays, and goes back at the end of its time.

use fraiseql_model::traffic::{ArmCounts, GenerationOrigin};
use serde_json::{Value, json};

use crate::judge::{Judgement, judge, learn, since, tally};
use crate::observe::Observation;
use crate::state::{
    EndedRollout, GateOutcome, Hold, HoldReason, Phase, Previous, Reason, Rollout, RolloutOutcome, Service,
    Stage,
};

/// The fewest requests that tell whether failures went on after a rollback.
const AFTER_MIN: u64 = 20;

/// Another state, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The state from now on.
    pub service: Service,
    /// What has happened, in a few words.
    pub name: String,
    /// What it is based on.
    pub evidence: Value,
    /// The rollout that has ended with this.
    pub ended: Option<EndedRollout>,
}

/// Returns the next change; `None` when there is nothing to change now.
pub fn decide(service: &Service, seen: &Observation) -> Option<Transition> {
    match &service.rollout {
        Some(rollout) => {
            let deciding = Deciding { service, rollout, seen };
            deciding.overruled().or_else(|| match &rollout.phase {
                Phase::Going { step, stage, since_ms } => deciding.going(*step, *stage, *since_ms),
                Phase::Returning { reason, switched_ms, since_ms, .. } => {
                    deciding.returning(reason, *switched_ms, *since_ms)
                }
            })
        }
        None => at_rest(service, seen),
    }
}

fn at_rest(service: &Service, seen: &Observation) -> Option<Transition> {
    let previous = service.previous.as_ref()?;
    let stable = service.stable.as_deref()?;
    let overruled = seen.traffic.as_ref().is_some_and(|traffic| {
        traffic.origin == GenerationOrigin::Operator && traffic.stable == previous.release
    });
    if overruled {
        let mut service = service.clone();
        service.rollout = Some(return_from(stable, previous, seen.now_ms));
        let deciding = Deciding { service: &service, rollout: service.rollout.as_ref()?, seen };
        return Some(deciding.switched(Reason::OperatorAtProxy));
    }
    (seen.now_ms >= previous.until_ms).then(|| Transition {
        service: Service { previous: None, ..service.clone() },
        name: "the previous release is not kept any longer".to_owned(),
        evidence: json!({ "release": previous.release }),
        ended: None,
    })
}

/// Returns the rollout that leads from the stable release back to the one that is kept.
pub(crate) fn return_from(stable: &str, previous: &Previous, now_ms: u64) -> Rollout {
    let policy = crate::policy::Policy {
        strategy: crate::policy::Strategy::BlueGreen,
        instances: previous.instances,
        old_instances: previous.instances,
        ..crate::policy::Policy::default()
    };
    Rollout {
        id: 0,
        old: Some(previous.release.clone()),
        new: stable.to_owned(),
        policy,
        began_ms: now_ms,
        phase: Phase::Returning {
            reason: Reason::Operator,
            switched_ms: None,
            since_ms: now_ms,
            step: 0,
            stage: Stage::Watch,
        },
        hold: None,
        gates: std::collections::BTreeMap::new(),
        mark: Vec::new(),
        learnt: Vec::new(),
        promote: false,
    }
}

struct Deciding<'d> {
    service: &'d Service,
    rollout: &'d Rollout,
    seen: &'d Observation,
}

impl Deciding<'_> {
    /// Somebody else has moved traffic.
    fn overruled(&self) -> Option<Transition> {
        let traffic = self.seen.traffic.as_ref()?;
        let Phase::Going { step, stage, .. } = self.rollout.phase else { return None };
        let back = self.rollout.old.as_deref() == Some(traffic.stable.as_str());
        match traffic.origin {
            GenerationOrigin::Operator if back => Some(self.switched(Reason::OperatorAtProxy)),
            GenerationOrigin::LeaseEnded if back && !self.rollout.is_promoted(self.service) => {
                Some(self.go_back(Reason::LeaseEnded, step, stage))
            }
            _ => None,
        }
    }

    fn going(&self, step: usize, stage: Stage, since_ms: u64) -> Option<Transition> {
        let rollout = self.rollout;
        let new = self.seen.of(&rollout.new);
        if new.crashing {
            return Some(self.go_back(Reason::Crashing { said: new.said }, step, stage));
        }
        let plan = rollout.route();
        let here = *plan.steps.get(step)?;
        let waited = self.seen.now_ms.saturating_sub(since_ms);
        let traffic = self.seen.traffic.as_ref();
        let taken = traffic.is_some_and(|traffic| traffic.is_ours);
        match stage {
            Stage::Retreat => taken.then(|| self.next(step, stage)),
            Stage::Grow if new.ready >= here.new => Some(self.next(step, stage)),
            Stage::Grow if waited >= rollout.policy.progress_ms => {
                Some(self.go_back(Reason::NeverReady { said: new.said }, step, stage))
            }
            Stage::Grow => None,
            Stage::Prepare | Stage::Gates => self.gates(step, stage),
            Stage::Shift => (taken && self.seen.counts.is_some()).then(|| self.next(step, stage)),
            Stage::Drain => {
                let drained = traffic.is_some_and(|traffic| traffic.is_ours && traffic.draining == 0);
                (drained || waited >= rollout.policy.drain_ms).then(|| self.next(step, stage))
            }
            Stage::Shrink => {
                let old = rollout.old.as_deref().map(|old| self.seen.of(old).running).unwrap_or_default();
                (old <= here.old).then(|| self.next(step, stage))
            }
            Stage::Watch => self.watch(step, waited),
        }
    }

    fn gates(&self, step: usize, stage: Stage) -> Option<Transition> {
        let gates = &self.rollout.gates;
        if let Some((name, state)) = gates.iter().find(|(_, state)| state.outcome == GateOutcome::Failed) {
            let reason = Reason::Gate { name: name.clone(), evidence: state.evidence.clone() };
            return Some(self.go_back(reason, step, stage));
        }
        let all = self.rollout.next_gate().is_none();
        (all && self.rollout.hold.is_none()).then(|| self.next(step, stage))
    }

    fn watch(&self, step: usize, waited: u64) -> Option<Transition> {
        let rollout = self.rollout;
        let counts = self.seen.counts.as_ref()?;
        let (Some(new), Some(old)) = (self.since_mark(counts, &rollout.new), self.since_mark_of_old(counts))
        else {
            let mut service = self.service.clone();
            if let Some(rollout) = &mut service.rollout {
                rollout.mark.clone_from(counts);
            }
            return Some(change(service, "the proxy counts anew", json!({})));
        };
        let environment =
            rollout.hold.as_ref().is_some_and(|hold| matches!(hold.reason, HoldReason::Environment { .. }));
        let last = step + 1 >= rollout.route().steps.len();
        let time = if last { rollout.policy.bake_ms } else { rollout.policy.step_ms };
        match judge(&rollout.policy.judge, &new, &old, &rollout.learnt) {
            Judgement::Both(_) if environment => None,
            Judgement::Both(evidence) => {
                let mut service = self.service.clone();
                if let Some(rollout) = &mut service.rollout {
                    let reason = HoldReason::Environment { evidence: evidence.clone() };
                    rollout.hold = Some(Hold { reason, since_ms: self.seen.now_ms });
                }
                Some(change(service, "both releases fail: the environment is to blame", json!(evidence)))
            }
            Judgement::Bad(_) if environment => None,
            Judgement::Bad(evidence) => Some(self.go_back(Reason::Judged { evidence }, step, Stage::Watch)),
            _ if rollout.hold.is_some() => None,
            _ if rollout.promote => Some(self.next(step, Stage::Watch)),
            Judgement::Good if waited >= time => Some(self.next(step, Stage::Watch)),
            // With all of the traffic, few requests are what this service has.
            Judgement::TooFew if last && waited >= time => Some(self.next(step, Stage::Watch)),
            Judgement::TooFew if waited >= rollout.policy.blind_ms.max(time) => {
                Some(self.go_back(Reason::Blind { requests: new.requests }, step, Stage::Watch))
            }
            Judgement::Good | Judgement::TooFew => None,
        }
    }

    fn since_mark(&self, counts: &[ArmCounts], release: &str) -> Option<ArmCounts> {
        let find = |counts: &[ArmCounts]| counts.iter().find(|arm| arm.release == release).cloned();
        let now = find(counts).unwrap_or_default();
        since(find(&self.rollout.mark).as_ref(), &now)
    }

    fn since_mark_of_old(&self, counts: &[ArmCounts]) -> Option<ArmCounts> {
        match &self.rollout.old {
            Some(old) => self.since_mark(counts, old),
            None => Some(ArmCounts::default()),
        }
    }

    /// Goes on to the stage after `stage`, to the next step, or to the end.
    fn next(&self, step: usize, stage: Stage) -> Transition {
        let plan = self.rollout.route();
        let order = Stage::order(&plan, step);
        let after =
            order.iter().position(|found| *found == stage).and_then(|place| order.get(place + 1).copied());
        let last = step + 1 >= plan.steps.len();
        let (step, stage) = match after {
            Some(stage) => (step, stage),
            None if last => return self.promoted(),
            None => (step + 1, Stage::order(&plan, step + 1).first().copied().unwrap_or(Stage::Grow)),
        };
        let mut service = self.service.clone();
        let now_ms = self.seen.now_ms;
        let share = plan.steps.get(step).map_or(0, |step| step.share);
        let has_all = stage == Stage::Shift || (stage == Stage::Retreat && plan.steps[step].old == 0);
        if has_all && share == 100 {
            service.stable = Some(self.rollout.new.clone());
            let kept = plan.steps.get(step).map_or(0, |step| step.old);
            service.previous = self.rollout.old.clone().filter(|_| kept > 0).map(|release| Previous {
                release,
                instances: kept,
                until_ms: u64::MAX,
            });
            service.instances = self.rollout.policy.instances;
        }
        if let Some(rollout) = &mut service.rollout {
            if stage == Stage::Watch {
                rollout.mark = self.seen.counts.clone().unwrap_or_default();
            }
            if after.is_none() {
                rollout.promote = false;
                rollout.learnt = self.learnt();
            }
            rollout.phase = Phase::Going { step, stage, since_ms: now_ms };
        }
        let name = match stage {
            Stage::Shift => format!("{share} % of the traffic for the new release"),
            Stage::Watch => format!("watching the new release with {share} %"),
            other => other.as_str().to_owned(),
        };
        change(service, &name, json!({ "step": step, "stage": stage }))
    }

    fn learnt(&self) -> Vec<f64> {
        let rollout = self.rollout;
        let Some(counts) = &self.seen.counts else { return rollout.learnt.clone() };
        match (self.since_mark(counts, &rollout.new), self.since_mark_of_old(counts)) {
            (Some(new), Some(old)) => learn(&rollout.policy.judge, &new, &old, &rollout.learnt),
            _ => rollout.learnt.clone(),
        }
    }

    fn promoted(&self) -> Transition {
        let mut service = self.service.clone();
        if let Some(previous) = &mut service.previous {
            previous.until_ms = self.seen.now_ms.saturating_add(self.rollout.policy.keep_ms);
        }
        let new = self.rollout.new.clone();
        service.rolled_back.retain(|release| *release != new);
        self.end(service, RolloutOutcome::Promoted)
    }

    /// Begins the way back.
    fn go_back(&self, reason: Reason, step: usize, stage: Stage) -> Transition {
        let mut service = self.service.clone();
        let evidence = json!(reason);
        let name = format!("going back: {reason}");
        let now_ms = self.seen.now_ms;
        if let Some(rollout) = &mut service.rollout {
            rollout.hold = None;
            rollout.phase = Phase::Returning { reason, switched_ms: None, since_ms: now_ms, step, stage };
        }
        change(service, &name, evidence)
    }

    fn returning(&self, reason: &Reason, switched_ms: Option<u64>, since_ms: u64) -> Option<Transition> {
        let rollout = self.rollout;
        let Some(old) = &rollout.old else {
            let service = Service { stable: None, previous: None, ..self.service.clone() };
            return Some(self.end(service, RolloutOutcome::Failed { reason: reason.clone() }));
        };
        let waited = self.seen.now_ms.saturating_sub(since_ms);
        let Some(switched_ms) = switched_ms else {
            let ready = self.seen.of(old).ready;
            let serves = self
                .seen
                .traffic
                .as_ref()
                .is_some_and(|traffic| traffic.shares.get(old).is_some_and(|share| *share > 0));
            let kept = self.service.previous.as_ref().is_some_and(|previous| previous.release == *old);
            let whole = ready >= rollout.policy.old_instances;
            let late = waited >= rollout.policy.progress_ms && ready > 0;
            // What serves, or is kept to serve, takes everything back at once, ready or not: waiting
            // would leave the traffic where it fails.
            return (serves || kept || whole || late).then(|| self.switched(reason.clone()));
        };
        let traffic = self.seen.traffic.as_ref()?;
        let drained = traffic.is_ours && traffic.draining == 0;
        let since_switch = self.seen.now_ms.saturating_sub(switched_ms);
        let watched = since_switch >= rollout.policy.after_ms;
        if !watched || !(drained || since_switch >= rollout.policy.drain_ms) {
            return None;
        }
        let counts = self.seen.counts.clone().unwrap_or_default();
        let after = self.since_mark(&counts, old).map(|counts| tally(&counts)).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "counts of requests, far below 2^52")]
        let rate = after.bad as f64 / after.requests.max(1) as f64;
        let still_failing = after.requests >= AFTER_MIN && rate > rollout.policy.judge.error_rate_max;
        let mut service = self.service.clone();
        service.remember_rolled_back(&rollout.new);
        Some(self.end(service, RolloutOutcome::RolledBack { reason: reason.clone(), still_failing }))
    }

    /// All traffic is for the old release from now on.
    fn switched(&self, reason: Reason) -> Transition {
        let mut service = self.service.clone();
        let now_ms = self.seen.now_ms;
        service.stable.clone_from(&self.rollout.old);
        service.previous = None;
        service.instances = self.rollout.policy.old_instances;
        let (step, stage) = match self.rollout.phase {
            Phase::Going { step, stage, .. } | Phase::Returning { step, stage, .. } => (step, stage),
        };
        if let Some(rollout) = &mut service.rollout {
            rollout.hold = None;
            rollout.mark = self.seen.counts.clone().unwrap_or_default();
            rollout.phase = Phase::Returning {
                reason: reason.clone(),
                switched_ms: Some(now_ms),
                since_ms: now_ms,
                step,
                stage,
            };
        }
        change(service, "all traffic for the old release", json!(reason))
    }

    fn end(&self, mut service: Service, outcome: RolloutOutcome) -> Transition {
        let ended = EndedRollout { id: self.rollout.id, release: self.rollout.new.clone(), outcome };
        service.rollout = None;
        service.last = Some(ended.clone());
        let name = ended.outcome.to_string();
        Transition { service, name, evidence: json!(ended.outcome), ended: Some(ended) }
    }
}

fn change(service: Service, name: &str, evidence: Value) -> Transition {
    Transition { service, name: name.to_owned(), evidence, ended: None }
}
