//! Who shares out traffic, as rollouts reach it: the proxy over its control socket, or HAProxy.

use std::path::PathBuf;
use std::time::Duration;

use fraiseql_agent::ask;
use fraiseql_model::traffic::{ArmCounts, Generation, ProxyState, Stamp};
use fraiseql_rollout::{Traffic, TrafficFault};
use hyper::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::haproxy::HaProxyTraffic;

/// Whoever shares out traffic, by the setting `proxy.driver`.
#[derive(Debug)]
pub(crate) enum DriverTraffic {
    BuiltIn(ProxyTraffic),
    HaProxy(Box<HaProxyTraffic>),
}

impl DriverTraffic {
    /// Returns why it could not be looked at, where that is not said elsewhere.
    pub(crate) fn fault(&self) -> Option<&str> {
        match self {
            Self::BuiltIn(_) => None,
            Self::HaProxy(haproxy) => haproxy.fault(),
        }
    }
}

impl Traffic for DriverTraffic {
    async fn state(&mut self) -> Option<ProxyState> {
        match self {
            Self::BuiltIn(proxy) => proxy.state().await,
            Self::HaProxy(haproxy) => haproxy.state().await,
        }
    }

    async fn counts(&mut self) -> Option<Vec<ArmCounts>> {
        match self {
            Self::BuiltIn(proxy) => proxy.counts().await,
            Self::HaProxy(haproxy) => haproxy.counts().await,
        }
    }

    async fn apply(&mut self, generation: &Generation) -> Result<(), TrafficFault> {
        match self {
            Self::BuiltIn(proxy) => proxy.apply(generation).await,
            Self::HaProxy(haproxy) => haproxy.apply(generation).await,
        }
    }

    async fn renew(&mut self, stamp: Stamp) -> Result<(), TrafficFault> {
        match self {
            Self::BuiltIn(proxy) => proxy.renew(stamp).await,
            Self::HaProxy(haproxy) => haproxy.renew(stamp).await,
        }
    }
}

/// It answers from memory, or writes one small file.
const LIMIT: Duration = Duration::from_secs(2);

/// The proxy.
#[derive(Clone, Debug)]
pub(crate) struct ProxyTraffic {
    pub(crate) socket: PathBuf,
}

impl ProxyTraffic {
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Option<T> {
        let Ok((200, answer)) = ask(&self.socket, (Method::GET, path), None, LIMIT).await else {
            return None;
        };
        let read = serde_json::from_value(answer);
        // An answer that cannot be read is of another version: nothing is known then.
        read.ok()
    }

    async fn tell(&self, (method, path): (Method, &str), body: &Value) -> Result<(), TrafficFault> {
        match ask(&self.socket, (method, path), Some(body), LIMIT).await {
            Ok((200, _)) => Ok(()),
            Ok((409, answer)) => {
                let highest = serde_json::from_value::<Stamp>(answer["highest"].clone());
                Err(highest.map_or_else(
                    |_none| TrafficFault::Failed(answer["error"].to_string()),
                    |highest| TrafficFault::Fenced { highest },
                ))
            }
            Ok((status, answer)) => {
                Err(TrafficFault::Failed(format!("the proxy answers {status}: {}", answer["error"])))
            }
            Err(error) => Err(TrafficFault::Failed(format!("the proxy: {error}"))),
        }
    }
}

impl Traffic for ProxyTraffic {
    async fn state(&mut self) -> Option<ProxyState> {
        self.get("/state").await
    }

    async fn counts(&mut self) -> Option<Vec<ArmCounts>> {
        self.get("/counts").await
    }

    async fn apply(&mut self, generation: &Generation) -> Result<(), TrafficFault> {
        self.tell((Method::PUT, "/generation"), &json!(generation)).await
    }

    async fn renew(&mut self, stamp: Stamp) -> Result<(), TrafficFault> {
        self.tell((Method::POST, "/lease"), &json!(stamp)).await
    }
}
