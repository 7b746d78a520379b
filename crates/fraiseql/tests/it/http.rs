//! A small HTTP/1.1 client: one request on one connection, the whole answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

/// No answer may take longer, so that a fault fails a test instead of hanging it.
const LIMIT: Duration = Duration::from_secs(60);

/// Sends a GET; `None` when no answer came.
pub fn get(port: u16, path: &str) -> Option<(u16, String)> {
    ask(port, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
}

/// Posts a GraphQL document; `None` when no answer came.
pub fn post(port: u16, document: &str) -> Option<Value> {
    post_with(port, "", document)
}

/// The same, with more lines of the head.
pub fn post_with(port: u16, headers: &str, document: &str) -> Option<Value> {
    let body = json!({ "query": document }).to_string();
    let head = "POST /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Type: application/json\r\n";
    let (_, body) = ask(port, &format!("{head}{headers}Content-Length: {}\r\n\r\n{body}", body.len()))?;
    Some(serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
}

/// The same; returns the head of the answer too.
pub fn post_for_head(port: u16, headers: &str, document: &str) -> Option<(String, Value)> {
    post_body(port, headers, &json!({ "query": document }))
}

/// Posts a body; returns the head of the answer too.
pub fn post_body(port: u16, headers: &str, body: &Value) -> Option<(String, Value)> {
    let body = body.to_string();
    let head = "POST /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Type: application/json\r\n";
    let answer = whole(port, &format!("{head}{headers}Content-Length: {}\r\n\r\n{body}", body.len()))?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let body = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
    Some((head.to_ascii_lowercase(), body))
}

/// Posts a GraphQL document that must succeed, and returns its data.
#[track_caller]
pub fn data(port: u16, document: &str) -> Value {
    let answer = post(port, document).expect("an answer");
    assert_eq!(answer.get("errors"), None, "{document}");
    answer["data"].clone()
}

fn ask(port: u16, request: &str) -> Option<(u16, String)> {
    let answer = whole(port, request)?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().expect("a status");
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return Some((status, unchunked(body)?));
    }
    Some((status, body.to_owned()))
}

fn whole(port: u16, request: &str) -> Option<String> {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return None };
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    let mut answer = Vec::new();
    // A server that was killed closes in the middle: that is no answer.
    if stream.write_all(request.as_bytes()).is_err() || stream.read_to_end(&mut answer).is_err() {
        return None;
    }
    Some(String::from_utf8(answer).expect("UTF-8"))
}

/// Joins chunks (RFC 9112, section 7.1); `None` when the last one is missing.
fn unchunked(mut body: &str) -> Option<String> {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).expect("a chunk's size");
        if size == 0 {
            return Some(whole);
        }
        whole.push_str(rest.get(..size)?);
        body = rest.get(size..)?.strip_prefix("\r\n")?;
    }
}
