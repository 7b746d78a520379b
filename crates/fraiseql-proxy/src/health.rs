//! Whether instances are well, asked again and again, and what the service as a whole says of itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fraiseql_model::traffic::BackendHealth;
use http_body_util::{BodyExt, Limited};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::backend::BackendSlot;
use crate::body::Outgoing;
use crate::observe::ProxyEvent;
use crate::server::Shared;

/// The largest body of `/health`.
const HEALTH_BYTES_MAX: usize = 64 << 10;
/// How soon an instance that is not ready is asked again.
const EAGER: Duration = Duration::from_millis(250);

/// Asks every instance that there is, for as long as it is polled.
pub(crate) async fn watch(shared: Arc<Shared>) {
    let mut probes: JoinSet<()> = JoinSet::new();
    let mut watched: Vec<Arc<BackendSlot>> = Vec::new();
    loop {
        let changed = shared.traffic.changed.notified();
        let slots = shared.traffic.table().map(|table| table.slots()).unwrap_or_default();
        if slots.len() != watched.len()
            || !slots.iter().all(|slot| watched.iter().any(|old| Arc::ptr_eq(old, slot)))
        {
            // New ones are asked at once; those that are gone no more.
            probes.abort_all();
            for slot in &slots {
                probes.spawn(probe(Arc::clone(&shared), Arc::clone(slot)));
            }
            watched = slots;
        }
        changed.await;
        while probes.try_join_next().is_some() {}
    }
}

/// Asks every instance once.
pub(crate) async fn look(shared: &Arc<Shared>) {
    let slots = shared.traffic.table().map(|table| table.slots()).unwrap_or_default();
    let asked = slots.iter().map(|slot| look_at(shared, slot));
    futures_util::future::join_all(asked).await;
}

async fn probe(shared: Arc<Shared>, slot: Arc<BackendSlot>) {
    loop {
        let ready = look_at(&shared, &slot).await;
        let pause =
            if ready { shared.options.probe_interval } else { shared.options.probe_interval.min(EAGER) };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = slot.doubted.notified() => {}
        }
    }
}

/// Asks an instance whether it is ready and what it says of itself.
async fn look_at(shared: &Shared, slot: &BackendSlot) -> bool {
    let found = ask(shared, slot, "/health/ready").await;
    let (ready, reason) = match &found {
        Ok((StatusCode::OK, _)) => (true, String::new()),
        Ok((status, body)) => (false, format!("it answers {status}: {}", String::from_utf8_lossy(body))),
        Err(silence) => (false, silence.reason.clone()),
    };
    if slot.probed(ready) {
        if found.as_ref().is_err_and(|silence| silence.timed_out) {
            slot.hung.notify_waiters();
        }
        shared.observer.observe(&ProxyEvent::HealthChanged { backend: &slot.name, ready, reason: &reason });
    }
    if let Ok((_, body)) = ask(shared, slot, "/health").await {
        let told: Result<Value, _> = serde_json::from_slice(&body);
        slot.told.store(told.ok().map(Arc::new));
    }
    ready
}

/// Why a probe got no answer.
#[derive(Debug)]
pub(crate) struct Silence {
    timed_out: bool,
    reason: String,
}

/// Asks an instance; fails with a reason when it does not answer in time.
pub(crate) async fn ask(
    shared: &Shared,
    slot: &BackendSlot,
    path: &str,
) -> Result<(StatusCode, Bytes), Silence> {
    let broken = |reason: String| Silence { timed_out: false, reason };
    let uri: Uri =
        format!("http://{}{path}", slot.address).parse().map_err(|_| broken("no address".to_owned()))?;
    let asking = async {
        let mut request = Request::new(Outgoing::empty());
        *request.uri_mut() = uri;
        let response = shared.probing.request(request).await.map_err(|error| broken(error.to_string()))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), shared.options.metrics_bytes_max.max(HEALTH_BYTES_MAX));
        let body = body.collect().await.map_err(|error| broken(error.to_string()))?;
        Ok((status, body.to_bytes()))
    };
    match tokio::time::timeout(shared.options.probe_timeout, asking).await {
        Ok(asked) => asked,
        Err(_elapsed) => {
            let limit_ms = shared.options.probe_timeout.as_millis();
            Err(Silence { timed_out: true, reason: format!("it does not answer within {limit_ms} ms") })
        }
    }
}

/// Answers `/health`: the guide's keys, for the service as a whole. Always 200 while we run.
pub(crate) fn health(shared: &Shared) -> Response<Outgoing> {
    let table = shared.traffic.table();
    let stable = table.as_ref().and_then(|table| table.arms.last());
    let serving: Vec<&Arc<BackendSlot>> = stable.map(|arm| arm.serving().collect()).unwrap_or_default();
    let ready = serving.iter().filter(|slot| slot.health() == BackendHealth::Ready).count();
    let told: Vec<Arc<Value>> = serving.iter().filter_map(|slot| slot.told.load_full()).collect();
    let best = told.iter().find(|told| told["status"] == "healthy").or(told.first());
    let part = |name: &str| match best {
        Some(told) if told[name].is_object() => told[name].clone(),
        _ => json!({ "status": "disconnected", "latency_ms": null }),
    };
    let status = match (ready, best) {
        (0, _) | (_, None) => "unhealthy",
        (ready, Some(best)) if ready < serving.len() || best["status"] == "degraded" => "degraded",
        (_, Some(best)) if best["status"] == "healthy" => "healthy",
        _ => "unhealthy",
    };
    let version = best.and_then(|told| told["version"].as_str()).unwrap_or(shared.options.version);
    let body = json!({
        "status": status,
        "version": version,
        "database": part("database"),
        "cache": part("cache"),
        "uptime_seconds": shared.started.elapsed().as_secs(),
    });
    json_response(StatusCode::OK, &body)
}

/// Answers `/health/ready`: whether a request would reach an instance that is ready.
pub(crate) fn ready(shared: &Shared) -> Response<Outgoing> {
    let word = if shared.soon.is_cancelled() { "draining" } else { state(shared) };
    let status = if word == "ready" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json_response(status, &json!({ "status": word }))
}

fn state(shared: &Shared) -> &'static str {
    let Some(table) = shared.traffic.table() else { return "starting" };
    let slots: Vec<_> =
        table.arms.iter().filter(|arm| arm.weight > 0).flat_map(|arm| arm.serving()).collect();
    if slots.iter().any(|slot| slot.health() == BackendHealth::Ready) {
        "ready"
    } else if slots.iter().any(|slot| slot.health() == BackendHealth::Unknown) {
        "starting"
    } else {
        "unready"
    }
}

pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::text(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}
