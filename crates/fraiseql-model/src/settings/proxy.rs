//! The settings of `[proxy]`: the load balancer in front of the instances.

use super::{Kind, Setting, setting};

pub(super) const ANSWER_TIMEOUT_MS: Setting = setting(
    "proxy.answer_timeout_ms",
    "FRAISEQL_PROXY_ANSWER_TIMEOUT_MS",
    Kind::Integer { min: 100, max: 3_600_000 },
    Some("65000"),
    "How long an instance may take to begin its answer; longer than `server.request_timeout_ms`.",
);

pub(super) const CHOOSE_HEADER: Setting = setting(
    "proxy.choose_header",
    "FRAISEQL_PROXY_CHOOSE_HEADER",
    Kind::Text,
    None,
    "Header by which a tester names the release that shall answer; whoever knows it can reach a canary.",
);

pub(super) const PROBE_INTERVAL_MS: Setting = setting(
    "proxy.probe_interval_ms",
    "FRAISEQL_PROXY_PROBE_INTERVAL_MS",
    Kind::Integer { min: 50, max: 60_000 },
    Some("5000"),
    "How often each instance is asked whether it is ready; one that is not is asked four times a second.",
);

pub(super) const PROBE_TIMEOUT_MS: Setting = setting(
    "proxy.probe_timeout_ms",
    "FRAISEQL_PROXY_PROBE_TIMEOUT_MS",
    Kind::Integer { min: 50, max: 60_000 },
    Some("2000"),
    "How long an instance may take to say that it is ready.",
);

pub(super) const STICKY: Setting = setting(
    "proxy.sticky",
    "FRAISEQL_PROXY_STICKY",
    Kind::Text,
    Some("none"),
    "What keeps a user on one release while a canary runs: `header:NAME`, `cookie:NAME`, `claim:NAME` or `none`.",
);
