//! graphql-sse, distinct connections mode.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{connect, request};
use crate::fixture::{SOON, database, start};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const EVENTS: (&str, &str) = ("Accept", "text/event-stream");

/// A stream of events.
struct Stream {
    stream: TcpStream,
    text: String,
}

impl Stream {
    async fn open(address: SocketAddr, document: &str) -> Self {
        let body = json!({ "query": document }).to_string();
        Self::send(address, &request("POST", "/graphql", &[JSON, EVENTS], &body)).await
    }

    async fn send(address: SocketAddr, request: &str) -> Self {
        let mut stream = connect(address).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut opened = Self { stream, text: String::new() };
        let head = opened.until("\r\n\r\n").await.expect("a head").to_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        opened
    }

    /// Returns what came up to `end`; `None` when the stream ended first.
    async fn until(&mut self, end: &str) -> Option<String> {
        let reading = async {
            let mut buffer = [0; 4_096];
            loop {
                if let Some((found, rest)) = self.text.split_once(end) {
                    let (found, rest) = (found.to_owned(), rest.to_owned());
                    self.text = rest;
                    return Some(found);
                }
                match self.stream.read(&mut buffer).await {
                    Ok(count @ 1..) => self.text.push_str(std::str::from_utf8(&buffer[..count]).unwrap()),
                    Ok(0) | Err(_) => return None,
                }
            }
        };
        tokio::time::timeout(SOON, reading).await.expect("something comes")
    }

    /// Returns the next event's name and data.
    async fn event(&mut self) -> (String, Value) {
        self.until("event: ").await.expect("an event");
        let event = self.until("\n\n").await.expect("a whole event");
        let (name, data) = event.split_once("\ndata: ").unwrap();
        (name.to_owned(), serde_json::from_str(data).unwrap_or(Value::Null))
    }
}

#[tokio::test]
async fn a_subscription_streams_its_answers() {
    let database = database().await;
    let mut server = start(&database).await;
    let mut stream = Stream::open(server.address, "subscription { notes { id } }").await;
    assert_eq!(stream.event().await, ("next".to_owned(), json!({ "data": { "notes": [] } })));
    database.execute("INSERT INTO note VALUES (1, 'a')").await;
    assert_eq!(stream.event().await, ("next".to_owned(), json!({ "data": { "notes": [{ "id": 1 }] } })));
    server.stop();
    assert_eq!(stream.event().await, ("complete".to_owned(), Value::Null));
    assert_eq!(stream.until("0\r\n\r\n").await.as_deref(), Some("\r\n"), "the body has its end");
    assert_eq!(server.ended().await.cut, 0);
}

#[tokio::test]
async fn queries_mutations_and_errors_are_one_event_and_the_end() {
    let server = start(&database().await).await;
    let check = async |document: &str, code: Option<&str>| {
        let mut stream = Stream::open(server.address, document).await;
        let (name, data) = stream.event().await;
        assert_eq!(name, "next");
        assert_eq!(data["errors"][0]["extensions"]["code"].as_str(), code, "{document}: {data}");
        assert_eq!(stream.event().await.0, "complete");
    };
    check("{ author(id: 1) { id } }", None).await;
    check("mutation { writeNote(id: 1, seconds: 0) }", None).await;
    check("{ nothing }", Some("GRAPHQL_VALIDATION_FAILED")).await;
    // What fails in the database is an answer, and may be another one later.
    let mut stream = Stream::open(server.address, "subscription { ticks }").await;
    assert_eq!(stream.event().await.1["errors"][0]["extensions"]["code"], "RAISED");
    let path = "/graphql?query=mutation%7BbreakNote(id%3A2)%7D";
    let mut stream = Stream::send(server.address, &request("GET", path, &[EVENTS], "")).await;
    assert_eq!(stream.event().await.1["errors"][0]["extensions"]["code"], "BAD_REQUEST");
    let path = "/graphql?query=subscription%7Bauthor(id%3A1)%7Bid%7D%7D";
    let mut stream = Stream::send(server.address, &request("GET", path, &[EVENTS], "")).await;
    assert_eq!(stream.event().await.1, json!({ "data": { "author": { "id": 1 } } }));
}

#[tokio::test]
async fn who_reads_json_too_gets_events_for_subscriptions_only() {
    let server = start(&database().await).await;
    let both = ("Accept", "application/json, text/event-stream");
    let body = json!({ "query": "{ author(id: 1) { id } }" }).to_string();
    let text = request("POST", "/graphql", &[JSON, both], &body);
    let got = crate::client::send(server.address, text.as_bytes()).await;
    assert_eq!(got.text(), r#"{"data":{"author":{"id":1}}}"#);
    let body = json!({ "query": "subscription { author(id: 1) { id } }" }).to_string();
    let mut stream = Stream::send(server.address, &request("POST", "/graphql", &[JSON, both], &body)).await;
    assert_eq!(stream.event().await.1, json!({ "data": { "author": { "id": 1 } } }));
}
