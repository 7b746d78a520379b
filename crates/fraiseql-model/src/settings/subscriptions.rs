//! The settings of `[subscriptions]`: where changes come from, and how much subscribers may ask for.

use super::{Kind, Setting, setting};

pub(super) const BUFFER_RESULTS: Setting = setting(
    "subscriptions.buffer_results",
    "FRAISEQL_SUBSCRIPTIONS_BUFFER_RESULTS",
    Kind::Integer { min: 1, max: 1_000 },
    Some("8"),
    "How many results may wait for a client that reads slowly; behind them only the newest is kept.",
);

pub(super) const DEBOUNCE_MS: Setting = setting(
    "subscriptions.debounce_ms",
    "FRAISEQL_SUBSCRIPTIONS_DEBOUNCE_MS",
    Kind::Integer { min: 1, max: 60_000 },
    Some("100"),
    "The least time between two runs of the same subscription, however often its tables change.",
);

pub(super) const INIT_TIMEOUT_MS: Setting = setting(
    "subscriptions.init_timeout_ms",
    "FRAISEQL_SUBSCRIPTIONS_INIT_TIMEOUT_MS",
    Kind::Integer { min: 100, max: 600_000 },
    Some("3000"),
    "How long a WebSocket may take to send `connection_init`; then it is closed with 4408.",
);

pub(super) const MESSAGE_BYTES: Setting = setting(
    "subscriptions.message_bytes",
    "FRAISEQL_SUBSCRIPTIONS_MESSAGE_BYTES",
    Kind::Integer { min: 1_024, max: 1_073_741_824 },
    Some("1048576"),
    "The largest message of a client on a WebSocket.",
);

pub(super) const ORIGINS: Setting = setting(
    "subscriptions.origins",
    "FRAISEQL_SUBSCRIPTIONS_ORIGINS",
    Kind::List,
    Some(""),
    "Origins of other sites whose pages may open WebSockets, for example `https://app.example.org`; `*` is any.",
);

pub(super) const PER_CONNECTION: Setting = setting(
    "subscriptions.per_connection",
    "FRAISEQL_SUBSCRIPTIONS_PER_CONNECTION",
    Kind::Integer { min: 1, max: 100_000 },
    Some("100"),
    "How many operations one WebSocket may run at a time.",
);

pub(super) const POLL_INTERVAL_MS: Setting = setting(
    "subscriptions.poll_interval_ms",
    "FRAISEQL_SUBSCRIPTIONS_POLL_INTERVAL_MS",
    Kind::Integer { min: 10, max: 3_600_000 },
    Some("1000"),
    "How often a subscription runs whose changes no source tells.",
);

pub(super) const READ_INTERVAL_MS: Setting = setting(
    "subscriptions.read_interval_ms",
    "FRAISEQL_SUBSCRIPTIONS_READ_INTERVAL_MS",
    Kind::Integer { min: 1, max: 60_000 },
    Some("100"),
    "How often decoding and outbox are read: about how late a change is seen.",
);

pub(super) const RESULT_BYTES: Setting = setting(
    "subscriptions.result_bytes",
    "FRAISEQL_SUBSCRIPTIONS_RESULT_BYTES",
    Kind::Integer { min: 1_024, max: 1_073_741_824 },
    Some("4194304"),
    "The largest result of a subscription; the newest of each is kept in memory.",
);

pub(super) const SEND_TIMEOUT_MS: Setting = setting(
    "subscriptions.send_timeout_ms",
    "FRAISEQL_SUBSCRIPTIONS_SEND_TIMEOUT_MS",
    Kind::Integer { min: 10, max: 3_600_000 },
    Some("10000"),
    "How long a client may leave a result unread before it is cut off.",
);

pub(super) const SOURCE: Setting = setting(
    "subscriptions.source",
    "FRAISEQL_SUBSCRIPTIONS_SOURCE",
    Kind::Choice(&["auto", "decoding", "outbox", "polling"]),
    Some("auto"),
    "Where changes come from; `auto` takes the first of decoding, outbox and polling that the database allows.",
);

pub(super) const TOTAL: Setting = setting(
    "subscriptions.total",
    "FRAISEQL_SUBSCRIPTIONS_TOTAL",
    Kind::Integer { min: 1, max: 1_000_000 },
    Some("10000"),
    "How many subscriptions one server may have at a time.",
);
