//! What holds: taken over from the control plane, from an operator, or from the end of a lease.
//!
//! It lies on the disk before it holds. Only a rollback holds even when the disk refuses: not to be
//! able to write is no reason to stay on a bad release.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use fraiseql_model::traffic::{Generation, GenerationOrigin, Stamp, TrafficGate};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::counts::Counts;
use crate::error::ProxyError;
use crate::observe::{ProxyEvent, ProxyObserver};
use crate::store::{Held, Store};
use crate::table::Table;

/// What holds, and who may change it.
pub(crate) struct Traffic {
    table: ArcSwapOption<Table>,
    pub(crate) counts: Counts,
    store: Store,
    /// When the lease ends. Locked while something changes.
    lease: Mutex<Option<Instant>>,
    /// Woken when something has changed.
    pub(crate) changed: Notify,
    gate: watch::Sender<TrafficGate>,
    observer: Arc<dyn ProxyObserver>,
}

impl Traffic {
    /// Goes on with what lies on the disk. A lease begins anew.
    pub(crate) fn resume(store: Store, observer: Arc<dyn ProxyObserver>) -> Result<Self, ProxyError> {
        let counts = Counts::resume(&store.counts());
        let traffic = Self {
            table: ArcSwapOption::empty(),
            counts,
            store,
            lease: Mutex::new(None),
            changed: Notify::new(),
            gate: watch::Sender::new(TrafficGate::Open),
            observer,
        };
        if let Some(Held { generation, origin }) = traffic.store.held()? {
            let mut lease = traffic.lock();
            traffic.put(generation, origin, &mut lease);
        }
        Ok(traffic)
    }

    /// Returns what holds.
    pub(crate) fn table(&self) -> Option<Arc<Table>> {
        self.table.load_full()
    }

    /// Returns what tells when requests may pass.
    pub(crate) fn gate(&self) -> watch::Receiver<TrafficGate> {
        self.gate.subscribe()
    }

    /// Takes a generation over from the control plane. The same again changes nothing.
    ///
    /// Fails when it contradicts itself, when a newer one holds, and when it cannot be written down.
    pub(crate) fn apply(&self, generation: Generation) -> Result<(), ProxyError> {
        let stamp = generation.stamp;
        generation.check().map_err(|reason| ProxyError::Contradiction { stamp, reason })?;
        let mut lease = self.lock();
        if let Some(table) = self.table() {
            let highest = table.generation.stamp;
            let same = table.generation == generation && table.origin == GenerationOrigin::Control;
            if stamp == highest && same {
                return Ok(());
            }
            if stamp <= highest {
                return Err(ProxyError::Stale { stamp, highest });
            }
        }
        let held = Held { generation, origin: GenerationOrigin::Control };
        self.store.hold(&held)?;
        self.put(held.generation, held.origin, &mut lease);
        Ok(())
    }

    /// Renews the lease of the generation with that stamp.
    ///
    /// Fails when another one holds, or when its lease has ended.
    pub(crate) fn renew(&self, stamp: Stamp) -> Result<(), ProxyError> {
        let mut lease = self.lock();
        let table = self.table();
        let highest = table.as_ref().map_or_else(Stamp::default, |table| table.generation.stamp);
        match table
            .filter(|table| table.generation.stamp == stamp && table.origin == GenerationOrigin::Control)
        {
            Some(table) => {
                *lease = deadline(&table.generation);
                Ok(())
            }
            None => Err(ProxyError::Stale { stamp, highest }),
        }
    }

    /// Rolls back, whatever the control plane and the disk do. Returns what holds then.
    ///
    /// Fails when no earlier release is kept.
    pub(crate) fn roll_back(&self) -> Result<Generation, ProxyError> {
        let mut lease = self.lock();
        let back = self.table().and_then(|table| table.generation.rolled_back());
        let back = back.ok_or(ProxyError::NothingBefore)?;
        self.force(back.clone(), GenerationOrigin::Operator, &mut lease);
        Ok(back)
    }

    /// Waits until leases end, and puts all traffic on the stable release then.
    pub(crate) async fn watch_lease(&self) {
        loop {
            let changed = self.changed.notified();
            let ends = *self.lock();
            let ended = async {
                match ends {
                    Some(ends) => tokio::time::sleep_until(ends).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed => {}
                () = ended => self.end_lease(),
            }
        }
    }

    fn end_lease(&self) {
        let mut lease = self.lock();
        // Renewed meanwhile, it has not ended.
        if lease.is_none_or(|ends| ends > Instant::now()) {
            return;
        }
        if let Some(table) = self.table() {
            self.force(table.generation.on_stable(), GenerationOrigin::LeaseEnded, &mut lease);
        }
    }

    /// Returns how long the lease still holds.
    pub(crate) fn lease_left(&self) -> Option<Duration> {
        self.lock().map(|ends| ends.saturating_duration_since(Instant::now()))
    }

    /// Writes down what was counted.
    pub(crate) fn keep_counts(&self) {
        if let Err(error) = self.store.keep_counts(&self.counts.snapshot()) {
            self.observer.observe(&ProxyEvent::NotWritten { error: &error });
        }
    }

    fn force(&self, generation: Generation, origin: GenerationOrigin, lease: &mut Option<Instant>) {
        let held = Held { generation, origin };
        if let Err(error) = self.store.hold(&held) {
            self.observer.observe(&ProxyEvent::NotWritten { error: &error });
        }
        self.put(held.generation, held.origin, lease);
    }

    fn put(&self, generation: Generation, origin: GenerationOrigin, lease: &mut Option<Instant>) {
        *lease = deadline(&generation);
        let before = self.table();
        let (stamp, gate) = (generation.stamp, generation.gate.clone());
        let table = Table::new(generation, origin, before.as_deref(), &self.counts);
        let shares = table.shares();
        self.table.store(Some(Arc::new(table)));
        self.gate.send_replace(gate);
        self.observer.observe(&ProxyEvent::Applied { stamp, origin, shares: &shares });
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn deadline(generation: &Generation) -> Option<Instant> {
    generation.lease_ms.map(|lease| Instant::now() + Duration::from_millis(lease))
}
