//! Work on a gate that takes longer than a look: on a thread of its own, and stopped when nobody waits.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use fraiseql_rollout::{GateLook, GateOutcome, GateState};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// How far the work is, in words: written by it, read by whoever looks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said(Arc<Mutex<String>>);

impl Said {
    pub(crate) fn set(&self, text: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text.into();
    }

    pub(crate) fn get(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The work on at most one gate.
#[derive(Debug, Default)]
pub(crate) struct GateWork {
    threads: JoinSet<()>,
    job: Option<Job>,
}

#[derive(Debug)]
struct Job {
    /// The rollout and the gate.
    of: (i64, String),
    said: Said,
    done: oneshot::Receiver<GateState>,
    /// The work stops when this goes.
    _stop: oneshot::Sender<Infallible>,
}

impl GateWork {
    /// Looks at the work on a gate of a rollout; begins it when nobody has.
    pub(crate) fn look<W, F>(&mut self, of: (i64, &str), work: W) -> GateLook
    where
        W: FnOnce(Said) -> F + Send + 'static,
        F: Future<Output = GateState>,
    {
        while self.threads.try_join_next().is_some() {}
        if self.job.as_ref().is_some_and(|job| (job.of.0, job.of.1.as_str()) != of) {
            self.stop();
        }
        let Some(job) = &mut self.job else {
            if !self.threads.is_empty() {
                return GateLook::Busy("waiting for earlier work to stop".to_owned());
            }
            self.job = Some(self.begin(of, work));
            return GateLook::Busy("begins".to_owned());
        };
        let state = match job.done.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => return GateLook::Busy(job.said.get()),
            Ok(state) => state,
            Err(oneshot::error::TryRecvError::Closed) => {
                let evidence = "the work on it broke off".to_owned();
                GateState { outcome: GateOutcome::Failed, evidence }
            }
        };
        self.job = None;
        GateLook::Done(state)
    }

    /// Stops what nobody waits for any more. What it has done so far stays done.
    pub(crate) fn stop(&mut self) {
        self.job = None;
    }

    fn begin<W, F>(&mut self, (rollout, gate): (i64, &str), work: W) -> Job
    where
        W: FnOnce(Said) -> F + Send + 'static,
        F: Future<Output = GateState>,
    {
        let said = Said::default();
        let (sender, done) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<Infallible>();
        let (runtime, telling) = (Handle::current(), said.clone());
        // A backup reads and writes files as it goes: among the tasks it would hold up the agent.
        self.threads.spawn_blocking(move || {
            let state = runtime.block_on(async {
                tokio::select! {
                    state = work(telling) => Some(state),
                    _ = stopped => None,
                }
            });
            // Whoever asked may have stopped waiting.
            if let Some(state) = state
                && sender.send(state).is_err()
            {}
        });
        Job { of: (rollout, gate.to_owned()), said, done, _stop: stop }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn state(evidence: &str) -> GateState {
        GateState { outcome: GateOutcome::Passed, evidence: evidence.to_owned() }
    }

    async fn until(mut look: impl FnMut() -> GateLook, wanted: &GateLook) {
        for _ in 0..1_000 {
            if look() == *wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it never says {wanted:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn work_is_done_once_and_told_meanwhile() {
        let mut work = GateWork::default();
        let (go, gone) = oneshot::channel::<()>();
        let began = work.look((1, "backup"), |said| async move {
            said.set("half of it");
            gone.await.unwrap();
            state("done")
        });
        assert_eq!(began, GateLook::Busy("begins".to_owned()));
        let mut again = || work.look((1, "backup"), |_| async { state("another") });
        until(&mut again, &GateLook::Busy("half of it".to_owned())).await;
        go.send(()).unwrap();
        until(&mut again, &GateLook::Done(state("done"))).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn work_that_nobody_waits_for_ends_before_other_work_begins() {
        let mut work = GateWork::default();
        work.look((1, "backup"), |_| std::future::pending());
        let mut other = || work.look((2, "backup"), |_| async { state("the second") });
        until(&mut other, &GateLook::Done(state("the second"))).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn work_that_breaks_off_is_not_green() {
        let mut work = GateWork::default();
        let mut look = || work.look((1, "backup"), |_| async { panic!("a bug") });
        let evidence = "the work on it broke off".to_owned();
        until(&mut look, &GateLook::Done(GateState { outcome: GateOutcome::Failed, evidence })).await;
    }
}
