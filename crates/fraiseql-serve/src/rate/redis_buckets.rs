//! Buckets that all servers fill and take from, in Redis.
//!
//! A server asks its own bucket first: what that refuses, all together would refuse too. Redis is asked
//! only for the others, and while it is away each server counts for itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError};
use tokio::sync::Notify;

use crate::cache::{RedisOptions, connection, within};
use crate::observe::Event;
use crate::serving::Serving;

/// Between two looks whether Redis answers.
const PROBE_PAUSE: Duration = Duration::from_millis(500);

/// Takes `ARGV[2]` from the bucket `KEYS[1]` of the size `ARGV[1]`, all in microseconds, by the clock of
/// Redis. Gives how long to wait, 0 when it was taken.
const TAKE: &str = "local clock = redis.call('TIME') \
    local now = clock[1] * 1000000 + clock[2] \
    local full = tonumber(redis.call('GET', KEYS[1]) or '0') \
    if full < now then full = now end \
    local ahead = full + tonumber(ARGV[2]) - now \
    local over = ahead - tonumber(ARGV[1]) \
    if over > 0 then return over end \
    redis.call('SET', KEYS[1], string.format('%.0f', now + ahead), 'PX', math.ceil(ahead / 1000) + 1) \
    return 0";

/// The common buckets, as one server sees them.
pub(super) struct SharedBuckets {
    options: RedisOptions,
    connection: ArcSwapOption<MultiplexedConnection>,
    up: AtomicBool,
    wake: Notify,
}

impl SharedBuckets {
    pub(super) fn new(options: RedisOptions) -> Self {
        Self { options, connection: ArcSwapOption::empty(), up: AtomicBool::new(false), wake: Notify::new() }
    }

    /// Returns true while Redis answers.
    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Takes from a bucket, or tells how long to wait; nothing when Redis does not say.
    pub(super) async fn take(&self, key: &str, size: u64, cost: u64) -> Option<Duration> {
        let mut connection = self.connection.load().as_deref().cloned()?;
        let mut take = redis::cmd("EVAL");
        take.arg(TAKE).arg(1).arg(format!("{}:rate:{key}", self.options.prefix)).arg(size).arg(cost);
        match within(self.options.timeout, take.query_async::<u64>(&mut connection)).await {
            Ok(0) => None,
            Ok(wait) => Some(Duration::from_micros(wait)),
            Err(_) => {
                // Only those wait for it who asked already.
                self.connection.store(None);
                self.wake.notify_one();
                None
            }
        }
    }
}

/// Keeps a connection to Redis for ever; to be dropped when the server ends.
pub(crate) async fn run(serving: Arc<Serving>) {
    let Some(shared) = &serving.rates.shared else { return };
    let mut told = false;
    loop {
        let error = match keep(shared, &serving, &mut told).await {
            Ok(()) => RedisError::from((ErrorKind::Io, "it did not answer in time")),
            Err(error) => error,
        };
        shared.up.store(false, Ordering::Relaxed);
        shared.connection.store(None);
        if !told {
            serving.observer.observe(&Event::SharedRatesLost { reason: error.to_string() });
            told = true;
        }
        tokio::time::sleep(PROBE_PAUSE).await;
    }
}

/// Keeps one connection until it fails, or until somebody has given it up.
async fn keep(shared: &SharedBuckets, serving: &Serving, told: &mut bool) -> Result<(), RedisError> {
    let mut connection = connection(&shared.options).await?;
    probe(shared, &mut connection).await?;
    shared.connection.store(Some(Arc::new(connection.clone())));
    shared.up.store(true, Ordering::Relaxed);
    if std::mem::take(told) {
        serving.observer.observe(&Event::SharedRatesReturned);
    }
    loop {
        let woken = tokio::time::timeout(PROBE_PAUSE, shared.wake.notified()).await.is_ok();
        if woken || shared.connection.load().is_none() {
            return Ok(());
        }
        probe(shared, &mut connection).await?;
    }
}

async fn probe(shared: &SharedBuckets, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    within(shared.options.timeout, redis::cmd("PING").query_async::<()>(connection)).await
}
