//! A bounded pool. A connection goes back only when the server is ready for the next query on it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::connection::Connection;
use crate::error::PostgresError;
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

/// Where connections go, and how often that was changed.
#[derive(Clone, Debug)]
struct Login {
    target: Arc<Target>,
    number: u64,
}

#[derive(Debug)]
struct Inner {
    login: Mutex<Login>,
    options: PoolOptions,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    open: AtomicUsize,
    waiting: AtomicUsize,
    closed: AtomicBool,
    tasks: TaskTracker,
    probe: tokio::sync::Mutex<Option<Connection>>,
}

/// The way back into the pool, with the permit that a session holds.
#[derive(Debug)]
pub(crate) struct Shelf {
    inner: Arc<Inner>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Pool {
    /// Makes a pool. Nothing is opened yet.
    pub fn new(target: Target, options: PoolOptions) -> Self {
        let inner = Inner {
            login: Mutex::new(Login { target: Arc::new(target), number: 0 }),
            options,
            permits: Arc::new(Semaphore::new(options.size.max(1))),
            idle: Mutex::new(Vec::with_capacity(options.size)),
            open: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            probe: tokio::sync::Mutex::new(None),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Returns where the pool connects to.
    pub fn target(&self) -> Arc<Target> {
        self.inner.login().target
    }

    /// Returns how often the target was changed.
    pub fn logins(&self) -> u64 {
        self.inner.login().number
    }

    /// Connects to another target from now on, for example with another password.
    ///
    /// Connections that nobody uses are closed; those in use are closed when they are given back, so
    /// that no request notices.
    pub fn retarget(&self, target: Target) {
        {
            let mut login = self.inner.login.lock().unwrap_or_else(PoisonError::into_inner);
            *login = Login { target: Arc::new(target), number: login.number + 1 };
        }
        let old = std::mem::take(&mut *self.inner.idle());
        self.inner.open.fetch_sub(old.len(), Ordering::Relaxed);
        if tokio::runtime::Handle::try_current().is_ok() {
            self.inner.tasks.spawn(async move {
                for connection in old {
                    connection.close().await;
                }
            });
        }
    }

    /// Returns a session that nobody else uses, the one used last if any is idle.
    ///
    /// Fails with [`PostgresError::Timeout`] when none is free by `deadline`, with
    /// [`PostgresError::Closed`] after [`Pool::close`], or as connecting fails.
    pub async fn acquire(&self, deadline: Instant) -> Result<Session, PostgresError> {
        let permit = self.permit(deadline).await?;
        let shelf = Shelf { inner: Arc::clone(&self.inner), permit: Some(permit) };
        while let Some(connection) = self.inner.idle().pop() {
            if connection.is_idle() && connection.login == self.inner.login().number {
                return Ok(Session::new(connection, shelf));
            }
            self.inner.open.fetch_sub(1, Ordering::Relaxed);
        }
        let opening = self.inner.open(self.inner.options.connect_timeout);
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

    /// Asks the database for a sign of life, and returns how long that took on an open connection.
    ///
    /// The connection is the probe's own, outside of the pool's limit, and is kept for the next call;
    /// one that fails is replaced once, so that only a database that is away fails the probe.
    pub async fn probe(&self, timeout: Duration) -> Result<Duration, PostgresError> {
        let probe = async {
            let mut kept = self.inner.probe.lock().await;
            let current = self.inner.login().number;
            let usable = |connection: &Connection| connection.is_idle() && connection.login == current;
            if let Some(mut connection) = kept.take().filter(usable) {
                let start = Instant::now();
                if connection.simple("SELECT 1").await.is_ok() {
                    *kept = Some(connection);
                    return Ok(start.elapsed());
                }
            }
            let mut connection = self.inner.open(timeout).await?;
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

    fn login(&self) -> Login {
        // A panic cannot leave it half changed.
        self.login.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn open(&self, timeout: Duration) -> Result<Connection, PostgresError> {
        let Login { target, number } = self.login();
        let mut connection = Connection::open(&target, timeout).await?;
        connection.login = number;
        Ok(connection)
    }

    fn shelve(&self, connection: Connection) {
        let mut idle = self.idle();
        // Looked at under the lock too: `retarget` changes the login before it empties the shelf.
        let at_rest = connection.is_idle() && connection.login == self.login().number;
        // Looked at under the lock, so that nothing is put back behind the back of `close`.
        if at_rest && !self.closed.load(Ordering::SeqCst) {
            idle.push(connection);
        } else {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Shelf {
    pub(crate) fn target(&self) -> Arc<Target> {
        self.inner.login().target
    }

    /// Takes a connection back. One that is not at rest is cancelled and drained first, by a task
    /// that holds the permit meanwhile.
    pub(crate) fn give_back(&mut self, mut connection: Connection) {
        let inner = Arc::clone(&self.inner);
        let permit = self.permit.take();
        if connection.pending == 0 && connection.transaction == b'I' {
            inner.shelve(connection);
            return;
        }
        if tokio::runtime::Handle::try_current().is_err() {
            inner.open.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let canceller = canceller(&inner.login().target, &connection);
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
            drop(permit);
        });
    }
}
