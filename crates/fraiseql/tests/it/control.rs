//! Asks over a control socket, as the commands do.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

/// Sends a request with a JSON body; returns the status and the answer, `None` when nobody answers.
pub fn ask(socket: &Path, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
    // An answer may come before a body was read, and would be lost with it.
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = UnixStream::connect(socket).ok()?;
    let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().expect("a status");
    Some((status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))))
}
