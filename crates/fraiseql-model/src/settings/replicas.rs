//! The settings of replicas: where they are, and how much is read from them.

use super::{Kind, Setting, setting};

pub(super) const PRIMARY_WEIGHT: Setting = setting(
    "database.primary_weight",
    "FRAISEQL_DATABASE_PRIMARY_WEIGHT",
    Kind::Integer { min: 0, max: 1_000 },
    Some("0"),
    "The share of queries that the primary keeps, beside the weights of the replicas.",
);

pub(super) const REPLICAS: Setting = Setting {
    secret: true,
    ..setting(
        "database.replicas",
        "FRAISEQL_DATABASE_REPLICAS",
        Kind::Text,
        None,
        "Connection strings (URLs) of replicas to read from, separated by spaces, or a reference to them. `database.password` and `database.credentials` count for them too.",
    )
};

pub(super) const REPLICA_LAG_MAX_MS: Setting = setting(
    "database.replica_lag_max_ms",
    "FRAISEQL_DATABASE_REPLICA_LAG_MAX_MS",
    Kind::Integer { min: 1, max: 3_600_000 },
    Some("1000"),
    "A replica that is further behind the primary gets no queries.",
);

pub(super) const REPLICA_WEIGHTS: Setting = setting(
    "database.replica_weights",
    "FRAISEQL_DATABASE_REPLICA_WEIGHTS",
    Kind::List,
    Some(""),
    "The replicas' shares of queries, whole numbers in the order of `database.replicas`; 1 for each without it.",
);
