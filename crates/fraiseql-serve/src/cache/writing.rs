//! Writes through the API: what they may have changed is taken as changed before the client is answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use fraiseql_engine::{MutationPlan, MutationStep, Reads, writes};
use fraiseql_postgres::{Reach, reach};

use crate::cache::ResponseCache;
use crate::pipeline::Job;

/// Kinds of writes whose reach is remembered; then all are asked for anew.
const REMEMBERED_MAX: usize = 10_000;

/// How far writes reach, as the catalog told it.
#[derive(Debug, Default)]
pub(super) struct Reaches(Mutex<BTreeMap<Reads, Arc<Reach>>>);

impl Reaches {
    /// Forgets everything: the catalog may be another one.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Reads, Arc<Reach>>> {
        // Nothing in here panics half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn of(&self, job: &Job<'_>, writes: Reads) -> Option<Arc<Reach>> {
        if let Some(known) = self.lock().get(&writes) {
            return Some(Arc::clone(known));
        }
        if writes.relations.is_empty() && writes.functions.is_empty() {
            return None;
        }
        let mut session = job.serving.pool.acquire(job.deadline).await.ok()?;
        let found = Arc::new(reach(&mut session, &writes.relations, &writes.functions).await.ok()?);
        let mut known = self.lock();
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(writes, Arc::clone(&found));
        Some(found)
    }
}

/// A write on its way. Dropped, however it ended, what it reaches counts as changed.
pub(crate) struct Writing<'c> {
    cache: &'c ResponseCache,
    /// `None` is anything.
    reach: Option<Arc<Reach>>,
}

impl ResponseCache {
    /// Begins a write; to be dropped behind its commit and before its answer.
    ///
    /// What the catalog does not tell counts as reaching everything.
    pub(crate) async fn writing<'c>(&'c self, job: &Job<'_>, plan: &MutationPlan) -> Writing<'c> {
        let statements = plan.fields.iter().flat_map(|step| match step {
            MutationStep::Static { .. } => &[],
            MutationStep::Write(write) => write.statements.as_slice(),
        });
        let reach = self.reaches.of(job, writes(statements)).await;
        Writing { cache: self, reach: reach.filter(|reach| !reach.anything) }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        match &self.reach {
            Some(reach) => self.cache.wrote(&reach.tables),
            None => self.cache.wrote_anything(),
        }
    }
}
