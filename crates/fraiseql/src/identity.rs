//! From settings to how callers are known. What is dangerous in production is refused here.

use fraiseql_model::errors;
use fraiseql_model::settings::{Origin, Settings};
use fraiseql_serve::{IdentityOptions, IntrospectionOptions, TokenAlgorithms};

use crate::failure::Failure;

/// A shorter secret of HS256 can be guessed from one token (RFC 7518, section 3.2).
const SECRET_BYTES_MIN: usize = 32;

/// Makes the options of `[identity]`.
///
/// Fails when issuers have no audience, when introspection is half configured, when a secret stands
/// in the file, and in production for a secret of development and issuers without TLS.
pub(crate) fn options(settings: &Settings, production: bool) -> Result<IdentityOptions, Failure> {
    let size = |key: &str| usize::try_from(settings.integer(key)).unwrap_or(usize::MAX);
    let (issuers, audiences) = (settings.list("identity.issuers"), settings.list("identity.audiences"));
    if !issuers.is_empty() && audiences.is_empty() {
        let message = "take tokens: identity.issuers is set and identity.audiences is not";
        let hint = "set identity.audiences to what the tokens for this service name as aud";
        return Err(Failure::new(&errors::CFG_MISSING, message).hint(hint));
    }
    if let Some(plain) = issuers.iter().find(|issuer| production && !issuer.starts_with("https://")) {
        let message = format!("take tokens of {plain} in production: it does not begin with https://");
        let hint = "write identity.issuers with https://, or take server.profile = \"production\" out";
        return Err(Failure::new(&errors::CFG_BAD_VALUE, message).hint(hint));
    }
    let algorithms = TokenAlgorithms::parse(&settings.list("identity.algorithms")).map_err(|error| {
        Failure::new(&errors::CFG_BAD_VALUE, error.to_string())
            .hint("set identity.algorithms to some of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA")
    })?;
    let text = |key: &str| settings.text(key).unwrap_or("").to_owned();
    Ok(IdentityOptions {
        issuers,
        audiences,
        algorithms,
        clock_skew: settings.duration("identity.clock_skew_ms"),
        roles_claim: text("identity.roles_claim"),
        scope_claim: text("identity.scope_claim"),
        required: settings.boolean("identity.required"),
        token_bytes: size("identity.token_bytes"),
        cache_entries: size("identity.cache_entries"),
        keys_refresh: settings.duration("identity.keys_refresh_ms"),
        unknown_key_interval: settings.duration("identity.unknown_key_interval_ms"),
        provider_timeout: settings.duration("identity.provider_timeout_ms"),
        https_only: production,
        development_secret: development_secret(settings, production)?,
        introspection: introspection(settings)?,
        api_keys: settings
            .boolean("identity.api_keys")
            .then(|| settings.duration("identity.api_key_cache_ms")),
        session_claims: settings.boolean("identity.session_claims"),
    })
}

fn development_secret(settings: &Settings, production: bool) -> Result<Option<String>, Failure> {
    let Some(secret) = settings.text("identity.development_secret") else { return Ok(None) };
    let wrong = |message: &str, hint: &str| Err(Failure::new(&errors::CFG_BAD_VALUE, message).hint(hint));
    if production {
        let message = "use identity.development_secret in production: whoever knows it can be anybody";
        return wrong(message, "take it out, and set identity.issuers");
    }
    if secret.len() < SECRET_BYTES_MIN {
        return wrong("use identity.development_secret: it is too short", "give it 32 characters or more");
    }
    Ok(Some(secret.to_owned()))
}

fn introspection(settings: &Settings) -> Result<Option<IntrospectionOptions>, Failure> {
    let Some(url) = settings.text("identity.introspection_url") else { return Ok(None) };
    let secret = "identity.introspection_secret";
    if let Some(Origin::File { .. } | Origin::Environment { .. }) = settings.origin(secret) {
        let message = format!("use {secret} from fraiseql.toml: settings hold no secrets");
        let hint = "take it out there, change it, and write a reference, or give it as $FRAISEQL_IDENTITY_INTROSPECTION_SECRET";
        return Err(Failure::new(&errors::CFG_BAD_VALUE, message).hint(hint));
    }
    let (Some(client_id), Some(secret)) =
        (settings.text("identity.introspection_client_id"), settings.text(secret))
    else {
        let message = "ask about opaque tokens: the name or the secret of this server is missing";
        let hint = "set identity.introspection_client_id and $FRAISEQL_IDENTITY_INTROSPECTION_SECRET";
        return Err(Failure::new(&errors::CFG_MISSING, message).hint(hint));
    };
    Ok(Some(IntrospectionOptions {
        url: url.to_owned(),
        client_id: client_id.to_owned(),
        secret: secret.to_owned(),
        cache: settings.duration("identity.introspection_cache_ms"),
    }))
}
