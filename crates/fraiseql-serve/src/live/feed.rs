//! Learns what has changed in the database, from the best source that is allowed, while anybody subscribes
//! or answers are kept.
//!
//! One reader for each server. While there is none, or for what it cannot see, queries are polled.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use fraiseql_postgres::{Changed, Decoding, Outbox, PostgresError, Trace};
use tokio::time::Instant;

use crate::cache::ResponseCache;
use crate::fault::chain;
use crate::live::options::{SubscriptionOptions, SubscriptionSource};
use crate::observe::Event;
use crate::serving::Serving;

/// How long opening a source may take; a slot waits for transactions that run.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one look for changes may take.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait before a source is opened again that was lost.
const REOPEN_PAUSE: Duration = Duration::from_millis(500);
/// How long to poll before it is tried again whether a better source is allowed.
const RECONSIDER: Duration = Duration::from_secs(60);
/// Between two looks while a change was seen that other sessions cannot see yet.
const UNSEEN_PAUSE: Duration = Duration::from_millis(5);
/// How long a source stays open when nobody subscribes.
const IDLE_GRACE: Duration = Duration::from_secs(10);

/// Where changes come from now.
#[derive(Default)]
pub(crate) struct Freshness(ArcSwap<Status>);

/// The state of the source.
#[derive(Debug)]
pub(crate) struct Status {
    source: SubscriptionSource,
    /// Grows with every change of the source; what was traced under another one is traced again.
    pub(crate) epoch: u64,
    coverage: Coverage,
}

/// Whose changes are told.
#[derive(Clone, Debug)]
enum Coverage {
    Nothing,
    /// Every table whose changes are in the write-ahead log.
    Logged,
    /// The tables that have the trigger.
    Tables(BTreeSet<String>),
}

impl Default for Status {
    fn default() -> Self {
        Self { source: SubscriptionSource::Polling, epoch: 0, coverage: Coverage::Nothing }
    }
}

impl Status {
    /// True when every change of what was traced is told.
    pub(crate) fn covers(&self, trace: &Trace) -> bool {
        let tables = match &self.coverage {
            Coverage::Nothing => trace.tables.is_empty(),
            Coverage::Logged => trace.tables.values().all(|logged| *logged),
            Coverage::Tables(tables) => trace.tables.keys().all(|table| tables.contains(&table.to_string())),
        };
        tables && trace.opaque.is_empty()
    }
}

impl Freshness {
    /// Returns the state of now.
    pub(crate) fn status(&self) -> Arc<Status> {
        self.0.load_full()
    }

    /// Returns where changes come from now.
    pub(crate) fn source(&self) -> SubscriptionSource {
        self.0.load().source
    }

    fn set(&self, source: SubscriptionSource, coverage: Coverage) {
        let epoch = self.0.load().epoch + 1;
        self.0.store(Arc::new(Status { source, epoch, coverage }));
    }
}

/// Feeds the hub for ever; to be dropped when the server ends.
pub(crate) async fn run(serving: Arc<Serving>) {
    let mut told = String::new();
    loop {
        wait_until_wanted(&serving).await;
        match open(&serving).await {
            Opened::Source(reader, because) => {
                tell(&serving, reader.source(), &because, &mut told);
                read(&serving, *reader, &mut told).await;
            }
            Opened::Polling(because) => {
                tell(&serving, SubscriptionSource::Polling, &because, &mut told);
                idle_or(&serving, tokio::time::sleep(RECONSIDER)).await;
            }
            Opened::Away => tokio::time::sleep(REOPEN_PAUSE).await,
        }
    }
}

/// The cache needs changes always, subscriptions while there are some.
async fn wait_until_wanted(serving: &Serving) {
    if serving.cache.is_none() {
        serving.live.hub.wait_for_queries(true).await;
    }
}

enum Opened {
    Source(Box<Reader>, String),
    /// No source is allowed, for these reasons.
    Polling(String),
    /// The database does not answer.
    Away,
}

enum Reader {
    Decoding(Decoding),
    Outbox(Outbox),
}

impl Reader {
    fn source(&self) -> SubscriptionSource {
        match self {
            Self::Decoding(_) => SubscriptionSource::Decoding,
            Self::Outbox(_) => SubscriptionSource::Outbox,
        }
    }

    fn coverage(&self) -> Coverage {
        match self {
            Self::Decoding(_) => Coverage::Logged,
            Self::Outbox(outbox) => Coverage::Tables(outbox.tables().clone()),
        }
    }

    async fn read(&mut self) -> Result<Changed, PostgresError> {
        match self {
            Self::Decoding(decoding) => decoding.read().await,
            Self::Outbox(outbox) => outbox.read().await,
        }
    }

    fn has_unseen(&self) -> bool {
        match self {
            Self::Decoding(decoding) => decoding.has_unseen(),
            Self::Outbox(_) => false,
        }
    }
}

async fn open(serving: &Serving) -> Opened {
    use SubscriptionSource as Source;
    let candidates: &[Source] = match serving.live.options.source {
        Source::Auto => &[Source::Decoding, Source::Outbox],
        Source::Decoding => &[Source::Decoding],
        Source::Outbox => &[Source::Outbox],
        Source::Polling => &[],
    };
    let mut because = Vec::new();
    for source in candidates {
        let target = serving.pool.target();
        let opening = async {
            match source {
                Source::Outbox => Outbox::open(&target).await.map(Reader::Outbox),
                _ => Decoding::open(&target).await.map(Reader::Decoding),
            }
        };
        let error = match tokio::time::timeout(OPEN_TIMEOUT, opening).await {
            Ok(Ok(reader)) => return Opened::Source(Box::new(reader), because.join("; ")),
            Ok(Err(error)) if is_away(&error) => return Opened::Away,
            Ok(Err(error)) => chain(&error),
            Err(_elapsed) => "it did not open in time: transactions run for long".to_owned(),
        };
        because.push(format!("no {}: {error}", source.as_str()));
    }
    Opened::Polling(because.join("; "))
}

fn is_away(error: &PostgresError) -> bool {
    match error {
        PostgresError::Sql(sql) => sql.sqlstate.starts_with("57P") || sql.sqlstate.starts_with("08"),
        PostgresError::Connect { .. } | PostgresError::Io(_) | PostgresError::Timeout => true,
        _ => false,
    }
}

/// Reads a source until it fails, or until nobody has subscribed for a while.
async fn read(serving: &Serving, mut reader: Reader, told: &mut String) {
    let live = &serving.live;
    live.freshness.set(reader.source(), reader.coverage());
    // What happened before the source was open was not told.
    live.hub.changed_everything();
    serving.cache.iter().for_each(ResponseCache::restructured);
    let reading = async {
        let mut pause = live.options.read_interval;
        loop {
            tokio::time::sleep(pause).await;
            let began = Instant::now();
            match tokio::time::timeout(READ_TIMEOUT, reader.read()).await {
                Ok(Ok(changed)) => note(serving, &changed, began),
                Ok(Err(error)) => return error,
                Err(_elapsed) => return PostgresError::Timeout,
            }
            pause = if reader.has_unseen() { UNSEEN_PAUSE } else { live.options.read_interval };
        }
    };
    let failed = idle_or(serving, reading).await;
    let source = reader.source().as_str();
    live.freshness.set(SubscriptionSource::Polling, Coverage::Nothing);
    live.hub.changed_everything();
    serving.cache.iter().for_each(ResponseCache::blind);
    if let Some(error) = failed {
        told.clear();
        serving.observer.observe(&Event::ChangeSourceLost { source, reason: chain(&error) });
    }
}

/// Hands on what a look that began then has found.
fn note(serving: &Serving, changed: &Changed, began: Instant) {
    // The cache first: a subscription asks the database at once, other clients may ask the cache.
    if let Some(cache) = &serving.cache {
        match changed {
            Changed::Tables(tables) => cache.changed(tables),
            Changed::Everything => cache.changed_everything(),
        }
        cache.looked(began);
    }
    match changed {
        Changed::Tables(tables) => serving.live.hub.changed(tables),
        Changed::Everything => serving.live.hub.changed_everything(),
    }
}

/// Waits for `work`; gives it up when nobody has subscribed for a while.
async fn idle_or<T>(serving: &Serving, work: impl Future<Output = T>) -> Option<T> {
    if serving.cache.is_some() {
        return Some(work.await);
    }
    let hub = &serving.live.hub;
    let idle = async {
        loop {
            hub.wait_for_queries(false).await;
            if tokio::time::timeout(IDLE_GRACE, hub.wait_for_queries(true)).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        done = work => Some(done),
        () = idle => None,
    }
}

/// Says where changes come from, unless that was said before.
fn tell(serving: &Serving, source: SubscriptionSource, because: &str, told: &mut String) {
    let saying = format!("{} {because}", source.as_str());
    if *told != saying {
        let mut cost = cost(source, &serving.live.options);
        if source == SubscriptionSource::Polling && serving.cache.is_some() {
            cost.push_str("; the response cache keeps nothing");
        }
        let (source, because) = (source.as_str(), because.to_owned());
        serving.observer.observe(&Event::ChangeSource { source, cost, because });
        *told = saying;
    }
}

fn cost(source: SubscriptionSource, options: &SubscriptionOptions) -> String {
    let (read_ms, poll_ms) = (options.read_interval.as_millis(), options.poll_interval.as_millis());
    match source {
        SubscriptionSource::Decoding | SubscriptionSource::Auto => {
            format!("one connection and one replication slot; changes are seen within {read_ms} ms")
        }
        SubscriptionSource::Outbox => format!(
            "one connection, and a row for each statement that writes; changes are seen within {read_ms} ms"
        ),
        SubscriptionSource::Polling => {
            format!("each distinct query runs every {poll_ms} ms; changes are seen within {poll_ms} ms")
        }
    }
}

#[cfg(test)]
mod tests {
    use fraiseql_model::catalog::QualifiedName;

    use super::*;

    #[track_caller]
    fn check(coverage: Coverage, tables: &[(&str, bool)], opaque: &[&str], expected: bool) {
        let status = Status { source: SubscriptionSource::Polling, epoch: 1, coverage };
        let tables = tables.iter().map(|(name, logged)| (QualifiedName::new("a", *name), *logged)).collect();
        let trace = Trace { tables, opaque: opaque.iter().map(|what| (*what).to_owned()).collect() };
        assert_eq!(status.covers(&trace), expected, "{status:?} {trace:?}");
    }

    #[test]
    fn what_a_source_cannot_see_is_not_covered() {
        let some = || Coverage::Tables(BTreeSet::from(["a.a".to_owned()]));
        check(Coverage::Logged, &[("a", true)], &[], true);
        check(Coverage::Logged, &[("a", true), ("b", false)], &[], false);
        check(Coverage::Logged, &[("a", true)], &["function a.f"], false);
        check(some(), &[("a", false)], &[], true);
        check(some(), &[("a", true), ("b", true)], &[], false);
        check(Coverage::Nothing, &[("a", true)], &[], false);
        check(Coverage::Nothing, &[], &[], true);
    }
}
