//! What a service is doing, as it is written down: which release is stable, and the rollout under way.

use std::collections::BTreeMap;
use std::fmt;

use fraiseql_model::traffic::{ArmCounts, TrafficGate};
use serde::{Deserialize, Serialize};

use crate::judge::{Blame, Tally, since, tally};
use crate::policy::{Policy, Route};

/// The version of [`Service`] that this program writes, and the newest that it reads.
pub const SERVICE_FORMAT: u32 = 2;

/// Releases that were rolled back and are remembered.
const ROLLED_BACK_MAX: usize = 100;

/// A service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// [`SERVICE_FORMAT`].
    pub format: u32,
    /// The release that gets all traffic when nobody says otherwise; `None` before the first one.
    pub stable: Option<String>,
    /// The release before it, while its instances are kept.
    pub previous: Option<Previous>,
    /// How many instances of the stable release there are.
    pub instances: u32,
    /// What is under way.
    pub rollout: Option<Rollout>,
    /// Releases that were rolled back: they are deployed again only when somebody says so.
    pub rolled_back: Vec<String>,
    /// How the last rollout ended.
    pub last: Option<EndedRollout>,
    /// Whether requests are let through.
    pub gate: TrafficGate,
    /// Whether mutations are refused; programs before format 2 knew none of it.
    #[serde(default)]
    pub read_only: bool,
}

/// A release that is kept to go back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Previous {
    /// The release.
    pub release: String,
    /// How many instances of it run.
    pub instances: u32,
    /// Until when, in milliseconds since the epoch of Unix.
    pub until_ms: u64,
}

/// A rollout under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// Its number in the journal.
    pub id: i64,
    /// The release that was stable; `None` for the first one.
    pub old: Option<String>,
    /// The release that shall be.
    pub new: String,
    /// How.
    pub policy: Policy,
    /// When it began, in milliseconds since the epoch of Unix.
    pub began_ms: u64,
    /// Where it is.
    pub phase: Phase,
    /// Somebody, or something, wants it to stay where it is.
    pub hold: Option<Hold>,
    /// What was found before traffic.
    pub gates: BTreeMap<String, GateState>,
    /// What the proxy had counted when the present share began.
    pub mark: Vec<ArmCounts>,
    /// What the judge has learnt from earlier shares.
    pub learnt: Vec<f64>,
    /// An operator wants the next share without waiting.
    pub promote: bool,
}

/// Where a rollout is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case", deny_unknown_fields)]
pub enum Phase {
    /// On its way.
    Going {
        /// Index of the step.
        step: usize,
        /// What of the step.
        stage: Stage,
        /// Since when, in milliseconds since the epoch of Unix.
        since_ms: u64,
    },
    /// On its way back.
    Returning {
        /// Why.
        reason: Reason,
        /// When traffic was back on the old release; `None` while it waits for instances.
        switched_ms: Option<u64>,
        /// Since when.
        since_ms: u64,
        /// The step it came from.
        step: usize,
        /// What of that step.
        stage: Stage,
    },
}

/// A part of a step. Which ones there are, and in which order, depends on the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// What must be passed before any instance of the new release starts.
    Prepare,
    /// Old instances that go get no new requests.
    Retreat,
    /// New instances start and become ready.
    Grow,
    /// What must be passed before any traffic.
    Gates,
    /// Traffic moves.
    Shift,
    /// Requests of old instances that go come to their end.
    Drain,
    /// Old instances go.
    Shrink,
    /// The new release is watched.
    Watch,
}

/// Why a rollout stays where it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Why.
    pub reason: HoldReason,
    /// Since when, in milliseconds since the epoch of Unix.
    pub since_ms: u64,
}

/// Who or what holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "hold", rename_all = "snake_case", deny_unknown_fields)]
pub enum HoldReason {
    /// An operator.
    Operator,
    /// Both releases fail: the environment is to blame, and the new release has no traffic meanwhile.
    Environment {
        /// What was seen.
        evidence: Blame,
    },
}

/// What came of a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateState {
    /// Passed or not.
    pub outcome: GateOutcome,
    /// What was found.
    pub evidence: String,
}

/// Passed or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateOutcome {
    /// It was looked at, and is well.
    Passed,
    /// It was looked at, and is not.
    Failed,
    /// It could not be looked at: that is never well, and does not stop the rollout.
    NotAvailable,
}

/// Why a rollout went back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case", deny_unknown_fields)]
pub enum Reason {
    /// An operator wanted it.
    Operator,
    /// An operator asked the proxy, without us.
    OperatorAtProxy,
    /// The judge has seen enough.
    Judged {
        /// What it has seen.
        evidence: Blame,
    },
    /// Its instances end again and again, or do not start.
    Crashing {
        /// What they said.
        said: String,
    },
    /// Its instances were not ready in time.
    NeverReady {
        /// What they said.
        said: String,
    },
    /// A gate was not passed.
    Gate {
        /// Which.
        name: String,
        /// What was found.
        evidence: String,
    },
    /// There were too few requests to judge.
    Blind {
        /// How many.
        requests: u64,
    },
    /// Nobody renewed its shares, and the proxy gave them back.
    LeaseEnded,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("an operator wanted it"),
            Self::OperatorAtProxy => f.write_str("an operator rolled back at the proxy"),
            Self::Judged { evidence } => write!(f, "{evidence}"),
            Self::Crashing { said } => write!(f, "its instances do not stay up: {said}"),
            Self::NeverReady { said } => write!(f, "its instances were not ready in time: {said}"),
            Self::Gate { name, evidence } => write!(f, "{name} failed: {evidence}"),
            Self::Blind { requests } => write!(f, "{requests} requests were too few to judge it"),
            Self::LeaseEnded => f.write_str("nobody renewed its share of the traffic"),
        }
    }
}

/// A rollout that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndedRollout {
    /// Its number in the journal.
    pub id: i64,
    /// The release that it was about.
    pub release: String,
    /// How it ended.
    pub outcome: RolloutOutcome,
}

/// How a rollout ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case", deny_unknown_fields)]
pub enum RolloutOutcome {
    /// The new release is stable.
    Promoted,
    /// The old release has all traffic again.
    RolledBack {
        /// Why.
        reason: Reason,
        /// True when requests went on failing without the new release: it was not the cause.
        still_failing: bool,
    },
    /// The first release did not come up: nothing is served.
    Failed {
        /// Why.
        reason: Reason,
    },
}

impl fmt::Display for RolloutOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Promoted => f.write_str("promoted"),
            Self::RolledBack { reason, still_failing: false } => write!(f, "rolled back: {reason}"),
            Self::RolledBack { reason, still_failing: true } => {
                write!(f, "rolled back: {reason}; requests go on failing, so the release was not the cause")
            }
            Self::Failed { reason } => write!(f, "failed: {reason}"),
        }
    }
}

impl Service {
    /// Returns a service that serves nothing yet.
    pub fn new(instances: u32) -> Self {
        Self {
            format: SERVICE_FORMAT,
            stable: None,
            previous: None,
            instances,
            rollout: None,
            rolled_back: Vec::new(),
            last: None,
            read_only: false,
            gate: TrafficGate::Open,
        }
    }

    pub(crate) fn remember_rolled_back(&mut self, release: &str) {
        self.rolled_back.retain(|known| known != release);
        self.rolled_back.push(release.to_owned());
        let surplus = self.rolled_back.len().saturating_sub(ROLLED_BACK_MAX);
        self.rolled_back.drain(..surplus);
    }
}

impl Service {
    /// Returns the releases that must stay on the machine, each with why.
    pub fn needed(&self) -> BTreeMap<&str, &'static str> {
        let mut needed = BTreeMap::new();
        if let Some(rollout) = &self.rollout {
            needed.extend(rollout.old.as_deref().map(|old| (old, "a rollout leads from it")));
            needed.insert(&rollout.new, "a rollout is about it");
        }
        needed
            .extend(self.previous.as_ref().map(|kept| (kept.release.as_str(), "it is kept for a rollback")));
        needed.extend(self.stable.as_deref().map(|stable| (stable, "it is served")));
        needed
    }
}

impl Rollout {
    /// Returns the next gate that nobody has looked at, of those of the present stage.
    pub fn next_gate(&self) -> Option<&str> {
        let Phase::Going { stage, .. } = self.phase else { return None };
        self.gates_until(stage).find(|name| !self.gates.contains_key(*name))
    }

    /// Returns the gates that must be passed by the end of a stage.
    pub(crate) fn gates_until(&self, stage: Stage) -> impl Iterator<Item = &str> {
        let prepare = matches!(stage, Stage::Prepare | Stage::Gates).then_some(&self.policy.prepare);
        let gates = (stage == Stage::Gates).then_some(&self.policy.gates);
        prepare.into_iter().chain(gates).flatten().map(String::as_str)
    }

    /// Returns its way.
    pub fn route(&self) -> Route {
        self.policy.route(self.old.is_some())
    }

    /// Returns what came of the requests of the new and of the old release since the present share began.
    pub fn tallies(&self, counts: &[ArmCounts]) -> (Tally, Tally) {
        let find =
            |counts: &[ArmCounts], release: &str| counts.iter().find(|arm| arm.release == release).cloned();
        let of = |release: &str| {
            let now = find(counts, release).unwrap_or_default();
            since(find(&self.mark, release).as_ref(), &now).map(|counts| tally(&counts)).unwrap_or_default()
        };
        (of(&self.new), self.old.as_deref().map(of).unwrap_or_default())
    }

    /// Returns true when the new release is the stable one already.
    pub fn is_promoted(&self, service: &Service) -> bool {
        service.stable.as_deref() == Some(self.new.as_str())
    }
}

impl Stage {
    /// Returns the stages of a step in their order.
    pub(crate) fn order(plan: &Route, step: usize) -> Vec<Self> {
        let mut order = if plan.surge {
            vec![Self::Grow, Self::Gates, Self::Shift, Self::Drain, Self::Shrink, Self::Watch]
        } else {
            vec![Self::Retreat, Self::Drain, Self::Shrink, Self::Grow, Self::Gates, Self::Shift, Self::Watch]
        };
        order.retain(|stage| *stage != Self::Gates || step == 0);
        if plan.prepared && step == 0 {
            order.insert(0, Self::Prepare);
        }
        order
    }

    /// Returns it in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "preparing",
            Self::Retreat => "taking instances out",
            Self::Grow => "starting instances",
            Self::Gates => "gates",
            Self::Shift => "moving traffic",
            Self::Drain => "draining",
            Self::Shrink => "stopping instances",
            Self::Watch => "watching",
        }
    }
}
