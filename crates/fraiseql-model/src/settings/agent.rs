//! The settings of `[agent]`: how instances are looked after.

use super::{Kind, Setting, setting};

pub(super) const INSTANCES: Setting = setting(
    "agent.instances",
    "FRAISEQL_AGENT_INSTANCES",
    Kind::Integer { min: 1, max: 1_000 },
    Some("1"),
    "How many instances the first release has; later ones have as many unless `deploy --instances` says otherwise.",
);

pub(super) const SAMPLE_INTERVAL_MS: Setting = setting(
    "agent.sample_interval_ms",
    "FRAISEQL_AGENT_SAMPLE_INTERVAL_MS",
    Kind::Integer { min: 50, max: 600_000 },
    Some("15000"),
    "How often the agent notes what the service uses, for `fraiseql capacity`.",
);

pub(super) const LIVENESS_INTERVAL_MS: Setting = setting(
    "agent.liveness_interval_ms",
    "FRAISEQL_AGENT_LIVENESS_INTERVAL_MS",
    Kind::Integer { min: 50, max: 600_000 },
    Some("10000"),
    "How often an instance is asked whether it lives.",
);

pub(super) const LIVENESS_THRESHOLD: Setting = setting(
    "agent.liveness_threshold",
    "FRAISEQL_AGENT_LIVENESS_THRESHOLD",
    Kind::Integer { min: 1, max: 100 },
    Some("3"),
    "After so many silent answers in a row an instance is killed and started again.",
);

pub(super) const LIVENESS_TIMEOUT_MS: Setting = setting(
    "agent.liveness_timeout_ms",
    "FRAISEQL_AGENT_LIVENESS_TIMEOUT_MS",
    Kind::Integer { min: 50, max: 600_000 },
    Some("5000"),
    "How long an instance may take to say that it lives.",
);

pub(super) const MEMORY_MAX_MIB: Setting = setting(
    "agent.memory_max_mib",
    "FRAISEQL_AGENT_MEMORY_MAX_MIB",
    Kind::Integer { min: 0, max: 16_777_216 },
    Some("0"),
    "An instance that uses more memory of its own is killed and started again; 0 is no limit.",
);
