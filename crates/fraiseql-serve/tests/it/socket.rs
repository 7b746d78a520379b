//! A client of graphql-transport-ws that shows every message and every close code.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::fixture::SOON;

/// A WebSocket to a server.
pub(crate) struct Socket {
    stream: WebSocketStream<TcpStream>,
}

/// What the server says.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    Message(Value),
    Closed(u16),
    /// Without a close code.
    Lost,
}

impl Socket {
    /// Opens a WebSocket and says nothing yet.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::open_with(address, &[("sec-websocket-protocol", "graphql-transport-ws")]).await.unwrap()
    }

    /// The same, with these headers.
    pub(crate) async fn open_with(
        address: SocketAddr,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Error> {
        let mut request = format!("ws://{address}/graphql").into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(address).await?;
        let (stream, _response) = client_async(request, stream).await?;
        Ok(Self { stream })
    }

    /// Opens a WebSocket and says `connection_init`.
    pub(crate) async fn ready(address: SocketAddr) -> Self {
        let mut socket = Self::open(address).await;
        socket.say(json!({ "type": "connection_init" })).await;
        assert_eq!(socket.hear().await, Heard::Message(json!({ "type": "connection_ack" })));
        socket
    }

    /// Sends a message.
    pub(crate) async fn say(&mut self, message: Value) {
        self.stream.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Sends anything; the server may be gone.
    pub(crate) async fn send(&mut self, message: Message) {
        drop(self.stream.send(message).await);
    }

    /// Begins an operation.
    pub(crate) async fn subscribe(&mut self, id: &str, document: &str) {
        self.say(json!({ "id": id, "type": "subscribe", "payload": { "query": document } })).await;
    }

    /// Returns what the server says next, pings apart.
    pub(crate) async fn hear(&mut self) -> Heard {
        let hearing = async {
            loop {
                return match self.stream.next().await {
                    Some(Ok(Message::Text(text))) => Heard::Message(serde_json::from_str(&text).unwrap()),
                    Some(Ok(Message::Close(Some(frame)))) => Heard::Closed(frame.code.into()),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(other)) => panic!("{other:?}"),
                    Some(Err(_)) | None => Heard::Lost,
                };
            }
        };
        tokio::time::timeout(SOON, hearing).await.expect("the server says something")
    }

    /// Returns the payload of the `next` that must come now.
    #[track_caller]
    pub(crate) fn next(&mut self, id: &str) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            match self.hear().await {
                Heard::Message(message) if message["type"] == "next" && message["id"] == id => {
                    message["payload"].clone()
                }
                other => panic!("{caller}: {other:?}"),
            }
        }
    }
}
