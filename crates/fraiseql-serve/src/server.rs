//! The server's life: bind, serve, drain. It spawns nothing that it does not wait for.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use fraiseql_engine::{Limits, LoadError};
use fraiseql_model::artifact::Artifact;
use fraiseql_postgres::Pool;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::Audit;
use crate::cache::{self, CacheOptions, ResponseCache};
use crate::connection::{self, Ending, Stop};
use crate::error::ServeError;
use crate::gauge::GaugeSource;
use crate::generation::Generation;
use crate::health::HealthState;
use crate::identity::{Identities, IdentityOptions};
use crate::life::{Life, LifeOptions, Reload};
use crate::listen::{adopt, listen};
use crate::live::{self, Live, SubscriptionOptions};
use crate::metrics::Metrics;
use crate::mode::{Mode, Notice, StillWriting};
use crate::observe::{Event, Observe};
use crate::operations::Registered;
use crate::policy::RequestPolicy;
use crate::probe;
use crate::rate::{self, RateOptions, Rates};
use crate::replicas::{self, ReplicaOptions, Replicas};
use crate::request_id::RequestIds;
use crate::serving::Serving;
use crate::tls;
use crate::trace::TraceSource;
use crate::tuning::Tuning;
use crate::usage::{self, Usage, UsageRecording};
use crate::workers::Workers;

/// The most client connections; further ones wait in the backlog. Fewer where the process may not
/// open as many files.
const CONNECTIONS_MAX: u64 = 10_000;
/// Files that are kept free for the database, health and the process itself.
const FILES_RESERVED: u64 = 256;
/// The least number of client connections, however few files there are.
const CONNECTIONS_MIN: u64 = 16;
/// How long to wait when no connection can be accepted, for example for lack of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long tasks get to end once everything they work for is gone.
const TASKS_TIMEOUT: Duration = Duration::from_secs(2);

/// What a server is made of.
pub struct ServeOptions {
    /// The schema to serve at first.
    pub artifact: Artifact,
    /// Connections to the database; [`Server::run`] closes it at its end.
    pub pool: Pool,
    /// Threads that serve, each with a runtime of its own; 0 serves on the caller's runtime.
    pub workers: usize,
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// What a client may send in a document.
    pub limits: Limits,
    /// How requests are let in.
    pub policy: RequestPolicy,
    /// The largest request body, in bytes.
    pub body_bytes: usize,
    /// How long a request may take; then its statement is cancelled.
    pub request_timeout: Duration,
    /// How long to go on accepting while readiness says 503 already.
    pub drain_delay: Duration,
    /// How long running requests may take after that.
    pub drain_timeout: Duration,
    /// Serves GraphiQL at `/`.
    pub graphiql: bool,
    /// The version that `/health` and `/metrics` tell.
    pub version: &'static str,
    /// Adds PostgreSQL's message to internal errors: for development. Never the statement.
    pub detailed_errors: bool,
    /// Limits and intervals of subscriptions.
    pub subscriptions: SubscriptionOptions,
    /// Whether and where it is counted who asks for which fields.
    pub usage: UsageRecording,
    /// Whether mutations write down who did what.
    pub audit: Audit,
    /// Replicas to read from; `None` reads everything from the primary.
    pub replicas: Option<ReplicaOptions>,
    /// Requests that name no trace begin one, and so many of 100 of these are kept; `None` begins none.
    pub traces_percent: Option<u8>,
    /// How callers are known.
    pub identity: IdentityOptions,
    /// How often who may ask.
    pub rates: RateOptions,
    /// Answers are kept within these bounds; `None` keeps none.
    pub cache: Option<CacheOptions>,
    /// TLS, the mode, a socket that somebody else holds.
    pub life: LifeOptions,
    /// Is told what happens.
    pub observer: Arc<dyn Observe>,
}

/// A server that listens and does not serve yet.
pub struct Server {
    serving: Arc<Serving>,
    workers: Workers,
    listener: TcpListener,
    address: SocketAddr,
    drain_delay: Duration,
    drain_timeout: Duration,
}

/// Reaches a server from elsewhere. Cloning shares it.
#[derive(Clone)]
pub struct ServerHandle {
    pub(crate) serving: Arc<Serving>,
}

/// How the connections ended that were open when the server stopped accepting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainReport {
    /// Connections that ended by themselves.
    pub finished: usize,
    /// Connections that were cut off, with a request on its way or half sent.
    pub cut: usize,
}

impl ServerHandle {
    /// Serves another artifact from now on; running requests finish with the one they began with.
    ///
    /// Fails, and goes on with the old one, when the artifact contradicts itself.
    pub fn reload(&self, artifact: Artifact) -> Result<(), LoadError> {
        self.serving.reload(artifact)
    }

    /// Adds what the process outside of the server measures to the page of metrics. Asked at each
    /// scrape; the first source stays.
    pub fn gauges_from(&self, source: GaugeSource) {
        drop(self.serving.gauges.set(source));
    }

    /// Serves another artifact with other settings from now on, both in one step.
    ///
    /// Fails, and goes on with the old ones, when the artifact contradicts itself.
    pub fn reload_with(&self, artifact: Artifact, tuning: Tuning) -> Result<(), LoadError> {
        self.serving.reload_with(artifact, tuning)
    }

    /// Notes how a reload ended, for the metrics: whether everything was taken over, and how many
    /// settings have changed that only a new process takes over.
    pub fn note_reload(&self, outcome: Reload) {
        self.serving.life.note_reload(outcome);
    }

    /// Notes what the database lacks for the artifact; readiness says no until it is nothing.
    pub fn note_mismatch(&self, lacks: Vec<String>) {
        self.serving.health.mismatch(lacks);
    }

    /// Returns what the service does for now.
    pub fn mode(&self) -> Mode {
        self.serving.life.mode.mode()
    }

    /// Does something else from now on; returns when nothing that began before can still write.
    ///
    /// Fails when some requests still write after the time that a request may take; the new mode
    /// holds nevertheless.
    pub async fn switch(&self, mode: Mode) -> Result<(), StillWriting> {
        let serving = &self.serving;
        serving
            .life
            .mode
            .switch(mode, &serving.pool, serving.tuning().request_timeout, &serving.observer)
            .await
    }

    /// Tells clients something else from now on, who have to wait.
    pub fn set_notice(&self, notice: Notice) {
        self.serving.life.mode.set_notice(notice);
    }

    /// Looks at the files of the certificate at once.
    pub fn look_at_certificate(&self) {
        if let Some(tls) = &self.serving.life.tls {
            tls.look();
        }
    }

    /// Ends a drain at once: for a second signal to stop. Without a drain it takes effect on the next.
    pub fn hasten(&self) {
        if !self.serving.hasten.is_cancelled() {
            self.serving.hasten.cancel();
            self.serving.observer.observe(&Event::Hastened);
        }
    }
}

impl Server {
    /// Loads the artifact and listens. Must be called within a runtime.
    ///
    /// Clients may connect when this returns; they are answered once [`Server::run`] runs. Fails
    /// when the port is taken, the address cannot be bound or the artifact contradicts itself.
    pub async fn bind(options: ServeOptions) -> Result<Self, ServeError> {
        let metrics = Metrics::new();
        let tuning = Tuning {
            limits: options.limits,
            policy: options.policy,
            body_bytes: options.body_bytes,
            request_timeout: options.request_timeout,
            graphiql: options.graphiql,
            detailed_errors: options.detailed_errors,
        };
        let generation = Generation::load(options.artifact, tuning, &metrics)?;
        let LifeOptions { listener, tls, mode, notice } = options.life;
        let life = Life::begin(tls, mode, notice, &options.pool)?;
        let listener = listener.map_or_else(|| listen(options.address), adopt)?;
        let workers = Workers::start(options.workers).map_err(ServeError::Workers)?;
        let bound = listener.local_addr();
        let address = bound.map_err(|source| ServeError::Bind { address: options.address, source })?;
        let identities = Identities::new(&options.identity, &options.observer)
            .map_err(|reason| ServeError::Identity { reason })?;
        let cache = options.cache.map(|cache| ResponseCache::new(cache, &options.pool.target()));
        let live = Live::new(options.subscriptions, options.pool.status().size);
        let serving = Arc::new(Serving {
            generation: ArcSwap::from_pointee(generation),
            pool: options.pool,
            registered: Registered::new(),
            version: options.version,
            observer: options.observer,
            metrics,
            health: HealthState::new(options.version),
            life,
            request_ids: RequestIds::new(),
            live,
            identities,
            rates: Rates::new(options.rates),
            cache,
            usage: Usage::new(options.usage),
            audit: options.audit,
            replicas: options.replicas.and_then(Replicas::new),
            traces: options.traces_percent.map(TraceSource::new),
            connections: AtomicUsize::new(0),
            tasks: TaskTracker::new(),
            hasten: CancellationToken::new(),
            gauges: OnceLock::new(),
        });
        let (drain_delay, drain_timeout) = (options.drain_delay, options.drain_timeout);
        Ok(Self { serving, workers, listener, address, drain_delay, drain_timeout })
    }

    /// Returns where the server listens, with the port that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns a handle, to be used while [`Server::run`] runs.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { serving: Arc::clone(&self.serving) }
    }

    /// Serves until `shutdown` resolves, then drains: readiness says 503 from that moment, new
    /// connections are accepted for the drain delay, then running requests have the drain timeout
    /// to finish, and what is left is cut off.
    ///
    /// At last the pool is closed. Nothing of the server runs any more when this returns, or soon
    /// after it is dropped.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<DrainReport, ServeError> {
        let serving = self.serving;
        serving.observer.observe(&Event::Listening { address: self.address });
        let mut door = Door {
            serving: Arc::clone(&serving),
            workers: self.workers,
            listener: self.listener,
            permits: Arc::new(Semaphore::new(connections_max())),
            connections: TaskTracker::new(),
            stop: Stop::default(),
            cut: Arc::new(AtomicUsize::new(0)),
        };
        // Dropped in the middle, everything ends at once.
        let _ends = door.stop.now.clone().drop_guard();
        let probing = door.stop.now.clone().run_until_cancelled_owned(probe::run(Arc::clone(&serving)));
        serving.tasks.spawn(probing);
        let feeding = door.stop.now.clone().run_until_cancelled_owned(live::feed(Arc::clone(&serving)));
        serving.tasks.spawn(feeding);
        let sharing =
            door.stop.now.clone().run_until_cancelled_owned(cache::keep_shared(Arc::clone(&serving)));
        serving.tasks.spawn(sharing);
        let counting = door.stop.now.clone().run_until_cancelled_owned(rate::run(Arc::clone(&serving)));
        serving.tasks.spawn(counting);
        let looking = door.stop.now.clone().run_until_cancelled_owned(replicas::run(Arc::clone(&serving)));
        serving.tasks.spawn(looking);
        let flushing = door.stop.now.clone().run_until_cancelled_owned(usage::run(Arc::clone(&serving)));
        serving.tasks.spawn(flushing);
        let keys = Arc::clone(&serving);
        let keeping = async move { keys.identities.keep().await };
        serving.tasks.spawn(door.stop.now.clone().run_until_cancelled_owned(keeping));
        let renewing = door.stop.now.clone().run_until_cancelled_owned(tls::watch(Arc::clone(&serving)));
        serving.tasks.spawn(renewing);

        door.accept_until(shutdown).await;
        serving.health.drain();
        let connections = serving.connections.load(Ordering::Relaxed);
        serving.observer.observe(&Event::Draining { connections });
        let delay = async {
            tokio::select! {
                () = tokio::time::sleep(self.drain_delay) => {}
                () = serving.hasten.cancelled() => {}
            }
        };
        door.accept_until(delay).await;
        Ok(door.drain(self.drain_timeout).await)
    }
}

/// Where connections come in.
struct Door {
    serving: Arc<Serving>,
    workers: Workers,
    listener: TcpListener,
    permits: Arc<Semaphore>,
    connections: TaskTracker,
    stop: Stop,
    cut: Arc<AtomicUsize>,
}

impl Door {
    async fn accept_until(&mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = self.accept() => {}
            }
        }
    }

    async fn accept(&self) {
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return std::future::pending().await;
        };
        match self.listener.accept().await {
            Ok((stream, _client)) => self.serve(stream, permit),
            Err(error) => {
                self.serving.observer.observe(&Event::AcceptFailed { error: &error });
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    fn serve(&self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        let open = OpenConnection::new(&self.serving);
        let (serving, stop, cut) = (Arc::clone(&self.serving), self.stop.clone(), Arc::clone(&self.cut));
        // A socket that cannot be handed over has been closed by its client.
        let Ok(stream) = stream.into_std() else { return };
        let seat = self.workers.seat();
        let handle = seat.handle.clone();
        let serve = async move {
            if let Ok(stream) = TcpStream::from_std(stream)
                && connection::serve(serving, stream, stop).await == Ending::Cut
            {
                cut.fetch_add(1, Ordering::Relaxed);
            }
            drop((open, permit, seat));
        };
        drop(self.connections.spawn_on(serve, &handle));
    }

    async fn drain(self, timeout: Duration) -> DrainReport {
        let Self { serving, workers, listener, connections, stop, cut, .. } = self;
        drop(listener);
        let open = connections.len();
        connections.close();
        serving.tasks.close();
        stop.soon.cancel();
        serving.live.drain();
        tokio::select! {
            () = connections.wait() => {}
            () = tokio::time::sleep(timeout) => {}
            () = serving.hasten.cancelled() => {}
        }
        stop.now.cancel();
        connections.wait().await;
        // Streams whose client is gone notice it at once; the limit is for what nobody foresaw.
        if tokio::time::timeout(TASKS_TIMEOUT, serving.tasks.wait()).await.is_err() {
            serving.observer.observe(&Event::TasksLeft { tasks: serving.tasks.len() });
        }
        usage::finish(&serving).await;
        // Before the threads: what is being cancelled on the database belongs to them.
        if let Some(replicas) = &serving.replicas {
            replicas.close().await;
        }
        serving.pool.close().await;
        workers.stop().await;
        let cut = cut.load(Ordering::Relaxed);
        DrainReport { finished: open.saturating_sub(cut), cut }
    }
}

/// Counts a connection for as long as it lives.
struct OpenConnection(Arc<Serving>);

impl OpenConnection {
    fn new(serving: &Arc<Serving>) -> Self {
        serving.connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(serving))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

fn connections_max() -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let fitting = files.map_or(CONNECTIONS_MAX, |files| files.saturating_sub(FILES_RESERVED));
    usize::try_from(fitting.clamp(CONNECTIONS_MIN, CONNECTIONS_MAX)).unwrap_or(usize::MAX)
}
