//! The settings of what is written down about requests: `[audit]` and `[usage]`.

use super::{Kind, Setting, setting};

pub(super) const AUDIT_MUTATIONS: Setting = setting(
    "audit.mutations",
    "FRAISEQL_AUDIT_MUTATIONS",
    Kind::Choice(&["off", "database"]),
    Some("off"),
    "Whether each mutation writes down who did what, in its own transaction; `database` needs the table that `fraiseql audit init` prints.",
);

pub(super) const AUDIT_VARIABLES: Setting = setting(
    "audit.variables",
    "FRAISEQL_AUDIT_VARIABLES",
    Kind::Boolean,
    Some("false"),
    "Also write down the variables of the request: they may be personal.",
);

pub(super) const USAGE_RECORD: Setting = setting(
    "usage.record",
    "FRAISEQL_USAGE_RECORD",
    Kind::Choice(&["off", "memory", "database"]),
    Some("off"),
    "Whether to count which client asks for which fields; `database` needs the table that `fraiseql usage init` prints.",
);

pub(super) const LOG_SLOW_OPERATION_MS: Setting = setting(
    "log.slow_operation_ms",
    "FRAISEQL_LOG_SLOW_OPERATION_MS",
    Kind::Integer { min: 0, max: 3_600_000 },
    Some("1000"),
    "An operation that takes longer is told with its statements and PostgreSQL's plan of them; 0 tells none.",
);

pub(super) const TRACING_ENDPOINT: Setting = setting(
    "tracing.endpoint",
    "FRAISEQL_TRACING_ENDPOINT",
    Kind::Text,
    None,
    "Where spans go by OTLP over HTTP, for example `http://collector:4318`; without it there are none.",
);

pub(super) const TRACING_HEADERS: Setting = Setting {
    secret: true,
    ..setting(
        "tracing.headers",
        "FRAISEQL_TRACING_HEADERS",
        Kind::Text,
        None,
        "Headers for the collector, as `name=value,name=value`; best a reference.",
    )
};

pub(super) const TRACING_SAMPLE_PERCENT: Setting = setting(
    "tracing.sample_percent",
    "FRAISEQL_TRACING_SAMPLE_PERCENT",
    Kind::Integer { min: 0, max: 100 },
    Some("10"),
    "Of 100 traces that begin here, how many are kept; for those that begin elsewhere it is decided there.",
);
