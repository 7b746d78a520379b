//! TLS on the listener: certificate and key from files, loaded anew when the files change.
//!
//! A new pair holds for handshakes that begin after it was loaded; open connections go on with
//! theirs. A pair that cannot be used changes nothing but the log and a metric.

mod files;
mod handshake;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::sync::Notify;

use crate::exposition::Exposition;
use crate::metrics::Counter;
use crate::observe::Event;
use crate::serving::Serving;

pub use files::TlsFault;
use files::{Pair, read};
pub(crate) use handshake::accept;

/// A certificate that ends sooner is told with a warning.
const WARN_DAYS: u64 = 14;
const DAY_S: u64 = 86_400;

/// Where certificate and key are, and who may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// PEM: our certificate, and the intermediate ones behind it.
    pub certificate: PathBuf,
    /// PEM: the key of the first certificate.
    pub key: PathBuf,
    /// PEM: clients must show a certificate that one of these has signed.
    pub client_ca: Option<PathBuf>,
    /// The oldest version of TLS.
    pub min_version: TlsVersion,
    /// How often the files are looked at.
    pub look_every: Duration,
    /// For how long browsers come by HTTPS only (RFC 6797), in seconds; 0 tells them nothing.
    pub hsts_s: u64,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246, with forward secrecy and authenticated encryption only.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// TLS of one listener.
#[derive(Debug)]
pub(crate) struct ListenerTls {
    options: TlsOptions,
    loaded: ArcSwap<Loaded>,
    again: Notify,
    reloads: Counter,
    refusals: Counter,
    failed_handshakes: Counter,
}

/// What handshakes use.
#[derive(Debug)]
struct Loaded {
    pair: Pair,
    config: Arc<ServerConfig>,
    not_after_s: u64,
}

impl ListenerTls {
    /// Loads certificate and key. Fails with what is wrong with which file.
    pub(crate) fn load(options: TlsOptions) -> Result<Self, TlsFault> {
        let loaded = ArcSwap::from_pointee(loaded(read(&options)?, &options)?);
        Ok(Self {
            options,
            loaded,
            again: Notify::new(),
            reloads: Counter::default(),
            refusals: Counter::default(),
            failed_handshakes: Counter::default(),
        })
    }

    /// Looks at the files at once, without waiting for the next time.
    pub(crate) fn look(&self) {
        self.again.notify_one();
    }

    /// Returns for how long browsers come by HTTPS only.
    pub(crate) fn hsts_s(&self) -> u64 {
        self.options.hsts_s
    }

    fn days_left(&self) -> u64 {
        self.loaded.load().not_after_s.saturating_sub(now_s()) / DAY_S
    }

    /// Takes the files as they are now when they differ from what is in force.
    fn renew(&self, pair: Result<Pair, TlsFault>) -> Result<bool, TlsFault> {
        let pair = pair?;
        if pair == self.loaded.load().pair {
            return Ok(false);
        }
        let new = loaded(pair, &self.options)?;
        if new.not_after_s <= now_s() {
            return Err(TlsFault::Expired { path: self.options.certificate.clone() });
        }
        self.loaded.store(Arc::new(new));
        Ok(true)
    }

    /// Adds the numbers of TLS to a page of metrics.
    pub(crate) fn render(&self, page: &mut Exposition) {
        let not_after_s = self.loaded.load().not_after_s;
        let name = "fraiseql_tls_certificate_not_after_seconds";
        page.gauge(name, "When the certificate ends, in seconds since 1970.", not_after_s);
        let name = "fraiseql_tls_certificate_days_left";
        page.gauge(name, "Whole days until the certificate ends; 0 when it has.", self.days_left());
        let name = "fraiseql_tls_reloads_total";
        page.head(name, "counter", "New certificate files by what became of them.");
        page.sample(name, &[("outcome", "loaded")], self.reloads.value());
        page.sample(name, &[("outcome", "refused")], self.refusals.value());
        let name = "fraiseql_tls_handshakes_failed_total";
        page.counter(name, "Connections that did not come to speak TLS.", self.failed_handshakes.value());
    }
}

fn loaded(pair: Pair, options: &TlsOptions) -> Result<Loaded, TlsFault> {
    let (config, not_after_s) = files::config(&pair, options)?;
    Ok(Loaded { pair, config: Arc::new(config), not_after_s })
}

/// Looks at the files again and again; to be dropped when the server ends.
pub(crate) async fn watch(serving: Arc<Serving>) {
    let Some(tls) = &serving.life.tls else { return };
    tell_days(&serving, tls);
    let mut seen: Option<Result<Pair, String>> = None;
    let mut judged = seen.clone();
    loop {
        tokio::select! {
            // Asked for: what is there now is judged, also when it was refused before.
            () = tls.again.notified() => {
                judged = None;
                seen = Some(read(&tls.options).map_err(|fault| fault.to_string()));
            }
            () = tokio::time::sleep(tls.options.look_every) => {}
        }
        let found = read(&tls.options);
        let now = Some(found.as_ref().map(Clone::clone).map_err(ToString::to_string));
        // Two files cannot be replaced in one step: judged when they look the same twice, and once.
        let settled = now == seen;
        seen.clone_from(&now);
        if !settled || now == judged {
            continue;
        }
        judged = now;
        match tls.renew(found) {
            Ok(false) => {}
            Ok(true) => {
                tls.reloads.increment();
                tell_days(&serving, tls);
            }
            Err(fault) => {
                tls.refusals.increment();
                serving.observer.observe(&Event::CertificateRefused { fault: &fault });
            }
        }
    }
}

fn tell_days(serving: &Serving, tls: &ListenerTls) {
    let days_left = tls.days_left();
    serving.observer.observe(&Event::CertificateLoaded { days_left, soon: days_left < WARN_DAYS });
}

#[expect(clippy::disallowed_methods, reason = "certificates end at a time of day")]
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
