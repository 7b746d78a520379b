//! A bounded pool. A connection goes back only when the server is ready for the next query on it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::connection::Connection;
use crate::error::PostgresError;
use crate::read_only::{Pass, WriteGate};
use crate::session::{Session, canceller};
use crate::target::Target;

/// How long a connection may take to come to rest after its statement was cancelled.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// What a pool may do.
#[derive(Clone, Copy, Debug)]
pub struct PoolOptions {
    /// The most connections at a time.
    pub size: usize,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
}

/// What a pool has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStatus {
    /// The most connections at a time.
    pub size: usize,
    /// Connections that exist.
    pub open: usize,
    /// Connections that nobody uses.
    pub idle: usize,
    /// Tasks that wait for a session.
    pub waiting: usize,
}

/// A pool of connections to one target. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Pool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    target: Target,
    options: PoolOptions,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    open: AtomicUsize,
    waiting: AtomicUsize,
    closed: AtomicBool,
    tasks: TaskTracker,
    probe: tokio::sync::Mutex<Option<Connection>>,
    gate: Arc<WriteGate>,
}

/// The way back into the pool, with the permit that a session holds.
#[derive(Debug)]
pub(crate) struct Shelf {
    inner: Arc<Inner>,
    permit: Option<OwnedSemaphorePermit>,
    pass: Option<Pass>,
}

impl Pool {
    /// Makes a pool. Nothing is opened yet.
    pub fn new(target: Target, options: PoolOptions) -> Self {
        let inner = Inner {
            target,
            options,
            permits: Arc::new(Semaphore::new(options.size.max(1))),
            idle: Mutex::new(Vec::with_capacity(options.size)),
            open: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            probe: tokio::sync::Mutex::new(None),
            gate: Arc::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Returns where the pool connects to.
    pub fn target(&self) -> &Target {
        &self.inner.target
    }

    /// Returns a session that nobody else uses, the one used last if any is idle.
    ///
    /// Fails with [`PostgresError::Timeout`] when none is free by `deadline`, with
    /// [`PostgresError::Closed`] after [`Pool::close`], or as connecting fails.
    pub async fn acquire(&self, deadline: Instant) -> Result<Session, PostgresError> {
        let permit = self.permit(deadline).await?;
        let pass = Some(self.inner.gate.enter());
        let shelf = Shelf { inner: Arc::clone(&self.inner), permit: Some(permit), pass };
        while let Some(connection) = self.inner.idle().pop() {
            if connection.is_idle() {
                return Ok(Session::new(connection, shelf));
            }
            self.inner.open.fetch_sub(1, Ordering::Relaxed);
        }
        let opening = Connection::open(&self.inner.target, self.inner.options.connect_timeout);
        let connection =
            tokio::time::timeout_at(deadline, opening).await.map_err(|_| PostgresError::Timeout)??;
        self.inner.open.fetch_add(1, Ordering::Relaxed);
        Ok(Session::new(connection, shelf))
    }

    async fn permit(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, PostgresError> {
        let permits = Arc::clone(&self.inner.permits);
        if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
            return Ok(permit);
        }
        self.inner.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(&self.inner.waiting);
        let permit = tokio::time::timeout_at(deadline, permits.acquire_owned()).await;
        drop(waiting);
        permit.map_err(|_| PostgresError::Timeout)?.map_err(|_| PostgresError::Closed)
    }

    /// From now on PostgreSQL holds new sessions read-only, or lets them write again.
    pub fn hold_read_only(&self, read_only: bool) {
        self.inner.gate.close(read_only);
    }

    /// Returns how many sessions may write, those included that come to rest after a cancel.
    pub fn writers(&self) -> usize {
        self.inner.gate.writing()
    }

    /// Waits until no session may write: only after [`Pool::hold_read_only`] does it stay so.
    pub async fn writers_gone(&self) {
        self.inner.gate.empty().await;
    }

    /// Asks the database for a sign of life, and returns how long that took on an open connection.
    ///
    /// The connection is the probe's own, outside of the pool's limit, and is kept for the next call;
    /// one that fails is replaced once, so that only a database that is away fails the probe.
    pub async fn probe(&self, timeout: Duration) -> Result<Duration, PostgresError> {
        let probe = async {
            let mut kept = self.inner.probe.lock().await;
            if let Some(mut connection) = kept.take().filter(Connection::is_idle) {
                let start = Instant::now();
                if connection.simple("SELECT 1").await.is_ok() {
                    *kept = Some(connection);
                    return Ok(start.elapsed());
                }
            }
            let mut connection = Connection::open(&self.inner.target, timeout).await?;
            let start = Instant::now();
            connection.simple("SELECT 1").await?;
            *kept = Some(connection);
            Ok(start.elapsed())
        };
        tokio::time::timeout(timeout, probe).await.map_err(|_| PostgresError::Timeout)?
    }

    /// Returns what the pool has now.
    pub fn status(&self) -> PoolStatus {
        PoolStatus {
            size: self.inner.options.size,
            open: self.inner.open.load(Ordering::Relaxed),
            idle: self.inner.idle().len(),
            waiting: self.inner.waiting.load(Ordering::Relaxed),
        }
    }

    /// Closes idle connections and waits for those that are coming to rest. Sessions in use end
    /// when they are given back.
    pub async fn close(&self) {
        self.inner.closed.store(true, Ordering::SeqCst);
        self.inner.permits.close();
        if let Some(connection) = self.inner.probe.lock().await.take() {
            connection.close().await;
        }
        let idle = std::mem::take(&mut *self.inner.idle());
        for connection in idle {
            self.inner.open.fetch_sub(1, Ordering::Relaxed);
            connection.close().await;
        }
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}

/// Counts a waiter out, also when its task is cancelled.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Inner {
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        // A panic cannot leave a Vec half pushed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shelve(&self, connection: Connection) {
        let at_rest = connection.is_idle();
        let mut idle = self.idle();
        // Looked at under the lock, so that nothing is put back behind the back of `close`.
        if at_rest && !self.closed.load(Ordering::SeqCst) {
            idle.push(connection);
        } else {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Shelf {
    pub(crate) fn target(&self) -> &Target {
        &self.inner.target
    }

    /// Returns true when the session may not write.
    pub(crate) fn is_read_only(&self) -> bool {
        self.pass.as_ref().is_none_or(Pass::is_read_only)
    }

    /// Takes a connection back. One that is not at rest is cancelled and drained first, by a task
    /// that holds the permit meanwhile.
    pub(crate) fn give_back(&mut self, mut connection: Connection) {
        let inner = Arc::clone(&self.inner);
        let permit = self.permit.take();
        let pass = self.pass.take();
        if connection.pending == 0 && connection.transaction == b'I' {
            inner.shelve(connection);
            return;
        }
        if tokio::runtime::Handle::try_current().is_err() {
            inner.open.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let canceller = canceller(&inner.target, &connection);
        let tasks = inner.tasks.clone();
        tasks.spawn(async move {
            let rest = async {
                if connection.pending > 0 {
                    canceller.cancel().await?;
                    connection.drain().await?;
                }
                if connection.transaction != b'I' {
                    connection.simple("ROLLBACK").await?;
                }
                Ok::<_, PostgresError>(connection)
            };
            match tokio::time::timeout(DRAIN_TIMEOUT, rest).await {
                Ok(Ok(connection)) => inner.shelve(connection),
                Ok(Err(_)) | Err(_) => {
                    inner.open.fetch_sub(1, Ordering::Relaxed);
                }
            }
            drop((permit, pass));
        });
    }
}
