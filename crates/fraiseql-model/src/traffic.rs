//! Which release gets which share of the traffic, and what came of it: what the control plane
//! tells the proxy, and what the proxy tells back. The wire format of both, as JSON.

use core::net::SocketAddr;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The version of [`Generation`] that this program writes, and the newest that it reads.
pub const GENERATION_FORMAT: u32 = 1;

/// The place of a generation in time: of two, the greater one holds. Epochs are given to executors,
/// so that one that was replaced cannot be heard again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    /// Grows by one with each executor that begins.
    pub epoch: u64,
    /// Grows by one with each change that an executor makes.
    pub number: u64,
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.number)
    }
}

/// All that the proxy needs to know, absolute: applying it twice is applying it once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// [`GENERATION_FORMAT`].
    pub format: u32,
    /// Its place in time.
    pub stamp: Stamp,
    /// The release that gets all traffic when nobody says otherwise. One of `arms`.
    pub stable: String,
    /// The release that a rollback leads to while all traffic is on the stable one: another one of `arms`.
    pub previous: Option<String>,
    /// The releases that can be reached, each once.
    pub arms: Vec<Arm>,
    /// How long weights other than "all to stable" hold without being renewed; `None`: for ever.
    pub lease_ms: Option<u64>,
    /// What keeps a user on one release while weights stay.
    pub sticky: Sticky,
    /// Whether requests are let through.
    pub gate: TrafficGate,
}

/// The instances of one release, and their share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// The identifier of the release.
    pub release: String,
    /// Share of the requests, in percent. The sum over all arms is 100.
    pub weight: u8,
    /// Where its instances listen.
    pub backends: Vec<Backend>,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// The name of the instance, once in a generation.
    pub name: String,
    /// Where it takes requests.
    pub address: SocketAddr,
    /// True while it gets no new requests, and those that run go on.
    pub draining: bool,
}

/// What keeps a user on one release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Sticky {
    /// Each request for itself.
    #[default]
    None,
    /// The value of this header.
    Header(String),
    /// The value of this cookie.
    Cookie(String),
    /// This claim of a JSON web token, which is not verified for it.
    Claim(String),
}

/// Whether requests are let through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TrafficGate {
    /// They are.
    #[default]
    Open,
    /// They wait, each at most this long, and are refused then with 503 and `Retry-After`.
    Paused {
        /// The longest wait in milliseconds.
        wait_ms: u64,
    },
    /// They are refused with 503, `Retry-After` and the operator's body.
    Closed {
        /// What is told to clients; a text of the proxy's when there is none.
        body: Option<PathBuf>,
    },
}

/// Requests of one release since the proxy has begun to count, which outlives its restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmCounts {
    /// The identifier of the release.
    pub release: String,
    /// Requests that have ended, well or badly. Probes are none.
    pub requests: u64,
    /// Of these, with a status of 500 or above, or without an answer.
    pub failed: u64,
    /// Of these, without an answer within the proxy's timeout.
    pub timed_out: u64,
    /// Of those with a good status, with an internal GraphQL error in the body.
    pub graphql_failed: u64,
    /// Requests by duration: how many ended within each of [`LATENCY_BOUNDS_US`], and last all others.
    /// Not cumulative.
    pub latency: Vec<u64>,
    /// Requests that run now.
    pub in_flight: u64,
}

/// Upper bounds of the buckets of [`ArmCounts::latency`], in microseconds: each is about 1.26 times the one before.
pub const LATENCY_BOUNDS_US: [u64; 51] = [
    100, 126, 158, 200, 251, 316, 398, 501, 631, 794, 1_000, 1_259, 1_585, 1_995, 2_512, 3_162, 3_981, 5_012,
    6_310, 7_943, 10_000, 12_589, 15_849, 19_953, 25_119, 31_623, 39_811, 50_119, 63_096, 79_433, 100_000,
    125_893, 158_489, 199_526, 251_189, 316_228, 398_107, 501_187, 630_957, 794_328, 1_000_000, 1_258_925,
    1_584_893, 1_995_262, 2_511_886, 3_162_278, 3_981_072, 5_011_872, 6_309_573, 7_943_282, 10_000_000,
];

/// What the proxy knows of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendHealth {
    /// Not probed yet.
    Unknown,
    /// The last probe and the last requests went well.
    Ready,
    /// It gets no requests while another one is ready.
    Ejected,
}

impl Generation {
    /// Returns what is wrong with it, as a fragment of a sentence.
    ///
    /// # Errors
    ///
    /// When shares do not add up to 100, when a name is there twice, when the stable release is none of
    /// the arms, and when the format is newer than this program.
    pub fn check(&self) -> Result<(), String> {
        if self.format == 0 || self.format > GENERATION_FORMAT {
            return Err(format!(
                "format {} is none that this program reads (1 to {GENERATION_FORMAT})",
                self.format
            ));
        }
        let total: u32 = self.arms.iter().map(|arm| u32::from(arm.weight)).sum();
        if total != 100 {
            return Err(format!("the shares add up to {total} %, not 100 %"));
        }
        if !self.arms.iter().any(|arm| arm.release == self.stable) {
            return Err(format!("the stable release {} is none of the arms", self.stable));
        }
        if let Some(previous) = &self.previous
            && (*previous == self.stable || !self.arms.iter().any(|arm| arm.release == *previous))
        {
            return Err(format!("the previous release {previous} is no other one of the arms"));
        }
        let mut releases: Vec<&str> = self.arms.iter().map(|arm| arm.release.as_str()).collect();
        releases.sort_unstable();
        let mut names: Vec<&str> =
            self.arms.iter().flat_map(|arm| &arm.backends).map(|backend| backend.name.as_str()).collect();
        names.sort_unstable();
        for list in [releases, names] {
            if let Some(pair) = list.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(format!("{} is there twice", pair[0]));
            }
        }
        Ok(())
    }

    /// Returns true when all traffic is on the stable release.
    pub fn is_on_stable(&self) -> bool {
        self.arms.iter().all(|arm| arm.weight == 0 || arm.release == self.stable)
    }

    /// Returns what a rollback leads to: while traffic is shared, all of it on the stable release; else
    /// all on the previous one, which is stable then. `None` when there is no previous one. The stamp
    /// is the next of the same epoch.
    pub fn rolled_back(&self) -> Option<Self> {
        let mut generation = self.clone();
        if self.is_on_stable() {
            generation.stable = generation.previous.take()?;
        }
        generation = generation.on_stable();
        generation.stamp.number += 1;
        Some(generation)
    }

    /// Returns the same with all traffic on the stable release: what holds when a lease has ended.
    #[must_use]
    pub fn on_stable(&self) -> Self {
        let mut generation = self.clone();
        for arm in &mut generation.arms {
            arm.weight = if arm.release == self.stable { 100 } else { 0 };
        }
        generation.lease_ms = None;
        generation
    }
}

/// Who made the generation that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GenerationOrigin {
    /// The control plane.
    Control,
    /// The proxy itself, because a lease has ended.
    LeaseEnded,
    /// An operator who asked the proxy to roll back.
    Operator,
}

/// What the proxy says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyState {
    /// The process, which changes when the proxy is replaced.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Where clients reach it.
    pub address: SocketAddr,
    /// What holds; `None` until there was one.
    pub generation: Option<Generation>,
    /// Who made it.
    pub origin: GenerationOrigin,
    /// How long the lease still holds, when there is one, in milliseconds.
    pub lease_left_ms: Option<u64>,
    /// What it knows of the instances.
    pub backends: Vec<BackendState>,
}

/// What the proxy says of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendState {
    /// The name of the instance.
    pub name: String,
    /// The release that it serves.
    pub release: String,
    /// Whether it gets requests.
    pub health: BackendHealth,
    /// Requests of it that run now.
    pub in_flight: u64,
    /// Its sockets and event streams that are open now. They stay until it is told to stop, and ends them.
    #[serde(default)]
    pub streams: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(weights: &[(&str, u8)]) -> Generation {
        let arm = |(release, weight): &(&str, u8)| {
            let name = format!("{release}-1");
            let address = "127.0.0.1:4100".parse().unwrap();
            let backends = vec![Backend { name, address, draining: false }];
            Arm { release: (*release).to_owned(), weight: *weight, backends }
        };
        Generation {
            format: GENERATION_FORMAT,
            stamp: Stamp { epoch: 1, number: 7 },
            stable: "blue".to_owned(),
            previous: None,
            arms: weights.iter().map(arm).collect(),
            lease_ms: Some(15_000),
            sticky: Sticky::Cookie("user".to_owned()),
            gate: TrafficGate::Open,
        }
    }

    #[track_caller]
    fn check(weights: &[(&str, u8)], expected: Result<(), &str>) {
        assert_eq!(generation(weights).check(), expected.map_err(str::to_owned));
    }

    #[test]
    fn shares_and_names_must_fit() {
        check(&[("blue", 95), ("green", 5)], Ok(()));
        check(&[("blue", 95), ("green", 6)], Err("the shares add up to 101 %, not 100 %"));
        check(&[("green", 100)], Err("the stable release blue is none of the arms"));
        check(&[("blue", 50), ("blue", 50)], Err("blue is there twice"));
    }

    #[test]
    fn a_newer_format_is_refused() {
        let newer = Generation { format: GENERATION_FORMAT + 1, ..generation(&[("blue", 100)]) };
        assert!(newer.check().unwrap_err().starts_with("format 2 is none"));
    }

    #[test]
    fn without_its_lease_all_is_on_stable() {
        let stable = generation(&[("blue", 75), ("green", 25)]).on_stable();
        assert_eq!(stable.arms.iter().map(|arm| arm.weight).collect::<Vec<_>>(), [100, 0]);
        assert_eq!((stable.lease_ms, stable.check()), (None, Ok(())));
    }

    #[test]
    fn a_rollback_leads_to_stable_and_then_to_the_release_before() {
        let canary = generation(&[("blue", 75), ("green", 25)]);
        let back = canary.rolled_back().unwrap();
        assert_eq!((back.stable.as_str(), back.is_on_stable(), back.stamp.number), ("blue", true, 8));
        assert_eq!(back.rolled_back(), None, "there is nothing before it");

        let promoted = Generation { stable: "green".to_owned(), previous: Some("blue".to_owned()), ..canary }
            .on_stable();
        let back = promoted.rolled_back().unwrap();
        assert_eq!((back.stable.as_str(), back.previous.as_deref()), ("blue", None));
        assert_eq!(back.arms.iter().map(|arm| arm.weight).collect::<Vec<_>>(), [100, 0]);
        assert_eq!((back.check(), promoted.check()), (Ok(()), Ok(())));
        let wrong = Generation { previous: Some("green".to_owned()), ..promoted };
        assert!(wrong.check().unwrap_err().contains("no other one of the arms"));
    }

    #[test]
    fn the_wire_format_is_read_as_it_is_written() {
        let written = serde_json::to_string(&generation(&[("blue", 95), ("green", 5)])).unwrap();
        assert!(written.contains(r#""sticky":{"cookie":"user"},"gate":"open""#), "{written}");
        assert_eq!(
            serde_json::from_str::<Generation>(&written).unwrap(),
            generation(&[("blue", 95), ("green", 5)])
        );
        let unknown = written.replacen("\"stable\"", "\"weights\":1,\"stable\"", 1);
        assert!(serde_json::from_str::<Generation>(&unknown).is_err());
    }

    #[test]
    fn newer_stamps_are_greater() {
        let stamps =
            [Stamp { epoch: 1, number: 9 }, Stamp { epoch: 2, number: 1 }, Stamp { epoch: 2, number: 2 }];
        assert!(stamps.is_sorted());
        assert_eq!(stamps[2].to_string(), "2.2");
    }
}
