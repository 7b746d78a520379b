//! What whoever shares out traffic must be able to do, so that a plan that needs more than its driver
//! can is refused before it begins.

use std::fmt;

use crate::traffic::{Generation, Sticky, TrafficGate};

/// Something that a plan may need of the one who shares out traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrafficNeed {
    /// Two releases at a time, each with its share.
    Shares,
    /// Shares that end by themselves when nobody renews them.
    Lease,
    /// A user who stays on one release.
    Sticky,
    /// A tester who chooses a release.
    Choice,
    /// Requests that are held for a time.
    Pause,
    /// Requests that are refused.
    Closed,
    /// Requests that are refused with the operator's body.
    ClosedBody,
    /// Times of requests, in buckets, by release.
    Latency,
    /// Errors within good answers, by release.
    GraphqlErrors,
    /// A rollback without a control plane.
    RollbackAlone,
}

impl fmt::Display for TrafficNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shares => "shares of traffic",
            Self::Lease => "shares that end by themselves",
            Self::Sticky => "users who stay on one release",
            Self::Choice => "testers who choose a release",
            Self::Pause => "a pause that holds requests",
            Self::Closed => "refusing requests",
            Self::ClosedBody => "a body of one's own for refused requests",
            Self::Latency => "times of requests by release",
            Self::GraphqlErrors => "errors within good answers by release",
            Self::RollbackAlone => "a rollback without a control plane",
        })
    }
}

/// One that shares out traffic, and what it can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficDriver {
    /// Its name for people.
    pub name: &'static str,
    /// All that it can do.
    pub can: &'static [TrafficNeed],
}

/// `fraiseql proxy`.
pub const BUILT_IN_PROXY: TrafficDriver = TrafficDriver {
    name: "the built-in proxy",
    can: &[
        TrafficNeed::Shares,
        TrafficNeed::Lease,
        TrafficNeed::Sticky,
        TrafficNeed::Choice,
        TrafficNeed::Pause,
        TrafficNeed::Closed,
        TrafficNeed::ClosedBody,
        TrafficNeed::Latency,
        TrafficNeed::GraphqlErrors,
        TrafficNeed::RollbackAlone,
    ],
};

/// HAProxy, over its runtime socket.
pub const HAPROXY: TrafficDriver =
    TrafficDriver { name: "HAProxy", can: &[TrafficNeed::Shares, TrafficNeed::Closed] };

impl TrafficDriver {
    /// Returns which of these it cannot do.
    pub fn lacks(&self, needs: &[TrafficNeed]) -> Vec<TrafficNeed> {
        needs.iter().copied().filter(|need| !self.can.contains(need)).collect()
    }
}

impl TrafficGate {
    /// Returns what it needs of the one who is to make it hold.
    pub fn needs(&self) -> &'static [TrafficNeed] {
        match self {
            Self::Open => &[],
            Self::Paused { .. } => &[TrafficNeed::Pause],
            Self::Closed { body: None } => &[TrafficNeed::Closed],
            Self::Closed { body: Some(_) } => &[TrafficNeed::Closed, TrafficNeed::ClosedBody],
        }
    }
}

impl Generation {
    /// Returns what it needs of the one who is to make it hold.
    pub fn needs(&self) -> Vec<TrafficNeed> {
        let shares = !self.is_on_stable();
        let asked = [
            (shares, TrafficNeed::Shares),
            (self.lease_ms.is_some(), TrafficNeed::Lease),
            // With all traffic on one release there is nothing to keep users from.
            (shares && self.sticky != Sticky::None, TrafficNeed::Sticky),
        ];
        asked
            .into_iter()
            .filter(|(needed, _)| *needed)
            .map(|(_, need)| need)
            .chain(self.gate.needs().iter().copied())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::traffic::{Arm, GENERATION_FORMAT, Stamp};

    use super::*;

    #[track_caller]
    fn check(weights: [u8; 2], change: impl Fn(&mut Generation), expected: &str) {
        let arms = ["blue", "green"].iter().zip(weights);
        let arms = arms.map(|(release, weight)| Arm {
            release: (*release).to_owned(),
            weight,
            backends: Vec::new(),
        });
        let mut generation = Generation {
            format: GENERATION_FORMAT,
            stamp: Stamp::default(),
            stable: "blue".to_owned(),
            previous: None,
            arms: arms.collect(),
            lease_ms: None,
            sticky: Sticky::Cookie("sid".to_owned()),
            gate: TrafficGate::Open,
        };
        change(&mut generation);
        assert_eq!(BUILT_IN_PROXY.lacks(&generation.needs()), []);
        let lacks: Vec<String> = HAPROXY.lacks(&generation.needs()).iter().map(ToString::to_string).collect();
        assert_eq!(lacks.join(", "), expected);
    }

    #[test]
    fn what_haproxy_lacks_is_said() {
        check([100, 0], |_| {}, "");
        check([75, 25], |generation| generation.sticky = Sticky::None, "");
        check([75, 25], |_| {}, "users who stay on one release");
        check(
            [75, 25],
            |generation| generation.lease_ms = Some(1),
            "shares that end by themselves, users who stay on one release",
        );
        check([100, 0], |generation| generation.gate = TrafficGate::Closed { body: None }, "");
        check(
            [100, 0],
            |generation| generation.gate = TrafficGate::Paused { wait_ms: 1 },
            "a pause that holds requests",
        );
    }
}
