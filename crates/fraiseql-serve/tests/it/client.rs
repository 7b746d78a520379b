//! A small HTTP/1.1 client that shows what is on the wire: half answers, cut connections, raw requests.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No answer may take longer, so that a fault fails a test instead of hanging it.
const LIMIT: Duration = Duration::from_secs(60);

/// A response as far as it came.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
    /// False when the connection ended before the body did.
    pub(crate) complete: bool,
}

impl Got {
    /// Returns a header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Returns every value of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let headers = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        headers.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// Returns the body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// Returns the body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns the code of the first error.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        self.json()["errors"][0]["extensions"]["code"].as_str().expect("an error").to_owned()
    }
}

/// Opens a connection.
pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// Sends bytes on a connection of their own and reads one response.
pub(crate) async fn send(address: SocketAddr, request: &[u8]) -> Got {
    let mut stream = connect(address).await;
    stream.write_all(request).await.unwrap();
    receive(&mut stream).await.expect("a response")
}

/// Sends a GET.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Got {
    ask(address, "GET", path, &[], "").await
}

/// Posts a GraphQL document without variables.
pub(crate) async fn query(address: SocketAddr, document: &str) -> Got {
    post(address, &serde_json::json!({ "query": document })).await
}

/// Posts a GraphQL request.
pub(crate) async fn post(address: SocketAddr, body: &Value) -> Got {
    ask(address, "POST", "/graphql", &[("Content-Type", "application/json")], &body.to_string()).await
}

/// Sends any request.
pub(crate) async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Got {
    send(address, request(method, path, headers, body).as_bytes()).await
}

/// Returns the text of a request.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// Reads one response; `None` when the connection ends before its head does.
pub(crate) async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> Option<Got> {
    tokio::time::timeout(LIMIT, read(stream)).await.expect("a response in time")
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Got> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = find(&bytes, b"\r\n\r\n") {
            break end;
        }
        if !more(stream, &mut bytes).await {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut got = Got { status, head, body: Vec::new(), complete: true };
    let mut rest = bytes.split_off(head_end + 4);
    if let Some(length) = got.header("content-length") {
        let length: usize = length.parse().unwrap();
        while got.complete && rest.len() < length {
            got.complete = more(stream, &mut rest).await;
        }
        rest.truncate(length);
        got.body = rest;
    } else if got.header("transfer-encoding") == Some("chunked") {
        got.complete = read_chunks(stream, rest, &mut got.body).await;
    }
    Some(got)
}

async fn read_chunks(stream: &mut (impl AsyncRead + Unpin), mut rest: Vec<u8>, body: &mut Vec<u8>) -> bool {
    loop {
        let Some(line) = find(&rest, b"\r\n") else {
            if more(stream, &mut rest).await {
                continue;
            }
            return false;
        };
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        while rest.len() < line + 2 + size + 2 {
            if !more(stream, &mut rest).await {
                return false;
            }
        }
        body.extend_from_slice(&rest[line + 2..line + 2 + size]);
        rest.drain(..line + 2 + size + 2);
        if size == 0 {
            return true;
        }
    }
}

async fn more(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> bool {
    matches!(stream.read_buf(bytes).await, Ok(1..))
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
