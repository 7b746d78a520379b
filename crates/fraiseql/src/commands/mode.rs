//! `fraiseql mode`: tells what a running `serve` of the project does for now, or switches it.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use fraiseql_model::errors;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::args;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::Project;

use super::serve::control_socket;

/// A switch waits for requests that write, which have a limit of their own; this is for a server
/// that hangs.
const PATIENCE: Duration = Duration::from_secs(3_700);
/// Answers are short.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Asks, and prints the mode in force.
pub(crate) async fn run(arguments: &args::ModeArguments, printer: &Printer) -> Result<(), Failure> {
    let project = Project::open(&arguments.project, &[])?;
    let Some(path) = control_socket(&project.settings, &project.dir) else {
        let message = "reach the server: server.control_socket is none";
        return Err(Failure::new(&errors::NET_CONTROL, message).hint("set server.control_socket to a path"));
    };
    let (method, body) = match arguments.mode {
        args::ModeWord::Show => (Method::GET, ""),
        args::ModeWord::Normal => (Method::PUT, "normal"),
        args::ModeWord::ReadOnly => (Method::PUT, "read-only"),
        args::ModeWord::Maintenance => (Method::PUT, "maintenance"),
    };
    let (status, answer) = ask(&path, method, body).await?;
    let mode = answer["mode"].as_str().unwrap_or("unknown");
    if status != StatusCode::OK {
        let why = answer["error"].as_str().unwrap_or("it did not say why");
        let message = format!("switch: the mode is {mode}, but {why}");
        return Err(Failure::new(&errors::RUN_SWITCHING, message)
            .hint("give the same command again: it waits again for requests that still write"));
    }
    if printer.is_json() {
        printer.data_json(&serde_json::json!({ "mode": mode }));
    } else {
        printer.data(&format!("{mode}\n"));
    }
    Ok(())
}

async fn ask(path: &Path, method: Method, body: &'static str) -> Result<(StatusCode, Value), Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::new(&errors::NET_CONTROL, format!("reach the server at {}", path.display()))
            .because(error)
            .hint("`fraiseql serve` must run for this project, as the same user")
    };
    let stream = UnixStream::connect(path).await.map_err(|error| failed(&error))?;
    let exchange = async {
        let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(&error))?;
        let request = Request::builder().method(method).uri("/mode").header("host", "localhost");
        let request = request.body(Full::new(Bytes::from_static(body.as_bytes())));
        let request = request.map_err(|error| failed(&error))?;
        let answering = async {
            let response = client.send_request(request).await.map_err(|error| failed(&error))?;
            let status = response.status();
            let reading = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect();
            let bytes = reading.await.map_err(|error| failed(&*error))?.to_bytes();
            Ok((status, serde_json::from_slice(&bytes).map_err(|error| failed(&error))?))
        };
        tokio::pin!(answering, connection);
        tokio::select! {
            answer = &mut answering => answer,
            // It ends by itself only when the server has hung up; what came before may be an answer.
            _ended = &mut connection => answering.await,
        }
    };
    let Ok(answer) = tokio::time::timeout(PATIENCE, exchange).await else {
        return Err(failed(&std::io::Error::from(std::io::ErrorKind::TimedOut)));
    };
    answer
}
