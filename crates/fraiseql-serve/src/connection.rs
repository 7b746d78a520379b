//! One client connection: HTTP/1.1 or HTTP/2, its time limits, and its end.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::live::session;
use crate::live::socket::Slot;
use crate::rate::Peer;
use crate::route;
use crate::serving::Serving;

/// How long the head of the first request may take.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may idle between requests, the head of the next one included.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest head of a request. It also bounds what is buffered of a connection.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// The most headers of a request.
const HEADERS_MAX: usize = 100;
/// Requests at a time on one connection of HTTP/2.
const STREAMS_MAX: u32 = 128;
/// Streams that a client opened and took back before they were served: more end the connection, for
/// that is an attack by reset (CVE-2023-44487).
const RESETS_MAX: usize = 20;
/// After so long without a sign of life a client is asked for one, and given up soon after.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long a client may leave unread what was sent to it. Its session with the database is given
/// back at the request's deadline already.
#[cfg(target_os = "linux")]
const UNREAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection that came in just before the drain may take to send its request: the
/// client has no way to know.
const FRESH_GRACE: Duration = Duration::from_millis(500);

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself, or by the client.
    Closed,
    /// The drain had no time left.
    Cut,
}

/// When connections have to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    /// After the running request.
    pub(crate) soon: CancellationToken,
    /// At once.
    pub(crate) now: CancellationToken,
}

/// Serves a connection to its end.
pub(crate) async fn serve(serving: Arc<Serving>, stream: TcpStream, stop: Stop) -> Ending {
    if prepare(&stream).is_err() {
        // A socket that takes no options has been closed by its client.
        return Ending::Closed;
    }
    let peer = stream.peer_addr().map(|address| Peer(address.ip()));
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(FIRST_REQUEST_TIMEOUT, fraiseql_net::accept(serving.life.tls.as_ref(), stream)) => shaken,
        () = stop.now.cancelled() => return Ending::Cut,
        () = grace(&stop) => return Ending::Closed,
    };
    let Ok(Ok(stream)) = shaken else { return Ending::Closed };
    let (used, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let slot = Slot::default();
    let service = {
        let (serving, used, slot) = (Arc::clone(&serving), Arc::clone(&used), slot.clone());
        let asked = Arc::clone(&asked);
        let peer = peer.as_ref().map(|peer| *peer).map_err(drop);
        service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(slot.clone());
            if let Ok(peer) = peer {
                request.extensions_mut().insert(peer);
            }
            if !used.swap(true, Ordering::Relaxed) {
                asked.notify_one();
            }
            let serving = Arc::clone(&serving);
            async move { Ok::<_, Infallible>(route::respond(&serving, request).await) }
        })
    };
    let builder = builder(&serving.tasks);
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let mut first_request = pin!(tokio::time::sleep(FIRST_REQUEST_TIMEOUT));
    let (mut waiting, mut stopping) = (true, false);
    let mut stop_soon = pin!(first_or_grace(&stop, &asked));
    loop {
        tokio::select! {
            // Whatever goes wrong here is between the client and its socket.
            _ended = connection.as_mut() => break,
            () = stop.now.cancelled() => return Ending::Cut,
            // Not before the first request, or it would be lost on its way.
            () = &mut stop_soon, if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = &mut first_request, if waiting => {
                waiting = false;
                if !used.load(Ordering::Relaxed) {
                    return Ending::Closed;
                }
            }
        }
    }
    match slot.take() {
        Some(socket) => session::run(serving, socket, &stop).await,
        None => Ending::Closed,
    }
}

/// Resolves in a drain, once the connection has had a request or time enough to send one.
async fn first_or_grace(stop: &Stop, asked: &Notify) {
    tokio::select! {
        () = grace(stop) => {}
        () = async { asked.notified().await; stop.soon.cancelled().await } => {}
    }
}

async fn grace(stop: &Stop) {
    stop.soon.cancelled().await;
    tokio::time::sleep(FRESH_GRACE).await;
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    stream.set_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNREAD_TIMEOUT))?;
    Ok(())
}

fn builder(tasks: &TaskTracker) -> auto::Builder<Owned> {
    let mut builder = auto::Builder::new(Owned(tasks.clone()));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE);
    builder
}

/// Runs hyper's own tasks where the server waits for them.
#[derive(Clone, Debug)]
struct Owned(TaskTracker);

impl<F> Executor<F> for Owned
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;
    use crate::serving::tests::serving;

    /// Time stands still but for what is waited for, so the limits are exact and cost nothing.
    #[track_caller]
    fn check(sent: &'static [u8], limit: Duration) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            client.write_all(sent).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let start = Instant::now();
            assert_eq!(serve(Arc::new(serving()), stream, Stop::default()).await, Ending::Closed);
            assert!(start.elapsed() >= limit && start.elapsed() < limit * 2, "{:?}", start.elapsed());
        });
    }

    #[test]
    fn a_client_that_sends_no_request_is_given_up() {
        check(b"", FIRST_REQUEST_TIMEOUT);
        check(b"GET / HTTP/1.1\r\nHo", FIRST_REQUEST_TIMEOUT);
        check(b"PRI * HTTP/2.0\r\n", FIRST_REQUEST_TIMEOUT);
        check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", FIRST_REQUEST_TIMEOUT);
    }

    #[test]
    fn an_idle_connection_is_kept_longer() {
        check(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n", IDLE_TIMEOUT);
        check(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET /hea", IDLE_TIMEOUT);
    }
}
