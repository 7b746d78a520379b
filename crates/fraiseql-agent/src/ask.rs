//! Asks over a control socket: JSON over HTTP over a Unix socket.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use thiserror::Error;
use tokio::net::UnixStream;

const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Why there was no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AskError {
    /// Nobody listens there.
    #[error("nobody answers: {0}")]
    Away(std::io::Error),
    /// It did not answer in time.
    #[error("there was no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// What came is no answer.
    #[error("{0}")]
    Broken(String),
}

/// Sends a request and returns the status and the answer.
///
/// Fails when nobody listens, when there is no answer in time, and when it is not JSON.
pub async fn ask(
    socket: &Path,
    (method, path): (Method, &str),
    body: Option<&Value>,
    limit: Duration,
) -> Result<(u16, Value), AskError> {
    match tokio::time::timeout(limit, exchange(socket, method, path, body)).await {
        Ok(answered) => answered,
        Err(_elapsed) => Err(AskError::Late(limit)),
    }
}

async fn exchange(
    socket: &Path,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<(u16, Value), AskError> {
    let broken = |error: &dyn std::error::Error| AskError::Broken(error.to_string());
    let stream = UnixStream::connect(socket).await.map_err(AskError::Away)?;
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut client, connection) = shaken.map_err(|error| broken(&error))?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let request = request.body(Full::new(Bytes::from(body))).map_err(|error| broken(&error))?;
    let answering = async {
        let response = client.send_request(request).await.map_err(|error| broken(&error))?;
        let status = response.status().as_u16();
        let reading = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect();
        let bytes = reading.await.map_err(|error| broken(&*error))?.to_bytes();
        Ok((status, serde_json::from_slice(&bytes).map_err(|error| broken(&error))?))
    };
    tokio::pin!(answering, connection);
    tokio::select! {
        answer = &mut answering => answer,
        // It ends by itself only when the other side has hung up; what came before may be an answer.
        _ended = &mut connection => answering.await,
    }
}
