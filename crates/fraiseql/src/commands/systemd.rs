//! Tells a supervisor how we are, as sd_notify(3) says: ready, reloading, stopping, alive.
//!
//! Without `NOTIFY_SOCKET` nothing is sent. A supervisor that does not listen is logged, never fatal.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::log::Log;

/// How long our own answer may take before we do not count as alive.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const ASK: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// How an answer begins, also that which says that TLS is spoken here.
const ANSWERED: &[u8] = b"HTTP/1.1 ";

/// Says that we serve.
pub(crate) fn ready(log: &Log) {
    tell(log, &[NotifyState::Ready]);
}

/// Says that we read settings and schema again; [`ready`] ends it.
pub(crate) fn reloading(log: &Log) {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(log, &[NotifyState::Reloading, now]),
        Err(error) => log.line("warn", &format!("cannot tell the supervisor of the reload: {error}")),
    }
}

/// Says that we end.
pub(crate) fn stopping(log: &Log) {
    tell(log, &[NotifyState::Stopping]);
}

/// Says again and again that we are alive, as long as we answer ourselves. To be dropped at the end.
///
/// Twice within the time after which the supervisor gives us up (`WatchdogSec=` of a unit). A
/// server that hangs does not answer, and is killed and started again.
pub(crate) async fn watchdog(address: SocketAddr, log: &Log) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut pulse = tokio::time::interval(limit / 2);
    let timeout = ANSWER_TIMEOUT.min(limit / 2);
    loop {
        pulse.tick().await;
        match tokio::time::timeout(timeout, answers(address)).await {
            Ok(Ok(())) => tell(log, &[NotifyState::Watchdog]),
            Ok(Err(error)) => log.line("error", &format!("the server does not answer itself: {error}")),
            Err(_elapsed) => log.line("error", "the server does not answer itself in time"),
        }
    }
}

/// Says that we are alive whenever [`Heartbeat::beat`] is called, but only as often as is asked for.
pub(crate) struct Heartbeat {
    limit: Option<Duration>,
    last: Option<Instant>,
}

impl Heartbeat {
    pub(crate) fn new() -> Self {
        Self { limit: sd_notify::watchdog_enabled(), last: None }
    }

    /// To be called where nothing can hang but what the supervisor shall end.
    pub(crate) fn beat(&mut self, log: &Log) {
        let Some(limit) = self.limit else { return };
        if self.last.is_none_or(|last| last.elapsed() >= limit / 3) {
            self.last = Some(Instant::now());
            tell(log, &[NotifyState::Watchdog]);
        }
    }
}

async fn answers(address: SocketAddr) -> std::io::Result<()> {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let mut stream = TcpStream::connect((ip, address.port())).await?;
    stream.write_all(ASK).await?;
    let mut begin = [0_u8; ANSWERED.len()];
    stream.read_exact(&mut begin).await?;
    if begin == ANSWERED { Ok(()) } else { Err(std::io::ErrorKind::InvalidData.into()) }
}

fn tell(log: &Log, states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log.line("warn", &format!("cannot tell the supervisor: {error}"));
    }
}
