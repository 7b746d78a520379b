//! What goes beyond answering: TLS, the mode, a socket that somebody else holds, security headers.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};

use fraiseql_net::{ListenerTls, TlsOptions};
use fraiseql_postgres::Pool;
use hyper::header::{HeaderMap, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY};

use crate::error::ServeError;
use crate::exposition::Exposition;
use crate::metrics::Counter;
use crate::mode::{Mode, ModeState, Notice};
use crate::tls;

/// How a server begins its life.
#[derive(Debug, Default)]
pub struct LifeOptions {
    /// A socket that listens already, from systemd or a supervisor; otherwise one is opened.
    pub listener: Option<TcpListener>,
    /// Speaks TLS.
    pub tls: Option<TlsOptions>,
    /// What it does at first.
    pub mode: Mode,
    /// What clients are told who have to wait.
    pub notice: Notice,
}

/// The state of it.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) tls: Option<ListenerTls>,
    pub(crate) mode: ModeState,
    hsts: Option<HeaderValue>,
    reloaded: Counter,
    refused: Counter,
    waiting: AtomicU64,
}

/// How a reload of settings and schema ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// It was taken over, but for so many settings that only a new process takes over.
    Done {
        /// How many.
        waiting: u64,
    },
    /// Something was wrong: everything stays as it was.
    Refused,
}

impl Life {
    /// Begins. Fails when certificate and key cannot be used.
    pub(crate) fn begin(
        tls: Option<TlsOptions>,
        mode: Mode,
        notice: Notice,
        pool: &Pool,
    ) -> Result<Self, ServeError> {
        let tls = tls.map(ListenerTls::load).transpose()?;
        let seconds = tls.as_ref().map_or(0, ListenerTls::hsts_s);
        let hsts = (seconds > 0).then(|| {
            let text = format!("max-age={seconds}");
            HeaderValue::from_str(&text).expect("digits are legal in a header")
        });
        Ok(Self {
            tls,
            mode: ModeState::new(mode, notice, pool),
            hsts,
            reloaded: Counter::default(),
            refused: Counter::default(),
            waiting: AtomicU64::new(0),
        })
    }

    /// Adds the headers that protect whoever looks at an answer in a browser.
    pub(crate) fn protect(&self, headers: &mut HeaderMap) {
        if !headers.contains_key(REFERRER_POLICY) {
            headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        }
        if let Some(hsts) = &self.hsts {
            headers.insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
    }

    /// Notes how a reload ended.
    pub(crate) fn note_reload(&self, outcome: Reload) {
        match outcome {
            Reload::Done { waiting } => {
                self.reloaded.increment();
                self.waiting.store(waiting, Ordering::Relaxed);
            }
            Reload::Refused => self.refused.increment(),
        }
    }

    /// Adds its numbers to a page of metrics.
    pub(crate) fn render(&self, page: &mut Exposition) {
        self.mode.render(page);
        let name = "fraiseql_reloads_total";
        page.head(name, "counter", "Reloads of settings and schema by what became of them.");
        page.sample(name, &[("outcome", "done")], self.reloaded.value());
        page.sample(name, &[("outcome", "refused")], self.refused.value());
        let name = "fraiseql_settings_waiting";
        let waiting = self.waiting.load(Ordering::Relaxed);
        page.gauge(name, "Settings that have changed and wait for a restart.", waiting);
        if let Some(tls) = &self.tls {
            tls::render(tls, page);
        }
    }
}
