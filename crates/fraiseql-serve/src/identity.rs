//! Who asks: from a token or an API key to an [`Identity`]. What the caller may do is not decided here.
//!
//! A token is verified once and then found again by its hash, until its end or until its issuer
//! changes its keys. Claims are judged only after the signature, so that a refusal tells nothing
//! of a token that its sender did not get from the issuer.

mod api_key;
mod credential;
mod denial;
mod introspection;
mod issuer;
mod key_set;
mod options;
mod provider_client;
mod token;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fraiseql_model::identity::Identity;
use fraiseql_postgres::Pool;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::HeaderMap;
use jsonwebtoken::{Algorithm, DecodingKey};
use quick_cache::sync::Cache;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

pub use api_key::{NewApiKey, NoRandomness, api_key_ddl, new_api_key};
pub(crate) use credential::Credential;
pub use denial::Denial;
pub use introspection::IntrospectionOptions;
pub use options::{BadAlgorithm, IdentityOptions, TokenAlgorithms};

use crate::exposition::Exposition;
use crate::fault::chain;
use crate::metrics::Counter;
use crate::observe::{Event, Observe};
use introspection::Introspection;
use issuer::{Issuer, Manners};
use key_set::{Found, KeySet};
use token::{ClaimRules, Unverified};

/// Refused opaque tokens and keys that are kept, apart from the accepted ones: nobody can drive those out.
const REFUSED_ENTRIES: usize = 1_024;
/// How many opaque tokens and keys are looked up at a time.
const LOOKUPS_MAX: usize = 32;
/// Between two tries to find out whether a running subscription may go on, and how many there are.
const RECHECK_PAUSE: Duration = Duration::from_secs(5);
const RECHECKS_MAX: usize = 12;

/// A caller that was let in.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) identity: Arc<Identity>,
    /// When to look again, in milliseconds since 1970; `None` for a caller who brought nothing.
    check_ms: Option<u64>,
}

/// A token that was verified.
struct Known {
    identity: Arc<Identity>,
    /// Taken from here until then, in milliseconds since 1970.
    until_ms: u64,
    /// The issuer that vouches and the keys by which.
    vouched: Option<(usize, Arc<KeySet>)>,
}

/// Everything that is needed to know callers.
pub(crate) struct Identities {
    issuers: Vec<Issuer>,
    algorithms: Vec<Algorithm>,
    rules: ClaimRules,
    required: bool,
    token_bytes: usize,
    recheck_ms: u64,
    timeout: Duration,
    development: Option<DecodingKey>,
    introspection: Option<Introspection>,
    api_keys: Option<Duration>,
    /// True when the database is told the caller's claims.
    pub(crate) session_claims: bool,
    accepted: Cache<[u8; 32], Arc<Known>>,
    refused: Cache<[u8; 32], (u64, Denial)>,
    lookups: Semaphore,
    anonymous: Arc<Identity>,
    denials: [Counter; Denial::ALL.len()],
    hits: Counter,
    misses: Counter,
    /// Whether it was said that keys or opaque tokens cannot be looked up.
    said: AtomicBool,
    observer: Arc<dyn Observe>,
}

impl Identities {
    /// Makes what knows callers. Fails, in words, when an issuer or the introspection cannot be asked.
    pub(crate) fn new(options: &IdentityOptions, observer: &Arc<dyn Observe>) -> Result<Self, String> {
        let manners = Manners {
            timeout: options.provider_timeout,
            refresh: options.keys_refresh,
            unknown_key_interval: options.unknown_key_interval,
            https_only: options.https_only,
        };
        let issuers = options.issuers.iter().map(|name| Issuer::new(name, manners, Arc::clone(observer)));
        let introspection = options.introspection.as_ref();
        let introspection =
            introspection.map(|one| Introspection::new(one, options.provider_timeout, options.https_only));
        let secret = options.development_secret.as_ref();
        Ok(Self {
            issuers: issuers.collect::<Result<_, _>>()?,
            algorithms: options.algorithms.0.clone(),
            rules: ClaimRules {
                audiences: options.audiences.clone(),
                clock_skew_ms: millis(options.clock_skew),
                roles_claim: options.roles_claim.clone(),
                scope_claim: options.scope_claim.clone(),
            },
            required: options.required,
            token_bytes: options.token_bytes,
            recheck_ms: millis(options.keys_refresh),
            timeout: options.provider_timeout,
            development: secret.map(|secret| DecodingKey::from_secret(secret.as_bytes())),
            introspection: introspection.transpose()?,
            api_keys: options.api_keys,
            session_claims: options.session_claims,
            accepted: Cache::new(options.cache_entries.max(1)),
            refused: Cache::new(REFUSED_ENTRIES),
            lookups: Semaphore::new(LOOKUPS_MAX),
            anonymous: Arc::default(),
            denials: Default::default(),
            hits: Counter::default(),
            misses: Counter::default(),
            said: AtomicBool::new(false),
            observer: Arc::clone(observer),
        })
    }

    /// Keeps the keys of all issuers for ever; to be dropped when the server ends.
    pub(crate) async fn keep(&self) {
        let mut keeping: FuturesUnordered<_> = self.issuers.iter().map(Issuer::keep).collect();
        while keeping.next().await.is_some() {}
    }

    /// Returns the caller of a request with these headers.
    pub(crate) async fn caller(&self, pool: &Pool, headers: &HeaderMap) -> Result<Caller, Denial> {
        if !self.is_on() {
            return Ok(Caller { identity: Arc::clone(&self.anonymous), check_ms: None });
        }
        match Credential::of_headers(headers) {
            Ok(credential) => self.authenticate(pool, credential.as_ref()).await,
            Err(denial) => Err(self.denied(denial)),
        }
    }

    /// Returns false when nothing that a caller brings is looked at.
    pub(crate) fn is_on(&self) -> bool {
        self.required
            || !self.issuers.is_empty()
            || self.development.is_some()
            || self.introspection.is_some()
            || self.api_keys.is_some()
    }

    /// Returns the caller who brought this, or nothing.
    pub(crate) async fn authenticate(
        &self,
        pool: &Pool,
        credential: Option<&Credential<'_>>,
    ) -> Result<Caller, Denial> {
        let Some(credential) = credential else {
            return match self.required {
                true => Err(self.denied(Denial::Required)),
                false => Ok(Caller { identity: Arc::clone(&self.anonymous), check_ms: None }),
            };
        };
        if credential.text().len() > self.token_bytes {
            return Err(self.denied(Denial::Oversize));
        }
        let hash: [u8; 32] = Sha256::digest(credential.text()).into();
        let now_ms = now_ms();
        if let Some(known) = self.accepted.get(&hash).filter(|known| self.still(known, now_ms)) {
            self.hits.increment();
            return Ok(self.caller_of(&known, now_ms));
        }
        self.misses.increment();
        let verified = match credential {
            Credential::Token(text) if token::is_jwt(text) => self.verify(text, now_ms).await,
            _ => self.look_up(pool, credential, hash, now_ms).await,
        };
        let known = Arc::new(verified.map_err(|denial| self.denied(denial))?);
        self.accepted.insert(hash, Arc::clone(&known));
        Ok(self.caller_of(&known, now_ms))
    }

    /// Returns why a caller must stop, once it must: its token ends, or is taken back.
    pub(crate) async fn until_denied(
        &self,
        pool: &Pool,
        credential: Option<&Credential<'_>>,
        mut caller: Caller,
    ) -> Denial {
        let mut tries = 0;
        loop {
            let Some(check_ms) = caller.check_ms else { return std::future::pending().await };
            let pause = Duration::from_millis(check_ms.saturating_sub(now_ms()));
            tokio::time::sleep(if tries == 0 { pause } else { RECHECK_PAUSE }).await;
            match self.authenticate(pool, credential).await {
                Ok(again) => (caller, tries) = (again, 0),
                Err(Denial::Provider) if tries < RECHECKS_MAX => tries += 1,
                Err(denial) => return denial,
            }
        }
    }

    /// Counts a refusal.
    pub(crate) fn denied(&self, denial: Denial) -> Denial {
        if let Some(index) = Denial::ALL.iter().position(|known| *known == denial) {
            self.denials[index].increment();
        }
        denial
    }

    fn still(&self, known: &Known, now_ms: u64) -> bool {
        now_ms < known.until_ms
            && known.vouched.as_ref().is_none_or(|(issuer, keys)| {
                self.issuers[*issuer].keys().is_some_and(|now| Arc::ptr_eq(&now, keys))
            })
    }

    fn caller_of(&self, known: &Known, now_ms: u64) -> Caller {
        let check_ms = known.until_ms.min(now_ms.saturating_add(self.recheck_ms));
        Caller { identity: Arc::clone(&known.identity), check_ms: Some(check_ms) }
    }

    async fn verify(&self, text: &str, now_ms: u64) -> Result<Known, Denial> {
        let unverified = token::parse(text)?;
        let algorithm = unverified.algorithm;
        if let (Algorithm::HS256, Some(key)) = (algorithm, &self.development) {
            verify_signature(&unverified, key)?;
            return self.judge(unverified.claims, None, now_ms);
        }
        if !self.algorithms.contains(&algorithm) {
            return Err(Denial::Algorithm);
        }
        let named = unverified.claims.get("iss").and_then(Value::as_str);
        let issuer = self.issuers.iter().position(|issuer| Some(issuer.name.as_str()) == named);
        let index = issuer.ok_or(Denial::Issuer)?;
        let issuer = &self.issuers[index];
        let kid = unverified.kid.as_deref();
        let mut keys = issuer.keys();
        if keys.as_ref().is_none_or(|keys| matches!(keys.find(kid, algorithm), Found::Unknown)) {
            keys = issuer.reread(keys.as_ref()).await;
        }
        let keys = keys.ok_or(Denial::Provider)?;
        match keys.find(kid, algorithm) {
            Found::Key(key) => verify_signature(&unverified, key)?,
            Found::OtherAlgorithm => return Err(Denial::Algorithm),
            Found::Unknown => return Err(Denial::Key),
        }
        self.judge(unverified.claims, Some((index, keys)), now_ms)
    }

    fn judge(
        &self,
        claims: Map<String, Value>,
        vouched: Option<(usize, Arc<KeySet>)>,
        now_ms: u64,
    ) -> Result<Known, Denial> {
        let until_ms = token::valid_until(&claims, &self.rules, now_ms, true)?.ok_or(Denial::Claims)?;
        token::audience(&claims, &self.rules, vouched.is_some())?;
        Ok(Known { identity: Arc::new(token::identity(claims, &self.rules)), until_ms, vouched })
    }

    /// Asks about what cannot be verified here: API keys and opaque tokens.
    async fn look_up(
        &self,
        pool: &Pool,
        credential: &Credential<'_>,
        hash: [u8; 32],
        now_ms: u64,
    ) -> Result<Known, Denial> {
        if let Some((_, denial)) = self.refused.get(&hash).filter(|(until_ms, _)| now_ms < *until_ms) {
            return Err(denial);
        }
        let waiting = tokio::time::timeout(self.timeout, self.lookups.acquire()).await;
        let Ok(Ok(_permit)) = waiting else { return Err(Denial::Provider) };
        let (result, cache) = match credential {
            Credential::ApiKey(text) => {
                let cache = self.api_keys.ok_or(Denial::ApiKey)?;
                (self.api_key(pool, text, cache, now_ms).await, cache)
            }
            Credential::Token(text) => {
                let introspection = self.introspection.as_ref().ok_or(Denial::Malformed)?;
                (self.introspect(introspection, text, now_ms).await, introspection.cache)
            }
        };
        match result {
            Ok(known) => {
                self.said.store(false, Ordering::Relaxed);
                Ok(known)
            }
            Err(Ok(denial)) => {
                self.refused.insert(hash, (now_ms.saturating_add(millis(cache)), denial));
                Err(denial)
            }
            Err(Err(reason)) => {
                if !self.said.swap(true, Ordering::Relaxed) {
                    self.observer.observe(&Event::IdentityUnknown { reason });
                }
                Err(Denial::Provider)
            }
        }
    }

    async fn api_key(
        &self,
        pool: &Pool,
        text: &str,
        cache: Duration,
        now_ms: u64,
    ) -> Result<Known, Result<Denial, String>> {
        let found = api_key::look_up(pool, text, self.timeout).await;
        let accepted = found.map_err(|error| error.map_err(|error| chain(&error)))?;
        let held = accepted.left.map_or(cache, |left| left.min(cache));
        let until_ms = now_ms.saturating_add(millis(held));
        Ok(Known { identity: Arc::new(accepted.identity), until_ms, vouched: None })
    }

    async fn introspect(
        &self,
        introspection: &Introspection,
        text: &str,
        now_ms: u64,
    ) -> Result<Known, Result<Denial, String>> {
        let claims = introspection.ask(text).await?;
        let ends = token::valid_until(&claims, &self.rules, now_ms, false).map_err(Ok)?;
        token::audience(&claims, &self.rules, false).map_err(Ok)?;
        let held = now_ms.saturating_add(millis(introspection.cache));
        let until_ms = ends.map_or(held, |ends| ends.min(held));
        let identity = Arc::new(token::identity(claims, &self.rules));
        Ok(Known { identity, until_ms, vouched: None })
    }

    /// Adds the numbers of identity to a page of metrics.
    pub(crate) fn render(&self, page: &mut Exposition) {
        if !self.is_on() {
            return;
        }
        let name = "fraiseql_identity_denials_total";
        page.head(name, "counter", "Callers who were not let in, by reason.");
        for (denial, counter) in Denial::ALL.iter().zip(&self.denials) {
            page.sample(name, &[("reason", denial.code().code)], counter.value());
        }
        let help = "Tokens and keys that were known already.";
        page.counter("fraiseql_identity_cache_hits_total", help, self.hits.value());
        let help = "Tokens and keys that had to be verified.";
        page.counter("fraiseql_identity_cache_misses_total", help, self.misses.value());
        let name = "fraiseql_identity_issuer_up";
        page.head(name, "gauge", "1 when the keys of an issuer could be read the last time.");
        for issuer in &self.issuers {
            page.sample(name, &[("issuer", &issuer.name)], u64::from(issuer.up.load(Ordering::Relaxed)));
        }
        let name = "fraiseql_identity_issuer_keys";
        page.head(name, "gauge", "Keys of an issuer that are known; they are kept while it is away.");
        for issuer in &self.issuers {
            let keys = issuer.keys().map_or(0, |keys| keys.len());
            page.sample(name, &[("issuer", &issuer.name)], keys as u64);
        }
        let name = "fraiseql_identity_issuer_failures_total";
        page.head(name, "counter", "Readings of an issuer's keys that failed.");
        for issuer in &self.issuers {
            page.sample(name, &[("issuer", &issuer.name)], issuer.failures.value());
        }
    }
}

fn verify_signature(token: &Unverified<'_>, key: &DecodingKey) -> Result<(), Denial> {
    let message = token.message.as_bytes();
    match jsonwebtoken::crypto::verify(token.signature, message, key, token.algorithm) {
        Ok(true) => Ok(()),
        // A signature that is no base64url, or does not fit the key, is as wrong as any other.
        Ok(false) | Err(_) => Err(Denial::Signature),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "the one place where identity asks for the time of day")]
fn now_ms() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
