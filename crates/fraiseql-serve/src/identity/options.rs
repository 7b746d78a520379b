//! Who may ask, as the settings have it. Made once.

use std::str::FromStr;
use std::time::Duration;

use jsonwebtoken::Algorithm;

use super::introspection::IntrospectionOptions;

/// How callers are known.
#[derive(Clone)]
pub struct IdentityOptions {
    /// Issuers whose tokens are taken, as `iss` has them.
    pub issuers: Vec<String>,
    /// What tokens must be for: one of these.
    pub audiences: Vec<String>,
    /// Signatures that tokens of issuers may have.
    pub algorithms: TokenAlgorithms,
    /// How far clocks may differ.
    pub clock_skew: Duration,
    /// The claim with the roles: a name or a path.
    pub roles_claim: String,
    /// The claim with the scopes.
    pub scope_claim: String,
    /// Refuses whoever brings nothing.
    pub required: bool,
    /// The largest token.
    pub token_bytes: usize,
    /// How many verified tokens are kept.
    pub cache_entries: usize,
    /// How often keys are read again.
    pub keys_refresh: Duration,
    /// The least time between two readings of keys for an unknown one.
    pub unknown_key_interval: Duration,
    /// How long one request to an issuer may take.
    pub provider_timeout: Duration,
    /// Refuses issuers without TLS.
    pub https_only: bool,
    /// The secret of tokens for development.
    pub development_secret: Option<String>,
    /// Where to ask about opaque tokens.
    pub introspection: Option<IntrospectionOptions>,
    /// Takes API keys of the table, and holds what was looked up for so long.
    pub api_keys: Option<Duration>,
    /// Gives the database the caller's claims in `fraiseql.claims`.
    pub session_claims: bool,
}

/// Signatures by public keys that are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenAlgorithms(pub(super) Vec<Algorithm>);

/// A word that is no algorithm with a public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("allow tokens signed by \"{0}\": it is no algorithm with a public key")]
pub struct BadAlgorithm(pub String);

impl TokenAlgorithms {
    /// Reads names of RFC 7518. Fails for those with a common secret, and for `none`.
    pub fn parse(names: &[String]) -> Result<Self, BadAlgorithm> {
        let secret = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
        let read = |name: &String| match Algorithm::from_str(name) {
            Ok(algorithm) if !secret.contains(&algorithm) => Ok(algorithm),
            Ok(_) | Err(_) => Err(BadAlgorithm(name.clone())),
        };
        names.iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

impl Default for IdentityOptions {
    /// Nobody is known, and everybody may ask.
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            audiences: Vec::new(),
            algorithms: TokenAlgorithms(vec![Algorithm::RS256]),
            clock_skew: Duration::from_secs(30),
            roles_claim: "roles".to_owned(),
            scope_claim: "scope".to_owned(),
            required: false,
            token_bytes: 8_192,
            cache_entries: 10_000,
            keys_refresh: Duration::from_secs(300),
            unknown_key_interval: Duration::from_secs(10),
            provider_timeout: Duration::from_secs(5),
            https_only: false,
            development_secret: None,
            introspection: None,
            api_keys: None,
            session_claims: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_secrets_are_never_an_issuers() {
        let parse = |name: &str| TokenAlgorithms::parse(&[name.to_owned()]).is_ok();
        assert!(["RS256", "PS512", "ES256", "ES384", "EdDSA"].into_iter().all(parse));
        assert!(!["HS256", "HS512", "none", "rs256", ""].into_iter().any(parse));
    }
}
