//! The proxy, as rollouts reach it: over its control socket.

use std::path::PathBuf;
use std::time::Duration;

use fraiseql_agent::ask;
use fraiseql_model::traffic::{ArmCounts, Generation, ProxyState, Stamp};
use fraiseql_rollout::{Traffic, TrafficFault};
use hyper::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

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
