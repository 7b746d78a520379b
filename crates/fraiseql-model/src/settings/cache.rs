//! The settings of `[cache]`: answers that are kept.

use super::{Kind, Setting, setting};

pub(super) const ENTRY_BYTES: Setting = setting(
    "cache.entry_bytes",
    "FRAISEQL_CACHE_ENTRY_BYTES",
    Kind::Integer { min: 1_024, max: 64 << 20 },
    Some("1048576"),
    "The most bytes of one answer that is kept; longer ones are always read from the database.",
);

pub(super) const MAX_AGE_MS: Setting = setting(
    "cache.max_age_ms",
    "FRAISEQL_CACHE_MAX_AGE_MS",
    Kind::Integer { min: 100, max: 86_400_000 },
    Some("60000"),
    "How long an answer may be kept, even if nothing that it was read from has changed.",
);

pub(super) const MEMORY_BYTES: Setting = setting(
    "cache.memory_bytes",
    "FRAISEQL_CACHE_MEMORY_BYTES",
    Kind::Integer { min: 1 << 20, max: 1 << 40 },
    Some("67108864"),
    "The most bytes that all kept answers take together; the ones that are of least use go first.",
);

pub(super) const MODE: Setting = setting(
    "cache.mode",
    "FRAISEQL_CACHE_MODE",
    Kind::Choice(&["off", "memory", "redis"]),
    Some("off"),
    "Where answers of queries are kept until something that they were read from has changed: nowhere, in each server, or there and in Redis for all.",
);

pub(super) const STALE_MAX_MS: Setting = setting(
    "cache.stale_max_ms",
    "FRAISEQL_CACHE_STALE_MAX_MS",
    Kind::Integer { min: 20, max: 600_000 },
    Some("1000"),
    "For how long answers are given from the cache after the last look for changes; at least twice `subscriptions.read_interval_ms`.",
);

pub(super) const REDIS_PREFIX: Setting = setting(
    "cache.redis_prefix",
    "FRAISEQL_CACHE_REDIS_PREFIX",
    Kind::Text,
    Some("fraiseql"),
    "What all keys in Redis begin with; another one for each service that shares a Redis.",
);

pub(super) const REDIS_TIMEOUT_MS: Setting = setting(
    "cache.redis_timeout_ms",
    "FRAISEQL_CACHE_REDIS_TIMEOUT_MS",
    Kind::Integer { min: 1, max: 10_000 },
    Some("50"),
    "How long Redis may take to answer; then requests go on without it until it answers again.",
);

pub(super) const REDIS_URL: Setting = Setting {
    secret: true,
    ..setting(
        "cache.redis_url",
        "FRAISEQL_CACHE_REDIS_URL",
        Kind::Text,
        None,
        "`redis://[user:password@]host:port[/number]`, for `cache.mode = \"redis\"`. Redis 6 or newer.",
    )
};
