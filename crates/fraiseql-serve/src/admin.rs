//! The admin listener: details of one instance, for whoever may reach its address. Never on the port
//! of clients, and it changes nothing.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use fraiseql_postgres::PoolStatus;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::ServeError;
use crate::exposition;
use crate::health::Readiness;
use crate::listen::listen;
use crate::server::ServerHandle;
use crate::serving::Serving;

/// A person and a scraper need no more.
const CONNECTIONS_MAX: usize = 32;
/// How long the head of a request may take, and a connection may idle.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const HEAD_BYTES_MAX: usize = 16 << 10;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const JSON: &str = "application/json; charset=utf-8";
const ENDPOINTS: [&str; 3] = ["/health", "/metrics", "/settings"];

/// What the admin listener shows beside the server itself.
#[derive(Clone)]
pub struct AdminOptions {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// The settings in force, masked.
    pub settings: Value,
    /// How fresh the backups are; null without a repository. Asked at each request.
    pub backups: Arc<dyn Fn() -> Value + Send + Sync>,
    /// The secrets in use and their leases, without their values. Asked at each request.
    pub secrets: Arc<dyn Fn() -> Value + Send + Sync>,
}

/// An admin listener that listens and does not answer yet.
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
    desk: Arc<Desk>,
}

/// What every request shares.
struct Desk {
    serving: Arc<Serving>,
    options: AdminOptions,
}

impl Admin {
    /// Listens. Must be called within a runtime. Fails as [`crate::Server::bind`] does.
    pub fn bind(handle: &ServerHandle, options: AdminOptions) -> Result<Self, ServeError> {
        let listener = listen(options.address)?;
        let bound = listener.local_addr();
        let address = bound.map_err(|source| ServeError::Bind { address: options.address, source })?;
        let desk = Arc::new(Desk { serving: Arc::clone(&handle.serving), options });
        Ok(Self { listener, address, desk })
    }

    /// Returns where it listens, with the port that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is cancelled; then whatever is open is cut off. So it goes on answering
    /// while the server drains.
    pub async fn run(self, stop: CancellationToken) {
        let (tasks, permits) = (TaskTracker::new(), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
        let accepting = async {
            while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
                match self.listener.accept().await {
                    Ok((stream, _)) => {
                        let serving = serve(Arc::clone(&self.desk), stream);
                        let serving = stop.clone().run_until_cancelled_owned(serving);
                        tasks.spawn(async move {
                            serving.await;
                            drop(permit);
                        });
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                }
            }
        };
        stop.run_until_cancelled(accepting).await;
        tasks.close();
        tasks.wait().await;
    }
}

async fn serve(desk: Arc<Desk>, stream: TcpStream) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = respond(&desk, &request);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // Whatever goes wrong here is between the client and its socket.
    drop(connection.await);
}

fn respond(desk: &Desk, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if !is_meant(request.headers().get(HOST), desk.options.address.ip()) {
        let hint = json!({ "error": "this listener is asked by its address or as localhost" });
        return page(StatusCode::FORBIDDEN, JSON, hint.to_string());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return page(StatusCode::METHOD_NOT_ALLOWED, JSON, json!({ "error": "only GET" }).to_string());
    }
    match request.uri().path() {
        "/" => page(StatusCode::OK, JSON, json!({ "endpoints": ENDPOINTS }).to_string()),
        "/health" => page(StatusCode::OK, JSON, health(desk).to_string()),
        "/metrics" => page(StatusCode::OK, exposition::CONTENT_TYPE, desk.serving.metrics_page()),
        "/settings" => page(StatusCode::OK, JSON, json!({ "settings": desk.options.settings }).to_string()),
        _ => {
            let body = json!({ "error": "not found", "endpoints": ENDPOINTS });
            page(StatusCode::NOT_FOUND, JSON, body.to_string())
        }
    }
}

/// Keeps pages of the web out that make a name of theirs point to this machine: a loopback listener
/// is asked by number or as localhost.
fn is_meant(host: Option<&HeaderValue>, bound: IpAddr) -> bool {
    if !bound.is_loopback() {
        return true;
    }
    let Some(Ok(host)) = host.map(HeaderValue::to_str) else { return true };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name == "localhost" || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

fn health(desk: &Desk) -> Value {
    let serving = &desk.serving;
    let readiness = match serving.health.readiness() {
        Readiness::Ready => "ready",
        Readiness::Starting => "starting",
        Readiness::Draining => "draining",
        Readiness::Unready => "unready",
        Readiness::Mismatched => "mismatched",
    };
    let PoolStatus { size, open, idle, waiting } = serving.pool.status();
    let generation = serving.generation.load();
    let artifact = generation.schema.artifact();
    let (documents, plans) = generation.entries();
    json!({
        "health": serving.health_document(),
        "readiness": readiness,
        "pid": std::process::id(),
        "connections": serving.connections.load(Ordering::Relaxed),
        "pool": {
            "target": serving.pool.target().to_string(), "logins": serving.pool.logins(),
            "size": size, "open": open, "idle": idle, "waiting": waiting,
        },
        "schema": {
            "digest": artifact.digest, "compiler": artifact.compiler, "format": artifact.format,
            "generation": serving.metrics.reloads.value() + 1, "operations": artifact.operations.len(),
        },
        "caches": { "documents": documents, "plans": plans },
        "backups": (desk.options.backups)(),
        "secrets": (desk.options.secrets)(),
    })
}

fn page(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &'static str, bound: &str, expected: bool) {
        assert_eq!(
            is_meant(Some(&HeaderValue::from_static(host)), bound.parse().unwrap()),
            expected,
            "{host}"
        );
    }

    #[test]
    fn a_name_of_somebody_else_is_refused_on_loopback() {
        check("localhost:4010", "127.0.0.1", true);
        check("127.0.0.1:4010", "127.0.0.1", true);
        check("[::1]:4010", "::1", true);
        check("evil.example:4010", "127.0.0.1", false);
        check("evil.example", "::1", false);
        check("admin.example:4010", "10.0.0.1", true);
    }
}
