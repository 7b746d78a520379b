//! The settings of `[identity]`: who may ask, and how that is proved.

use super::{Kind, Setting, setting};

pub(super) const ALGORITHMS: Setting = setting(
    "identity.algorithms",
    "FRAISEQL_IDENTITY_ALGORITHMS",
    Kind::List,
    Some("RS256,PS256,ES256,ES384,EdDSA"),
    "Signatures that a token may have, for example `RS256`; those with a common secret (`HS256`) are never taken from an issuer.",
);

pub(super) const API_KEY_CACHE_MS: Setting = setting(
    "identity.api_key_cache_ms",
    "FRAISEQL_IDENTITY_API_KEY_CACHE_MS",
    Kind::Integer { min: 0, max: 600_000 },
    Some("10000"),
    "How long an API key that was looked up is held: within so long a revocation takes effect.",
);

pub(super) const API_KEYS: Setting = setting(
    "identity.api_keys",
    "FRAISEQL_IDENTITY_API_KEYS",
    Kind::Boolean,
    Some("false"),
    "API keys of the table that `fraiseql keys init` prints are taken.",
);

pub(super) const AUDIENCES: Setting = setting(
    "identity.audiences",
    "FRAISEQL_IDENTITY_AUDIENCES",
    Kind::List,
    Some(""),
    "What a token must be for (`aud`): one of these. Needed beside `identity.issuers`.",
);

pub(super) const CACHE_ENTRIES: Setting = setting(
    "identity.cache_entries",
    "FRAISEQL_IDENTITY_CACHE_ENTRIES",
    Kind::Integer { min: 16, max: 10_000_000 },
    Some("10000"),
    "How many verified tokens are kept; behind them the least used go.",
);

pub(super) const CLOCK_SKEW_MS: Setting = setting(
    "identity.clock_skew_ms",
    "FRAISEQL_IDENTITY_CLOCK_SKEW_MS",
    Kind::Integer { min: 0, max: 600_000 },
    Some("30000"),
    "How far the clocks of an issuer and of this machine may differ.",
);

pub(super) const DEVELOPMENT_SECRET: Setting = Setting {
    secret: true,
    ..setting(
        "identity.development_secret",
        "FRAISEQL_IDENTITY_DEVELOPMENT_SECRET",
        Kind::Text,
        None,
        "For development: tokens signed with this secret by HS256 are taken. Refused with `server.profile = \"production\"`.",
    )
};

pub(super) const GRAPHQL_INTROSPECTION: Setting = setting(
    "graphql.introspection",
    "FRAISEQL_GRAPHQL_INTROSPECTION",
    Kind::Choice(&["auto", "on", "known", "off"]),
    Some("auto"),
    "Who may ask for `__schema` and `__type`: anybody (`on`), verified callers (`known`), nobody (`off`). `auto` is `known` with `server.profile = \"production\"` and `on` otherwise. Persisted operations may always.",
);

pub(super) const INTROSPECTION_CACHE_MS: Setting = setting(
    "identity.introspection_cache_ms",
    "FRAISEQL_IDENTITY_INTROSPECTION_CACHE_MS",
    Kind::Integer { min: 0, max: 3_600_000 },
    Some("30000"),
    "How long the answer of introspection is held: within so long a revocation takes effect.",
);

pub(super) const INTROSPECTION_CLIENT_ID: Setting = setting(
    "identity.introspection_client_id",
    "FRAISEQL_IDENTITY_INTROSPECTION_CLIENT_ID",
    Kind::Text,
    None,
    "The name by which this server asks `identity.introspection_url`.",
);

pub(super) const INTROSPECTION_SECRET: Setting = Setting {
    secret: true,
    ..setting(
        "identity.introspection_secret",
        "FRAISEQL_IDENTITY_INTROSPECTION_SECRET",
        Kind::Text,
        None,
        "The secret that goes with it. Never in the file: give the variable.",
    )
};

pub(super) const INTROSPECTION_URL: Setting = setting(
    "identity.introspection_url",
    "FRAISEQL_IDENTITY_INTROSPECTION_URL",
    Kind::Text,
    None,
    "Where opaque tokens are asked about (RFC 7662). Without it they are refused.",
);

pub(super) const ISSUERS: Setting = setting(
    "identity.issuers",
    "FRAISEQL_IDENTITY_ISSUERS",
    Kind::List,
    Some(""),
    "Issuers (OpenID Connect) whose tokens are taken, for example `https://login.example/realms/shop`.",
);

pub(super) const KEYS_REFRESH_MS: Setting = setting(
    "identity.keys_refresh_ms",
    "FRAISEQL_IDENTITY_KEYS_REFRESH_MS",
    Kind::Integer { min: 1_000, max: 86_400_000 },
    Some("300000"),
    "How often the keys of an issuer are read again.",
);

pub(super) const PROVIDER_TIMEOUT_MS: Setting = setting(
    "identity.provider_timeout_ms",
    "FRAISEQL_IDENTITY_PROVIDER_TIMEOUT_MS",
    Kind::Integer { min: 100, max: 60_000 },
    Some("5000"),
    "How long one request to an issuer may take.",
);

pub(super) const REQUIRED: Setting = setting(
    "identity.required",
    "FRAISEQL_IDENTITY_REQUIRED",
    Kind::Boolean,
    Some("false"),
    "`true` refuses requests without a token or a key; `false` lets them in as nobody.",
);

pub(super) const ROLES_CLAIM: Setting = setting(
    "identity.roles_claim",
    "FRAISEQL_IDENTITY_ROLES_CLAIM",
    Kind::Text,
    Some("roles"),
    "The claim with the roles: a name, or a path such as `realm_access.roles`.",
);

pub(super) const SCOPE_CLAIM: Setting = setting(
    "identity.scope_claim",
    "FRAISEQL_IDENTITY_SCOPE_CLAIM",
    Kind::Text,
    Some("scope"),
    "The claim with the scopes, as words or as a list.",
);

pub(super) const TOKEN_BYTES: Setting = setting(
    "identity.token_bytes",
    "FRAISEQL_IDENTITY_TOKEN_BYTES",
    Kind::Integer { min: 256, max: 49_152 },
    Some("8192"),
    "The largest token.",
);

pub(super) const SESSION_CLAIMS: Setting = setting(
    "identity.session_claims",
    "FRAISEQL_IDENTITY_SESSION_CLAIMS",
    Kind::Boolean,
    Some("false"),
    "The database is told who asks: `current_setting('fraiseql.claims', true)` is the token's claims as JSON, with `sub`, `roles` and `scopes`, for policies of row-level security. In the same round trip as the statement.",
);

pub(super) const UNKNOWN_KEY_INTERVAL_MS: Setting = setting(
    "identity.unknown_key_interval_ms",
    "FRAISEQL_IDENTITY_UNKNOWN_KEY_INTERVAL_MS",
    Kind::Integer { min: 100, max: 3_600_000 },
    Some("10000"),
    "The least time between two readings of keys because a token named a key that is not known.",
);
