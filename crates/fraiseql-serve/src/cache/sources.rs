//! What an answer is made of: the tables behind a plan, with the count of changes of each.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use fraiseql_engine::reads;
use fraiseql_postgres::{trace, unsteady};
use tokio::time::Instant;

use crate::pipeline::Job;
use crate::prepared::PreparedQuery;

/// Counts the changes of every table that anybody has spoken of.
#[derive(Debug, Default)]
pub(super) struct Tables(RwLock<HashMap<String, Arc<AtomicU64>>>);

impl Tables {
    /// Returns the count of a table, which begins here if it is new.
    fn get_or_begin(&self, table: String) -> Arc<AtomicU64> {
        // Nothing in here panics half way.
        let mut tables = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tables.entry(table).or_default())
    }

    /// Counts a change of each. Returns false when one of them was never spoken of before.
    pub(super) fn change(&self, changed: &BTreeSet<String>) -> bool {
        let mut known = true;
        for table in changed {
            let count = self.0.read().unwrap_or_else(PoisonError::into_inner).get(table).map(Arc::clone);
            match count {
                Some(count) => drop(count.fetch_add(1, Ordering::SeqCst)),
                None => {
                    known = false;
                    drop(self.get_or_begin(table.clone()));
                }
            }
        }
        known
    }
}

/// What a plan reads, as the catalog told it.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// One for each table; `None` when its changes cannot all be told, so that nothing is kept.
    pub(super) tables: Option<Vec<Arc<AtomicU64>>>,
    /// Their names, in the same order.
    pub(super) names: Vec<String>,
    /// The count of changes of the whole under which this was found.
    pub(super) structure: u64,
    /// When; `None` only for what never was looked for.
    pub(super) found_at: Option<Instant>,
}

/// Asks the catalog what a plan reads. `None` when the database does not tell.
pub(super) async fn find(
    job: &Job<'_>,
    query: &PreparedQuery,
    tables: &Tables,
    structure: u64,
) -> Option<Sources> {
    let statement = query.statement.as_ref()?;
    let reads = reads(&job.generation.schema, statement);
    let status = job.serving.live.status();
    let found_at = Some(Instant::now());
    let Ok(mut session) = job.serving.pool.acquire(job.deadline).await else { return None };
    let Ok(found) = trace(&mut session, &reads.relations, &reads.functions).await else { return None };
    let Ok(unsteady) = unsteady(&mut session, &reads.relations).await else { return None };
    let told = unsteady.is_empty() && status.covers(&found);
    let counts = || found.tables.keys().map(|table| tables.get_or_begin(table.to_string())).collect();
    let names = found.tables.keys().map(ToString::to_string).collect();
    Some(Sources { tables: told.then(counts), names, structure, found_at })
}
