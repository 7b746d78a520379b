//! Redis beside the memory of each server: answers that one server has read are there for all.
//!
//! Counts of changes live in one hash there, beside a random epoch. An answer carries the epoch and
//! the counts under which it was read, and holds while they are the same: whatever Redis forgets, by a
//! flush, an eviction or a failover, takes the epoch with it or is told apart by it. A change that
//! Redis was not told of yet is a debt. Who is in debt does not read from Redis.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::observe::Event;
use crate::serving::Serving;

/// Between two looks whether Redis answers.
const PROBE_PAUSE: Duration = Duration::from_millis(500);
/// How long it may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const EPOCH: &str = "epoch";
const EPOCH_BYTES: usize = 16;
/// The form of what is kept, first of its bytes; another form is not read.
const FORM: u8 = 1;
/// The length of a stamp stands before it in so many bytes.
const LENGTH_BYTES: usize = 4;

/// Where servers share answers, or count together how often somebody asks.
#[derive(Clone)]
pub struct RedisOptions {
    pub(crate) client: Client,
    pub(crate) prefix: String,
    pub(crate) timeout: Duration,
}

impl std::fmt::Debug for RedisOptions {
    /// The client knows a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisOptions").field("prefix", &self.prefix).field("timeout", &self.timeout).finish()
    }
}

/// A text that is no URL of a Redis server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("understand the URL of Redis")]
pub struct BadRedisUrl;

impl RedisOptions {
    /// Reads `redis://[user:password@]host:port[/number]`. All keys begin with `prefix`; an answer of
    /// Redis may take `timeout`.
    ///
    /// Fails when the URL is none. The error does not repeat it, since it may hold a password.
    pub fn new(url: &str, prefix: &str, timeout: Duration) -> Result<Self, BadRedisUrl> {
        let client = Client::open(url).map_err(|_unreadable| BadRedisUrl)?;
        Ok(Self { client, prefix: prefix.to_owned(), timeout })
    }
}

/// The servers' common store, as one of them sees it.
pub(super) struct Shared {
    options: RedisOptions,
    /// The hash of counts; one for each database.
    counts: String,
    connection: ArcSwapOption<MultiplexedConnection>,
    up: AtomicBool,
    latency_us: AtomicU64,
    debt: Mutex<Debt>,
    /// Changes that were noted, and those of them that Redis knows.
    noted: AtomicU64,
    settled: AtomicU64,
    wake: Notify,
}

/// What Redis has to be told.
#[derive(Debug, Default)]
struct Debt {
    tables: BTreeSet<String>,
    everything: bool,
}

/// The epoch and the counts under which an answer is read.
pub(super) type SharedStamp = Vec<u8>;

/// What Redis has for a key.
pub(super) struct Found {
    /// The answer, if it holds, and how long it may still be kept.
    pub(super) answer: Option<(Bytes, Duration)>,
    pub(super) stamp: SharedStamp,
}

impl Shared {
    /// Returns a store that is not connected. `database` tells databases apart.
    pub(super) fn new(options: RedisOptions, database: &str) -> Self {
        Self {
            counts: format!("{}:{database}:counts", options.prefix),
            options,
            connection: ArcSwapOption::empty(),
            up: AtomicBool::new(false),
            latency_us: AtomicU64::new(0),
            debt: Mutex::default(),
            noted: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            wake: Notify::new(),
        }
    }

    /// Notes changes of tables. Until Redis knows, this server does not read from it.
    pub(super) fn owe(&self, tables: &BTreeSet<String>) {
        let mut debt = self.debt();
        self.noted.fetch_add(1, Ordering::SeqCst);
        debt.tables.extend(tables.iter().cloned());
        self.wake.notify_one();
    }

    /// Notes that everything may have changed.
    pub(super) fn owe_everything(&self) {
        let mut debt = self.debt();
        self.noted.fetch_add(1, Ordering::SeqCst);
        debt.everything = true;
        self.wake.notify_one();
    }

    fn debt(&self) -> MutexGuard<'_, Debt> {
        // Nothing in here panics half way.
        self.debt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connection, unless Redis is away or has to be told something first.
    fn usable(&self) -> Option<MultiplexedConnection> {
        let settled = self.settled.load(Ordering::SeqCst) == self.noted.load(Ordering::SeqCst);
        let connection = self.connection.load();
        connection.as_deref().filter(|_| settled).cloned()
    }

    /// Returns how long the last probe took; `None` when Redis did not answer it.
    pub(super) fn latency_us(&self) -> Option<u64> {
        self.up.load(Ordering::SeqCst).then(|| self.latency_us.load(Ordering::Relaxed))
    }

    /// Looks a key up, together with the counts of the tables that its answer would be read from.
    /// `None` when Redis cannot be used now.
    pub(super) async fn find(&self, key: &str, tables: &[String]) -> Option<Found> {
        let mut connection = self.usable()?;
        let mut ask = redis::pipe();
        ask.cmd("HMGET").arg(&self.counts).arg(EPOCH).arg(tables);
        ask.cmd("GET").arg(self.key(key)).cmd("PTTL").arg(self.key(key));
        let asked = ask.query_async::<(Vec<Option<Vec<u8>>>, Option<Vec<u8>>, i64)>(&mut connection);
        let (counts, kept, left_ms) = self.timely(asked).await?;
        if counts.first().is_none_or(Option::is_none) {
            self.begin_epoch(connection).await;
            return None;
        }
        let stamp = stamp(&counts);
        let left = u64::try_from(left_ms).map(Duration::from_millis);
        let answer = kept.and_then(|kept| opened(kept, &stamp)).zip(left.ok());
        Some(Found { answer, stamp })
    }

    /// Gives all servers an answer that was read under `stamp`.
    pub(super) async fn keep(&self, key: &str, stamp: &SharedStamp, body: &Bytes, max_age: Duration) {
        let Some(mut connection) = self.usable() else { return };
        let millis = u64::try_from(max_age.as_millis()).unwrap_or(u64::MAX);
        let mut set = redis::cmd("SET");
        set.arg(self.key(key)).arg(closed(stamp, body)).arg("PX").arg(millis);
        // Where it was not kept, the next server reads it from the database.
        let _kept = self.timely(set.query_async::<()>(&mut connection)).await.is_some();
    }

    fn key(&self, key: &str) -> String {
        format!("{}:{key}", self.options.prefix)
    }

    async fn begin_epoch(&self, mut connection: MultiplexedConnection) {
        let mut epoch = [0; EPOCH_BYTES];
        if aws_lc_rs::rand::fill(&mut epoch).is_err() {
            return;
        }
        let mut begin = redis::cmd("HSETNX");
        begin.arg(&self.counts).arg(EPOCH).arg(&epoch[..]);
        let _began = self.timely(begin.query_async::<()>(&mut connection)).await.is_some();
    }

    /// Waits for an answer of Redis. A connection on which none comes in time is given up, so that
    /// only those wait who asked already.
    async fn timely<T>(&self, asked: impl Future<Output = Result<T, RedisError>>) -> Option<T> {
        match tokio::time::timeout(self.options.timeout, asked).await {
            Ok(Ok(answer)) => Some(answer),
            // Redis answers, though not with what was asked for: it is full, or the like.
            Ok(Err(error)) if !is_lost(&error) => None,
            Ok(Err(_)) | Err(_) => {
                self.connection.store(None);
                self.wake.notify_one();
                None
            }
        }
    }

    /// Tells Redis what it has to know. Fails when it does not answer.
    async fn settle(&self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        let (debt, noted) = {
            let mut debt = self.debt();
            (std::mem::take(&mut *debt), self.noted.load(Ordering::SeqCst))
        };
        if noted == self.settled.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut counting = redis::pipe();
        for table in &debt.tables {
            counting.cmd("HINCRBY").arg(&self.counts).arg(table).arg(1);
        }
        let counted = match debt.everything {
            true => false,
            false if debt.tables.is_empty() => true,
            false => within(self.options.timeout, counting.query_async::<Vec<i64>>(connection)).await.is_ok(),
        };
        // A Redis that is full does not count, and forgets the counts nevertheless.
        let forgotten = match counted {
            true => Ok(()),
            false => {
                let mut forget = redis::cmd("DEL");
                forget.arg(&self.counts);
                within(self.options.timeout, forget.query_async::<()>(connection)).await
            }
        };
        match &forgotten {
            Ok(()) => self.settled.store(noted, Ordering::SeqCst),
            Err(_) => self.debt().everything = true,
        }
        forgotten
    }
}

/// Keeps a connection to Redis for ever; to be dropped when the server ends.
pub(crate) async fn run(serving: Arc<Serving>) {
    let Some(shared) = serving.cache.as_ref().and_then(|cache| cache.shared.as_ref()) else { return };
    let mut told = false;
    loop {
        let error = match connect(shared).await {
            Ok(connection) => {
                let latency = Duration::from_micros(shared.latency_us.load(Ordering::Relaxed));
                serving.observer.observe(&Event::SharedCacheReturned { latency });
                told = false;
                serve(shared, connection).await
            }
            Err(error) => error,
        };
        shared.up.store(false, Ordering::SeqCst);
        shared.connection.store(None);
        if !told {
            serving.observer.observe(&Event::SharedCacheLost { reason: error.to_string() });
            told = true;
        }
        tokio::time::sleep(PROBE_PAUSE).await;
    }
}

async fn connect(shared: &Shared) -> Result<MultiplexedConnection, RedisError> {
    let mut connection = connection(&shared.options).await?;
    // Nobody knows what it was not told, or has lost.
    shared.owe_everything();
    shared.settle(&mut connection).await?;
    probe(shared, &mut connection).await?;
    Ok(connection)
}

/// Serves one connection until it fails, and returns why.
async fn serve(shared: &Shared, mut connection: MultiplexedConnection) -> RedisError {
    shared.connection.store(Some(Arc::new(connection.clone())));
    shared.up.store(true, Ordering::SeqCst);
    loop {
        if tokio::time::timeout(PROBE_PAUSE, shared.wake.notified()).await.is_err()
            && let Err(error) = probe(shared, &mut connection).await
        {
            return error;
        }
        if shared.connection.load().is_none() {
            return late();
        }
        if let Err(error) = shared.settle(&mut connection).await {
            return error;
        }
    }
}

async fn probe(shared: &Shared, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    let began = Instant::now();
    within(shared.options.timeout, redis::cmd("PING").query_async::<()>(connection)).await?;
    let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    shared.latency_us.store(micros, Ordering::Relaxed);
    Ok(())
}

/// Returns a connection that asks no patience of its own.
pub(crate) async fn connection(options: &RedisOptions) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    within(CONNECT_TIMEOUT, options.client.get_multiplexed_async_connection_with_config(&config)).await
}

/// Waits for an answer, for so long.
pub(crate) async fn within<T>(
    time: Duration,
    asked: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    tokio::time::timeout(time, asked).await.unwrap_or_else(|_elapsed| Err(late()))
}

fn late() -> RedisError {
    RedisError::from((redis::ErrorKind::Io, "it did not answer in time"))
}

/// Returns true when nothing more can be asked on the connection.
fn is_lost(error: &RedisError) -> bool {
    error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error()
}

/// Writes the epoch and the counts so that no two lists of them have the same bytes.
fn stamp(counts: &[Option<Vec<u8>>]) -> SharedStamp {
    let mut stamp = Vec::new();
    for count in counts {
        let length = count.as_ref().map_or(u64::MAX, |count| count.len() as u64);
        stamp.extend_from_slice(&length.to_be_bytes());
        stamp.extend_from_slice(count.as_deref().unwrap_or_default());
    }
    stamp
}

fn closed(stamp: &SharedStamp, body: &Bytes) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + LENGTH_BYTES + stamp.len() + body.len());
    bytes.push(FORM);
    let length = u32::try_from(stamp.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(stamp);
    bytes.extend_from_slice(body);
    bytes
}

/// Returns the answer in what was kept, if it was read under this stamp.
fn opened(kept: Vec<u8>, stamp: &SharedStamp) -> Option<Bytes> {
    let (form, rest) = kept.split_first()?;
    let (length, rest) = rest.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let same = *form == FORM && rest.get(..length)? == stamp.as_slice();
    let body = 1 + LENGTH_BYTES + length;
    same.then(|| Bytes::from(kept).slice(body..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_opens_only_with_its_own_stamp() {
        let of = |counts: &[Option<&str>]| {
            stamp(
                &counts.iter().map(|count| count.map(|count| count.as_bytes().to_vec())).collect::<Vec<_>>(),
            )
        };
        let (own, body) = (of(&[Some("e"), Some("1"), None]), Bytes::from_static(b"{}"));
        let kept = closed(&own, &body);
        assert_eq!(opened(kept.clone(), &own), Some(body));
        for other in
            [&[Some("f"), Some("1"), None][..], &[Some("e"), None, Some("1")], &[Some("e"), Some("2"), None]]
        {
            assert_eq!(opened(kept.clone(), &of(other)), None);
        }
        assert_eq!(opened(Vec::new(), &own), None);
        assert_eq!(opened(kept[..6].to_vec(), &own), None);
        assert_eq!(opened([&[FORM + 1], &kept[1..]].concat(), &own), None, "another form");
    }
}
