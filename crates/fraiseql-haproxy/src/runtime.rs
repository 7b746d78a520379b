//! The runtime socket: one line of commands, one answer.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::error::HaProxyError;

const LIMIT: Duration = Duration::from_secs(5);
/// The table of a backend of ten thousand servers fits.
const ANSWER_BYTES_MAX: u64 = 8 << 20;

/// Sends commands, and returns all that was answered.
///
/// Commands of one line are carried out one after the other without anybody in between.
pub(crate) async fn command(socket: &Path, line: &str) -> Result<String, HaProxyError> {
    let failed = |source| HaProxyError::Socket { socket: socket.to_owned(), source };
    let asking = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(format!("{line}\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await?;
        Ok(answer)
    };
    match tokio::time::timeout(LIMIT, asking).await {
        Ok(asked) => asked.map_err(failed),
        Err(_elapsed) => Err(failed(io::ErrorKind::TimedOut.into())),
    }
}
