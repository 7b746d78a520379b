//! The settings of `[rate_limit]`: how often somebody may ask.

use super::{Kind, Setting, setting};

const MANY: Kind = Kind::Integer { min: 0, max: 4_000_000_000 };

pub(super) const ADDRESS_BURST: Setting = setting(
    "rate_limit.address_burst",
    "FRAISEQL_RATE_LIMIT_ADDRESS_BURST",
    MANY,
    Some("0"),
    "How many requests may come from one address at once. 0: as many as in ten seconds.",
);

pub(super) const ADDRESS_PER_MINUTE: Setting = setting(
    "rate_limit.address_per_minute",
    "FRAISEQL_RATE_LIMIT_ADDRESS_PER_MINUTE",
    MANY,
    Some("0"),
    "How many requests a minute may come from one address (of IPv6: from one /64), whoever asks. 0: any number.",
);

pub(super) const CALLER_BURST: Setting = setting(
    "rate_limit.caller_burst",
    "FRAISEQL_RATE_LIMIT_CALLER_BURST",
    MANY,
    Some("0"),
    "How many requests a known caller may send at once. 0: as many as in ten seconds.",
);

pub(super) const CALLER_PER_MINUTE: Setting = setting(
    "rate_limit.caller_per_minute",
    "FRAISEQL_RATE_LIMIT_CALLER_PER_MINUTE",
    MANY,
    Some("0"),
    "How many requests a minute a known caller may send, from wherever. 0: any number.",
);

pub(super) const ENTRIES: Setting = setting(
    "rate_limit.entries",
    "FRAISEQL_RATE_LIMIT_ENTRIES",
    Kind::Integer { min: 1_000, max: 10_000_000 },
    Some("100000"),
    "How many addresses and callers are remembered; the ones that did not ask for longest are forgotten.",
);

pub(super) const TRUSTED_PROXIES: Setting = setting(
    "rate_limit.trusted_proxies",
    "FRAISEQL_RATE_LIMIT_TRUSTED_PROXIES",
    Kind::List,
    Some(""),
    "Addresses and networks, for example `10.0.0.0/8`, of load balancers whose `X-Forwarded-For` is believed.",
);

pub(super) const STORE: Setting = setting(
    "rate_limit.store",
    "FRAISEQL_RATE_LIMIT_STORE",
    Kind::Choice(&["local", "redis"]),
    Some("local"),
    "Where limits are counted: by each server for itself, or by all together in the Redis of `cache.redis_url`.",
);
