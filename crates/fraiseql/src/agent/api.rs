//! Who may ask the agent: HTTP on a Unix socket that only our user may open.
//!
//! `GET /status` answers from memory, `POST /command` waits until the command is written down,
//! `POST /shutdown` stops instances and proxy, and then the agent.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fraiseql_model::errors;
use fraiseql_rollout::Command;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::failure::Failure;

const BODY_BYTES_MAX: usize = 1 << 20;
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTIONS_MAX: usize = 32;
const STOPPING: &str = "the agent is stopping";
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What somebody wants of the agent.
#[derive(Debug)]
pub(crate) enum Wish {
    /// Follow a command; what to answer goes back.
    Command(Box<Command>, oneshot::Sender<(u16, Value)>),
    /// Stop everything.
    Shutdown,
}

/// What the agent tells of itself, written by it and read by whoever asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(Arc<Mutex<Value>>);

impl Told {
    pub(crate) fn set(&self, value: Value) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }

    pub(super) fn get(&self) -> Value {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A socket that listens; its file goes with it.
pub(crate) struct ApiSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ApiSocket {
    /// Listens at `path`. Only the holder of the journal may call this: what is there is left over.
    pub(crate) fn listen(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::new(&errors::NET_CONTROL, format!("listen on {}", path.display())).because(&error)
        };
        if let Err(error) = std::fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(failed(error));
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Answers for as long as it is polled.
    pub(crate) async fn serve(&self, told: Told, wishes: mpsc::Sender<Wish>) {
        let mut connections = JoinSet::new();
        loop {
            while connections.len() >= CONNECTIONS_MAX {
                connections.join_next().await;
            }
            while connections.try_join_next().is_some() {}
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, told.clone(), wishes.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

impl Drop for ApiSocket {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

async fn converse(stream: UnixStream, told: Told, wishes: mpsc::Sender<Wish>) {
    let service = service_fn(move |request| {
        let (told, wishes) = (told.clone(), wishes.clone());
        async move { Ok::<_, Infallible>(answer(request, &told, &wishes).await) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).keep_alive(false);
    // Whatever goes wrong here is between the operator and the socket.
    drop(http.serve_connection(TokioIo::new(stream), service).await);
}

async fn answer(
    request: Request<Incoming>,
    told: &Told,
    wishes: &mpsc::Sender<Wish>,
) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/status") => say(200, &told.get()),
        (&Method::POST, "/command") => match read_command(request).await {
            Ok(command) => {
                let (status, value) = follow(command, wishes).await;
                say(status, &value)
            }
            Err(reason) => say(400, &json!({ "error": reason })),
        },
        (&Method::POST, "/shutdown") => match wishes.send(Wish::Shutdown).await {
            Ok(()) => say(202, &json!({ "stopping": true })),
            Err(_) => stopping(),
        },
        _ => say(404, &json!({ "endpoints": ["GET /status", "POST /command", "POST /shutdown"] })),
    }
}

/// Hands a command on, and returns what to answer once it is written down.
pub(super) async fn follow(command: Command, wishes: &mpsc::Sender<Wish>) -> (u16, Value) {
    let stopping = || (503, json!({ "error": STOPPING }));
    let (sender, receiver) = oneshot::channel();
    if wishes.send(Wish::Command(Box::new(command), sender)).await.is_err() {
        return stopping();
    }
    receiver.await.unwrap_or_else(|_gone| stopping())
}

/// Reads the command in a request; fails with what is wrong with it.
pub(super) async fn read_command(request: Request<Incoming>) -> Result<Command, String> {
    // By way of a value: numbers that keep their digits cannot be read into a tagged form at once.
    let value = read_document(request).await?;
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// Reads a body that is JSON and not too long.
pub(super) async fn read_document(request: Request<Incoming>) -> Result<Value, String> {
    let reading = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    match tokio::time::timeout(HEAD_TIMEOUT, reading).await {
        Ok(Ok(body)) => serde_json::from_slice(&body.to_bytes()).map_err(|error| error.to_string()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_elapsed) => Err("the body did not come".to_owned()),
    }
}

fn stopping() -> Response<Full<Bytes>> {
    say(503, &json!({ "error": STOPPING }))
}

fn say(status: u16, value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{value}\n")));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
