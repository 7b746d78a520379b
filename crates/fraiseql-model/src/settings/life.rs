//! Settings of TLS and of the life of a server: modes, reloads, the control socket, the log.

use super::{Kind, Setting, setting};

pub(super) const LOG_FORMAT: Setting = setting(
    "log.format",
    "FRAISEQL_LOG_FORMAT",
    Kind::Choice(&["text", "json"]),
    Some("text"),
    "How the log on standard error is written.",
);

pub(super) const MAINTENANCE_BODY_FILE: Setting = setting(
    "maintenance.body_file",
    "FRAISEQL_MAINTENANCE_BODY_FILE",
    Kind::Text,
    None,
    "File that is answered with 503 in maintenance, relative to the project: `.html`, `.json` or `.txt`.",
);

pub(super) const MAINTENANCE_RETRY_AFTER_S: Setting = setting(
    "maintenance.retry_after_s",
    "FRAISEQL_MAINTENANCE_RETRY_AFTER_S",
    Kind::Integer { min: 1, max: 86_400 },
    Some("30"),
    "What `Retry-After` tells clients in maintenance, and mutations in read-only.",
);

pub(super) const SERVER_CONTROL_SOCKET: Setting = setting(
    "server.control_socket",
    "FRAISEQL_SERVER_CONTROL_SOCKET",
    Kind::Text,
    Some(".fraiseql/control.sock"),
    "Unix socket through which `fraiseql mode` reaches `serve`, relative to the project; `none` for none.",
);

pub(super) const SERVER_MODE: Setting = setting(
    "server.mode",
    "FRAISEQL_SERVER_MODE",
    Kind::Choice(&["normal", "read-only", "maintenance"]),
    Some("normal"),
    "What the service does: everything, queries only, or nothing but answer 503.",
);

pub(super) const SERVER_PORT: Setting = setting(
    "server.port",
    "FRAISEQL_SERVER_PORT",
    Kind::Integer { min: 0, max: 65_535 },
    Some("4000"),
    "The port to listen on; 0 takes a free one.",
);

pub(super) const SERVER_RELOAD: Setting = setting(
    "server.reload",
    "FRAISEQL_SERVER_RELOAD",
    Kind::Choice(&["signal", "files"]),
    Some("signal"),
    "When `serve` reads settings and schema again: at SIGHUP, or also when their files change.",
);

pub(super) const TLS_CERTIFICATE: Setting = setting(
    "tls.certificate",
    "FRAISEQL_TLS_CERTIFICATE",
    Kind::Text,
    None,
    "PEM file with the server's certificate and the intermediate ones behind it. With it only HTTPS is spoken.",
);

pub(super) const TLS_CLIENT_CA: Setting = setting(
    "tls.client_ca",
    "FRAISEQL_TLS_CLIENT_CA",
    Kind::Text,
    None,
    "PEM file with authorities: clients must show a certificate that one of them has signed.",
);

pub(super) const TLS_HSTS_S: Setting = setting(
    "tls.hsts_s",
    "FRAISEQL_TLS_HSTS_S",
    Kind::Integer { min: 0, max: 63_072_000 },
    Some("31536000"),
    "For how long browsers come by HTTPS only (Strict-Transport-Security); 0 does not tell them.",
);

pub(super) const TLS_KEY: Setting = setting(
    "tls.key",
    "FRAISEQL_TLS_KEY",
    Kind::Text,
    None,
    "PEM file with the private key of `tls.certificate`, without a password.",
);

pub(super) const TLS_LOOK_INTERVAL_MS: Setting = setting(
    "tls.look_interval_ms",
    "FRAISEQL_TLS_LOOK_INTERVAL_MS",
    Kind::Integer { min: 100, max: 86_400_000 },
    Some("2000"),
    "How often to look whether certificate or key have changed.",
);

pub(super) const TLS_MIN_VERSION: Setting = setting(
    "tls.min_version",
    "FRAISEQL_TLS_MIN_VERSION",
    Kind::Choice(&["1.2", "1.3"]),
    Some("1.2"),
    "The oldest version of TLS that clients may speak.",
);

pub(super) const SERVER_PROFILE: Setting = setting(
    "server.profile",
    "FRAISEQL_SERVER_PROFILE",
    Kind::Choice(&["development", "production"]),
    Some("development"),
    "What is on by default.",
);

pub(super) const SERVER_ADDRESS: Setting = setting(
    "server.address",
    "FRAISEQL_SERVER_ADDRESS",
    Kind::Text,
    Some("127.0.0.1"),
    "The address to listen on.",
);

pub(super) const SERVER_GRAPHIQL: Setting = setting(
    "server.graphiql",
    "FRAISEQL_SERVER_GRAPHIQL",
    Kind::Choice(&["auto", "on", "off"]),
    Some("auto"),
    "GraphiQL at `/`; `auto` is on in development and off in production.",
);

pub(super) const SERVER_THREADS: Setting = setting(
    "server.threads",
    "FRAISEQL_SERVER_THREADS",
    Kind::Integer { min: 0, max: 1_024 },
    Some("0"),
    "Threads that serve requests, each with an event loop of its own; 0 for one for each core.",
);
