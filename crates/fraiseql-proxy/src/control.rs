//! The control socket: HTTP on a Unix socket that only our user may open.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use fraiseql_model::traffic::{BackendState, Generation, GenerationOrigin, ProxyState, Stamp};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::error::{ProxyError, file};
use crate::server::Shared;

/// A generation of ten thousand instances fits.
const BODY_BYTES_MAX: usize = 4 << 20;
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTIONS_MAX: usize = 32;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

const ENDPOINTS: [&str; 6] =
    ["PUT /generation", "POST /lease", "POST /rollback", "GET /state", "GET /counts", "POST /replace"];

/// What `POST /replace` carries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replacement {
    /// The program to start; by default the one that is where ours came from.
    program: Option<PathBuf>,
}

/// A socket that listens; its file goes with it, unless another proxy has taken the path over.
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl ControlSocket {
    /// Listens at `path`, in the place of whoever did before.
    pub(crate) fn listen(path: &Path) -> Result<Self, ProxyError> {
        let failed = |error: io::Error| file("listen on", path)(error);
        let new = path.with_extension(format!("{}", std::process::id()));
        if let Err(error) = std::fs::remove_file(&new)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(failed(error));
        }
        let listener = UnixListener::bind(&new).map_err(failed)?;
        std::fs::set_permissions(&new, PermissionsExt::from_mode(0o600)).map_err(failed)?;
        let inode = std::fs::metadata(&new).map_err(failed)?.ino();
        std::fs::rename(&new, path).map_err(failed)?;
        Ok(Self { listener, path: path.to_owned(), inode })
    }

    /// Answers for as long as it is polled.
    pub(crate) async fn serve(&self, shared: Arc<Shared>) {
        let mut connections = JoinSet::new();
        loop {
            while connections.len() >= CONNECTIONS_MAX {
                connections.join_next().await;
            }
            while connections.try_join_next().is_some() {}
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, Arc::clone(&shared)));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if std::fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

async fn converse(stream: UnixStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(request, &shared).await) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    // Whatever goes wrong here is between the control plane and the socket.
    drop(http.serve_connection(TokioIo::new(stream), service).await);
}

async fn answer(request: Request<Incoming>, shared: &Arc<Shared>) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/state") => say(StatusCode::OK, &json!(state(shared))),
        (&Method::GET, "/counts") => say(StatusCode::OK, &json!(shared.traffic.counts.snapshot())),
        (&Method::PUT, "/generation") => match read::<Generation>(request).await {
            Ok(generation) => told(shared.traffic.apply(generation).map(|()| json!({ "applied": true }))),
            Err(refused) => refused,
        },
        (&Method::POST, "/lease") => match read::<Stamp>(request).await {
            Ok(stamp) => told(shared.traffic.renew(stamp).map(|()| json!({ "renewed": true }))),
            Err(refused) => refused,
        },
        (&Method::POST, "/rollback") => {
            told(shared.traffic.roll_back().map(|generation| json!({ "generation": generation })))
        }
        (&Method::POST, "/replace") => match read::<Replacement>(request).await {
            Ok(Replacement { program }) => match shared.replace.try_send(program) {
                // Answered before it begins: whoever asks sees the new process in `GET /state`.
                Ok(()) => say(StatusCode::ACCEPTED, &json!({ "replacing": std::process::id() })),
                Err(_) => say(StatusCode::CONFLICT, &json!({ "error": "it is being replaced already" })),
            },
            Err(refused) => refused,
        },
        _ => say(StatusCode::NOT_FOUND, &json!({ "endpoints": ENDPOINTS })),
    }
}

fn state(shared: &Shared) -> ProxyState {
    let table = shared.traffic.table();
    let backends = table.iter().flat_map(|table| &table.arms).flat_map(|arm| {
        arm.all().map(|slot| BackendState {
            name: slot.name.clone(),
            release: arm.release.clone(),
            health: slot.health(),
            in_flight: slot.in_flight.load(Ordering::Acquire),
            streams: slot.streams.load(Ordering::Acquire),
        })
    });
    ProxyState {
        pid: std::process::id(),
        version: shared.options.version.to_owned(),
        address: shared.address,
        generation: table.as_ref().map(|table| table.generation.clone()),
        origin: table.as_ref().map_or(GenerationOrigin::Control, |table| table.origin),
        lease_left_ms: shared
            .traffic
            .lease_left()
            .map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
        backends: backends.collect(),
    }
}

fn told(outcome: Result<Value, ProxyError>) -> Response<Full<Bytes>> {
    match outcome {
        Ok(value) => say(StatusCode::OK, &value),
        Err(error) => {
            let status = match &error {
                ProxyError::Stale { .. } | ProxyError::NothingBefore => StatusCode::CONFLICT,
                ProxyError::Contradiction { .. } => StatusCode::BAD_REQUEST,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            let highest =
                if let ProxyError::Stale { highest, .. } = &error { json!(highest) } else { Value::Null };
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let told = json!({ "code": error.code().code, "error": error.to_string(), "cause": cause, "highest": highest });
            say(status, &told)
        }
    }
}

async fn read<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Response<Full<Bytes>>> {
    let wrong = |reason: String| say(StatusCode::BAD_REQUEST, &json!({ "error": reason }));
    let reading = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    match tokio::time::timeout(HEAD_TIMEOUT, reading).await {
        Ok(Ok(body)) => serde_json::from_slice(&body.to_bytes()).map_err(|error| wrong(error.to_string())),
        Ok(Err(error)) => Err(wrong(error.to_string())),
        Err(_elapsed) => Err(wrong("the body did not come".to_owned())),
    }
}

fn say(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{value}\n")));
    *response.status_mut() = status;
    response
}
