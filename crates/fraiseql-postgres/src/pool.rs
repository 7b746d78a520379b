//! A bounded pool. A connection goes back only when the server is ready for the next query on it.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::connection::Connection;
use crate::error::PostgresError;
use crate::queue::{Overload, QueueBounds};
use crate::read_only::{Pass, WriteGate};
use crate::session::{Session, canceller};
use crate::target::Target;
use crate::turns::{Asked, Turn, Turns};

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

thread_local! {
    /// The runtime that this thread drives, by number.
    static HOME: Cell<usize> = const { Cell::new(0) };
}

/// Says that the calling thread drives a runtime of its own, so that pools keep connections for it.
///
/// Threads that never say so share number 0.
pub fn enter_runtime(number: usize) {
    HOME.set(number);
}

#[derive(Debug)]
struct Inner {
    target: Mutex<Arc<Target>>,
    /// How often the target was changed: counted up behind each change.
    login: AtomicU64,
    options: PoolOptions,
    queue: QueueBounds,
    turns: Mutex<Turns<Connection>>,
    waiting: AtomicUsize,
    tasks: TaskTracker,
    probe: tokio::sync::Mutex<Option<Connection>>,
    gate: Arc<WriteGate>,
}

/// The way back into the pool.
#[derive(Debug)]
pub(crate) struct Shelf {
    inner: Arc<Inner>,
    pass: Option<Pass>,
}

impl Pool {
    /// Makes a pool with the default bounds of its queue. Nothing is opened yet.
    pub fn new(target: Target, options: PoolOptions) -> Self {
        Self::bounded(target, options, QueueBounds::default())
    }

    /// The same, with other bounds for those whom [`Pool::admit`] lets wait.
    pub fn bounded(target: Target, options: PoolOptions, queue: QueueBounds) -> Self {
        let inner = Inner {
            target: Mutex::new(Arc::new(target)),
            login: AtomicU64::new(0),
            options,
            queue,
            turns: Mutex::new(Turns::new(options.size)),
            waiting: AtomicUsize::new(0),
            tasks: TaskTracker::new(),
            probe: tokio::sync::Mutex::new(None),
            gate: Arc::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Returns where the pool connects to.
    pub fn target(&self) -> Arc<Target> {
        self.inner.target()
    }

    /// Returns how often the target was changed.
    pub fn logins(&self) -> u64 {
        self.inner.login.load(Ordering::SeqCst)
    }

    /// Connects to another target from now on, for example with another password.
    ///
    /// Connections that nobody uses are closed; those in use are closed when they are given back, so
    /// that no request notices.
    pub fn retarget(&self, target: Target) {
        *self.inner.target.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(target);
        self.inner.login.fetch_add(1, Ordering::SeqCst);
        // One that is given back at this moment may still get in; it is found when it is asked for.
        let old = self.inner.turns().take_idle();
        if tokio::runtime::Handle::try_current().is_ok() {
            self.inner.tasks.spawn(async move {
                for connection in old {
                    connection.close().await;
                }
            });
        }
    }

    /// Returns a session that nobody else uses, one that this thread's runtime used last if any: for
    /// work of our own, whose amount is bounded elsewhere.
    ///
    /// Fails with [`PostgresError::Timeout`] when none is free by `deadline`, with
    /// [`PostgresError::Closed`] after [`Pool::close`], or as connecting fails.
    pub async fn acquire(&self, deadline: Instant) -> Result<Session, PostgresError> {
        self.take(usize::MAX, None, deadline).await
    }

    /// Returns a session as [`Pool::acquire`] does, for a request of somebody who may send more than
    /// the database can do.
    ///
    /// Fails at once with [`PostgresError::Overload`] when as many wait as may, and with the same when
    /// the longest wait is over before `deadline`. What is refused here has cost the database nothing.
    pub async fn admit(&self, deadline: Instant) -> Result<Session, PostgresError> {
        let QueueBounds { waiting_max, wait_max } = self.inner.queue;
        self.take(waiting_max, Instant::now().checked_add(wait_max), deadline).await
    }

    /// Returns the bounds of those who wait.
    pub fn queue(&self) -> QueueBounds {
        self.inner.queue
    }

    async fn take(
        &self,
        waiting_max: usize,
        late: Option<Instant>,
        deadline: Instant,
    ) -> Result<Session, PostgresError> {
        let home = HOME.get();
        loop {
            let turn = match self.ask(home, waiting_max)? {
                ControlFlow::Break(turn) => turn,
                ControlFlow::Continue(waiter) => waiter.wait(late, deadline).await?,
            };
            let mut connection = match turn {
                Turn::Connection(connection) => connection,
                Turn::Opening => return self.open(home, deadline).await,
            };
            let usable = self.inner.is_current(&connection)
                && connection.move_to(home).is_ok()
                && connection.is_idle();
            if usable {
                return Ok(Session::new(connection, Shelf::new(&self.inner)));
            }
            self.inner.turns().lost(home);
        }
    }

    /// Returns a turn, or a place in the queue where nothing is free. Asks and lines up under the same
    /// lock, so that no more wait than may.
    fn ask(
        &self,
        home: usize,
        waiting_max: usize,
    ) -> Result<ControlFlow<Turn<Connection>, Waiter<'_>>, PostgresError> {
        let mut turns = self.inner.turns();
        match turns.ask(home) {
            Asked::Now(turn) => Ok(ControlFlow::Break(turn)),
            Asked::Closed => Err(PostgresError::Closed),
            Asked::NothingFree if self.inner.waiting.load(Ordering::Relaxed) >= waiting_max => {
                Err(PostgresError::Overload(Overload::Full))
            }
            Asked::NothingFree => {
                self.inner.waiting.fetch_add(1, Ordering::Relaxed);
                let receiver = turns.line_up(home);
                Ok(ControlFlow::Continue(Waiter { inner: &self.inner, home, receiver }))
            }
        }
    }

    async fn open(&self, home: usize, deadline: Instant) -> Result<Session, PostgresError> {
        let place = Opening { inner: &self.inner, home };
        let opening = self.inner.open(self.inner.options.connect_timeout);
        let opened = tokio::time::timeout_at(deadline, opening).await;
        let mut connection = opened.map_err(|_| PostgresError::Timeout)??;
        connection.home = home;
        std::mem::forget(place);
        Ok(Session::new(connection, Shelf::new(&self.inner)))
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
            let usable = |kept: &Connection| kept.is_idle() && self.inner.is_current(kept);
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
        let (open, idle) = self.inner.turns().counts();
        let waiting = self.inner.waiting.load(Ordering::Relaxed);
        PoolStatus { size: self.inner.options.size, open, idle, waiting }
    }

    /// Closes idle connections and waits for those that are coming to rest. Sessions in use end
    /// when they are given back.
    pub async fn close(&self) {
        let idle = self.inner.turns().close();
        if let Some(connection) = self.inner.probe.lock().await.take() {
            connection.close().await;
        }
        for connection in idle {
            connection.close().await;
        }
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}

/// Somebody who waits. One who gives up, at the deadline or because the request was dropped, hands
/// on what came at the last moment.
struct Waiter<'a> {
    inner: &'a Inner,
    home: usize,
    receiver: oneshot::Receiver<Turn<Connection>>,
}

impl Waiter<'_> {
    /// Waits for the turn until `late` if that is earlier than `deadline`.
    async fn wait(
        mut self,
        late: Option<Instant>,
        deadline: Instant,
    ) -> Result<Turn<Connection>, PostgresError> {
        let (until, over) = match late {
            Some(late) if late < deadline => (late, PostgresError::Overload(Overload::Late)),
            _ => (deadline, PostgresError::Timeout),
        };
        let turn = tokio::time::timeout_at(until, &mut self.receiver).await;
        turn.map_err(|_elapsed| over)?.map_err(|_| PostgresError::Closed)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.inner.waiting.fetch_sub(1, Ordering::Relaxed);
        self.receiver.close();
        match self.receiver.try_recv() {
            Ok(Turn::Connection(connection)) => self.inner.shelve(connection),
            Ok(Turn::Opening) => self.inner.turns().lost(self.home),
            Err(_) => {}
        }
    }
}

/// Leave to open a connection; dropped, somebody else may.
struct Opening<'a> {
    inner: &'a Inner,
    home: usize,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.inner.turns().lost(self.home);
    }
}

impl Inner {
    fn turns(&self) -> MutexGuard<'_, Turns<Connection>> {
        // Nothing that runs under the lock panics half way.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn target(&self) -> Arc<Target> {
        // A panic cannot leave it half changed.
        Arc::clone(&self.target.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_current(&self, connection: &Connection) -> bool {
        connection.login == self.login.load(Ordering::SeqCst)
    }

    async fn open(&self, timeout: Duration) -> Result<Connection, PostgresError> {
        // The number first: a connection is never taken for newer than it is.
        let number = self.login.load(Ordering::SeqCst);
        let mut connection = Connection::open(&self.target(), timeout).await?;
        connection.login = number;
        Ok(connection)
    }

    fn shelve(&self, connection: Connection) {
        let home = connection.home;
        if connection.is_idle() && self.is_current(&connection) {
            // A closed pool's connection is dropped here, outside of the lock.
            let refused = self.turns().give_back(home, connection);
            drop(refused);
        } else {
            self.turns().lost(home);
        }
    }
}

impl Shelf {
    /// Lets a session in, now that it has its connection: who waits does not count as writing.
    fn new(inner: &Arc<Inner>) -> Self {
        Self { inner: Arc::clone(inner), pass: Some(inner.gate.enter()) }
    }

    pub(crate) fn target(&self) -> Arc<Target> {
        self.inner.target()
    }

    /// Returns true when the session may not write.
    pub(crate) fn is_read_only(&self) -> bool {
        self.pass.as_ref().is_none_or(Pass::is_read_only)
    }

    /// Takes a connection back. One that is not at rest is cancelled and drained first, by a task
    /// that holds its place meanwhile.
    pub(crate) fn give_back(&mut self, mut connection: Connection) {
        let inner = Arc::clone(&self.inner);
        let pass = self.pass.take();
        if connection.pending == 0 && connection.transaction == b'I' {
            inner.shelve(connection);
            return;
        }
        if tokio::runtime::Handle::try_current().is_err() {
            inner.turns().lost(connection.home);
            return;
        }
        let canceller = canceller(&inner.target(), &connection);
        let tasks = inner.tasks.clone();
        let home = connection.home;
        tasks.spawn(async move {
            let place = Opening { inner: &inner, home };
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
                Ok(Ok(connection)) => {
                    std::mem::forget(place);
                    inner.shelve(connection);
                }
                Ok(Err(_)) | Err(_) => drop(place),
            }
            drop(pass);
        });
    }
}
