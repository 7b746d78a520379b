//! Makes a generation hold in HAProxy, and tells what holds.
//!
//! What holds lies on the disk of the control plane, for HAProxy knows no releases. After each change
//! its tables are read back: what it did not do is an error, whatever it said.

use std::path::PathBuf;

use fraiseql_model::traffic::{ArmCounts, BackendHealth, BackendState, Generation, Stamp};
use fraiseql_model::traffic_driver::{HAPROXY, TrafficDriver};

use crate::error::HaProxyError;
use crate::held::Kept;
use crate::plan::{Place, Turn, Wish, commands, wishes};
use crate::runtime::command;
use crate::stats;

/// Which HAProxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HaProxyOptions {
    /// Its runtime socket, of level `admin`.
    pub socket: PathBuf,
    /// The backend whose servers are places for instances. All of them are ours.
    pub backend: String,
    /// Where what holds is kept.
    pub state: PathBuf,
}

/// Who answers on the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HaProxyAbout {
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
}

/// An HAProxy.
#[derive(Debug)]
pub struct HaProxy {
    options: HaProxyOptions,
    kept: Kept,
}

impl HaProxy {
    /// Reads what was made to hold last. Fails when that cannot be read; HAProxy need not run.
    pub fn open(options: HaProxyOptions) -> Result<Self, HaProxyError> {
        let kept = Kept::read(&options.state)?;
        Ok(Self { options, kept })
    }

    /// Returns what it can do.
    pub fn driver(&self) -> TrafficDriver {
        HAPROXY
    }

    /// Returns who it is. Fails when it does not answer.
    pub async fn about(&self) -> Result<HaProxyAbout, HaProxyError> {
        let table = command(&self.options.socket, "show info").await?;
        stats::about(&table).map_err(|reason| HaProxyError::Refused { reason })
    }

    /// Returns what was made to hold last.
    pub fn generation(&self) -> Option<&Generation> {
        self.kept.generation.as_ref()
    }

    /// Makes a generation hold. The same again changes nothing, and repairs what somebody else changed,
    /// or what HAProxy has forgotten by being started again.
    ///
    /// Fails when it contradicts itself, needs what HAProxy lacks, or is older than what holds; when
    /// there are too few places; and when HAProxy does not do it.
    pub async fn apply(&mut self, generation: &Generation) -> Result<(), HaProxyError> {
        let stamp = generation.stamp;
        generation.check().map_err(|reason| HaProxyError::Contradiction { stamp, reason })?;
        let lacks = HAPROXY.lacks(&generation.needs());
        if !lacks.is_empty() {
            return Err(HaProxyError::Lacks { stamp, lacks });
        }
        let highest = self.kept.generation.as_ref().map_or_else(Stamp::default, |held| held.stamp);
        if stamp < highest || (stamp == highest && self.kept.generation.as_ref() != Some(generation)) {
            return Err(HaProxyError::Stale { stamp, highest });
        }
        let places = self.places().await?;
        let wishes = self.wishes(generation, &places)?;
        // First: a controller that dies in between is followed by one that does it again.
        self.count(&places, generation).await?;
        self.kept.generation = Some(generation.clone());
        self.kept.write(&self.options.state)?;
        let line = commands(&self.options.backend, &places, &wishes);
        if line.is_empty() {
            return Ok(());
        }
        let answer = command(&self.options.socket, &line).await?;
        let places = self.places().await?;
        let left = commands(&self.options.backend, &places, &wishes);
        self.count(&places, generation).await?;
        self.kept.write(&self.options.state)?;
        match left.is_empty() {
            true => Ok(()),
            false => {
                Err(HaProxyError::Refused { reason: format!("it has not done {left}: {}", answer.trim()) })
            }
        }
    }

    /// Returns what HAProxy knows of the instances. An instance that has no place any more, as after a
    /// start of HAProxy, is unknown: apply what holds again.
    pub async fn backends(&self) -> Result<Vec<BackendState>, HaProxyError> {
        let places = self.places().await?;
        let counts = self.found().await?;
        let arms = self.kept.generation.iter().flat_map(|generation| &generation.arms);
        let state = |release: &str, backend: &fraiseql_model::traffic::Backend| {
            let place = places
                .iter()
                .find(|place| place.address == Some(backend.address) && place.turn != Turn::Maintenance);
            let health = match place {
                None => BackendHealth::Unknown,
                Some(place) if place.up => BackendHealth::Ready,
                Some(_) => BackendHealth::Ejected,
            };
            let in_flight =
                place.and_then(|place| counts.get(&place.name)).map_or(0, |counts| counts.in_flight);
            BackendState {
                name: backend.name.clone(),
                release: release.to_owned(),
                health,
                in_flight,
                streams: 0,
            }
        };
        Ok(arms.flat_map(|arm| arm.backends.iter().map(|backend| state(&arm.release, backend))).collect())
    }

    /// Returns what came of the requests of each release: without times, and without errors within
    /// good answers, which HAProxy does not see.
    pub async fn counts(&mut self) -> Result<Vec<ArmCounts>, HaProxyError> {
        if let Some(generation) = self.kept.generation.clone() {
            let places = self.places().await?;
            self.count(&places, &generation).await?;
            self.kept.write(&self.options.state)?;
        }
        Ok(self.kept.counts().to_vec())
    }

    fn wishes(&self, generation: &Generation, places: &[Place]) -> Result<Vec<Wish>, HaProxyError> {
        wishes(generation, places).ok_or_else(|| HaProxyError::Places {
            backend: self.options.backend.clone(),
            wanted: generation.arms.iter().map(|arm| arm.backends.len()).sum(),
            places: places.len(),
        })
    }

    async fn places(&self) -> Result<Vec<Place>, HaProxyError> {
        let line = format!("show servers state {}", self.options.backend);
        let table = command(&self.options.socket, &line).await?;
        stats::places(&table).map_err(|reason| HaProxyError::Refused { reason })
    }

    async fn found(&self) -> Result<std::collections::BTreeMap<String, stats::PlaceCounts>, HaProxyError> {
        let table = command(&self.options.socket, "show stat").await?;
        stats::counts(&table, &self.options.backend).map_err(|reason| HaProxyError::Refused { reason })
    }

    async fn count(&mut self, places: &[Place], generation: &Generation) -> Result<(), HaProxyError> {
        let found = self.found().await?;
        let release_of = |place: &Place| {
            let arm = generation
                .arms
                .iter()
                .find(|arm| arm.backends.iter().any(|backend| place.address == Some(backend.address)))?;
            Some((place.name.clone(), arm.release.clone()))
        };
        let now: Vec<_> = places.iter().filter_map(release_of).collect();
        self.kept.take(&found, &now);
        Ok(())
    }
}
