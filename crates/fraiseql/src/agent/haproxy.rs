//! HAProxy, as rollouts reach it: what holds is kept in the state directory, and told again when forgotten.

use std::net::SocketAddr;

use fraiseql_haproxy::{HaProxy, HaProxyError};
use fraiseql_model::traffic::{ArmCounts, BackendHealth, Generation, GenerationOrigin, ProxyState, Stamp};
use fraiseql_rollout::{Traffic, TrafficFault};

/// The name of the file in the state directory that says what holds.
pub(crate) const HELD: &str = "haproxy.json";

/// HAProxy.
#[derive(Debug)]
pub(crate) struct HaProxyTraffic {
    haproxy: HaProxy,
    /// Where its frontend listens, as the settings say: HAProxy is not ours to ask.
    address: SocketAddr,
    /// Why it could not be looked at.
    fault: Option<String>,
}

impl HaProxyTraffic {
    pub(crate) fn new(haproxy: HaProxy, address: SocketAddr) -> Self {
        Self { haproxy, address, fault: None }
    }

    /// Returns why it could not be looked at the last time.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    async fn look(&mut self) -> Result<ProxyState, HaProxyError> {
        let mut backends = self.haproxy.backends().await?;
        let forgotten = backends.iter().any(|backend| backend.health == BackendHealth::Unknown);
        let held = self.haproxy.generation().cloned();
        if let Some(held) = held.as_ref().filter(|_| forgotten) {
            self.haproxy.apply(held).await?;
            backends = self.haproxy.backends().await?;
        }
        let about = self.haproxy.about().await?;
        Ok(ProxyState {
            pid: about.pid,
            version: about.version,
            address: self.address,
            generation: held,
            origin: GenerationOrigin::Control,
            lease_left_ms: None,
            backends,
        })
    }

    /// Returns what came of it, and remembers why nothing did.
    fn told<T>(&mut self, result: Result<T, HaProxyError>) -> Option<T> {
        match result {
            Ok(found) => {
                self.fault = None;
                Some(found)
            }
            Err(error) => {
                self.fault = Some(words(&error));
                None
            }
        }
    }
}

fn words(error: &HaProxyError) -> String {
    format!("{}: {error}: {}", error.code().code, error.hint())
}

impl Traffic for HaProxyTraffic {
    async fn state(&mut self) -> Option<ProxyState> {
        let found = self.look().await;
        self.told(found)
    }

    async fn counts(&mut self) -> Option<Vec<ArmCounts>> {
        let found = self.haproxy.counts().await;
        self.told(found)
    }

    async fn apply(&mut self, generation: &Generation) -> Result<(), TrafficFault> {
        self.haproxy.apply(generation).await.map_err(|error| match error {
            HaProxyError::Stale { highest, .. } => TrafficFault::Fenced { highest },
            error => TrafficFault::Failed(words(&error)),
        })
    }

    /// What it cannot do was refused when the plan was made.
    async fn renew(&mut self, stamp: Stamp) -> Result<(), TrafficFault> {
        Err(TrafficFault::Failed(format!("HAProxy knows no lease to renew for {stamp}")))
    }
}
