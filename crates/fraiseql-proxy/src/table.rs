//! The generation that holds, made ready for choosing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fraiseql_model::traffic::{BackendHealth, Generation, GenerationOrigin};

use crate::backend::BackendSlot;
use crate::choose::share_at;
use crate::counts::{ArmCounter, Counts};

/// What holds. Never changed: a new generation is a new table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) generation: Generation,
    pub(crate) origin: GenerationOrigin,
    /// The stable release is the last one: raising another share takes from it.
    pub(crate) arms: Vec<TableArm>,
}

/// One release.
#[derive(Debug)]
pub(crate) struct TableArm {
    pub(crate) release: String,
    pub(crate) weight: u8,
    pub(crate) counter: Arc<ArmCounter>,
    backends: Vec<(Arc<BackendSlot>, bool)>,
    next: AtomicUsize,
}

impl Table {
    /// Makes a table; instances of `before` stay what they are.
    pub(crate) fn new(
        generation: Generation,
        origin: GenerationOrigin,
        before: Option<&Self>,
        counts: &Counts,
    ) -> Self {
        let slot = |name: &str, address| {
            let known = before.into_iter().flat_map(|table| table.slots());
            let known = known.into_iter().find(|slot| slot.name == name && slot.address == address);
            known.unwrap_or_else(|| Arc::new(BackendSlot::new(name, address)))
        };
        let mut arms: Vec<TableArm> = generation
            .arms
            .iter()
            .map(|arm| TableArm {
                release: arm.release.clone(),
                weight: arm.weight,
                counter: counts.of(&arm.release),
                backends: arm
                    .backends
                    .iter()
                    .map(|backend| (slot(&backend.name, backend.address), backend.draining))
                    .collect(),
                next: AtomicUsize::new(0),
            })
            .collect();
        arms.sort_by_key(|arm| arm.release == generation.stable);
        Self { generation, origin, arms }
    }

    /// Returns every instance.
    pub(crate) fn slots(&self) -> Vec<Arc<BackendSlot>> {
        self.arms.iter().flat_map(|arm| &arm.backends).map(|(slot, _)| Arc::clone(slot)).collect()
    }

    /// Returns the release that has a point. One without a ready instance is passed over for the
    /// stable release: a canary that has died costs no request.
    pub(crate) fn arm_at(&self, point: u8) -> Option<&TableArm> {
        let chosen = &self.arms[share_at(point, self.arms.iter().map(|arm| arm.weight))?];
        if chosen.has_ready() {
            return Some(chosen);
        }
        Some(self.arms.last().filter(|stable| stable.has_ready()).unwrap_or(chosen))
    }

    /// Returns the release whose identifier begins so.
    pub(crate) fn arm_named(&self, prefix: &str) -> Option<&TableArm> {
        self.arms.iter().find(|arm| arm.release.starts_with(prefix))
    }

    /// Returns the shares in words.
    pub(crate) fn shares(&self) -> String {
        let share = |arm: &TableArm| format!("{} {} %", short(&arm.release), arm.weight);
        self.arms.iter().filter(|arm| arm.weight > 0).map(share).collect::<Vec<_>>().join(", ")
    }
}

/// Returns as much of an identifier as people are shown.
pub(crate) fn short(release: &str) -> &str {
    release.get(..12).unwrap_or(release)
}

impl TableArm {
    /// Returns true when another instance than that one is ready.
    pub(crate) fn has_ready_beside(&self, slot: &Arc<BackendSlot>) -> bool {
        let is_other = |other: &&Arc<BackendSlot>| !Arc::ptr_eq(other, slot);
        self.serving().filter(is_other).any(|other| other.health() == BackendHealth::Ready)
    }

    fn has_ready(&self) -> bool {
        self.backends.iter().any(|(slot, draining)| !draining && slot.health() == BackendHealth::Ready)
    }

    /// Returns the instance for the next request that is none of `tried`: a ready one with the fewest
    /// requests; while none is ready, any. An instance that drains is never chosen.
    pub(crate) fn pick(&self, tried: &[Arc<BackendSlot>]) -> Option<Arc<BackendSlot>> {
        let count = self.backends.len();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let candidates = (0..count).map(|step| &self.backends[(first + step) % count]);
        let untried = |slot: &Arc<BackendSlot>| !tried.iter().any(|other| Arc::ptr_eq(other, slot));
        let candidates = candidates.filter(|(slot, draining)| !draining && untried(slot));
        let rank = |slot: &BackendSlot| {
            let order = match slot.health() {
                BackendHealth::Ready => 0,
                BackendHealth::Unknown => 1,
                BackendHealth::Ejected => 2,
            };
            (order, slot.in_flight.load(Ordering::Relaxed) + slot.streams.load(Ordering::Relaxed))
        };
        candidates.min_by_key(|(slot, _)| rank(slot)).map(|(slot, _)| Arc::clone(slot))
    }

    /// Returns the instances that are not draining.
    pub(crate) fn serving(&self) -> impl Iterator<Item = &Arc<BackendSlot>> {
        self.backends.iter().filter(|(_, draining)| !draining).map(|(slot, _)| slot)
    }

    /// Returns all of its instances.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<BackendSlot>> {
        self.backends.iter().map(|(slot, _)| slot)
    }
}

#[cfg(test)]
mod tests {
    use fraiseql_model::traffic::{Arm, Backend, GENERATION_FORMAT, Stamp, Sticky, TrafficGate};

    use super::*;

    /// Release, share, and instances with whether they drain.
    type Sample<'s> = (&'s str, u8, &'s [(&'s str, bool)]);

    fn generation(arms: &[Sample<'_>]) -> Generation {
        let arms = arms.iter().map(|(release, weight, backends)| Arm {
            release: (*release).to_owned(),
            weight: *weight,
            backends: backends
                .iter()
                .map(|(name, draining)| Backend {
                    name: (*name).to_owned(),
                    address: "127.0.0.1:1".parse().unwrap(),
                    draining: *draining,
                })
                .collect(),
        });
        Generation {
            format: GENERATION_FORMAT,
            stamp: Stamp::default(),
            stable: "blue".to_owned(),
            previous: None,
            arms: arms.collect(),
            lease_ms: None,
            sticky: Sticky::None,
            gate: TrafficGate::Open,
        }
    }

    fn table(arms: &[Sample<'_>], ready: &[&str]) -> Table {
        let table = Table::new(generation(arms), GenerationOrigin::Control, None, &Counts::default());
        for slot in table.slots() {
            slot.probed(ready.contains(&slot.name.as_str()));
        }
        table
    }

    #[track_caller]
    fn check(table: &Table, point: u8, expected: &str) {
        assert_eq!(table.arm_at(point).unwrap().release, expected);
    }

    #[test]
    fn a_dead_canary_costs_no_request_and_a_dead_service_is_not_hidden() {
        let arms: &[Sample<'_>] = &[("blue", 95, &[("b", false)]), ("green", 5, &[("g", false)])];
        let well = table(arms, &["b", "g"]);
        check(&well, 4, "green");
        check(&well, 5, "blue");
        check(&table(arms, &["b"]), 4, "blue");
        // With no instance ready anywhere the chosen release answers for itself.
        check(&table(arms, &[]), 4, "green");
    }

    #[test]
    fn the_least_busy_ready_instance_is_taken_and_a_draining_one_never() {
        let table = table(
            &[("blue", 100, &[("a", false), ("b", false), ("c", true), ("d", false)])],
            &["a", "b", "c"],
        );
        let arm = &table.arms[0];
        let busy = arm.all().find(|slot| slot.name == "a").unwrap();
        let _held = crate::backend::InFlight::new(busy);
        for _ in 0..8 {
            assert_eq!(arm.pick(&[]).unwrap().name, "b");
        }
        let b = arm.pick(&[]).unwrap();
        assert_eq!(arm.pick(std::slice::from_ref(&b)).unwrap().name, "a");
        // The last pool is never given up: one that was ejected is better than none.
        let tried = [b, Arc::clone(busy)];
        assert_eq!(arm.pick(&tried).unwrap().name, "d");
        let all: Vec<_> = arm.all().cloned().collect();
        assert!(arm.pick(&all).is_none());
    }

    #[test]
    fn instances_stay_what_they_are_over_generations() {
        let first = table(&[("blue", 100, &[("b", false)])], &["b"]);
        let next = generation(&[("blue", 50, &[("b", false)]), ("green", 50, &[("g", false)])]);
        let next = Table::new(next, GenerationOrigin::Control, Some(&first), &Counts::default());
        let health: Vec<_> = next.slots().iter().map(|slot| (slot.name.clone(), slot.health())).collect();
        assert_eq!(
            health,
            [("g".to_owned(), BackendHealth::Unknown), ("b".to_owned(), BackendHealth::Ready)]
        );
    }
}
