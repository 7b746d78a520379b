//! The settings of `[proxy]`: the load balancer in front of the instances.

use super::{Kind, Setting, setting};

pub(super) const ACCESS_LOG: Setting = setting(
    "proxy.access_log",
    "FRAISEQL_PROXY_ACCESS_LOG",
    Kind::Boolean,
    Some("false"),
    "Write a line for each request: who asked, which instance of which release answered, and how long it took.",
);

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

pub(super) const DRIVER: Setting = setting(
    "proxy.driver",
    "FRAISEQL_PROXY_DRIVER",
    Kind::Choice(&["builtin", "haproxy"]),
    Some("builtin"),
    "Who shares out traffic between releases: the proxy that the agent runs, or an HAProxy of yours.",
);

pub(super) const HAPROXY_BACKEND: Setting = setting(
    "proxy.haproxy_backend",
    "FRAISEQL_PROXY_HAPROXY_BACKEND",
    Kind::Text,
    Some("fraiseql"),
    "The backend of HAProxy whose servers are places for instances: `server-template fq 1-16 127.0.0.1:1 disabled check`.",
);

pub(super) const HAPROXY_SOCKET: Setting = setting(
    "proxy.haproxy_socket",
    "FRAISEQL_PROXY_HAPROXY_SOCKET",
    Kind::Text,
    None,
    "The runtime socket of HAProxy, of level admin.",
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
