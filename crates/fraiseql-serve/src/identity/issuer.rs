//! One issuer: its keys, read by OpenID Connect Discovery, kept while it is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::key_set::KeySet;
use super::provider_client;
use crate::metrics::Counter;
use crate::observe::{Event, Observe};

/// After a failure the keys are read again after this, then after twice as long, and so on.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Where an issuer describes itself (OpenID Connect Discovery 1.0, section 4).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// How an issuer is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manners {
    pub(super) timeout: Duration,
    pub(super) refresh: Duration,
    pub(super) unknown_key_interval: Duration,
    pub(super) https_only: bool,
}

/// An issuer and its keys.
pub(super) struct Issuer {
    /// As `iss` has it.
    pub(super) name: String,
    client: Client,
    discovery: Url,
    manners: Manners,
    keys: ArcSwapOption<KeySet>,
    /// When the keys were asked for last; locked while they are.
    asked: Mutex<Option<Instant>>,
    pub(super) up: AtomicBool,
    pub(super) failures: Counter,
    observer: Arc<dyn Observe>,
}

/// What is read of the issuer's own description.
#[derive(Deserialize)]
struct Description {
    issuer: String,
    jwks_uri: String,
}

impl Issuer {
    /// Makes an issuer whose keys were not read yet.
    pub(super) fn new(name: &str, manners: Manners, observer: Arc<dyn Observe>) -> Result<Self, String> {
        let discovery =
            provider_client::url(&format!("{}{WELL_KNOWN}", name.trim_end_matches('/')), manners.https_only)?;
        let client = provider_client::client(&discovery, manners.timeout)?;
        Ok(Self {
            name: name.to_owned(),
            client,
            discovery,
            manners,
            keys: ArcSwapOption::empty(),
            asked: Mutex::new(None),
            up: AtomicBool::new(false),
            failures: Counter::default(),
            observer,
        })
    }

    /// Returns the keys that were read last.
    pub(super) fn keys(&self) -> Option<Arc<KeySet>> {
        self.keys.load_full()
    }

    /// Reads the keys for ever; to be dropped when the server ends.
    pub(super) async fn keep(&self) {
        let mut retry = RETRY_MIN;
        loop {
            let mut asked = self.asked.lock().await;
            let pause = if self.read(&mut asked).await {
                retry = RETRY_MIN;
                self.manners.refresh
            } else {
                retry = (retry * 2).min(RETRY_MAX);
                (retry / 2).min(self.manners.refresh)
            };
            drop(asked);
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns the keys after they were read again for a token that `seen` does not help; the ones
    /// that are there when it is too early for that. Whoever comes meanwhile waits for the same answer.
    pub(super) async fn reread(&self, seen: Option<&Arc<KeySet>>) -> Option<Arc<KeySet>> {
        let mut asked = self.asked.lock().await;
        let now = self.keys();
        let news = match (seen, &now) {
            (Some(seen), Some(now)) => !Arc::ptr_eq(seen, now),
            (seen, now) => seen.is_some() != now.is_some(),
        };
        let interval = if now.is_some() { self.manners.unknown_key_interval } else { RETRY_MIN };
        if !news && asked.is_none_or(|at| at.elapsed() >= interval) {
            // How it ended is told by the keys.
            let _read = self.read(&mut asked).await;
        }
        self.keys()
    }

    /// Reads the keys; returns false when that failed, which leaves those that are there.
    async fn read(&self, asked: &mut Option<Instant>) -> bool {
        let result = self.fetch().await;
        *asked = Some(Instant::now());
        let issuer = self.name.as_str();
        match result {
            Ok(set) => {
                let before = self.keys();
                if before.as_ref().is_none_or(|before| before.digest != set.digest) {
                    self.observer.observe(&Event::IssuerKeys { issuer, keys: set.len() });
                    self.keys.store(Some(Arc::new(set)));
                }
                self.up.store(true, Ordering::Relaxed);
                true
            }
            Err(reason) => {
                let first = self.failures.value() == 0;
                self.failures.increment();
                if self.up.swap(false, Ordering::Relaxed) || first {
                    self.observer.observe(&Event::IssuerLost { issuer, reason });
                }
                false
            }
        }
    }

    async fn fetch(&self) -> Result<KeySet, String> {
        let body = provider_client::fetch(self.client.get(self.discovery.clone())).await?;
        let description: Description =
            serde_json::from_slice(&body).map_err(|error| format!("{}: {error}", self.discovery))?;
        // Section 4.3: else one issuer could speak for another.
        if description.issuer != self.name {
            return Err(format!("{} describes the issuer {:?}", self.discovery, description.issuer));
        }
        let https_only = self.manners.https_only || self.discovery.scheme() == "https";
        let uri = provider_client::url(&description.jwks_uri, https_only)?;
        KeySet::read(&provider_client::fetch(self.client.get(uri)).await?)
    }
}
