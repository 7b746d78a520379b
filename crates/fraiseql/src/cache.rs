//! From settings to which answers are kept.

use fraiseql_model::errors;
use fraiseql_model::settings::Settings;
use fraiseql_serve::{CacheOptions, RedisOptions};

use crate::failure::Failure;

/// Looks for changes that must fit into the time for which a look counts; otherwise the cache would
/// stand still between two of them.
const LOOKS: u32 = 2;

/// Makes the options of `[cache]`; `None` when it is off. Fails when nobody would look for changes, or
/// not often enough.
pub(crate) fn options(settings: &Settings) -> Result<Option<CacheOptions>, Failure> {
    let shared = match settings.text("cache.mode") {
        Some("memory") => None,
        Some("redis") => Some(redis(settings, "cache.mode", "memory")?),
        _ => return Ok(None),
    };
    if settings.text("subscriptions.source") == Some("polling") {
        let message = "a response cache cannot be kept with subscriptions.source = \"polling\": nobody would tell it of changes";
        let hint = "set subscriptions.source to auto, decoding or outbox, or cache.mode to off";
        return Err(Failure::new(&errors::CFG_BAD_VALUE, message).hint(hint));
    }
    let (stale_max, look) =
        (settings.duration("cache.stale_max_ms"), settings.duration("subscriptions.read_interval_ms"));
    if stale_max < look * LOOKS {
        let message = format!(
            "cache.stale_max_ms = {} is less than twice subscriptions.read_interval_ms = {}",
            stale_max.as_millis(),
            look.as_millis()
        );
        let hint = "look for changes more often, or let a look count for longer";
        return Err(Failure::new(&errors::CFG_BAD_VALUE, message).hint(hint));
    }
    let bytes = |key: &str| usize::try_from(settings.integer(key)).unwrap_or(usize::MAX);
    Ok(Some(CacheOptions {
        memory_bytes: bytes("cache.memory_bytes"),
        entry_bytes: bytes("cache.entry_bytes"),
        max_age: settings.duration("cache.max_age_ms"),
        stale_max,
        shared,
    }))
}

/// Returns the Redis of the settings, which `key` wants; set to `otherwise`, it would not.
pub(crate) fn redis(settings: &Settings, key: &str, otherwise: &str) -> Result<RedisOptions, Failure> {
    let hint = format!("set cache.redis_url to redis://host:6379, or {key} to {otherwise}");
    let Some(url) = settings.text("cache.redis_url") else {
        return Err(Failure::new(
            &errors::CFG_MISSING,
            format!("{key} is redis, and cache.redis_url is not set"),
        )
        .hint(hint));
    };
    let prefix = settings.text("cache.redis_prefix").unwrap_or("fraiseql");
    let options = RedisOptions::new(url, prefix, settings.duration("cache.redis_timeout_ms"));
    // The URL may hold a password: it is not repeated.
    options
        .map_err(|error| Failure::new(&errors::CFG_BAD_VALUE, format!("cache.redis_url: {error}")).hint(hint))
}
