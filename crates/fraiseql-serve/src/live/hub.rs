//! Who watches what: all who ask the same share one watched query, found again by the tables it reads.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fraiseql_engine::Reads;
use fraiseql_model::response::GraphqlError;
use fraiseql_postgres::Trace;
use tokio::sync::{Notify, Semaphore, watch};

use crate::live::requests::Sameness;
use crate::live::watched::{self, Watched};
use crate::params::Params;
use crate::serving::Serving;

/// The part of the pool that re-queries may take at a time: one in so many connections.
const POOL_SHARE: usize = 2;

/// All watched queries of a server.
pub(crate) struct Hub {
    registry: Mutex<Registry>,
    /// How many distinct queries there are.
    count: watch::Sender<usize>,
    /// What statements read, as found in the catalog; forgotten with every change of everything.
    traces: Mutex<BTreeMap<Reads, Arc<Trace>>>,
    /// Keeps re-queries from taking every connection.
    pub(crate) permits: Semaphore,
}

#[derive(Default)]
struct Registry {
    next: u64,
    by_sameness: HashMap<Sameness, u64>,
    entries: HashMap<u64, Entry>,
    by_table: HashMap<String, HashSet<u64>>,
}

struct Entry {
    sameness: Sameness,
    states: watch::Sender<State>,
    stale: Arc<Notify>,
    tables: BTreeSet<String>,
}

/// What subscribers of one query see; they take the newest and miss what was replaced before.
#[derive(Clone, Debug, Default)]
pub(crate) enum State {
    /// Not answered yet.
    #[default]
    Waiting,
    /// The newest response, as JSON text.
    Answered(Bytes),
    /// There will be no other response, for these reasons.
    Ended(Arc<Vec<GraphqlError>>),
}

impl Hub {
    /// Returns a hub without queries, for a pool of that size.
    pub(crate) fn new(pool_size: usize) -> Self {
        Self {
            registry: Mutex::default(),
            count: watch::Sender::new(0),
            traces: Mutex::default(),
            permits: Semaphore::new((pool_size / POOL_SHARE).max(1)),
        }
    }

    /// Returns the states of a subscription, which is begun when nobody else has it.
    pub(crate) fn join(&self, serving: &Arc<Serving>, params: Params<'static>) -> watch::Receiver<State> {
        let sameness = Sameness::of(&params);
        let mut registry = self.registry();
        if let Some(number) = registry.by_sameness.get(&sameness)
            && let Some(entry) = registry.entries.get(number)
        {
            let mut states = entry.states.subscribe();
            // What is there already is news to whoever comes.
            states.mark_changed();
            return states;
        }
        registry.next += 1;
        let number = registry.next;
        let (states, receiver) = watch::channel(State::Waiting);
        let stale = Arc::new(Notify::new());
        let watched = Watched::new(number, params, states.clone(), Arc::clone(&stale));
        let entry = Entry { sameness: sameness.clone(), states, stale, tables: BTreeSet::new() };
        registry.by_sameness.insert(sameness, number);
        registry.entries.insert(number, entry);
        self.count.send_replace(registry.entries.len());
        drop(registry);
        serving.tasks.spawn(watched::run(Arc::clone(serving), watched));
        receiver
    }

    /// Takes a query out when nobody subscribes to it any more; false when somebody came back.
    pub(crate) fn retire(&self, number: u64) -> bool {
        let mut registry = self.registry();
        let unused = registry.entries.get(&number).is_none_or(|entry| entry.states.receiver_count() == 0);
        if unused {
            self.take_out(&mut registry, number);
        }
        unused
    }

    /// Takes a query out; its subscribers were told that it ended.
    pub(crate) fn end(&self, number: u64) {
        self.take_out(&mut self.registry(), number);
    }

    fn take_out(&self, registry: &mut Registry, number: u64) {
        if let Some(entry) = registry.entries.remove(&number) {
            registry.by_sameness.remove(&entry.sameness);
            registry.forget(number, &entry.tables);
        }
        self.count.send_replace(registry.entries.len());
    }

    /// Notes which tables a query reads; from now on their changes reach it.
    pub(crate) fn reads(&self, number: u64, tables: BTreeSet<String>) {
        let mut registry = self.registry();
        let Some(entry) = registry.entries.get_mut(&number) else { return };
        let before = std::mem::replace(&mut entry.tables, tables.clone());
        registry.forget(number, &before);
        for table in tables {
            registry.by_table.entry(table).or_default().insert(number);
        }
    }

    /// Tells the queries that read one of these tables.
    pub(crate) fn changed(&self, tables: &BTreeSet<String>) {
        let registry = self.registry();
        let numbers: BTreeSet<&u64> =
            tables.iter().filter_map(|table| registry.by_table.get(table)).flatten().collect();
        numbers
            .iter()
            .filter_map(|number| registry.entries.get(number))
            .for_each(|entry| entry.stale.notify_one());
    }

    /// Tells every query, also to look anew at what it reads.
    pub(crate) fn changed_everything(&self) {
        self.traces().clear();
        self.registry().entries.values().for_each(|entry| entry.stale.notify_one());
    }

    /// Returns what was found for these reads before.
    pub(crate) fn trace(&self, reads: &Reads) -> Option<Arc<Trace>> {
        self.traces().get(reads).cloned()
    }

    /// Keeps what was found.
    pub(crate) fn keep_trace(&self, reads: Reads, trace: Arc<Trace>) {
        self.traces().insert(reads, trace);
    }

    /// Returns how many distinct queries there are.
    pub(crate) fn len(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until there is a query, or until there is none.
    pub(crate) async fn wait_for_queries(&self, some: bool) {
        let mut count = self.count.subscribe();
        // The sender is our own, so this cannot fail while we are here.
        let _still_here = count.wait_for(|count| (*count > 0) == some).await.is_ok();
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        // Nothing in here panics half way.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn traces(&self) -> MutexGuard<'_, BTreeMap<Reads, Arc<Trace>>> {
        self.traces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    fn forget(&mut self, number: u64, tables: &BTreeSet<String>) {
        for table in tables {
            if let Some(numbers) = self.by_table.get_mut(table) {
                numbers.remove(&number);
                if numbers.is_empty() {
                    self.by_table.remove(table);
                }
            }
        }
    }
}
