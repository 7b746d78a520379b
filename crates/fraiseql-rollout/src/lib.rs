//! Rollouts: what is to be served next, how traffic gets there, who judges it, and the way back.
//!
//! `observe` is what is seen, `decide` says what follows from it without acting, `execute` acts. What
//! is wanted is absolute and follows from the state alone: a restart is not a special case.

mod command;
mod decide;
mod execute;
mod judge;
mod observe;
mod policy;
mod state;
mod wanted;

pub use command::{Command, CommandError};
pub use decide::{Transition, decide};
pub use execute::{
    Executor, ExecutorError, Fleet, GateLook, Gates, Tick, Traffic, TrafficFault, read_service,
};
pub use judge::{Blame, BlameKind, JudgePolicy, Judgement, Tally, judge};
pub use observe::{InstancesSeen, Observation, TrafficSeen};
pub use policy::{Policy, Route, Step, Strategy};
pub use state::{
    EndedRollout, GateOutcome, GateState, Hold, HoldReason, Phase, Previous, Reason, Rollout, RolloutOutcome,
    SERVICE_FORMAT, Service, Stage,
};
pub use wanted::{Wanted, WantedTraffic, wanted};
