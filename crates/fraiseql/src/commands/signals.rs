//! Signals that ask a process to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// SIGINT, SIGTERM and, where it asks to stop, SIGHUP, which comes when the terminal is closed.
pub(crate) struct Stop {
    hang_up: Option<Signal>,
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Begins to listen; from now on the signals do not end the process by themselves.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::internal("listen for signals", &error);
        Ok(Self {
            hang_up: Some(signal(SignalKind::hangup()).map_err(failed)?),
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            () = hung_up(&mut self.hang_up) => {}
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The signals of a service: those that stop it, and SIGHUP, which asks it to read its settings again.
pub(crate) struct Signals {
    pub(crate) stop: Stop,
    pub(crate) reload: HangUp,
}

/// SIGHUP.
pub(crate) struct HangUp(Option<Signal>);

impl Signals {
    /// Begins to listen; from now on the signals do not end the process by themselves.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let mut stop = Stop::listen()?;
        let reload = HangUp(stop.hang_up.take());
        Ok(Self { stop, reload })
    }
}

impl HangUp {
    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        hung_up(&mut self.0).await;
    }
}

async fn hung_up(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
