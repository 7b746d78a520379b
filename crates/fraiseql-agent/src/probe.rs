//! Asks an instance over plain HTTP whether it lives and whether it is ready.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Enough for a status and the reason in the body.
const ANSWER_BYTES_MAX: usize = 4 << 10;

/// Returns the status and the body; fails with a reason when there is no answer in time.
pub(crate) async fn get(address: SocketAddr, path: &str, limit: Duration) -> Result<(u16, String), String> {
    match tokio::time::timeout(limit, exchange(address, path)).await {
        Ok(answered) => answered.map_err(|error| error.to_string()),
        Err(_elapsed) => Err(format!("no answer within {} ms", limit.as_millis())),
    }
}

async fn exchange(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let mut reader = stream.take(u64::try_from(ANSWER_BYTES_MAX).unwrap_or(u64::MAX));
    reader.read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).unwrap_or("").parse();
    let status = status.map_err(|_| std::io::Error::other("the answer is no HTTP"))?;
    Ok((status, body.to_owned()))
}
