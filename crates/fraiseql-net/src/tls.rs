//! TLS on the listener: certificate and key from files, loaded anew when the files change.
//!
//! A new pair holds for handshakes that begin after it was loaded; open connections go on with
//! theirs. A pair that cannot be used changes nothing but what is told of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::sync::Notify;

use crate::files::{self, Pair, TlsFault, read};

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
pub struct ListenerTls {
    options: TlsOptions,
    loaded: ArcSwap<Loaded>,
    again: Notify,
    reloads: AtomicU64,
    refusals: AtomicU64,
    pub(crate) failed_handshakes: AtomicU64,
}

/// What came of certificates and handshakes since the listener has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeCounts {
    /// New files that were taken over.
    pub reloads: u64,
    /// New files that could not be used.
    pub refusals: u64,
    /// Connections that did not come to speak TLS.
    pub failed: u64,
}

/// What becomes of the files of a certificate.
#[derive(Debug)]
pub enum CertificateNews<'n> {
    /// It holds.
    Loaded {
        /// Whole days until it ends.
        days_left: u64,
        /// True when it should be renewed.
        soon: bool,
    },
    /// New files cannot be used; the old ones hold.
    Refused {
        /// Why.
        fault: &'n TlsFault,
    },
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
    pub fn load(options: TlsOptions) -> Result<Self, TlsFault> {
        let loaded = ArcSwap::from_pointee(loaded(read(&options)?, &options)?);
        Ok(Self {
            options,
            loaded,
            again: Notify::new(),
            reloads: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            failed_handshakes: AtomicU64::new(0),
        })
    }

    /// Looks at the files at once, without waiting for the next time.
    pub fn look(&self) {
        self.again.notify_one();
    }

    /// Returns for how long browsers come by HTTPS only, in seconds.
    pub fn hsts_s(&self) -> u64 {
        self.options.hsts_s
    }

    /// Returns when the certificate ends, in seconds since 1970.
    pub fn not_after_s(&self) -> u64 {
        self.loaded.load().not_after_s
    }

    /// Returns the whole days until the certificate ends; 0 when it has.
    pub fn days_left(&self) -> u64 {
        self.not_after_s().saturating_sub(now_s()) / DAY_S
    }

    /// Returns what came of certificates and handshakes.
    pub fn counts(&self) -> HandshakeCounts {
        HandshakeCounts {
            reloads: self.reloads.load(Ordering::Relaxed),
            refusals: self.refusals.load(Ordering::Relaxed),
            failed: self.failed_handshakes.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.loaded.load().config)
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

    fn told(&self) -> CertificateNews<'static> {
        let days_left = self.days_left();
        CertificateNews::Loaded { days_left, soon: days_left < WARN_DAYS }
    }

    /// Looks at the files again and again, for as long as it is polled.
    pub async fn watch(&self, tell: impl Fn(CertificateNews<'_>)) {
        tell(self.told());
        let mut seen: Option<Result<Pair, String>> = None;
        let mut judged = seen.clone();
        loop {
            tokio::select! {
                // Asked for: what is there now is judged, also when it was refused before.
                () = self.again.notified() => {
                    judged = None;
                    seen = Some(read(&self.options).map_err(|fault| fault.to_string()));
                }
                () = tokio::time::sleep(self.options.look_every) => {}
            }
            let found = read(&self.options);
            let now = Some(found.as_ref().map(Clone::clone).map_err(ToString::to_string));
            // Two files cannot be replaced in one step: judged when they look the same twice, and once.
            let settled = now == seen;
            seen.clone_from(&now);
            if !settled || now == judged {
                continue;
            }
            judged = now;
            match self.renew(found) {
                Ok(false) => {}
                Ok(true) => {
                    self.reloads.fetch_add(1, Ordering::Relaxed);
                    tell(self.told());
                }
                Err(fault) => {
                    self.refusals.fetch_add(1, Ordering::Relaxed);
                    tell(CertificateNews::Refused { fault: &fault });
                }
            }
        }
    }
}

fn loaded(pair: Pair, options: &TlsOptions) -> Result<Loaded, TlsFault> {
    let (config, not_after_s) = files::config(&pair, options)?;
    Ok(Loaded { pair, config: Arc::new(config), not_after_s })
}

#[expect(clippy::disallowed_methods, reason = "certificates end at a time of day")]
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
