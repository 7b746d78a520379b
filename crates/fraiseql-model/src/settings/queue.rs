//! The settings of the queue before the database: who waits for a connection, and how long.

use super::{Kind, Setting, setting};

pub(super) const DATABASE_QUEUE_MAX: Setting = setting(
    "database.queue_max",
    "FRAISEQL_DATABASE_QUEUE_MAX",
    Kind::Integer { min: 0, max: 1_000_000 },
    Some("1000"),
    "How many requests may wait for a connection while all are in use; one more is answered 503 at once. 0: none waits.",
);

pub(super) const DATABASE_QUEUE_WAIT_MS: Setting = setting(
    "database.queue_wait_ms",
    "FRAISEQL_DATABASE_QUEUE_WAIT_MS",
    Kind::Integer { min: 1, max: 3_600_000 },
    Some("2000"),
    "How long a request may wait for a connection that others use before it is answered 503.",
);
