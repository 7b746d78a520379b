//! Acts: looks, writes down what follows, and makes instances and traffic what is wanted.
//!
//! The state is written before anything is done, and what is wanted follows from it alone. So a
//! controller that is killed anywhere is followed by one that reads the state and goes on.

use std::collections::BTreeMap;

use fraiseql_flow::{FlowError, FlowId, Journal};
use fraiseql_model::traffic::{
    Arm, ArmCounts, Backend, GENERATION_FORMAT, Generation, GenerationOrigin, ProxyState, Stamp, Sticky,
};
use fraiseql_model::traffic_driver::{BUILT_IN_PROXY, TrafficDriver};
use serde_json::{Value, json};
use thiserror::Error;

use crate::command::{Command, CommandError};
use crate::decide::{Transition, decide};
use crate::observe::{InstancesSeen, Observation, TrafficSeen};
use crate::state::{GateState, Phase, Rollout, SERVICE_FORMAT, Service};
use crate::wanted::{Wanted, WantedTraffic, wanted};

/// The most changes of one tick: more would be a circle.
const CHANGES_MAX: usize = 32;
const SERVICE: &str = "service";
const ROLLOUT: &str = "rollout";
/// Rollouts that are remembered.
const ROLLOUTS_KEPT: usize = 200;

/// Instances of releases.
pub trait Fleet {
    /// Makes so many instances of each release run, and no others. Says it at once and works on it.
    fn set(&mut self, wanted: &BTreeMap<String, u32>) -> impl Future<Output = ()> + Send;
    /// Returns what runs.
    fn seen(&mut self) -> impl Future<Output = BTreeMap<String, InstancesSeen>> + Send;
    /// Returns where the instances of a release listen, the ones that stay longest first.
    fn backends(&self, release: &str) -> Vec<Backend>;
}

/// Who shares traffic.
pub trait Traffic {
    /// Returns what holds; `None` when it does not answer.
    fn state(&mut self) -> impl Future<Output = Option<ProxyState>> + Send;
    /// Returns what was counted; `None` when it does not answer.
    fn counts(&mut self) -> impl Future<Output = Option<Vec<ArmCounts>>> + Send;
    /// Makes a generation hold.
    fn apply(&mut self, generation: &Generation) -> impl Future<Output = Result<(), TrafficFault>> + Send;
    /// Renews the lease of a generation.
    fn renew(&mut self, stamp: Stamp) -> impl Future<Output = Result<(), TrafficFault>> + Send;
}

/// What must be passed before traffic.
pub trait Gates {
    /// Looks at one for the new release of a rollout, whose instances run at these places.
    ///
    /// Asked again and again for as long as it is at work, and soon answered: a controller that waits
    /// looks after nothing. Its work may be done twice when the controller dies meanwhile.
    fn run(&mut self, name: &str, rollout: &Rollout, at: &[Backend])
    -> impl Future<Output = GateLook> + Send;
}

/// What a look at a gate has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateLook {
    /// It is at work: how far, in words.
    Busy(String),
    /// What has come of it.
    Done(GateState),
}

/// Why traffic was not moved.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrafficFault {
    /// A newer controller has been here: this one must not act any more.
    #[error("traffic was moved by a newer controller ({highest})")]
    Fenced {
        /// What holds.
        highest: Stamp,
    },
    /// It did not work this time.
    #[error("{0}")]
    Failed(String),
}

/// Why the executor cannot go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExecutorError {
    /// The journal cannot be written: nothing is begun.
    #[error(transparent)]
    Journal(#[from] FlowError),
    /// The state was written by a newer program, or is damaged.
    #[error("read the state of the service: {reason}")]
    State {
        /// What is wrong with it.
        reason: String,
    },
    /// A newer controller is at work.
    #[error("go on: {0}")]
    Fenced(TrafficFault),
}

/// What happened in a tick.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tick {
    /// What has changed, in words.
    pub changes: Vec<String>,
    /// What did not work, and is tried again.
    pub faults: Vec<String>,
    /// What was seen.
    pub seen: Observation,
    /// The gate that is at work, and how far it is.
    pub busy: Option<(String, String)>,
}

/// The one who acts.
#[derive(Debug)]
pub struct Executor {
    journal: Journal,
    flow: FlowId,
    service: Service,
    sticky: Sticky,
    driver: TrafficDriver,
    /// The last stamp of this epoch.
    number: u64,
    renewed_ms: u64,
}

/// Returns the service that a journal knows, and where; `None` before there was one.
fn service_of(journal: &Journal) -> Result<Option<(FlowId, Service)>, ExecutorError> {
    let Some(flow) = journal.open_flows(SERVICE)?.into_iter().next() else { return Ok(None) };
    let broken = |reason: String| ExecutorError::State { reason };
    let service: Service = serde_json::from_value(flow.state).map_err(|error| broken(error.to_string()))?;
    if service.format == 0 || service.format > SERVICE_FORMAT {
        return Err(broken(format!("its format {} is newer than this program", service.format)));
    }
    Ok(Some((flow.id, service)))
}

/// Returns what a service is doing, as its journal has it; `None` before there was one. Changes nothing.
pub fn read_service(journal: &Journal) -> Result<Option<Service>, ExecutorError> {
    Ok(service_of(journal)?.map(|(_, service)| service))
}

impl Executor {
    /// Takes up what the journal has, or begins with nothing.
    ///
    /// Fails when the state cannot be read.
    pub fn resume(
        journal: Journal,
        instances: u32,
        sticky: Sticky,
        now_ms: u64,
    ) -> Result<Self, ExecutorError> {
        let (flow, service) = match service_of(&journal)? {
            Some((flow, service)) => (flow, Service { format: SERVICE_FORMAT, ..service }),
            None => {
                let service = Service::new(instances);
                (journal.begin(SERVICE, SERVICE, &json!(service), now_ms)?, service)
            }
        };
        let driver = BUILT_IN_PROXY;
        let executor = Self { journal, flow, service, sticky, driver, number: 0, renewed_ms: 0 };
        executor.close_orphans(now_ms)?;
        Ok(executor)
    }

    /// Returns one whose traffic is shared out by another driver than the built-in proxy: what that
    /// cannot do is refused.
    pub fn with_driver(self, driver: TrafficDriver) -> Self {
        Self { driver, ..self }
    }

    /// Ends rollouts that the state does not know any more: it was written first.
    fn close_orphans(&self, now_ms: u64) -> Result<(), FlowError> {
        for flow in self.journal.open_flows(ROLLOUT)? {
            if self.service.rollout.as_ref().is_some_and(|rollout| rollout.id == flow.id.0) {
                continue;
            }
            let last = self.service.last.as_ref().filter(|last| last.id == flow.id.0);
            let outcome = last.map_or_else(|| "not begun".to_owned(), |last| last.outcome.to_string());
            self.journal.end(flow.id, &outcome, &json!(last), now_ms)?;
        }
        Ok(())
    }

    /// Returns the state.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Returns the journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Follows a command of an operator. Durable when it returns.
    ///
    /// # Errors
    ///
    /// The inner error when the command cannot be followed; the outer one when it cannot be written.
    pub fn command(
        &mut self,
        command: &Command,
        now_ms: u64,
    ) -> Result<Result<(), CommandError>, ExecutorError> {
        // Tried first, so that a command that is refused leaves no trace.
        let able = command.check_driver(&self.service, &self.sticky, &self.driver);
        if let Err(refused) = able.and_then(|()| command.apply(&self.service, 0, now_ms)) {
            return Ok(Err(refused));
        }
        let subject = match command {
            Command::Deploy { release, .. } => Some(release.clone()),
            Command::Rollback if self.service.rollout.is_none() => self.service.stable.clone(),
            _ => None,
        };
        let id = match subject {
            Some(release) => self.journal.begin(ROLLOUT, &release, &json!(command), now_ms)?.0,
            None => self.service.rollout.as_ref().map_or(0, |rollout| rollout.id),
        };
        match command.apply(&self.service, id, now_ms) {
            Ok(change) => self.take(change, now_ms).map(Ok),
            Err(refused) => Ok(Err(refused)),
        }
    }

    /// Looks, decides and acts once.
    ///
    /// # Errors
    ///
    /// When the journal cannot be written, and when a newer controller has moved traffic. Then
    /// nothing more must be done.
    pub async fn tick(
        &mut self,
        (fleet, traffic, gates): (
            &mut (impl Fleet + Send),
            &mut (impl Traffic + Send),
            &mut (impl Gates + Send),
        ),
        now_ms: u64,
    ) -> Result<Tick, ExecutorError> {
        let mut tick = Tick::default();
        for _ in 0..CHANGES_MAX {
            tick.seen = self.look(fleet, traffic, now_ms).await;
            let Some(change) = decide(&self.service, &tick.seen) else { break };
            tick.changes.push(change.name.clone());
            self.take(change, now_ms)?;
            self.act(fleet, traffic, &mut tick, now_ms).await?;
        }
        self.act(fleet, traffic, &mut tick, now_ms).await?;
        tick.busy = self.pass_gates(fleet, gates, now_ms).await?;
        Ok(tick)
    }

    async fn look(
        &self,
        fleet: &mut (impl Fleet + Send),
        traffic: &mut (impl Traffic + Send),
        now_ms: u64,
    ) -> Observation {
        let instances = fleet.seen().await;
        let state = traffic.state().await;
        let counts = if state.is_some() { traffic.counts().await } else { None };
        let wanted = wanted(&self.service);
        let seen = state.and_then(|state| {
            let generation = state.generation?;
            let is_ours = wanted.traffic.as_ref().is_some_and(|wanted| {
                state.origin == GenerationOrigin::Control
                    && self.generation(wanted, fleet, generation.stamp) == generation
            });
            let goes = |name: &str| {
                generation
                    .arms
                    .iter()
                    .flat_map(|arm| &arm.backends)
                    .any(|backend| backend.name == name && backend.draining)
            };
            let draining = state
                .backends
                .iter()
                .filter(|backend| goes(&backend.name))
                .map(|backend| backend.in_flight)
                .sum();
            let shares = generation.arms.iter().map(|arm| (arm.release.clone(), arm.weight)).collect();
            Some(TrafficSeen { stable: generation.stable, shares, origin: state.origin, is_ours, draining })
        });
        Observation { now_ms, instances, traffic: seen, counts }
    }

    /// Writes a change down; from then on it holds.
    fn take(&mut self, change: Transition, now_ms: u64) -> Result<(), ExecutorError> {
        let rollout = change
            .service
            .rollout
            .as_ref()
            .or(self.service.rollout.as_ref())
            .map(|rollout| FlowId(rollout.id));
        if let Some(rollout) = rollout.filter(|rollout| rollout.0 != 0) {
            self.journal.note(rollout, &change.name, &change.evidence, now_ms)?;
        }
        self.journal.advance(self.flow, &change.name, &json!(change.service), now_ms)?;
        self.service = change.service;
        if let Some(ended) = change.ended.filter(|ended| ended.id != 0) {
            self.journal.end(FlowId(ended.id), &ended.outcome.to_string(), &json!(ended), now_ms)?;
            self.journal.retain(ROLLOUT, ROLLOUTS_KEPT)?;
        }
        Ok(())
    }

    async fn act(
        &mut self,
        fleet: &mut (impl Fleet + Send),
        traffic: &mut (impl Traffic + Send),
        tick: &mut Tick,
        now_ms: u64,
    ) -> Result<(), ExecutorError> {
        let Wanted { fleet: instances, traffic: shares } = wanted(&self.service);
        fleet.set(&instances).await;
        let (Some(shares), Some(state)) = (shares, traffic.state().await) else { return Ok(()) };
        let held = state.generation;
        let same = held.as_ref().is_some_and(|held| {
            state.origin == GenerationOrigin::Control && self.generation(&shares, fleet, held.stamp) == *held
        });
        if same {
            return self.renew(traffic, &shares, held.map(|held| held.stamp), tick, now_ms).await;
        }
        // What somebody else did is looked at before it is undone: `decide` has its turn first.
        let overruled = state.origin != GenerationOrigin::Control
            && self
                .service
                .rollout
                .as_ref()
                .is_some_and(|rollout| matches!(rollout.phase, Phase::Going { .. }));
        if overruled {
            return Ok(());
        }
        let epoch = self.journal.epoch();
        let highest = held.as_ref().map_or(Stamp::default(), |held| held.stamp);
        if highest.epoch > epoch {
            return Err(ExecutorError::Fenced(TrafficFault::Fenced { highest }));
        }
        self.number = if highest.epoch == epoch { self.number.max(highest.number) } else { self.number } + 1;
        let generation = self.generation(&shares, fleet, Stamp { epoch, number: self.number });
        let told =
            json!({ "stamp": generation.stamp, "stable": generation.stable, "arms": shown(&generation) });
        let flow = self.service.rollout.as_ref().map_or(self.flow, |rollout| FlowId(rollout.id));
        let flow = if flow.0 == 0 { self.flow } else { flow };
        let intent = self.journal.intend(flow, "traffic", &told, now_ms)?;
        let applied = traffic.apply(&generation).await;
        let outcome = match &applied {
            Ok(()) => json!({ "applied": true }),
            Err(fault) => json!({ "applied": false, "reason": fault.to_string() }),
        };
        self.journal.settle(flow, intent, &outcome, now_ms)?;
        match applied {
            Ok(()) => self.renewed_ms = now_ms,
            Err(fault @ TrafficFault::Fenced { highest }) if highest.epoch > epoch => {
                return Err(ExecutorError::Fenced(fault));
            }
            Err(fault) => tick.faults.push(fault.to_string()),
        }
        Ok(())
    }

    async fn renew(
        &mut self,
        traffic: &mut (impl Traffic + Send),
        shares: &WantedTraffic,
        stamp: Option<Stamp>,
        tick: &mut Tick,
        now_ms: u64,
    ) -> Result<(), ExecutorError> {
        let (Some(lease_ms), Some(stamp)) = (shares.lease_ms, stamp) else { return Ok(()) };
        if now_ms.saturating_sub(self.renewed_ms) < lease_ms / 3 {
            return Ok(());
        }
        match traffic.renew(stamp).await {
            Ok(()) => self.renewed_ms = now_ms,
            Err(fault) => tick.faults.push(fault.to_string()),
        }
        Ok(())
    }

    fn generation(&self, wanted: &WantedTraffic, fleet: &impl Fleet, stamp: Stamp) -> Generation {
        let arms = wanted.arms.iter().map(|(release, (weight, serving))| {
            let serving = usize::try_from(*serving).unwrap_or(usize::MAX);
            let backends = fleet.backends(release).into_iter().enumerate();
            let backends = backends.map(|(index, backend)| Backend { draining: index >= serving, ..backend });
            Arm { release: release.clone(), weight: *weight, backends: backends.collect() }
        });
        Generation {
            format: GENERATION_FORMAT,
            stamp,
            stable: wanted.stable.clone(),
            previous: wanted.previous.clone(),
            arms: arms.collect(),
            lease_ms: wanted.lease_ms,
            sticky: self.sticky.clone(),
            gate: wanted.gate.clone(),
        }
    }

    /// Looks at the next gate that nobody has looked at; returns it when it is at work.
    async fn pass_gates(
        &mut self,
        fleet: &mut (impl Fleet + Send),
        gates: &mut (impl Gates + Send),
        now_ms: u64,
    ) -> Result<Option<(String, String)>, ExecutorError> {
        let Some(rollout) = &self.service.rollout else { return Ok(None) };
        let Some(name) = rollout.next_gate().map(str::to_owned) else { return Ok(None) };
        let state = match gates.run(&name, rollout, &fleet.backends(&rollout.new)).await {
            GateLook::Busy(said) => return Ok(Some((name, said))),
            GateLook::Done(state) => state,
        };
        let mut service = self.service.clone();
        if let Some(rollout) = &mut service.rollout {
            rollout.gates.insert(name.clone(), state.clone());
        }
        let change =
            Transition { service, name: format!("gate {name}"), evidence: json!(state), ended: None };
        self.take(change, now_ms)?;
        Ok(None)
    }
}

fn shown(generation: &Generation) -> Value {
    let arm = |arm: &Arm| {
        let backends: Vec<_> = arm
            .backends
            .iter()
            .map(|backend| json!({ "name": backend.name, "draining": backend.draining }))
            .collect();
        json!({ "release": arm.release, "weight": arm.weight, "backends": backends })
    };
    generation.arms.iter().map(arm).collect()
}
