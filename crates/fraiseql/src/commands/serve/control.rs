//! The control socket: HTTP on a Unix socket that only our user may open.
//!
//! `GET /mode` tells the mode, `PUT /mode` with its name switches and answers when the switch is
//! done, `POST /reload` reads settings and schema again. A second server of the same project takes
//! the path over, so that an operator always reaches the newest.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use fraiseql_model::errors;
use fraiseql_serve::{Mode, ServerHandle};
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

/// The name of a mode is the longest that is sent here.
const BODY_BYTES_MAX: usize = 64;
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Operators that may talk at a time.
const CONNECTIONS_MAX: usize = 16;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A wish for a reload, and whom to tell how it went.
pub(crate) type ReloadWish = oneshot::Sender<Result<String, String>>;

/// A socket that listens; its file goes with it.
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl Control {
    /// Listens at `path`, in the place of whoever did before.
    pub(crate) fn listen(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::new(&errors::NET_CONTROL, format!("listen on {}", path.display())).because(&error).hint(
                "set server.control_socket to a path in a folder that the server may write to, or to none",
            )
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
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

    /// Answers operators; to be dropped when the server ends.
    pub(crate) async fn serve(&self, handle: ServerHandle, reloads: mpsc::Sender<ReloadWish>) {
        let mut connections = JoinSet::new();
        loop {
            while connections.len() >= CONNECTIONS_MAX {
                connections.join_next().await;
            }
            while connections.try_join_next().is_some() {}
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, handle.clone(), reloads.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // Not when a newer server has taken the path over.
        if std::fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

async fn converse(stream: UnixStream, handle: ServerHandle, reloads: mpsc::Sender<ReloadWish>) {
    let service = service_fn(move |request| {
        let (handle, reloads) = (handle.clone(), reloads.clone());
        async move { Ok::<_, Infallible>(answer(request, &handle, &reloads).await) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).keep_alive(false);
    // Whatever goes wrong here is between the operator and the socket.
    drop(http.serve_connection(TokioIo::new(stream), service).await);
}

async fn answer(
    request: Request<Incoming>,
    handle: &ServerHandle,
    reloads: &mpsc::Sender<ReloadWish>,
) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/mode") => say(StatusCode::OK, &json!({ "mode": handle.mode().as_str() })),
        (&Method::PUT, "/mode") => switch(request, handle).await,
        (&Method::POST, "/reload") => {
            let (sender, receiver) = oneshot::channel();
            if reloads.send(sender).await.is_err() {
                return say(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": "the server is stopping" }));
            }
            match receiver.await {
                Ok(Ok(told)) => say(StatusCode::OK, &json!({ "reloaded": told })),
                Ok(Err(why)) => say(StatusCode::CONFLICT, &json!({ "error": why })),
                Err(_) => say(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": "the server is stopping" })),
            }
        }
        _ => say(StatusCode::NOT_FOUND, &json!({ "endpoints": ["GET /mode", "PUT /mode", "POST /reload"] })),
    }
}

async fn switch(request: Request<Incoming>, handle: &ServerHandle) -> Response<Full<Bytes>> {
    let reading = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    let Ok(Ok(body)) = tokio::time::timeout(HEAD_TIMEOUT, reading).await else {
        return say(StatusCode::BAD_REQUEST, &json!({ "error": "send the name of a mode" }));
    };
    let word = String::from_utf8_lossy(&body.to_bytes()).trim().trim_matches('"').to_owned();
    let Some(mode) = Mode::parse(&word) else {
        let modes = Mode::ALL.map(Mode::as_str);
        return say(StatusCode::BAD_REQUEST, &json!({ "error": "no such mode", "modes": modes }));
    };
    match handle.switch(mode).await {
        Ok(()) => say(StatusCode::OK, &json!({ "mode": mode.as_str() })),
        Err(still) => {
            let answer = json!({ "mode": mode.as_str(), "error": "requests that began before still write",
                "writing": still.writing });
            say(StatusCode::CONFLICT, &answer)
        }
    }
}

fn say(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{value}\n")));
    *response.status_mut() = status;
    response
}
