//! Clients of every kind that ask without a pause: what a switch of traffic must not be noticed by.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// No answer may take longer.
const LIMIT: Duration = Duration::from_secs(60);
const QUERY: &str = "{ artists(limit: 1) { name } }";

/// How a client comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One connection of HTTP/1.1, for as long as the server lets it.
    KeepAlive,
    /// A connection for each request.
    NewConnections,
    /// One connection of HTTP/2, several requests at a time.
    Http2,
    /// Mutations, on connections that are kept.
    Mutations,
    /// One WebSocket with an operation after the other.
    WebSocket,
}

/// What a client has seen.
#[derive(Debug)]
pub struct Seen {
    pub way: Way,
    pub micros: Vec<u64>,
    pub failed: Vec<String>,
}

/// Clients at work.
pub struct Clients {
    runtime: tokio::runtime::Runtime,
    tasks: JoinSet<Seen>,
    stop: Arc<AtomicBool>,
    answered: Vec<Arc<AtomicU64>>,
}

impl Clients {
    /// Starts one client of each way.
    pub fn start(port: u16, ways: &[Way]) -> Self {
        Self::asking(port, ways, QUERY)
    }

    /// The same, with another query than the music store's: for ways of HTTP/1.1 that read.
    pub fn asking(port: u16, ways: &[Way], query: &'static str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (mut tasks, stop) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        let mut answered = Vec::new();
        for (number, way) in ways.iter().enumerate() {
            let count = Arc::new(AtomicU64::new(0));
            answered.push(Arc::clone(&count));
            let client = Client {
                way: *way,
                address: SocketAddr::from(([127, 0, 0, 1], port)),
                stop: Arc::clone(&stop),
                query,
                count,
                next_id: u64::try_from(number).expect("few") * 1_000_000,
                seen: Seen { way: *way, micros: Vec::new(), failed: Vec::new() },
            };
            tasks.spawn_on(client.run(), runtime.handle());
        }
        Self { runtime, tasks, stop, answered }
    }

    /// Waits until every client had so many more answers.
    #[track_caller]
    pub fn more(&self, count: u64) {
        let goals: Vec<u64> = self.answered.iter().map(|seen| seen.load(Ordering::Relaxed) + count).collect();
        crate::process::wait_until("every client is answered", || {
            let there =
                self.answered.iter().zip(&goals).all(|(seen, goal)| seen.load(Ordering::Relaxed) >= *goal);
            there.then_some(())
        });
    }

    /// Stops them, and returns what they have seen.
    pub fn end(mut self) -> Vec<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        let mut seen = self.runtime.block_on(async { std::mem::take(&mut self.tasks).join_all().await });
        seen.sort_by_key(|seen| seen.way as u8);
        seen
    }
}

struct Client {
    way: Way,
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    query: &'static str,
    count: Arc<AtomicU64>,
    next_id: u64,
    seen: Seen,
}

impl Client {
    async fn run(mut self) -> Seen {
        while !self.stop.load(Ordering::Relaxed) {
            let conversing = match self.way {
                Way::Http2 => self.http2().await,
                Way::WebSocket => self.web_socket().await,
                Way::KeepAlive | Way::NewConnections | Way::Mutations => self.http1().await,
            };
            if let Err(reason) = conversing {
                self.seen.failed.push(reason);
                self.count.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.seen
    }

    fn document(&mut self) -> String {
        if self.way == Way::Mutations {
            self.next_id += 1;
            return format!(
                "mutation {{ insertArtist(object: {{artistId: {}}}) {{ artistId }} }}",
                self.next_id
            );
        }
        self.query.to_owned()
    }

    fn note(&mut self, began: Instant, answer: &[u8]) {
        let value: Result<Value, _> = serde_json::from_slice(answer);
        match value {
            Ok(value) if value["data"].is_object() && value.get("errors").is_none() => {
                self.seen.micros.push(u64::try_from(began.elapsed().as_micros()).expect("not that long"));
            }
            _ => self.seen.failed.push(String::from_utf8_lossy(answer).into_owned()),
        }
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// One connection, until the server says that it closes it.
    async fn http1(&mut self) -> Result<(), String> {
        let stream = TcpStream::connect(self.address).await.map_err(|error| format!("connect: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| format!("{error:?}"))?;
        let mut driving = JoinSet::new();
        driving.spawn(connection);
        // Not ready: the last answer has said that there will be none after it.
        while !self.stop.load(Ordering::Relaxed) && sender.ready().await.is_ok() {
            let began = Instant::now();
            let body = json!({ "query": self.document() }).to_string();
            let request = Request::post("/graphql")
                .header("host", "localhost")
                .header("content-type", "application/json");
            let request = request.body(Full::new(Bytes::from(body))).expect("a request");
            let asking = async {
                let response = sender.send_request(request).await.map_err(|error| format!("{error:?}"))?;
                let body = response.into_body().collect().await.map_err(|error| format!("{error:?}"))?;
                Ok::<_, String>(body.to_bytes())
            };
            let answer = tokio::time::timeout(LIMIT, asking).await.map_err(|_| "no answer".to_owned())??;
            self.note(began, &answer);
            if self.way == Way::NewConnections {
                break;
            }
        }
        Ok(())
    }

    async fn http2(&mut self) -> Result<(), String> {
        let stream = TcpStream::connect(self.address).await.map_err(|error| format!("connect: {error}"))?;
        let (mut client, connection) =
            h2::client::handshake(stream).await.map_err(|error| format!("{error:?}"))?;
        let mut driving = JoinSet::new();
        driving.spawn(connection);
        while !self.stop.load(Ordering::Relaxed) {
            // Not ready: the server has said that it closes the connection.
            let Ok(ready) = client.ready().await else { return Ok(()) };
            client = ready;
            let began = Instant::now();
            let both = async { tokio::join!(ask_h2(client.clone()), ask_h2(client.clone())) };
            let both = tokio::time::timeout(LIMIT, both).await.map_err(|_| "no answer".to_owned())?;
            for asked in [both.0, both.1] {
                match asked {
                    Ok(answer) => self.note(began, &answer),
                    // Never begun: the server says so, and a client asks again on another connection.
                    Err(error) if error.is_go_away() && error.is_remote() => return Ok(()),
                    Err(error) => return Err(format!("{error:?}")),
                }
            }
        }
        Ok(())
    }

    async fn web_socket(&mut self) -> Result<(), String> {
        let failed = |error: tokio_tungstenite::tungstenite::Error| format!("{error:?}");
        let mut request = format!("ws://{}/graphql", self.address).into_client_request().map_err(failed)?;
        request
            .headers_mut()
            .insert("sec-websocket-protocol", "graphql-transport-ws".parse().expect("a value"));
        let stream = TcpStream::connect(self.address).await.map_err(|error| format!("connect: {error}"))?;
        let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.map_err(failed)?;
        socket.send(Message::text(json!({ "type": "connection_init" }).to_string())).await.map_err(failed)?;
        let mut id = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            id += 1;
            let subscribe =
                json!({ "id": id.to_string(), "type": "subscribe", "payload": { "query": QUERY } });
            socket.send(Message::text(subscribe.to_string())).await.map_err(failed)?;
            loop {
                let heard =
                    tokio::time::timeout(LIMIT, socket.next()).await.map_err(|_| "no answer".to_owned())?;
                let text = match heard.ok_or("the socket has ended")?.map_err(failed)? {
                    Message::Text(text) => text,
                    // The server goes: clients connect again, and ask what was not answered again.
                    Message::Close(Some(frame)) if frame.code == CloseCode::Away => return Ok(()),
                    Message::Close(frame) => return Err(format!("closed: {frame:?}")),
                    _ => continue,
                };
                let message: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
                match message["type"].as_str() {
                    Some("next") => self.note(began, message["payload"].to_string().as_bytes()),
                    Some("complete") => break,
                    Some("connection_ack" | "ping" | "pong") => {}
                    _ => return Err(text.to_string()),
                }
            }
        }
        Ok(())
    }
}

async fn ask_h2(client: h2::client::SendRequest<Bytes>) -> Result<Bytes, h2::Error> {
    let mut client = client.ready().await?;
    let request = Request::post("http://localhost/graphql").header("content-type", "application/json");
    let (response, mut sending) = client.send_request(request.body(()).expect("a request"), false)?;
    sending.send_data(Bytes::from(json!({ "query": QUERY }).to_string()), true)?;
    let mut body = response.await?.into_body();
    let mut whole = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        whole.extend_from_slice(&piece);
    }
    Ok(whole.into())
}
