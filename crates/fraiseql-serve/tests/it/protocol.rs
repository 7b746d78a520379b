//! graphql-transport-ws: every message and every close code.

use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::client::{ask, query};
use crate::fixture::{database, start, start_with};
use crate::socket::{Heard, Socket};

#[tokio::test]
async fn a_subscription_is_answered_at_once_and_completed_by_the_client() {
    let server = start(&database().await).await;
    let mut socket = Socket::ready(server.address).await;
    socket.subscribe("1", "subscription { authors(limit: 1) { id name } }").await;
    assert_eq!(socket.next("1").await, json!({ "data": { "authors": [{ "id": 1, "name": "Ada" }] } }));
    socket.say(json!({ "id": "1", "type": "complete" })).await;
    // The id is free again, and nothing of the old operation comes.
    socket.subscribe("1", "subscription { author(id: 2) { id } }").await;
    assert_eq!(socket.next("1").await, json!({ "data": { "author": { "id": 2 } } }));
}

#[tokio::test]
async fn queries_and_mutations_are_answered_once() {
    let server = start(&database().await).await;
    let mut socket = Socket::ready(server.address).await;
    socket.subscribe("q", "{ authors(limit: 1) { id } }").await;
    assert_eq!(socket.next("q").await, json!({ "data": { "authors": [{ "id": 1 }] } }));
    assert_eq!(socket.hear().await, Heard::Message(json!({ "id": "q", "type": "complete" })));
    let variables = json!({ "object": { "id": 7, "email": "g@example.org" } });
    let document = "mutation M($object: AuthorInsertInput!) { insertAuthor(object: $object) { id } }";
    let payload =
        json!({ "query": document, "operationName": "M", "variables": variables, "extensions": {} });
    socket.say(json!({ "id": "m", "type": "subscribe", "payload": payload })).await;
    assert_eq!(socket.next("m").await, json!({ "data": { "insertAuthor": { "id": 7 } } }));
    assert_eq!(socket.hear().await, Heard::Message(json!({ "id": "m", "type": "complete" })));
    // A field that fails is an answer; a request that cannot run is an error.
    socket.subscribe("e", "{ boom }").await;
    assert_eq!(socket.next("e").await["errors"][0]["message"], "out of stock");
    assert_eq!(socket.hear().await, Heard::Message(json!({ "id": "e", "type": "complete" })));
    socket.subscribe("v", "{ nothing }").await;
    let Heard::Message(message) = socket.hear().await else { panic!() };
    assert_eq!(message["type"], "error");
    assert_eq!(message["payload"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
}

#[tokio::test]
async fn pings_are_answered_with_what_they_carry() {
    let server = start(&database().await).await;
    let mut socket = Socket::open(server.address).await;
    socket.say(json!({ "type": "ping" })).await;
    assert_eq!(socket.hear().await, Heard::Message(json!({ "type": "pong" })));
    socket.say(json!({ "type": "ping", "payload": { "a": [1] } })).await;
    assert_eq!(socket.hear().await, Heard::Message(json!({ "type": "pong", "payload": { "a": [1] } })));
    socket.say(json!({ "type": "pong" })).await;
    socket.say(json!({ "type": "connection_init", "payload": { "token": "x" } })).await;
    assert_eq!(socket.hear().await, Heard::Message(json!({ "type": "connection_ack" })));
}

#[tokio::test]
async fn every_close_code() {
    let server = start_with(&database().await.url(), |options| {
        options.subscriptions.message_bytes = 1_000;
        options.subscriptions.init_timeout = Duration::from_millis(200);
    })
    .await;
    let address = server.address;
    let expect = async |mut socket: Socket, message: Message, code: u16| {
        socket.send(message).await;
        assert_eq!(socket.hear().await, Heard::Closed(code));
    };
    let text = |value: serde_json::Value| Message::text(value.to_string());
    let subscribe =
        json!({ "id": "1", "type": "subscribe", "payload": { "query": "{ author(id: 1) { id } }" } });
    expect(Socket::open(address).await, text(subscribe), 4401).await;
    expect(Socket::ready(address).await, text(json!({ "type": "connection_init" })), 4429).await;
    for bad in [
        "",
        "no",
        "[]",
        "{\"type\":\"start\"}",
        "{\"type\":\"complete\"}",
        "{\"type\":\"subscribe\",\"id\":\"1\"}",
    ] {
        expect(Socket::ready(address).await, Message::text(bad), 4400).await;
    }
    expect(Socket::ready(address).await, Message::binary(&b"{\"type\":\"ping\"}"[..]), 4400).await;
    expect(Socket::ready(address).await, Message::text(" ".repeat(1_001)), 1009).await;
    let mut twice = Socket::ready(address).await;
    twice.subscribe("1", "subscription { author(id: 1) { id } }").await;
    let again = json!({ "id": "1", "type": "subscribe", "payload": { "query": "subscription { author(id: 2) { id } }" } });
    twice.say(again).await;
    loop {
        match twice.hear().await {
            Heard::Message(message) => assert_eq!(message["type"], "next"),
            other => break assert_eq!(other, Heard::Closed(4409)),
        }
    }
    assert_eq!(Socket::open(address).await.hear().await, Heard::Closed(4408));
    let mut other = Socket::open_with(address, &[]).await.unwrap();
    assert_eq!(other.hear().await, Heard::Closed(4406));
}

#[tokio::test]
async fn limits_are_told_by_the_operation_they_stop() {
    let server = start_with(&database().await.url(), |options| {
        options.subscriptions.per_connection = 2;
        options.subscriptions.total = 1;
        options.subscriptions.result_bytes = 1_000;
    })
    .await;
    let mut socket = Socket::ready(server.address).await;
    socket.subscribe("large", "subscription { bigs(limit: 100) { payload } }").await;
    let refused = async |socket: &mut Socket, id: &str| {
        let Heard::Message(message) = socket.hear().await else { panic!() };
        assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!(id)));
        assert_eq!(message["payload"][0]["extensions"]["code"], "LIMIT_EXCEEDED", "{message}");
    };
    refused(&mut socket, "large").await;
    socket.subscribe("1", "subscription { author(id: 1) { id } }").await;
    socket.next("1").await;
    socket.subscribe("2", "subscription { author(id: 2) { id } }").await;
    refused(&mut socket, "2").await;
    socket.subscribe("3", "{ slow(seconds: 600) }").await;
    socket.subscribe("4", "{ author(id: 1) { id } }").await;
    refused(&mut socket, "4").await;
}

#[tokio::test]
async fn what_is_no_handshake_is_refused() {
    let server = start(&database().await).await;
    let address = server.address;
    let own = format!("http://{address}");
    let protocol = ("sec-websocket-protocol", "graphql-transport-ws");
    assert!(Socket::open_with(address, &[protocol, ("origin", &own)]).await.is_ok());
    let foreign = Socket::open_with(address, &[protocol, ("origin", "https://evil.example")]).await;
    let Err(Error::Http(response)) = foreign.map(|_| ()) else { panic!() };
    assert_eq!(response.status(), 403);
    let key = ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==");
    let upgrade = [("Upgrade", "websocket"), ("Connection", "Upgrade")];
    assert_eq!(ask(address, "GET", "/graphql", &upgrade, "").await.status, 400);
    let old = [upgrade[0], upgrade[1], key, ("Sec-WebSocket-Version", "8")];
    let got = ask(address, "GET", "/graphql", &old, "").await;
    assert_eq!((got.status, got.header("sec-websocket-version")), (426, Some("13")));
    let got = query(address, "subscription { authors { id } }").await;
    assert_eq!(got.code(), "OPERATION_RESOLUTION_FAILURE");
    assert!(got.text().contains("graphql-transport-ws"));
}
