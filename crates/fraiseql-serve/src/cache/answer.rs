//! Answers a query from the cache, or from the database for the next one.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fraiseql_engine::bind;
use tokio::time::Instant;

use crate::answer::Answer;
use crate::body::Reply;
use crate::cache::ResponseCache;
use crate::cache::asked::{Asked, Outcome};
use crate::cache::kept::{Kept, Stamp};
use crate::cache::redis_store::{Found, SharedStamp};
use crate::cache::shared_key::shared_key;
use crate::pipeline::{self, Job};
use crate::prepared::{Prepared, PreparedQuery};
use crate::serving::Serving;
use crate::stream::Copying;

/// Longer keys are not worth their memory.
const KEY_BYTES_MAX: usize = 16 << 10;
/// The number of the plan, with which every key begins.
const NUMBER_BYTES: usize = size_of::<u64>();

/// Answers a query. `asked` learns what the cache did.
pub(crate) async fn answer(
    cache: &ResponseCache,
    job: &Job<'_>,
    query: Arc<PreparedQuery>,
    asked: &mut Asked,
) -> Answer {
    let key = match cache.is_current() {
        true => key(job, &query),
        false => None,
    };
    let Some(key) = key else { return pass(cache, job, query, asked).await };
    if !asked.anew
        && let Some(kept) = cache.find(&key)
    {
        cache.tally.hits.increment();
        let body = kept.body.clone();
        asked.outcome = Outcome::Hit(kept);
        return Answer::Data(Reply::whole(body), 0);
    }
    // Dropped late, this is one more request of the database's catalog: within the same deadline.
    let stamp = tokio::time::timeout_at(job.deadline, cache.stamp(job, &query)).await.ok().flatten();
    let Some(stamp) = stamp else { return pass(cache, job, query, asked).await };
    let place = match look_up_shared(cache, job, &query, &key, &stamp).await {
        Shelf::Has { body, left } if !asked.anew => {
            let filled_at = Instant::now().checked_sub(cache.options.max_age.saturating_sub(left));
            let kept = cache.keep(key, stamp, body, filled_at.unwrap_or_else(Instant::now));
            cache.tally.shared_hits.increment();
            let body = kept.body.clone();
            asked.outcome = Outcome::Shared(kept);
            return Answer::Data(Reply::whole(body), 0);
        }
        Shelf::Lacks(place) => Some(place),
        Shelf::Has { .. } | Shelf::Closed => None,
    };
    cache.tally.misses.increment();
    asked.outcome = Outcome::Missed;
    let limit = cache.options.entry_bytes;
    match pipeline::run(job, Prepared::Query(query)).await {
        Answer::Data(reply, rows) => match reply.joined(limit) {
            Ok(body) => {
                let kept = fill(job.serving, cache, key, stamp, body, place);
                let body = kept.body.clone();
                asked.outcome = Outcome::Stored(kept);
                Answer::Data(Reply::whole(body), rows)
            }
            Err(reply) => Answer::Data(reply, rows),
        },
        Answer::Streaming(reading) => {
            let serving = Arc::clone(job.serving);
            let keep = move |body: Bytes| {
                if let Some(cache) = &serving.cache {
                    drop(fill(&serving, cache, key, stamp, body, place));
                }
            };
            Answer::Streaming(reading.copied(Copying::new(limit, Box::new(keep))))
        }
        other => other,
    }
}

/// Where servers share an answer, and what has to stay as it is for it.
struct Place {
    key: String,
    stamp: SharedStamp,
}

/// What servers have in common for a query.
enum Shelf {
    /// There is none, or it cannot be used now.
    Closed,
    /// An answer that holds for so long at most.
    Has { body: Bytes, left: Duration },
    /// No answer; one that is read from now on belongs there.
    Lacks(Place),
}

async fn look_up_shared(
    cache: &ResponseCache,
    job: &Job<'_>,
    query: &PreparedQuery,
    key: &[u8],
    stamp: &Stamp,
) -> Shelf {
    let Some(shared) = &cache.shared else { return Shelf::Closed };
    let key = shared_key(job, query, key, NUMBER_BYTES);
    match shared.find(&key, &stamp.sources.names).await {
        None => Shelf::Closed,
        Some(Found { answer: Some((body, left)), .. }) => Shelf::Has { body, left },
        Some(Found { answer: None, stamp }) => Shelf::Lacks(Place { key, stamp }),
    }
}

/// Keeps an answer, and shares it behind the response.
fn fill(
    serving: &Arc<Serving>,
    cache: &ResponseCache,
    key: Box<[u8]>,
    stamp: Stamp,
    body: Bytes,
    place: Option<Place>,
) -> Arc<Kept> {
    let kept = cache.keep(key, stamp, body, Instant::now());
    if let Some(Place { key, stamp }) = place {
        let (serving, body) = (Arc::clone(serving), kept.body.clone());
        let tasks = serving.tasks.clone();
        tasks.spawn(async move {
            if let Some(shared) = serving.cache.as_ref().and_then(|cache| cache.shared.as_ref()) {
                let max_age = serving.cache.as_ref().map_or(Duration::ZERO, |cache| cache.options.max_age);
                shared.keep(&key, &stamp, &body, max_age).await;
            }
        });
    }
    kept
}

async fn pass(cache: &ResponseCache, job: &Job<'_>, query: Arc<PreparedQuery>, asked: &mut Asked) -> Answer {
    cache.tally.bypasses.increment();
    asked.outcome = Outcome::Bypassed;
    pipeline::run(job, Prepared::Query(query)).await
}

impl ResponseCache {
    /// Keeps an answer. One whose tables have changed since it was asked for is never given to anybody.
    fn keep(&self, key: Box<[u8]>, stamp: Stamp, body: Bytes, filled_at: Instant) -> Arc<Kept> {
        let kept = Arc::new(Kept::new(body, stamp, filled_at));
        if self.holds(&kept) {
            self.answers.insert(key, Arc::clone(&kept));
        }
        kept
    }
}

/// Returns what makes two requests the same: the plan, which belongs to one view of one schema, the
/// values that it is bound to, and all that the database is told of the caller. `None` for what is
/// too long, or cannot be bound.
fn key(job: &Job<'_>, query: &PreparedQuery) -> Option<Box<[u8]>> {
    let params = match bind(query.statement.as_ref()?, &job.variables) {
        Ok(params) => params,
        // Whoever runs it says why.
        Err(_refused) => return None,
    };
    let mut key = BytesMut::with_capacity(64);
    key.extend_from_slice(&query.number.to_ne_bytes());
    for part in params.iter().map(Option::as_ref).chain([job.claims()]) {
        // The length first, so that no two lists of values have the same bytes; NULL has none of all.
        let length = part.map_or(u64::MAX, |part| part.len() as u64);
        key.extend_from_slice(&length.to_ne_bytes());
        key.extend_from_slice(part.map_or(&[], |part| part));
        if key.len() > KEY_BYTES_MAX {
            return None;
        }
    }
    Some(Box::from(&key[..]))
}
