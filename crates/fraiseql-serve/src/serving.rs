//! What every request shares. Built once by `server`; nothing here runs by itself.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use fraiseql_engine::LoadError;
use fraiseql_model::artifact::Artifact;
use fraiseql_model::health::Health;
use fraiseql_postgres::{Pool, PoolStatus};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::Audit;
use crate::cache::ResponseCache;
use crate::gauge::{self, GaugeSource};
use crate::generation::Generation;
use crate::health::{HealthState, Readiness};
use crate::identity::Identities;
use crate::life::Life;
use crate::live::Live;
use crate::metrics::{Gauges, Metrics};
use crate::observe::{Event, Observe};
use crate::operations::Registered;
use crate::process;
use crate::rate::Rates;
use crate::replicas::Replicas;
use crate::request_id::RequestIds;
use crate::trace::TraceSource;
use crate::tuning::Tuning;
use crate::usage::Usage;

/// The state of a server.
pub(crate) struct Serving {
    pub(crate) generation: ArcSwap<Generation>,
    pub(crate) pool: Pool,
    pub(crate) registered: Registered,
    pub(crate) version: &'static str,
    pub(crate) observer: Arc<dyn Observe>,
    pub(crate) metrics: Metrics,
    pub(crate) health: HealthState,
    pub(crate) request_ids: RequestIds,
    pub(crate) life: Life,
    pub(crate) live: Live,
    pub(crate) identities: Identities,
    pub(crate) rates: Rates,
    /// `None` when answers are not kept.
    pub(crate) cache: Option<ResponseCache>,
    pub(crate) usage: Usage,
    pub(crate) audit: Audit,
    /// `None` when everything is read from the primary.
    pub(crate) replicas: Option<Replicas>,
    /// Begins traces, where spans are told.
    pub(crate) traces: Option<TraceSource>,
    /// Open client connections.
    pub(crate) connections: AtomicUsize,
    /// Work that is not within a connection: streams, requests of HTTP/2, the probe.
    pub(crate) tasks: TaskTracker,
    /// Tells the drain not to wait.
    pub(crate) hasten: CancellationToken,
    /// What the process outside of the server measures.
    pub(crate) gauges: OnceLock<GaugeSource>,
}

impl Serving {
    /// Returns the settings that a reload may change.
    pub(crate) fn tuning(&self) -> impl Deref<Target = Tuning> {
        InForce(self.generation.load())
    }

    /// Serves another artifact from now on. Fails, and keeps the old one, when it contradicts itself.
    pub(crate) fn reload(&self, artifact: Artifact) -> Result<(), LoadError> {
        let tuning = self.tuning().clone();
        self.reload_with(artifact, tuning)
    }

    /// The same, with other settings in the same step.
    pub(crate) fn reload_with(&self, artifact: Artifact, tuning: Tuning) -> Result<(), LoadError> {
        let generation = Arc::new(Generation::load(artifact, tuning, &self.metrics)?);
        self.generation.store(Arc::clone(&generation));
        self.metrics.reloads.increment();
        self.live.reloaded();
        self.cache.iter().for_each(ResponseCache::restructured);
        self.observer.observe(&Event::Reloaded { digest: &generation.schema.artifact().digest });
        Ok(())
    }

    /// Returns the health document of now.
    pub(crate) fn health_document(&self) -> Health {
        self.health.document(self.cache.as_ref().map(ResponseCache::component))
    }

    /// Returns the page of metrics.
    pub(crate) fn metrics_page(&self) -> String {
        let (document_entries, plan_entries) = self.generation.load().entries();
        let PoolStatus { size, open, idle, waiting } = self.pool.status();
        let gauges = Gauges {
            document_entries,
            plan_entries,
            pool_size: size,
            pool_open: open,
            pool_idle: idle,
            pool_waiting: waiting,
            connections: self.connections.load(Ordering::Relaxed),
            ready: self.health.readiness() == Readiness::Ready,
            database_up: self.health.database_up(),
        };
        let mut page = self.metrics.render(&gauges, self.version);
        self.live.render(&mut page);
        if let Some(source) = self.gauges.get() {
            gauge::render(&source(), &mut page);
        }
        self.identities.render(&mut page);
        self.rates.render(&mut page);
        self.cache.iter().for_each(|cache| cache.render(&mut page));
        self.life.render(&mut page);
        self.replicas.iter().for_each(|replicas| replicas.render(&mut page));
        process::render(&mut page);
        page.finish()
    }
}

/// The settings of the generation that is served.
struct InForce(Guard<Arc<Generation>>);

impl Deref for InForce {
    type Target = Tuning;

    fn deref(&self) -> &Tuning {
        &self.0.tuning
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use fraiseql_engine::Limits;
    use fraiseql_model::artifact::ARTIFACT_FORMAT;
    use fraiseql_postgres::{PoolOptions, Target};

    use super::*;
    use crate::identity::IdentityOptions;
    use crate::live::SubscriptionOptions;
    use crate::mode::{Mode, Notice};
    use crate::policy::RequestPolicy;
    use crate::rate::RateOptions;
    use crate::usage::UsageRecording;

    struct Deaf;

    impl Observe for Deaf {
        fn observe(&self, _event: &Event<'_>) {}
    }

    /// Returns the state of a server whose database is never asked.
    pub(crate) fn serving() -> Serving {
        let artifact = Artifact {
            format: ARTIFACT_FORMAT,
            digest: String::new(),
            compiler: "test".to_owned(),
            sdl: "type Query { ok: Boolean }".to_owned(),
            objects: Default::default(),
            enums: Default::default(),
            query: Default::default(),
            mutation: Default::default(),
            manifest: Default::default(),
            abstracts: Default::default(),
            documents: Default::default(),
            subscription: Default::default(),
            writes: Default::default(),
            operations: Vec::new(),
            inputs: Default::default(),
            access: Default::default(),
        };
        let options = PoolOptions { size: 1, connect_timeout: Duration::from_secs(1) };
        let observer: Arc<dyn Observe> = Arc::new(Deaf);
        let tuning = Tuning {
            limits: Limits::default(),
            policy: RequestPolicy::default(),
            body_bytes: 1_000,
            request_timeout: Duration::from_secs(1),
            graphiql: false,
            detailed_errors: false,
        };
        let metrics = Metrics::new();
        let generation = Generation::load(artifact, tuning, &metrics).unwrap();
        let pool = Pool::new(Target::parse("postgres://nobody@localhost/nothing").unwrap(), options);
        Serving {
            generation: ArcSwap::from_pointee(generation),
            life: Life::begin(None, Mode::Normal, Notice::default(), &pool).unwrap(),
            pool,
            registered: Registered::new(),
            version: "1.2.3",
            observer: Arc::clone(&observer),
            metrics,
            health: HealthState::new("1.2.3"),
            request_ids: RequestIds::new(),
            live: Live::new(SubscriptionOptions::default(), 1),
            identities: Identities::new(&IdentityOptions::default(), &observer).unwrap(),
            rates: Rates::new(RateOptions::default()),
            cache: None,
            usage: Usage::new(UsageRecording::Off),
            audit: Audit::Off,
            replicas: None,
            traces: None,
            connections: AtomicUsize::new(0),
            tasks: TaskTracker::new(),
            hasten: CancellationToken::new(),
            gauges: OnceLock::new(),
        }
    }
}
