//! Keeps a secret that is in use good: renews its lease, or reads it anew before it ends.
//!
//! While the store is away the last good value stays in use until its lease's end, and that is told.

mod next;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fraiseql_model::secret::SecretRef;
use tokio::time::{Duration, Instant};

use crate::error::SecretError;
use crate::found::{Found, Lease};
use crate::resolver::Resolver;
use next::{PAUSE_MIN, Renewal, after_renewal, pause, retry};

/// A secret in use.
#[derive(Debug)]
pub struct Keeper {
    resolver: Arc<Resolver>,
    reference: SecretRef,
    found: Found,
    refresh: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    ends: Option<Instant>,
    renewals: u64,
    rotations: u64,
    failures: u64,
    failing: Option<&'static str>,
}

/// How a secret in use is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretStatus {
    /// The reference.
    pub reference: String,
    /// Until the lease's end; `None` for a secret without one, zero when it is over.
    pub lease_left: Option<Duration>,
    /// Leases that were renewed.
    pub renewals: u64,
    /// New values that were taken into use.
    pub rotations: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// The code of the last error, while attempts fail.
    pub failing: Option<&'static str>,
}

/// What is worth telling.
#[derive(Debug)]
pub enum KeeperEvent<'a> {
    /// A new value was taken into use.
    Rotated,
    /// The first failed attempt in a row. What is in use goes on until its lease's end.
    Failing {
        /// Why.
        error: &'a SecretError,
        /// Until the lease's end, where there is one.
        lease_left: Option<Duration>,
    },
    /// The lease is over and there is nothing new: the store still fails.
    Ended,
    /// It succeeded again.
    Recovered,
}

/// Shows the status of a keeper that runs.
#[derive(Clone, Debug)]
pub struct KeeperView {
    reference: String,
    state: Arc<Mutex<State>>,
}

impl KeeperView {
    /// Returns the status of now.
    pub fn status(&self) -> SecretStatus {
        let state = locked(&self.state);
        SecretStatus {
            reference: self.reference.clone(),
            lease_left: state.ends.map(|ends| ends.saturating_duration_since(Instant::now())),
            renewals: state.renewals,
            rotations: state.rotations,
            failures: state.failures,
            failing: state.failing,
        }
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Numbers cannot be left half written.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keeper {
    /// Takes care of what was found at a reference; `refresh` is how often it is read again when it
    /// has no lease.
    pub fn new(resolver: Arc<Resolver>, reference: SecretRef, found: Found, refresh: Duration) -> Self {
        let ends = found.lease.as_ref().map(|lease| lease.ends);
        let state = Arc::new(Mutex::new(State { ends, ..State::default() }));
        Self { resolver, reference, found, refresh, state }
    }

    /// Returns what shows the status while [`Keeper::run`] runs.
    pub fn view(&self) -> KeeperView {
        KeeperView { reference: self.reference.to_string(), state: Arc::clone(&self.state) }
    }

    /// Runs for ever. Calls `apply` with each new value; one that it refuses is not taken and tried again.
    pub async fn run(
        mut self,
        mut apply: impl FnMut(&Found) -> Result<(), SecretError>,
        mut tell: impl FnMut(KeeperEvent<'_>),
    ) {
        let mut failures: u32 = 0;
        let mut ended = false;
        loop {
            let lease = self.found.lease.as_ref();
            let wait = match failures {
                0 => pause(lease, self.login_due().await, self.refresh, Instant::now()),
                failures => retry(lease, failures, self.refresh),
            };
            tokio::time::sleep(wait.max(PAUSE_MIN)).await;
            match self.step(&mut apply).await {
                Ok(rotated) => {
                    if failures > 0 {
                        tell(KeeperEvent::Recovered);
                    }
                    (failures, ended) = (0, false);
                    self.succeeded(rotated);
                    if rotated {
                        tell(KeeperEvent::Rotated);
                    }
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    let lease_left = self.failed(&error);
                    if failures == 1 {
                        tell(KeeperEvent::Failing { error: &error, lease_left });
                    }
                    if lease_left == Some(Duration::ZERO) && !ended {
                        ended = true;
                        tell(KeeperEvent::Ended);
                    }
                }
            }
        }
    }

    /// Returns true when a new value was taken into use.
    async fn step(
        &mut self,
        apply: &mut impl FnMut(&Found) -> Result<(), SecretError>,
    ) -> Result<bool, SecretError> {
        if let Some(lease) = self.found.lease.clone()
            && let Some(renewed) = self.renewed(&lease).await?
        {
            locked(&self.state).renewals += u64::from(renewed.ends != lease.ends);
            self.found.lease = Some(renewed);
            return Ok(false);
        }
        let found = self.resolver.find(&self.reference).await?;
        let changed = found.content != self.found.content;
        if changed {
            apply(&found)?;
        }
        self.found = found;
        Ok(changed)
    }

    /// Returns the lease with its new end; `None` when the secret has to be read anew.
    async fn renewed(&self, lease: &Lease) -> Result<Option<Lease>, SecretError> {
        let vault = self.resolver.vault(&self.found.reference)?;
        let (login, _) = vault.keep_login().await?;
        // A lease ends with the login that it was given to.
        if login != lease.login || !lease.renewable || Instant::now() >= lease.ends {
            return Ok(None);
        }
        let due = pause(Some(lease), None, self.refresh, Instant::now());
        if !due.is_zero() {
            return Ok(Some(lease.clone()));
        }
        match vault.renew(lease).await {
            Ok(renewed) => {
                Ok(match after_renewal(lease, renewed.ends.saturating_duration_since(Instant::now())) {
                    Renewal::Enough => Some(renewed),
                    Renewal::Short => None,
                })
            }
            Err(error) if error.may_pass() => Err(error),
            // Revoked, or not allowed: a new one may be had.
            Err(_refused) => Ok(None),
        }
    }

    async fn login_due(&self) -> Option<Instant> {
        self.found.lease.as_ref()?;
        match self.resolver.vault(&self.found.reference).ok()?.keep_login().await {
            Ok((_, due)) => due,
            // The next step meets the same and tells it.
            Err(_) => None,
        }
    }

    fn succeeded(&self, rotated: bool) {
        let mut state = locked(&self.state);
        state.failing = None;
        state.rotations += u64::from(rotated);
        state.ends = self.found.lease.as_ref().map(|lease| lease.ends);
    }

    fn failed(&self, error: &SecretError) -> Option<Duration> {
        let mut state = locked(&self.state);
        state.failures += 1;
        state.failing = Some(error.code().code);
        state.ends.map(|ends| ends.saturating_duration_since(Instant::now()))
    }
}
