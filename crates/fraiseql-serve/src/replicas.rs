//! Replicas: which of them a query is read from, how far behind each is, and reading one's own writes.
//!
//! The lag is measured by positions, not by clocks: the primary's position is noted again and again, and
//! a replica is as late as the newest note that it has replayed is old. A replica that nobody can vouch
//! for gets no reads; the primary always can be read.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fraiseql_postgres::{Pool, PostgresError, Query};
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use tokio::time::Instant;

use crate::exposition::Exposition;
use crate::fault::chain;
use crate::observe::Event;
use crate::serving::Serving;

/// The header that carries a position of the write-ahead log: out with a mutation, in with a query.
pub(crate) const HEADER: &str = "x-fraiseql-read-after";
/// Between the end of one look at the servers and the beginning of the next.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a look may take, a new connection included.
const TIMEOUT: Duration = Duration::from_secs(1);
/// For how long what a look found is believed.
const KNOWN_FOR: Duration = Duration::from_secs(3);
/// The notes of the primary's position that are kept: some minutes.
const NOTES_MAX: usize = 4_096;

/// Where the primary is, and which cluster it is.
const PRIMARY: &str = "SELECT pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text || ' ' || system_identifier \
    FROM pg_catalog.pg_control_system()";
/// Where a replica is, and which cluster it is; nothing from a server that is no replica.
const REPLICA: &str = "SELECT pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text || ' ' || system_identifier \
    FROM pg_catalog.pg_control_system() WHERE pg_catalog.pg_is_in_recovery()";
/// Where the primary is after a write.
const AFTER: &str = "SELECT pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text";

/// Replicas to read from.
pub struct ReplicaOptions {
    /// The replicas; none turns everything here off.
    pub replicas: Vec<ReplicaSource>,
    /// One connection to the primary, for looking at it.
    pub primary: Pool,
    /// The share of reads that the primary keeps, beside the replicas' weights.
    pub primary_weight: u32,
    /// A replica that is further behind gets no reads.
    pub lag_max: Duration,
}

/// One of them.
pub struct ReplicaSource {
    /// What it is called in metrics and logs: host and port.
    pub name: String,
    /// Connections for requests.
    pub pool: Pool,
    /// One connection for looking at it.
    pub watch: Pool,
    /// Its share of reads.
    pub weight: u32,
}

/// A position of the write-ahead log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lsn(u64);

impl Lsn {
    /// After everything: only the primary can be read.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// Reads `16/B374D848`.
    fn parse(text: &str) -> Option<Self> {
        let (high, low) = text.split_once('/')?;
        let half = |text: &str| match text.len() {
            1..=8 => u32::from_str_radix(text, 16).map(u64::from).map_err(drop),
            _ => Err(()),
        };
        let (Ok(high), Ok(low)) = (half(high), half(low)) else { return None };
        Some(Self(high << 32 | low))
    }

    /// Returns what the headers ask to read after. What is no position is after everything.
    pub(crate) fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let told = headers.get(HEADER)?;
        Some(told.to_str().map_or(Self::NEVER, |text| Self::parse(text).unwrap_or(Self::NEVER)))
    }

    /// Returns it for a header.
    pub(crate) fn header(self) -> HeaderValue {
        let text = format!("{:X}/{:X}", self.0 >> 32, self.0 & u64::from(u32::MAX));
        HeaderValue::try_from(text).expect("hexadecimal digits are a header value")
    }
}

/// A replica and what is known of it.
pub(crate) struct Replica {
    name: String,
    pub(crate) pool: Pool,
    watch: Pool,
    weight: u32,
    known: Mutex<Known>,
    reads: AtomicU64,
    fallbacks: AtomicU64,
    /// Whether it was said that it is not read from.
    said: AtomicBool,
}

/// What the last look at a replica found; nothing when it failed.
type Known = Option<Found>;

#[derive(Clone, Copy, Debug)]
struct Found {
    replayed: Lsn,
    lag: Duration,
    at: Instant,
}

/// The replicas of one server.
pub(crate) struct Replicas {
    all: Vec<Replica>,
    primary: Pool,
    primary_weight: u32,
    lag_max: Duration,
    notes: Mutex<Notes>,
    next: AtomicU64,
}

/// Where the primary was when.
#[derive(Debug, Default)]
struct Notes {
    cluster: Option<String>,
    positions: VecDeque<(Instant, Lsn)>,
}

impl Notes {
    /// Notes where the primary was at `at`. Behind what was noted before it is another primary.
    fn note(&mut self, at: Instant, position: Lsn) {
        if self.positions.back().is_some_and(|(_, last)| position < *last) {
            self.positions.clear();
        }
        if self.positions.len() == NOTES_MAX {
            self.positions.pop_front();
        }
        self.positions.push_back((at, position));
    }

    /// Returns how long ago the primary was beyond `replayed` for the first time; zero when it is not.
    ///
    /// `None` when it has been longer than the notes say, or there are none.
    fn lag(&self, now: Instant, replayed: Lsn) -> Option<Duration> {
        let after = self.positions.partition_point(|(_, position)| *position <= replayed);
        match (after, self.positions.get(after)) {
            (_, None) => (!self.positions.is_empty()).then_some(Duration::ZERO),
            (0, Some(_)) => None,
            // It may have been written just after the last note that has been replayed.
            (after, Some(_)) => Some(now.duration_since(self.positions[after - 1].0)),
        }
    }
}

impl Replicas {
    pub(crate) fn new(options: ReplicaOptions) -> Option<Self> {
        let replica = |source: ReplicaSource| Replica {
            name: source.name,
            pool: source.pool,
            watch: source.watch,
            weight: source.weight,
            known: Mutex::default(),
            reads: AtomicU64::new(0),
            fallbacks: AtomicU64::new(0),
            said: AtomicBool::new(false),
        };
        (!options.replicas.is_empty()).then(|| Self {
            all: options.replicas.into_iter().map(replica).collect(),
            primary: options.primary,
            primary_weight: options.primary_weight,
            lag_max: options.lag_max,
            notes: Mutex::default(),
            next: AtomicU64::new(0),
        })
    }

    /// Returns the replica to read from that has replayed `after`; `None` is the primary.
    pub(crate) fn choose(&self, after: Option<Lsn>) -> Option<&Replica> {
        let usable = |replica: &&Replica| {
            replica.known().is_some_and(|found| {
                found.lag <= self.lag_max && after.is_none_or(|after| found.replayed >= after)
            })
        };
        let weights = self.all.iter().filter(usable).map(|replica| u64::from(replica.weight));
        let total = weights.sum::<u64>() + u64::from(self.primary_weight);
        let mut place = self.next.fetch_add(1, Ordering::Relaxed).checked_rem(total)?;
        for replica in self.all.iter().filter(usable) {
            match place.checked_sub(u64::from(replica.weight)) {
                Some(left) => place = left,
                None => {
                    replica.reads.fetch_add(1, Ordering::Relaxed);
                    return Some(replica);
                }
            }
        }
        None
    }

    /// Returns where the primary is after the write of `session`; after everything when it does not say.
    pub(crate) async fn after_write(pool: &Pool, deadline: Instant) -> Lsn {
        let asked = async {
            let mut session = pool.acquire(deadline).await?;
            one(&mut session, AFTER).await
        };
        match tokio::time::timeout_at(deadline, asked).await {
            Ok(Ok(Some(text))) => Lsn::parse(&text).unwrap_or(Lsn::NEVER),
            _ => Lsn::NEVER,
        }
    }

    /// Looks at all servers once.
    async fn look(&self, serving: &Serving) {
        let until = Instant::now() + TIMEOUT;
        let at = Instant::now();
        if let Ok(Some(told)) = asked(&self.primary, PRIMARY, until).await
            && let Some((position, cluster)) = told.split_once(' ')
            && let Some(position) = Lsn::parse(position)
        {
            let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
            notes.cluster = Some(cluster.to_owned());
            notes.note(at, position);
        }
        let looks = self.all.iter().map(|replica| async move {
            let found = match asked(&replica.watch, REPLICA, Instant::now() + TIMEOUT).await {
                Ok(None) => Err("it is no replica".to_owned()),
                Ok(Some(told)) => self.judge(&told),
                Err(error) => Err(chain(&error)),
            };
            replica.learn(found, self.lag_max, serving);
        });
        // One that hangs must not make the others look old.
        futures_util::future::join_all(looks).await;
    }

    /// Returns what a replica's word means; fails with why it cannot be read from.
    fn judge(&self, told: &str) -> Result<Found, String> {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let (position, cluster) = told.split_once(' ').ok_or("it does not say where it is")?;
        let replayed = Lsn::parse(position).ok_or("it does not say where it is")?;
        match &notes.cluster {
            Some(known) if known != cluster => return Err("it is a replica of another cluster".to_owned()),
            Some(_) => {}
            None => return Err("the primary has not been seen yet".to_owned()),
        }
        let lag = notes.lag(Instant::now(), replayed);
        Ok(Found { replayed, lag: lag.unwrap_or(Duration::MAX), at: Instant::now() })
    }

    /// Adds what is known to a page of metrics.
    pub(crate) fn render(&self, page: &mut Exposition) {
        let usable = |replica: &Replica| replica.known().is_some_and(|found| found.lag <= self.lag_max);
        let name = "fraiseql_replica_up";
        page.head(name, "gauge", "1 while queries may be read from the replica.");
        for replica in &self.all {
            page.sample(name, &[("replica", &replica.name)], u64::from(usable(replica)));
        }
        let name = "fraiseql_replica_lag_seconds";
        page.head(name, "gauge", "How far the replica is behind the primary, where that is known.");
        for (replica, found) in self.all.iter().filter_map(|replica| Some((replica, replica.known()?))) {
            if found.lag < Duration::MAX {
                let micros = u64::try_from(found.lag.as_micros()).unwrap_or(u64::MAX);
                page.micros(name, &[("replica", &replica.name)], micros);
            }
        }
        let name = "fraiseql_replica_reads_total";
        page.head(name, "counter", "Queries that were given to the replica.");
        for replica in &self.all {
            page.sample(name, &[("replica", &replica.name)], replica.reads.load(Ordering::Relaxed));
        }
        let name = "fraiseql_replica_fallbacks_total";
        page.head(name, "counter", "Queries that failed on the replica and were run on the primary.");
        for replica in &self.all {
            page.sample(name, &[("replica", &replica.name)], replica.fallbacks.load(Ordering::Relaxed));
        }
    }

    /// Closes all connections.
    pub(crate) async fn close(&self) {
        self.primary.close().await;
        for replica in &self.all {
            replica.pool.close().await;
            replica.watch.close().await;
        }
    }
}

impl Replica {
    /// Returns what the last look found; nothing when that is too long ago to count on.
    fn known(&self) -> Known {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.filter(|found| found.at.elapsed() < KNOWN_FOR)
    }

    /// A query failed here and goes to the primary; when the replica is `away`, so do the next.
    pub(crate) fn failed(&self, away: bool) {
        self.fallbacks.fetch_add(1, Ordering::Relaxed);
        if away {
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    fn learn(&self, found: Result<Found, String>, lag_max: Duration, serving: &Serving) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = found.as_ref().ok().copied();
        let reason = match found {
            Ok(found) if found.lag <= lag_max => None,
            Ok(found) if found.lag == Duration::MAX => Some("it is further behind than is known".to_owned()),
            Ok(found) => Some(format!("it is {:.1} s behind", found.lag.as_secs_f64())),
            Err(reason) => Some(reason),
        };
        let replica = self.name.as_str();
        match reason {
            None if self.said.swap(false, Ordering::Relaxed) => {
                serving.observer.observe(&Event::ReplicaReturned { replica });
            }
            Some(reason) if !self.said.swap(true, Ordering::Relaxed) => {
                serving.observer.observe(&Event::ReplicaLost { replica, reason });
            }
            None | Some(_) => {}
        }
    }
}

/// Looks at the servers for ever; to be dropped when the server ends.
pub(crate) async fn run(serving: Arc<Serving>) {
    let Some(replicas) = &serving.replicas else { return };
    loop {
        replicas.look(&serving).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Returns the only value that a statement gives.
async fn asked(pool: &Pool, sql: &str, deadline: Instant) -> Result<Option<String>, PostgresError> {
    let asking = async {
        let mut session = pool.acquire(deadline).await?;
        one(&mut session, sql).await
    };
    tokio::time::timeout_at(deadline, asking).await.map_err(|_elapsed| PostgresError::Timeout)?
}

async fn one(session: &mut fraiseql_postgres::Session, sql: &str) -> Result<Option<String>, PostgresError> {
    let batch = [Query { sql, params: &[] }];
    let mut rows = session.run(&batch).await?;
    let first = rows.next().await?;
    while rows.next().await?.is_some() {}
    let value = first.and_then(|row| row.get(0));
    Ok(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_and_written_as_postgresql_does() {
        for text in ["0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"] {
            assert_eq!(Lsn::parse(text).map(Lsn::header), Some(HeaderValue::from_static(text)), "{text}");
        }
        assert!(Lsn::parse("1/0") > Lsn::parse("0/FFFFFFFF"));
        for text in ["", "/", "1", "1/", "g/1", "123456789/1", "1/2/3", "-1/2", "+1/2 "] {
            assert_eq!(Lsn::parse(text), None, "{text}");
            let headers = HeaderMap::from_iter([(HEADER.parse().unwrap(), HeaderValue::from_static(text))]);
            assert_eq!(Lsn::of_headers(&headers), Some(Lsn::NEVER), "{text}");
        }
        assert_eq!(Lsn::of_headers(&HeaderMap::new()), None);
    }

    #[test]
    fn a_replica_is_as_late_as_the_newest_note_that_it_has_replayed_is_old() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut notes = Notes::default();
        assert_eq!(notes.lag(start, Lsn(5)), None);
        for (second, position) in [(0, 10), (1, 20), (2, 20), (3, 30)] {
            notes.note(at(second), Lsn(position));
        }
        let lag = |replayed| notes.lag(at(10), Lsn(replayed)).map(|lag| lag.as_secs());
        // Behind all notes; at the first; between; an idle primary; ahead of the last note.
        assert_eq!(
            [9, 10, 19, 20, 29, 30, 99].map(lag),
            [None, Some(10), Some(10), Some(8), Some(8), Some(0), Some(0)]
        );
        // Another primary, further back: what was noted of the old one says nothing.
        notes.note(at(11), Lsn(12));
        assert_eq!([11, 12].map(|replayed| notes.lag(at(12), Lsn(replayed))), [None, Some(Duration::ZERO)]);
    }
}
