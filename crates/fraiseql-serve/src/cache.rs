//! The response cache: answers of queries in memory, each for as long as nothing that it was read from
//! has changed.
//!
//! An answer is kept with the count of changes of each of its tables, as they were before it was
//! read. To change a table is to add one: what was kept, or is being read, holds no more. Writes
//! through the API add one before their client is answered, the reader of changes (`live::feed`)
//! for writes behind its back. While nobody reads changes, nothing is kept or given.

mod answer;
mod asked;
mod kept;
mod options;
mod redis_store;
mod shared_key;
mod sources;
mod writing;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fraiseql_model::health::{Component, Connection};
use fraiseql_postgres::Target;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::time::Instant;

pub(crate) use answer::answer;
pub(crate) use asked::Asked;
pub(crate) use kept::Kept;
pub use options::CacheOptions;
pub use redis_store::{BadRedisUrl, RedisOptions};
pub(crate) use redis_store::{connection, run as keep_shared, within};

use crate::cache::kept::Stamp;
use crate::cache::redis_store::Shared;
use crate::cache::shared_key::database_key;
use crate::cache::sources::{Sources, Tables};
use crate::cache::writing::Reaches;
use crate::exposition::Exposition;
use crate::metrics::Counter;
use crate::pipeline::Job;
use crate::prepared::PreparedQuery;

/// What an answer is taken to have on average, to lay out the cache.
const USUAL_BYTES: usize = 8 << 10;
/// The most plans whose sources are remembered.
const PLANS_MAX: usize = 10_000;
/// Nobody has looked for changes.
const NEVER: u64 = 0;

/// Answers that are kept.
pub(crate) struct ResponseCache {
    options: CacheOptions,
    answers: Cache<Box<[u8]>, Arc<Kept>, ByBytes>,
    /// What plans read, by their numbers.
    sources: Cache<u64, Arc<Sources>>,
    tables: Tables,
    reaches: Reaches,
    /// What servers have in common.
    shared: Option<Shared>,
    /// Grows when everything may have changed.
    flushes: AtomicU64,
    /// Grows when tables may be others than before, or who tells their changes.
    structure: AtomicU64,
    began: Instant,
    /// When the last look for changes began, in microseconds from the beginning.
    looked_us: AtomicU64,
    /// How long that look took.
    look_us: AtomicU64,
    tally: CacheTally,
}

/// Everything that is counted of the cache.
#[derive(Debug, Default)]
struct CacheTally {
    hits: Counter,
    shared_hits: Counter,
    misses: Counter,
    bypasses: Counter,
    writes: Counter,
    changes: Counter,
    flushes: Counter,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Box<[u8]>, Arc<Kept>> for ByBytes {
    fn weight(&self, key: &Box<[u8]>, kept: &Arc<Kept>) -> u64 {
        (key.len() + kept.bytes()) as u64
    }
}

impl ResponseCache {
    /// Returns an empty cache, which stays so until somebody looks for changes.
    pub(crate) fn new(options: CacheOptions, target: &Target) -> Self {
        let bytes = options.memory_bytes;
        let shared = options.shared.clone().map(|shared| Shared::new(shared, &database_key(target)));
        Self {
            shared,
            answers: Cache::with_weighter((bytes / USUAL_BYTES).max(1), bytes as u64, ByBytes),
            sources: Cache::new(PLANS_MAX),
            tables: Tables::default(),
            reaches: Reaches::default(),
            flushes: AtomicU64::new(0),
            structure: AtomicU64::new(0),
            began: Instant::now(),
            looked_us: AtomicU64::new(NEVER),
            look_us: AtomicU64::new(0),
            tally: CacheTally::default(),
            options,
        }
    }

    /// Notes that changes are read from now on, or from elsewhere, or of another schema: all is
    /// looked for anew.
    pub(crate) fn restructured(&self) {
        self.shared.iter().for_each(Shared::owe_everything);
        self.structure.fetch_add(1, Ordering::SeqCst);
        // Behind the structure: who still saw the old one is caught by this.
        self.flushes.fetch_add(1, Ordering::SeqCst);
        self.reaches.forget();
        self.sources.clear();
        self.answers.clear();
        self.tally.flushes.increment();
    }

    /// Notes that changes are not read any more.
    pub(crate) fn blind(&self) {
        self.looked_us.store(NEVER, Ordering::SeqCst);
        self.restructured();
    }

    /// Notes a look for changes that began then, and whose finds were noted already.
    pub(crate) fn looked(&self, began: Instant) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.look_us.store(micros(began.elapsed()), Ordering::Relaxed);
        self.looked_us.store(micros(began.saturating_duration_since(self.began)).max(1), Ordering::SeqCst);
    }

    /// Notes that others wrote to these tables.
    pub(crate) fn changed(&self, tables: &BTreeSet<String>) {
        if tables.is_empty() {
            return;
        }
        self.tally.changes.increment();
        // Before our own counts: who misses here from now on must not find it there.
        self.shared.iter().for_each(|shared| shared.owe(tables));
        // A table that nobody spoke of may be a new partition of one that somebody reads.
        if !self.tables.change(tables) {
            self.restructured();
        }
    }

    /// Notes that anything may have changed, of the same tables as before.
    pub(crate) fn changed_everything(&self) {
        self.shared.iter().for_each(Shared::owe_everything);
        self.flushes.fetch_add(1, Ordering::SeqCst);
        self.tally.flushes.increment();
    }

    fn wrote(&self, tables: &BTreeSet<String>) {
        self.tally.writes.increment();
        self.shared.iter().for_each(|shared| shared.owe(tables));
        if !self.tables.change(tables) {
            self.restructured();
        }
    }

    fn wrote_anything(&self) {
        self.tally.writes.increment();
        self.changed_everything();
    }

    /// True while changes are looked for often enough.
    fn is_current(&self) -> bool {
        let looked = self.looked_us.load(Ordering::SeqCst);
        looked != NEVER && self.began.elapsed() <= Duration::from_micros(looked) + self.options.stale_max
    }

    /// Returns a kept answer that holds now.
    fn find(&self, key: &[u8]) -> Option<Arc<Kept>> {
        let kept = self.answers.get(key)?;
        if self.holds(&kept) {
            return Some(kept);
        }
        self.answers.remove(key);
        None
    }

    fn holds(&self, kept: &Kept) -> bool {
        let Stamp { flushes, changes, sources } = &kept.stamp;
        let tables = sources.tables.as_deref().unwrap_or_default();
        kept.filled_at.elapsed() <= self.options.max_age
            && *flushes == self.flushes.load(Ordering::SeqCst)
            && tables.iter().zip(changes).all(|(table, count)| table.load(Ordering::SeqCst) == *count)
    }

    /// Returns what has to stay as it is for an answer that is asked for from now on; `None` when
    /// changes of its tables are not all told.
    async fn stamp(&self, job: &Job<'_>, query: &PreparedQuery) -> Option<Stamp> {
        // First of all: a change of the structure while the sources are looked at is caught by it.
        let flushes = self.flushes.load(Ordering::SeqCst);
        let structure = self.structure.load(Ordering::SeqCst);
        let known = self.sources.get(&query.number).filter(|known| {
            let fresh = known.found_at.is_some_and(|at| at.elapsed() <= self.options.max_age);
            fresh && known.structure == structure
        });
        let sources = match known {
            Some(known) => known,
            None => {
                let found = Arc::new(sources::find(job, query, &self.tables, structure).await?);
                self.sources.insert(query.number, Arc::clone(&found));
                found
            }
        };
        let tables = sources.tables.as_ref()?;
        let changes = tables.iter().map(|table| table.load(Ordering::SeqCst)).collect();
        Some(Stamp { flushes, changes, sources })
    }

    /// Returns what health says of the cache: whether changes are looked for and how long a look took,
    /// or where servers share it, whether Redis answers and how soon.
    pub(crate) fn component(&self) -> Component {
        if !self.is_current() {
            return Component { status: Connection::Disconnected, latency_ms: None };
        }
        let look_us = self.look_us.load(Ordering::Relaxed);
        match self.shared.as_ref().map_or(Some(look_us), Shared::latency_us) {
            Some(micros) => {
                let latency_ms = Some(micros.div_ceil(1_000).max(1));
                Component { status: Connection::Connected, latency_ms }
            }
            None => Component { status: Connection::Disconnected, latency_ms: None },
        }
    }

    /// Adds the numbers of the cache to a page of metrics.
    pub(crate) fn render(&self, page: &mut Exposition) {
        let name = "fraiseql_cache_requests_total";
        page.head(name, "counter", "Queries by what the response cache did for them.");
        let tally = &self.tally;
        for (outcome, counter) in [
            ("hit", &tally.hits),
            ("shared", &tally.shared_hits),
            ("miss", &tally.misses),
            ("bypass", &tally.bypasses),
        ] {
            page.sample(name, &[("outcome", outcome)], counter.value());
        }
        let name = "fraiseql_cache_invalidations_total";
        page.head(
            name,
            "counter",
            "What took answers out of force: writes here, changes elsewhere, everything.",
        );
        for (by, counter) in [("write", &tally.writes), ("change", &tally.changes), ("flush", &tally.flushes)]
        {
            page.sample(name, &[("by", by)], counter.value());
        }
        page.gauge("fraiseql_cache_entries", "Answers that are kept.", self.answers.len() as u64);
        page.gauge("fraiseql_cache_bytes", "Bytes that they take, as estimated.", self.answers.weight());
        let current = u64::from(self.is_current());
        page.gauge("fraiseql_cache_current", "1 while changes are looked for often enough.", current);
    }
}
