//! Every setting there is: one table, from which parsing, `config show` and the reference are made.
//!
//! Pure: files and environment are read by the binary and handed in as [`Given`] values.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::names::nearest;
use crate::secret::SecretRef;

mod agent;
mod backup;
mod cache;
mod console;
mod embedded;
mod given;
mod identity;
mod life;
mod monitoring;
mod oncall;
mod promotion;
mod proxy;
mod queue;
mod rate_limit;
mod records;
mod replicas;
mod secrets;
mod subscriptions;

pub use given::{Given, Origin, SettingError};

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// The dotted key in `fraiseql.toml`, for example `server.port`.
    pub key: &'static str,
    /// The environment variable.
    pub env: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// The default, in the form that a user would type; `None` when there is none.
    pub default: Option<&'static str>,
    /// One sentence for the reference.
    pub doc: &'static str,
    /// True when the value must never be printed.
    pub secret: bool,
}

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A whole number within bounds; the unit is the key's last word.
    Integer {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Words separated by commas; in the file also a list of strings.
    List,
}

const fn setting(
    key: &'static str,
    env: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    doc: &'static str,
) -> Setting {
    Setting { key, env, kind, default, doc, secret: false }
}

/// Every setting, sorted by key.
pub const SETTINGS: &[Setting] = &[
    secrets::ADMIN_ADDRESS,
    secrets::ADMIN_PORT,
    agent::INSTANCES,
    agent::LIVENESS_INTERVAL_MS,
    agent::LIVENESS_THRESHOLD,
    agent::LIVENESS_TIMEOUT_MS,
    agent::MEMORY_MAX_MIB,
    agent::SAMPLE_INTERVAL_MS,
    secrets::AWS_ENDPOINT,
    secrets::AWS_PROFILE,
    secrets::AWS_REGION,
    records::AUDIT_MUTATIONS,
    records::AUDIT_VARIABLES,
    backup::AGE_MAX_H,
    backup::ARCHIVE_TIMEOUT_S,
    backup::ENCRYPTION_KEY,
    backup::KEEP_COUNT,
    backup::KEEP_DAYS,
    backup::PARALLEL,
    backup::REPOSITORY,
    backup::S3_ACCESS_KEY,
    backup::S3_ENDPOINT,
    backup::S3_REGION,
    backup::S3_SECRET_KEY,
    cache::ENTRY_BYTES,
    cache::MAX_AGE_MS,
    cache::MEMORY_BYTES,
    cache::MODE,
    cache::REDIS_PREFIX,
    cache::REDIS_TIMEOUT_MS,
    cache::REDIS_URL,
    cache::STALE_MAX_MS,
    console::PORT,
    Setting {
        secret: true,
        ..setting(
            "database.url",
            "DATABASE_URL",
            Kind::Text,
            None,
            "Connection string of the database, as libpq reads it. Without it, `up` runs an embedded PostgreSQL.",
        )
    },
    setting(
        "cors.origins",
        "FRAISEQL_CORS_ORIGINS",
        Kind::List,
        Some(""),
        "Origins of pages that may ask, for example `https://shop.example`; `*` for any. Empty keeps browsers of other origins out.",
    ),
    secrets::DATABASE_CREDENTIALS,
    setting(
        "database.connect_timeout_ms",
        "FRAISEQL_DATABASE_CONNECT_TIMEOUT_MS",
        Kind::Integer { min: 100, max: 600_000 },
        Some("5000"),
        "How long one attempt to connect may take.",
    ),
    Setting {
        secret: true,
        ..setting(
            "database.direct_url",
            "FRAISEQL_DATABASE_DIRECT_URL",
            Kind::Text,
            None,
            "Connection string past a pooler, for what needs a session of its own: the catalog. Default: `database.url`.",
        )
    },
    secrets::DATABASE_PASSWORD,
    setting(
        "database.pool_size",
        "FRAISEQL_DATABASE_POOL_SIZE",
        Kind::Integer { min: 1, max: 10_000 },
        Some("16"),
        "The most connections that one server opens.",
    ),
    setting(
        "database.pooler",
        "FRAISEQL_DATABASE_POOLER",
        Kind::Choice(&["none", "transaction"]),
        Some("none"),
        "What `database.url` leads to: PostgreSQL (or a pooler that keeps sessions), or a pooler such as PgBouncer in transaction mode.",
    ),
    replicas::PRIMARY_WEIGHT,
    queue::DATABASE_QUEUE_MAX,
    queue::DATABASE_QUEUE_WAIT_MS,
    replicas::REPLICA_LAG_MAX_MS,
    replicas::REPLICA_WEIGHTS,
    replicas::REPLICAS,
    setting(
        "database.schemas",
        "FRAISEQL_DATABASE_SCHEMAS",
        Kind::List,
        Some("public"),
        "PostgreSQL schemas that `init` reads.",
    ),
    embedded::BIN_DIR,
    embedded::DATA_DIR,
    embedded::SEED,
    setting(
        "graphql.automatic_persisted",
        "FRAISEQL_GRAPHQL_AUTOMATIC_PERSISTED",
        Kind::Boolean,
        Some("false"),
        "Automatic persisted queries: a client registers a text by sending it once with its SHA-256.",
    ),
    setting(
        "graphql.batch_max",
        "FRAISEQL_GRAPHQL_BATCH_MAX",
        Kind::Integer { min: 0, max: 1_000 },
        Some("0"),
        "How many requests one HTTP request may carry as a JSON array; 0 refuses arrays.",
    ),
    identity::GRAPHQL_INTROSPECTION,
    setting(
        "graphql.operations",
        "FRAISEQL_GRAPHQL_OPERATIONS",
        Kind::Choice(&["any", "persisted"]),
        Some("any"),
        "What clients may run: `any` document, or only the `persisted` operations of the folder `operations`.",
    ),
    identity::ALGORITHMS,
    identity::API_KEY_CACHE_MS,
    identity::API_KEYS,
    identity::AUDIENCES,
    identity::CACHE_ENTRIES,
    identity::CLOCK_SKEW_MS,
    identity::DEVELOPMENT_SECRET,
    identity::INTROSPECTION_CACHE_MS,
    identity::INTROSPECTION_CLIENT_ID,
    identity::INTROSPECTION_SECRET,
    identity::INTROSPECTION_URL,
    identity::ISSUERS,
    identity::KEYS_REFRESH_MS,
    identity::PROVIDER_TIMEOUT_MS,
    identity::REQUIRED,
    identity::ROLES_CLAIM,
    identity::SCOPE_CLAIM,
    identity::SESSION_CLAIMS,
    identity::TOKEN_BYTES,
    identity::UNKNOWN_KEY_INTERVAL_MS,
    setting(
        "limits.aliases",
        "FRAISEQL_LIMITS_ALIASES",
        Kind::Integer { min: 0, max: 100_000 },
        Some("100"),
        "How many aliases an operation may use once its fragments are expanded.",
    ),
    setting(
        "limits.body_bytes",
        "FRAISEQL_LIMITS_BODY_BYTES",
        Kind::Integer { min: 1_024, max: 1_073_741_824 },
        Some("1048576"),
        "The largest request body.",
    ),
    setting(
        "limits.depth",
        "FRAISEQL_LIMITS_DEPTH",
        Kind::Integer { min: 1, max: 200 },
        Some("30"),
        "How deep selections may nest.",
    ),
    setting(
        "limits.document_bytes",
        "FRAISEQL_LIMITS_DOCUMENT_BYTES",
        Kind::Integer { min: 100, max: 1_073_741_824 },
        Some("262144"),
        "The largest document.",
    ),
    setting(
        "limits.fields",
        "FRAISEQL_LIMITS_FIELDS",
        Kind::Integer { min: 1, max: 100_000 },
        Some("5000"),
        "How many fields an operation may select once its fragments are expanded.",
    ),
    setting(
        "limits.literal_bytes",
        "FRAISEQL_LIMITS_LITERAL_BYTES",
        Kind::Integer { min: 16, max: 1_073_741_824 },
        Some("65536"),
        "The largest string or number in a document; variables may be larger.",
    ),
    setting(
        "limits.mode",
        "FRAISEQL_LIMITS_MODE",
        Kind::Choice(&["enforce", "warn"]),
        Some("enforce"),
        "`warn` logs and counts a request that passes a limit and runs it, up to ten times the limit; the body and bulk mutations stay limited.",
    ),
    setting(
        "limits.root_fields",
        "FRAISEQL_LIMITS_ROOT_FIELDS",
        Kind::Integer { min: 1, max: 1_000 },
        Some("50"),
        "How many root fields an operation may select.",
    ),
    setting(
        "limits.rows",
        "FRAISEQL_LIMITS_ROWS",
        Kind::Integer { min: 1, max: 1_000_000_000_000 },
        Some("10000000"),
        "How many rows the lists of an operation may give: each limit times the limits around it, added up.",
    ),
    setting(
        "limits.rows_unlimited_as",
        "FRAISEQL_LIMITS_ROWS_UNLIMITED_AS",
        Kind::Integer { min: 1, max: 1_000_000 },
        Some("100"),
        "For how many rows a list without a limit counts.",
    ),
    setting(
        "limits.tokens",
        "FRAISEQL_LIMITS_TOKENS",
        Kind::Integer { min: 10, max: 1_000_000 },
        Some("15000"),
        "How many tokens a document may have.",
    ),
    setting(
        "limits.value_depth",
        "FRAISEQL_LIMITS_VALUE_DEPTH",
        Kind::Integer { min: 1, max: 120 },
        Some("32"),
        "How deep lists and objects may nest in the values of a document and in variables.",
    ),
    setting(
        "limits.bulk_rows",
        "FRAISEQL_LIMITS_BULK_ROWS",
        Kind::Integer { min: 1, max: 60_000 },
        Some("1000"),
        "How many objects one bulk mutation may carry.",
    ),
    life::LOG_FORMAT,
    records::LOG_SLOW_OPERATION_MS,
    life::MAINTENANCE_BODY_FILE,
    life::MAINTENANCE_RETRY_AFTER_S,
    monitoring::ALERTMANAGER_URL,
    monitoring::PROMETHEUS_URL,
    oncall::PAGERDUTY_KEY,
    oncall::PAGERDUTY_URL,
    oncall::SERVICE,
    oncall::WEBHOOK_URL,
    promotion::APPROVALS_MIN,
    promotion::FROM,
    proxy::ACCESS_LOG,
    proxy::ANSWER_TIMEOUT_MS,
    proxy::CHOOSE_HEADER,
    proxy::DRIVER,
    proxy::HAPROXY_BACKEND,
    proxy::HAPROXY_SOCKET,
    proxy::PROBE_INTERVAL_MS,
    proxy::PROBE_TIMEOUT_MS,
    proxy::STICKY,
    rate_limit::ADDRESS_BURST,
    rate_limit::ADDRESS_PER_MINUTE,
    rate_limit::CALLER_BURST,
    rate_limit::CALLER_PER_MINUTE,
    rate_limit::ENTRIES,
    rate_limit::STORE,
    rate_limit::TRUSTED_PROXIES,
    secrets::SECRETS_COMMAND,
    secrets::SECRETS_COMMAND_TIMEOUT_MS,
    secrets::SECRETS_REFRESH_MS,
    secrets::SECRETS_START_TIMEOUT_MS,
    life::SERVER_ADDRESS,
    setting(
        "server.compression",
        "FRAISEQL_SERVER_COMPRESSION",
        Kind::Boolean,
        Some("true"),
        "Answers of 1,400 bytes and more are compressed for clients that want it: zstd, gzip or br.",
    ),
    life::SERVER_CONTROL_SOCKET,
    setting(
        "server.drain_delay_ms",
        "FRAISEQL_SERVER_DRAIN_DELAY_MS",
        Kind::Integer { min: 0, max: 600_000 },
        Some("0"),
        "After SIGTERM: how long to go on accepting while readiness already says 503.",
    ),
    setting(
        "server.drain_timeout_ms",
        "FRAISEQL_SERVER_DRAIN_TIMEOUT_MS",
        Kind::Integer { min: 0, max: 600_000 },
        Some("10000"),
        "After that: how long running requests may take before they are cut off.",
    ),
    life::SERVER_GRAPHIQL,
    life::SERVER_MODE,
    life::SERVER_PORT,
    life::SERVER_PROFILE,
    life::SERVER_RELOAD,
    setting(
        "server.request_timeout_ms",
        "FRAISEQL_SERVER_REQUEST_TIMEOUT_MS",
        Kind::Integer { min: 1, max: 3_600_000 },
        Some("30000"),
        "How long a request may take; then its statement is cancelled in PostgreSQL.",
    ),
    life::SERVER_THREADS,
    subscriptions::BUFFER_RESULTS,
    subscriptions::DEBOUNCE_MS,
    subscriptions::INIT_TIMEOUT_MS,
    subscriptions::MESSAGE_BYTES,
    subscriptions::ORIGINS,
    subscriptions::PER_CONNECTION,
    subscriptions::POLL_INTERVAL_MS,
    subscriptions::READ_INTERVAL_MS,
    subscriptions::RESULT_BYTES,
    subscriptions::SEND_TIMEOUT_MS,
    subscriptions::SOURCE,
    subscriptions::TOTAL,
    life::TLS_CERTIFICATE,
    life::TLS_CLIENT_CA,
    life::TLS_HSTS_S,
    life::TLS_KEY,
    life::TLS_LOOK_INTERVAL_MS,
    life::TLS_MIN_VERSION,
    records::TRACING_ENDPOINT,
    records::TRACING_HEADERS,
    records::TRACING_SAMPLE_PERCENT,
    records::USAGE_RECORD,
    secrets::VAULT_ADDRESS,
    secrets::VAULT_AUTH,
    secrets::VAULT_AUTH_MOUNT,
    secrets::VAULT_CA_FILE,
    secrets::VAULT_JWT_FILE,
    secrets::VAULT_NAMESPACE,
    secrets::VAULT_ROLE,
    secrets::VAULT_ROLE_ID,
    secrets::VAULT_SECRET_ID,
    secrets::VAULT_TOKEN,
];

/// The settings in force: every key of [`SETTINGS`] that has a value, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    values: BTreeMap<&'static str, (String, Origin)>,
}

impl Settings {
    /// Merges what was given over the defaults: flags over variables over the named
    /// environment over the file. Returns every error, not the first.
    pub fn resolve(given: &[Given]) -> Result<Self, Vec<SettingError>> {
        let mut values: BTreeMap<&'static str, (String, Origin)> = SETTINGS
            .iter()
            .filter_map(|setting| Some((setting.key, (setting.default?.to_owned(), Origin::Default))))
            .collect();
        let mut errors = Vec::new();
        for Given { key, text, origin } in given {
            let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
                let suggestion = nearest(key, SETTINGS.iter().map(|setting| setting.key));
                let (key, origin) = (key.clone(), origin.clone());
                errors.push(SettingError::UnknownKey { key, origin, suggestion });
                continue;
            };
            if let Err(expected) = setting.kind.check(text) {
                let shown = if setting.secret { "the value".to_owned() } else { format!("{text:?}") };
                let origin = origin.clone();
                errors.push(SettingError::BadValue { key: setting.key, shown, expected, origin });
                continue;
            }
            if let Some(error) = secrets::bad_reference(setting, text, origin) {
                errors.push(error);
                continue;
            }
            if values.get(setting.key).is_none_or(|(_, present)| rank(origin) >= rank(present)) {
                values.insert(setting.key, (text.clone(), origin.clone()));
            }
        }
        if errors.is_empty() { Ok(Self { values }) } else { Err(errors) }
    }

    /// Returns the text of a setting, if it has a value.
    pub fn text(&self, key: &str) -> Option<&str> {
        debug_assert!(SETTINGS.iter().any(|setting| setting.key == key), "{key} is not in the table");
        self.values.get(key).map(|(text, _)| text.as_str())
    }

    /// Returns a whole number. For keys of [`Kind::Integer`] with a default only.
    pub fn integer(&self, key: &str) -> u64 {
        self.text(key).and_then(|text| text.parse().ok()).expect("checked by resolve")
    }

    /// Returns true or false. For keys of [`Kind::Boolean`] with a default only.
    pub fn boolean(&self, key: &str) -> bool {
        self.text(key) == Some("true")
    }

    /// Returns milliseconds as a duration. For keys that end in `_ms`.
    pub fn duration(&self, key: &str) -> Duration {
        Duration::from_millis(self.integer(key))
    }

    /// Returns the words of a list.
    pub fn list(&self, key: &str) -> Vec<String> {
        let text = self.text(key).unwrap_or("");
        text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// Returns where a value came from.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.values.get(key).map(|(_, origin)| origin)
    }

    /// Returns every setting with its value as it may be shown and its origin, sorted by key.
    ///
    /// Secrets are masked, references to them are not; a setting without a value is `None`.
    pub fn shown(&self) -> Vec<(&'static Setting, Option<(String, &Origin)>)> {
        let shown = |setting: &Setting| {
            let (text, origin) = self.values.get(setting.key)?;
            let masked = setting.secret && !SecretRef::is_meant(text);
            let text = if masked { "********".to_owned() } else { text.clone() };
            Some((text, origin))
        };
        SETTINGS.iter().map(|setting| (setting, shown(setting))).collect()
    }
}

fn rank(origin: &Origin) -> u8 {
    match origin {
        Origin::Default => 0,
        Origin::File { .. } => 1,
        Origin::Environment { .. } => 2,
        Origin::Variable(_) => 3,
        Origin::Flag(_) => 4,
        Origin::Store => 5,
    }
}

impl Kind {
    fn check(self, text: &str) -> Result<(), String> {
        let fits = match self {
            Self::Text | Self::List => true,
            Self::Boolean => matches!(text, "true" | "false"),
            Self::Integer { min, max } => text.parse::<u64>().is_ok_and(|value| (min..=max).contains(&value)),
            Self::Choice(words) => words.contains(&text),
        };
        if fits { Ok(()) } else { Err(self.expected()) }
    }

    /// Returns in words what a value must be.
    pub fn expected(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::List => "words separated by commas".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(key: &str, text: &str, origin: Origin) -> Given {
        Given { key: key.to_owned(), text: text.to_owned(), origin }
    }

    fn file(line: usize) -> Origin {
        Origin::File { file: "fraiseql.toml".to_owned(), line }
    }

    #[test]
    fn the_table_is_sound() {
        for setting in SETTINGS {
            if let Some(default) = setting.default {
                assert_eq!(setting.kind.check(default), Ok(()), "{}", setting.key);
            }
            assert!(setting.doc.ends_with('.'), "{}", setting.key);
        }
    }

    #[test]
    fn the_nearer_source_wins_whatever_the_order() {
        let flag = given("server.port", "1", Origin::Flag("--port".to_owned()));
        let variable = given("server.port", "2", Origin::Variable("FRAISEQL_SERVER_PORT"));
        let settings = Settings::resolve(&[flag, variable, given("server.port", "3", file(1))]).unwrap();
        assert_eq!(settings.integer("server.port"), 1);
    }

    #[test]
    fn an_unknown_key_is_an_error_with_a_suggestion() {
        let errors = Settings::resolve(&[given("server.prot", "1", file(3))]).unwrap_err();
        let [SettingError::UnknownKey { suggestion, .. }] = errors.as_slice() else { panic!("{errors:?}") };
        assert_eq!(*suggestion, Some("server.port"));
    }

    #[test]
    fn a_secret_is_shown_neither_in_errors_nor_in_the_list() {
        let url = given("database.url", "postgres://u:hunter2@h/d", Origin::Variable("DATABASE_URL"));
        let settings = Settings::resolve(&[url]).unwrap();
        assert!(!format!("{:?}", settings.shown()).contains("hunter2"));
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
