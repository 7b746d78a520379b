//! What the operator decides about the response cache.

use std::time::Duration;

use crate::cache::redis_store::RedisOptions;

/// Bounds of the response cache, in bytes and in age.
#[derive(Clone, Debug)]
pub struct CacheOptions {
    /// The most bytes of all kept answers together, compressed forms included.
    pub memory_bytes: usize,
    /// The most bytes of one kept answer.
    pub entry_bytes: usize,
    /// How long an answer may be kept, whatever is told of its tables.
    pub max_age: Duration,
    /// The longest that the last look for changes may be past while answers are given from the cache.
    pub stale_max: Duration,
    /// Where servers share answers; `None` keeps each to itself.
    pub shared: Option<RedisOptions>,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            entry_bytes: 1 << 20,
            max_age: Duration::from_secs(60),
            stale_max: Duration::from_secs(1),
            shared: None,
        }
    }
}
