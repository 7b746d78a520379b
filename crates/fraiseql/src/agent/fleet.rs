//! The instances of this machine, as rollouts see them.

use std::collections::BTreeMap;

use fraiseql_agent::Supervisor;
use fraiseql_model::traffic::Backend;
use fraiseql_rollout::{Fleet, InstancesSeen};

/// The instances of this machine.
pub(crate) struct LocalFleet<'s>(pub(crate) &'s mut Supervisor);

impl Fleet for LocalFleet<'_> {
    async fn set(&mut self, wanted: &BTreeMap<String, u32>) {
        self.0.set(wanted);
        self.0.look_after();
    }

    async fn seen(&mut self) -> BTreeMap<String, InstancesSeen> {
        let mut seen: BTreeMap<String, InstancesSeen> = BTreeMap::new();
        for view in self.0.views() {
            let seen = seen.entry(view.release).or_default();
            seen.running += u32::from(view.pid.is_some());
            seen.ready += u32::from(view.ready);
            seen.crashing |= view.crashing;
            if !view.ready && !view.said.is_empty() {
                seen.said = format!("{} says: {}", view.name, view.said);
            }
        }
        seen
    }

    fn backends(&self, release: &str) -> Vec<Backend> {
        let backend = |(name, address)| Backend { name, address, draining: false };
        self.0.addresses(release).into_iter().map(backend).collect()
    }
}
