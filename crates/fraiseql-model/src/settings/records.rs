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
