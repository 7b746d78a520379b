//! What an operator wants: a change of the state, or the reason why it cannot be. Pure.

use std::collections::BTreeMap;

use fraiseql_model::errors::{self, ErrorCode};
use fraiseql_model::traffic::{Sticky, TrafficGate};
use fraiseql_model::traffic_driver::TrafficDriver;
use serde::{Deserialize, Serialize};
use serde_json::json;
use thiserror::Error;

use crate::decide::{Transition, return_from};
use crate::policy::Policy;
use crate::state::{Hold, HoldReason, Phase, Reason, Rollout, Service, Stage};

/// What an operator wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Another release shall be stable.
    Deploy {
        /// Which.
        release: String,
        /// How.
        policy: Box<Policy>,
        /// Also when it was rolled back before.
        again: bool,
    },
    /// Stay where you are.
    Hold,
    /// Go on.
    Resume,
    /// Go on to the next share without waiting.
    Promote,
    /// Go back to the stable release.
    Abort,
    /// Go back to the release that was stable before.
    Rollback,
    /// Let requests through, let them wait, or refuse them.
    Gate {
        /// Which of these.
        gate: TrafficGate,
    },
    /// Refuse mutations, and let everything else through.
    ReadOnly,
}

/// Why a command cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// A rollout is under way.
    #[error("deploy {release}: a rollout of {other} is under way")]
    Busy {
        /// What was to be deployed.
        release: String,
        /// What is being deployed.
        other: String,
    },
    /// It is stable already.
    #[error("deploy {release}: it is the stable release already")]
    Stable {
        /// The release.
        release: String,
    },
    /// It was rolled back before.
    #[error("deploy {release}: it was rolled back before")]
    RolledBackBefore {
        /// The release.
        release: String,
    },
    /// The policy contradicts itself.
    #[error("deploy: {reason}")]
    Policy {
        /// What is wrong with it.
        reason: String,
    },
    /// Whoever shares out traffic cannot do it.
    #[error("move traffic with {driver}: it cannot do this: {lacks}")]
    Lacks {
        /// Who.
        driver: &'static str,
        /// What it would have to do.
        lacks: String,
    },
    /// Nothing is under way.
    #[error("{wanted}: no rollout is under way")]
    NothingUnderWay {
        /// What was wanted.
        wanted: &'static str,
    },
    /// It is on its way back already.
    #[error("{wanted}: it is on its way back already")]
    Returning {
        /// What was wanted.
        wanted: &'static str,
    },
    /// There is no release to go back to.
    #[error("roll back: no earlier release is kept")]
    NothingBefore,
}

impl CommandError {
    /// Returns the code for users.
    pub fn code(&self) -> &'static ErrorCode {
        match self {
            Self::Busy { .. } => &errors::DEP_BUSY,
            Self::Stable { .. } => &errors::DEP_STABLE,
            Self::RolledBackBefore { .. } => &errors::DEP_AGAIN,
            Self::Policy { .. } => &errors::DEP_POLICY,
            Self::NothingUnderWay { .. } | Self::Returning { .. } => &errors::DEP_NOTHING,
            Self::Lacks { .. } => &errors::PXY_DRIVER_LACKS,
            Self::NothingBefore => &errors::PXY_NOTHING_BEFORE,
        }
    }

    /// Returns what to type.
    pub fn hint(&self) -> String {
        match self {
            Self::Busy { .. } => {
                "look with `fraiseql status`; `fraiseql abort` ends it, `fraiseql deploy --supersede` does both".to_owned()
            }
            Self::Stable { .. } => "change something: another release has another identifier".to_owned(),
            Self::RolledBackBefore { .. } => {
                "find out why with `fraiseql history`; `fraiseql deploy --again` deploys it nevertheless".to_owned()
            }
            Self::Policy { .. } => "for example `--strategy canary --steps 5,25,100`".to_owned(),
            Self::NothingUnderWay { .. } | Self::Returning { .. } => "look with `fraiseql status`".to_owned(),
            Self::Lacks { .. } => {
                "use the built-in proxy, or a plan without it: `fraiseql deploy --strategy blue-green`, or \
                 `--no-lease` when shares may outlive an agent that is gone"
                    .to_owned()
            }
            Self::NothingBefore => {
                "deploy the release that shall serve: `fraiseql deploy --release ID --strategy blue-green`".to_owned()
            }
        }
    }
}

impl Command {
    /// Fails when it needs what the one who shares out traffic cannot do.
    pub(crate) fn check_driver(
        &self,
        service: &Service,
        sticky: &Sticky,
        driver: &TrafficDriver,
    ) -> Result<(), CommandError> {
        let needs = match self {
            Self::Deploy { policy, .. } => policy.needs(service.stable.is_some(), sticky),
            Self::Gate { gate } => gate.needs().to_vec(),
            _ => Vec::new(),
        };
        let lacks: Vec<String> = driver.lacks(&needs).iter().map(ToString::to_string).collect();
        match lacks.is_empty() {
            true => Ok(()),
            false => Err(CommandError::Lacks { driver: driver.name, lacks: lacks.join(", ") }),
        }
    }

    /// Returns what follows from it; `id` is for a rollout that begins.
    ///
    /// # Errors
    ///
    /// When it cannot be followed in this state.
    pub fn apply(&self, service: &Service, id: i64, now_ms: u64) -> Result<Transition, CommandError> {
        match self {
            Self::Deploy { release, policy, again } => deploy(service, (release, policy, *again), id, now_ms),
            Self::Hold => with_rollout(service, "hold", |rollout| {
                let hold = Hold { reason: HoldReason::Operator, since_ms: now_ms };
                rollout.hold.get_or_insert(hold);
                "held by an operator"
            }),
            Self::Resume => with_rollout(service, "resume", |rollout| {
                let environment = matches!(&rollout.hold, Some(hold) if matches!(hold.reason, HoldReason::Environment { .. }));
                rollout.hold = None;
                if environment && let Phase::Going { step, .. } = rollout.phase {
                    // Its share is moved again, and judged by what comes from then on.
                    rollout.learnt.clear();
                    rollout.phase = Phase::Going { step, stage: Stage::Shift, since_ms: now_ms };
                }
                "resumed by an operator"
            }),
            Self::Promote => with_rollout(service, "promote", |rollout| {
                (rollout.promote, rollout.hold) = (true, None);
                "the next share without waiting, by an operator"
            }),
            Self::Abort | Self::Rollback if service.rollout.is_some() => {
                with_rollout(service, "abort", |rollout| {
                    if let Phase::Going { step, stage, .. } = rollout.phase {
                        rollout.hold = None;
                        rollout.phase = Phase::Returning {
                            reason: Reason::Operator,
                            switched_ms: None,
                            since_ms: now_ms,
                            step,
                            stage,
                        };
                    }
                    "going back: an operator wanted it"
                })
            }
            Self::Abort => Err(CommandError::NothingUnderWay { wanted: "abort" }),
            Self::Rollback => {
                let (Some(stable), Some(previous)) = (&service.stable, &service.previous) else {
                    return Err(CommandError::NothingBefore);
                };
                let rollout = Rollout { id, ..return_from(stable, previous, now_ms) };
                let service = Service { rollout: Some(rollout), ..service.clone() };
                Ok(changed(service, "going back: an operator wanted it"))
            }
            Self::Gate { gate } => {
                let name = match gate {
                    TrafficGate::Open => "requests are let through",
                    TrafficGate::Paused { .. } => "requests wait",
                    TrafficGate::Closed { .. } => "requests are refused",
                };
                let service = Service { gate: gate.clone(), read_only: false, ..service.clone() };
                Ok(changed(service, name))
            }
            Self::ReadOnly => {
                let service = Service { gate: TrafficGate::Open, read_only: true, ..service.clone() };
                Ok(changed(service, "mutations are refused"))
            }
        }
    }
}

fn deploy(
    service: &Service,
    (release, policy, again): (&str, &Policy, bool),
    id: i64,
    now_ms: u64,
) -> Result<Transition, CommandError> {
    let named = || short(release);
    policy.check().map_err(|reason| CommandError::Policy { reason })?;
    if let Some(rollout) = &service.rollout {
        return Err(CommandError::Busy { release: named(), other: short(&rollout.new) });
    }
    if service.stable.as_deref() == Some(release) {
        return Err(CommandError::Stable { release: named() });
    }
    if !again && service.rolled_back.iter().any(|known| known == release) {
        return Err(CommandError::RolledBackBefore { release: named() });
    }
    let policy = Policy { old_instances: service.instances, ..policy.clone() };
    let plan = policy.route(service.stable.is_some());
    let stage = Stage::order(&plan, 0).first().copied().unwrap_or(Stage::Grow);
    let rollout = Rollout {
        id,
        old: service.stable.clone(),
        new: release.to_owned(),
        policy,
        began_ms: now_ms,
        phase: Phase::Going { step: 0, stage, since_ms: now_ms },
        hold: None,
        gates: BTreeMap::new(),
        mark: Vec::new(),
        learnt: Vec::new(),
        promote: false,
    };
    let name = format!("{} of {} begins", rollout.policy.strategy, named());
    let service = Service { rollout: Some(rollout), previous: None, ..service.clone() };
    Ok(changed(service, &name))
}

fn with_rollout(
    service: &Service,
    wanted: &'static str,
    change: impl FnOnce(&mut Rollout) -> &'static str,
) -> Result<Transition, CommandError> {
    let mut service = service.clone();
    let Some(rollout) = &mut service.rollout else { return Err(CommandError::NothingUnderWay { wanted }) };
    if matches!(rollout.phase, Phase::Returning { .. }) {
        return Err(CommandError::Returning { wanted });
    }
    let name = change(rollout);
    Ok(changed(service, name))
}

fn changed(service: Service, name: &str) -> Transition {
    Transition { service, name: name.to_owned(), evidence: json!({}), ended: None }
}

/// Returns as much of an identifier as people are shown.
pub(crate) fn short(release: &str) -> String {
    release.get(..12).unwrap_or(release).to_owned()
}
