//! The console: a page on the loopback that shows what `fraiseql status` tells, and has its buttons.
//!
//! The page itself is public; what it shows and does needs the token of the state directory, in a header that
//! no other site can make a browser send. Only names of the loopback are answered, so that no other name can be
//! made to mean it.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fraiseql_incident::Incidents;
use fraiseql_model::errors;
use fraiseql_rollout::Command;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::alerts::{AlertError, Heard, hear};
use super::api::{Told, Wish, follow, read_command, read_document};
use crate::failure::Failure;
use crate::files;

/// The name of the token's file in the state directory.
pub(crate) const TOKEN: &str = "console.token";
const TOKEN_BYTES: usize = 24;
const EVENT_EVERY: Duration = Duration::from_secs(1);
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTIONS_MAX: usize = 32;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Path, type and content.
const FILES: &[(&str, &str, &str)] = &[
    ("/", "text/html; charset=utf-8", include_str!("../../assets/console/index.html")),
    ("/console.css", "text/css; charset=utf-8", include_str!("../../assets/console/console.css")),
    ("/console.js", "text/javascript; charset=utf-8", include_str!("../../assets/console/console.js")),
];
/// Nothing from elsewhere, nothing inline, and nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

type Body = BoxBody<Bytes, Infallible>;

/// A console that listens.
pub(crate) struct Console {
    listener: TcpListener,
    token: String,
    /// One document of alerts at a time, so that two of them declare one incident.
    incidents: Arc<Mutex<Incidents>>,
}

impl Console {
    /// Listens on the loopback, and makes a token unless there is one.
    pub(crate) async fn listen(state: &Path, port: u16) -> Result<Self, Failure> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = TcpListener::bind(address).await.map_err(|error: io::Error| {
            Failure::new(&errors::NET_CONTROL, format!("listen on {address} for the console"))
                .because(&error)
                .hint("set console.port to one that is free, or to 0 for no console")
        })?;
        let incidents = Arc::new(Mutex::new(Incidents::in_state(state)));
        Ok(Self { listener, token: token(state)?, incidents })
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
                    let door = Door { token: self.token.clone(), incidents: Arc::clone(&self.incidents) };
                    connections.spawn(converse(stream, door, told.clone(), wishes.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

/// What each connection has of the console.
#[derive(Clone)]
struct Door {
    token: String,
    incidents: Arc<Mutex<Incidents>>,
}

/// Returns the token of a state directory; makes one that only our user may read unless there is one.
fn token(state: &Path) -> Result<String, Failure> {
    let path = state.join(TOKEN);
    if path.exists() {
        return Ok(files::read_text(&path)?.trim().to_owned());
    }
    let mut random = [0_u8; TOKEN_BYTES];
    aws_lc_rs::rand::fill(&mut random).map_err(|error| Failure::internal("make a token", &error))?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    files::write_private(&path, format!("{token}\n").as_bytes())?;
    Ok(token)
}

async fn converse(stream: TcpStream, door: Door, told: Told, wishes: mpsc::Sender<Wish>) {
    let service = service_fn(move |request| {
        let (door, told, wishes) = (door.clone(), told.clone(), wishes.clone());
        async move { Ok::<_, Infallible>(answer(request, &door, told, &wishes).await) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    // Whatever goes wrong here is between the operator and the page.
    drop(http.serve_connection(TokioIo::new(stream), service).await);
}

async fn answer(
    request: Request<Incoming>,
    door: &Door,
    told: Told,
    wishes: &mpsc::Sender<Wish>,
) -> Response<Body> {
    if !is_ours(&request) {
        return refuse(403, "ask for it by the name 127.0.0.1 or localhost");
    }
    let path = request.uri().path().to_owned();
    if let Some((_, kind, content)) = FILES.iter().find(|(name, ..)| *name == path) {
        return match *request.method() {
            Method::GET => whole(200, kind, content.to_string()),
            _ => refuse(405, "this can be got"),
        };
    }
    if !knows(&request, &door.token) {
        return refuse(401, "`fraiseql console` prints the address with the token");
    }
    match (request.method(), path.as_str()) {
        (&Method::GET, "/events") => events(told),
        (&Method::POST, "/command") => match read_command(request).await {
            // What a release is made of is not for a page to say.
            Ok(Command::Deploy { .. }) => refuse(403, "deploy with `fraiseql deploy`"),
            Ok(command) => {
                let (status, value) = follow(command, wishes).await;
                whole(status, "application/json", format!("{value}\n"))
            }
            Err(reason) => refuse(400, &reason),
        },
        (&Method::POST, "/alerts") => alerts(request, &door.incidents).await,
        _ => refuse(404, "there is GET /, GET /events, POST /command and POST /alerts"),
    }
}

/// Takes what Alertmanager sends to its webhook receivers.
async fn alerts(request: Request<Incoming>, incidents: &Mutex<Incidents>) -> Response<Body> {
    let document = match read_document(request).await {
        Ok(document) => document,
        Err(reason) => return refuse(400, &reason),
    };
    let heard = hear(&*incidents.lock().await, &document);
    match heard {
        Ok(Heard { declared, noted }) => {
            let told = json!({ "declared": declared, "noted": noted });
            whole(200, "application/json", format!("{told}\n"))
        }
        Err(AlertError::Document(reason)) => refuse(400, reason),
        // Alertmanager tries again.
        Err(AlertError::Incident(error)) => refuse(500, &error.to_string()),
    }
}

/// Tells whether a request names the loopback: a name that somebody else made point here does not count.
fn is_ours(request: &Request<Incoming>) -> bool {
    let host = request.headers().get(HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    let name = host.rsplitn(2, |byte| *byte == b':').last().unwrap_or_default();
    [&b"127.0.0.1"[..], b"localhost"].contains(&name)
}

fn knows(request: &Request<Incoming>, token: &str) -> bool {
    let given = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let given = given.strip_prefix(b"Bearer ").unwrap_or_default();
    aws_lc_rs::constant_time::verify_slices_are_equal(given, token.as_bytes()).is_ok()
}

/// What is known now, each second, as server-sent events.
fn events(told: Told) -> Response<Body> {
    let mut pulse = tokio::time::interval(EVENT_EVERY);
    pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let events = stream::unfold((told, pulse), |(told, mut pulse)| async {
        pulse.tick().await;
        let event = format!("data: {}\n\n", shown(told.get()));
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(event))), (told, pulse)))
    });
    respond(200, "text/event-stream", StreamBody::new(events).boxed())
}

/// Without what no page shows: the last line of an instance's log may hold what clients sent.
fn shown(mut told: Value) -> Value {
    if let Some(rollout) = told.pointer_mut("/service/rollout").and_then(Value::as_object_mut) {
        rollout.remove("mark");
    }
    for instance in told["instances"].as_array_mut().into_iter().flatten() {
        if let Some(members) = instance.as_object_mut() {
            members.remove("said");
        }
    }
    told
}

fn refuse(status: u16, reason: &str) -> Response<Body> {
    whole(status, "application/json", format!("{}\n", json!({ "error": reason })))
}

fn whole(status: u16, kind: &'static str, content: String) -> Response<Body> {
    respond(status, kind, Full::new(Bytes::from(content)).boxed())
}

fn respond(status: u16, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
