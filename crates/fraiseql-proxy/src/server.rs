//! The proxy's life: listen, pass on, be replaced, drain.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fraiseql_net::{CertificateNews, ListenerTls, TlsOptions};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use ipnet::IpNet;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::aggregate::Aggregate;
use crate::body::{Outgoing, refusal};
use crate::control::ControlSocket;
use crate::counts::own_failures;
use crate::error::{ProxyError, file};
use crate::forward;
use crate::health;
use crate::observe::{ProxyEvent, ProxyObserver};
use crate::release_metrics;
use crate::store::Store;
use crate::traffic::Traffic;

/// How long the head of a request may take, and how long a connection may idle between requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a client may take to come to speak TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 100;
/// Requests at a time on one connection of HTTP/2.
const STREAMS_MAX: u32 = 128;
/// Streams that a client may take back before they were served (CVE-2023-44487).
const RESETS_MAX: usize = 20;
/// How long a connection without a request may stay when the proxy ends.
const IDLE_GRACE: Duration = Duration::from_secs(3);
const KEEPALIVE: Duration = Duration::from_secs(30);
const BACKLOG: i32 = 4_096;
/// Connections to an instance that idle are closed before the instance does it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often what was counted is written down.
const KEEP_EVERY: Duration = Duration::from_millis(250);
/// Requests that may wait while traffic is paused.
const WAITING_MAX: usize = 10_000;
/// The most client connections; fewer where the process may not open as many files.
const CONNECTIONS_MAX: u64 = 50_000;
const FILES_RESERVED: u64 = 256;
const CONNECTIONS_MIN: u64 = 16;

/// What a proxy is made of.
pub struct ProxyOptions {
    /// Where clients come.
    pub address: SocketAddr,
    /// A socket that listens already, from a supervisor or from the proxy that is replaced.
    pub listener: Option<StdListener>,
    /// Speaks TLS.
    pub tls: Option<TlsOptions>,
    /// Where it keeps what holds.
    pub state: PathBuf,
    /// The control socket.
    pub control: PathBuf,
    /// Its version.
    pub version: &'static str,
    /// How often an instance is asked whether it is ready.
    pub probe_interval: Duration,
    /// How long that may take.
    pub probe_timeout: Duration,
    /// How long an instance may take for the head of its answer.
    pub answer_timeout: Duration,
    /// How long running requests may take when it stops.
    pub drain_timeout: Duration,
    /// Proxies in front of it whose word on the client counts.
    pub trusted_proxies: Vec<IpNet>,
    /// The header by which testers choose a release; `None` for nobody.
    pub choose_header: Option<HeaderName>,
    /// What clients are told who have to wait, in seconds.
    pub retry_after_s: u32,
    /// The largest page of metrics of an instance.
    pub metrics_bytes_max: usize,
    /// Is told what happens.
    pub observer: Arc<dyn ProxyObserver>,
}

/// How the connections ended that were open when the proxy stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyReport {
    /// Connections that ended by themselves.
    pub finished: usize,
    /// Connections that were cut off.
    pub cut: usize,
}

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) options: Fixed,
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<ListenerTls>,
    pub(crate) traffic: Traffic,
    pub(crate) client: Client<HttpConnector, Outgoing>,
    /// For probes, which always open a new connection: that is what they are to find out.
    pub(crate) probing: Client<HttpConnector, Outgoing>,
    pub(crate) observer: Arc<dyn ProxyObserver>,
    pub(crate) numbers: AtomicU64,
    /// Attempts so far, of which some are read along.
    pub(crate) samples: AtomicU64,
    pub(crate) waiting: Semaphore,
    pub(crate) started: Instant,
    pub(crate) tasks: TaskTracker,
    /// No more requests on a connection after the running one.
    pub(crate) soon: CancellationToken,
    /// Everything ends.
    pub(crate) cut: CancellationToken,
    /// Somebody wants another program in our place.
    pub(crate) replace: mpsc::Sender<Option<PathBuf>>,
    own: Mutex<BTreeMap<u16, u64>>,
    aggregate: tokio::sync::Mutex<Aggregate>,
}

/// The options that stay.
pub(crate) struct Fixed {
    pub(crate) version: &'static str,
    pub(crate) probe_interval: Duration,
    pub(crate) probe_timeout: Duration,
    pub(crate) answer_timeout: Duration,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) choose_header: Option<HeaderName>,
    pub(crate) retry_after_s: u32,
    pub(crate) metrics_bytes_max: usize,
}

impl Shared {
    /// Counts an answer of our own.
    pub(crate) fn own(&self, status: StatusCode) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        *own.entry(status.as_u16()).or_default() += 1;
    }
}

/// A proxy that listens.
pub struct Proxy {
    shared: Arc<Shared>,
    listener: TcpListener,
    control: ControlSocket,
    wishes: Option<mpsc::Receiver<Option<PathBuf>>>,
    drain_timeout: Duration,
}

impl Proxy {
    /// Takes up what lies on the disk, and listens. Must be called within a runtime.
    ///
    /// Fails when what lies there is damaged, and when the address or the socket cannot be had.
    pub fn bind(options: ProxyOptions) -> Result<Self, ProxyError> {
        let ProxyOptions { address, listener, state, control, observer, drain_timeout, .. } = options;
        let tls = options.tls.map(ListenerTls::load).transpose()?;
        let traffic = Traffic::resume(Store::open(&state)?, Arc::clone(&observer))?;
        let failed = |source| ProxyError::Listen { address, source };
        let listener = match listener {
            Some(listener) => listener,
            None => open(address).map_err(failed)?,
        };
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let folder = control.parent().unwrap_or(&state);
        std::fs::create_dir_all(folder).map_err(file("make", folder))?;
        let control = ControlSocket::listen(&control)?;
        let (replace, wishes) = mpsc::channel(1);
        let shared = Shared {
            options: Fixed {
                version: options.version,
                probe_interval: options.probe_interval,
                probe_timeout: options.probe_timeout,
                answer_timeout: options.answer_timeout,
                trusted_proxies: options.trusted_proxies,
                choose_header: options.choose_header,
                retry_after_s: options.retry_after_s,
                metrics_bytes_max: options.metrics_bytes_max,
            },
            address,
            tls,
            traffic,
            client: client(Some(IDLE_TIMEOUT)),
            probing: client(None),
            observer,
            numbers: AtomicU64::new(0),
            samples: AtomicU64::new(0),
            waiting: Semaphore::new(WAITING_MAX),
            started: Instant::now(),
            tasks: TaskTracker::new(),
            soon: CancellationToken::new(),
            cut: CancellationToken::new(),
            replace,
            own: Mutex::default(),
            aggregate: tokio::sync::Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared), listener, control, wishes: Some(wishes), drain_timeout })
    }

    /// Returns where clients come.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.address
    }

    /// Returns another handle on the listening socket, to hand over to a successor.
    ///
    /// Fails when the operating system has no more files for us.
    pub fn listener(&self) -> Result<std::os::fd::OwnedFd, ProxyError> {
        let address = self.shared.address;
        let cloned = SockRef::from(&self.listener).try_clone();
        cloned.map(Into::into).map_err(|source| ProxyError::Listen { address, source })
    }

    /// Looks at the files of the certificate at once.
    pub fn look_at_certificate(&self) {
        if let Some(tls) = &self.shared.tls {
            tls.look();
        }
    }

    /// Returns what tells that somebody has asked over the control socket for a program in our place:
    /// the one at a path, or the one that is where we came from. There once.
    pub fn replacements(&mut self) -> Option<mpsc::Receiver<Option<PathBuf>>> {
        self.wishes.take()
    }

    /// Asks every instance once whether it is ready, so that nobody is told "starting" without need.
    pub async fn look(&self) {
        health::look(&self.shared).await;
    }

    /// Passes requests on until `shutdown` resolves, then drains: no more connections are accepted,
    /// running requests may finish, open sockets are cut off at the end of the drain timeout.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> ProxyReport {
        let Self { shared, listener, control, drain_timeout, .. } = self;
        shared
            .observer
            .observe(&ProxyEvent::Listening { address: shared.address, secure: shared.tls.is_some() });
        let connections = TaskTracker::new();
        let open = Arc::new(AtomicUsize::new(0));
        {
            let beside = async {
                tokio::join!(
                    control.serve(Arc::clone(&shared)),
                    health::watch(Arc::clone(&shared)),
                    shared.traffic.watch_lease(),
                    keep_counts(&shared),
                    watch_certificate(&shared),
                )
            };
            tokio::select! {
                () = shutdown => {}
                () = accept(&shared, &listener, &connections, &open) => {}
                _never = beside => {}
            }
        }
        drop((listener, control));
        let draining = open.load(Ordering::Relaxed);
        shared.observer.observe(&ProxyEvent::Draining { connections: draining });
        connections.close();
        shared.tasks.close();
        shared.soon.cancel();
        let ended = async { tokio::join!(connections.wait(), shared.tasks.wait()) };
        let in_time = tokio::time::timeout(drain_timeout, ended).await.is_ok();
        let cut = if in_time { 0 } else { open.load(Ordering::Relaxed) + shared.tasks.len() };
        shared.cut.cancel();
        tokio::join!(connections.wait(), shared.tasks.wait());
        ProxyReport { finished: draining.saturating_sub(cut), cut }
    }
}

async fn watch_certificate(shared: &Shared) {
    let Some(tls) = &shared.tls else { return };
    let tell = |news: CertificateNews<'_>| shared.observer.observe(&ProxyEvent::Certificate { news });
    tls.watch(tell).await;
}

async fn keep_counts(shared: &Shared) {
    loop {
        tokio::time::sleep(KEEP_EVERY).await;
        shared.traffic.keep_counts();
    }
}

async fn accept(
    shared: &Arc<Shared>,
    listener: &TcpListener,
    connections: &TaskTracker,
    open: &Arc<AtomicUsize>,
) {
    let permits = Arc::new(Semaphore::new(connections_max()));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (shared, open) = (Arc::clone(shared), Arc::clone(open));
                open.fetch_add(1, Ordering::Relaxed);
                drop(connections.spawn(async move {
                    converse(shared, stream, peer.ip()).await;
                    open.fetch_sub(1, Ordering::Relaxed);
                    drop(permit);
                }));
            }
            Err(error) => {
                shared.observer.observe(&ProxyEvent::AcceptFailed { error: &error });
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(shared: Arc<Shared>, stream: TcpStream, peer: IpAddr) {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3);
    if stream.set_nodelay(true).and_then(|()| SockRef::from(&stream).set_tcp_keepalive(&keepalive)).is_err() {
        return;
    }
    let shaking = tokio::time::timeout(HANDSHAKE_TIMEOUT, fraiseql_net::accept(shared.tls.as_ref(), stream));
    let shaken = tokio::select! {
        shaken = shaking => shaken,
        () = shared.cut.cancelled() => return,
    };
    let Ok(Ok(stream)) = shaken else { return };
    let multiplexed = Arc::new(AtomicBool::new(false));
    let service = {
        let (shared, multiplexed) = (Arc::clone(&shared), Arc::clone(&multiplexed));
        service_fn(move |request: Request<Incoming>| {
            multiplexed.store(request.version() == Version::HTTP_2, Ordering::Relaxed);
            let shared = Arc::clone(&shared);
            async move { Ok::<_, Infallible>(route(&shared, request, peer).await) }
        })
    };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_local_error_reset_streams(RESETS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .keep_alive_interval(KEEPALIVE);
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let mut closing = pin!(close_gently(&shared, &multiplexed));
    let mut closed = false;
    loop {
        tokio::select! {
            // Whatever goes wrong here is between the client and its socket.
            _ended = connection.as_mut() => return,
            () = shared.cut.cancelled() => return,
            () = &mut closing, if !closed => {
                closed = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Resolves when a connection has to end although its client has not been told so.
///
/// HTTP/2 tells it at any time. With HTTP/1.1 only an answer can, and a request that is on its way to
/// a connection that we close is lost: so such a connection gets time for one more request.
async fn close_gently(shared: &Shared, multiplexed: &AtomicBool) {
    shared.soon.cancelled().await;
    if !multiplexed.load(Ordering::Relaxed) {
        tokio::time::sleep(IDLE_GRACE).await;
    }
}

async fn route(shared: &Arc<Shared>, request: Request<Incoming>, peer: IpAddr) -> Response<Outgoing> {
    let version = request.version();
    let read_only = matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = match request.uri().path() {
        "/health" if read_only => health::health(shared),
        "/health/ready" if read_only => health::ready(shared),
        "/metrics" if read_only => metrics(shared).await,
        "/health" | "/health/ready" | "/metrics" => {
            refusal(StatusCode::METHOD_NOT_ALLOWED, "BAD_REQUEST", "only GET is answered here", None)
        }
        _ => forward::respond(shared, request, peer).await,
    };
    if let Some(seconds) = shared.tls.as_ref().map(ListenerTls::hsts_s).filter(|seconds| *seconds > 0)
        && let Ok(value) = HeaderValue::from_str(&format!("max-age={seconds}"))
    {
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, value);
    }
    if version < Version::HTTP_2 && shared.soon.is_cancelled() {
        // A client that keeps its connection comes back on another one, to our successor.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Answers `/metrics` with the sum over all instances.
async fn metrics(shared: &Arc<Shared>) -> Response<Outgoing> {
    let slots = shared.traffic.table().map(|table| table.slots()).unwrap_or_default();
    let asked = slots.iter().map(|slot| async {
        let page = health::ask(shared, slot, "/metrics").await;
        let page = page.ok().filter(|(status, _)| *status == StatusCode::OK);
        page.map(|(_, bytes)| String::from_utf8_lossy(&bytes).into_owned())
    });
    let pages = futures_util::future::join_all(asked).await;
    let mut aggregate = shared.aggregate.lock().await;
    for (slot, page) in slots.iter().zip(&pages) {
        aggregate.take(&slot.name, page.as_deref());
    }
    aggregate.keep(&slots.iter().map(|slot| slot.name.as_str()).collect());
    let mut page = aggregate.page(&own_failures(&shared.own));
    if let Some(table) = shared.traffic.table() {
        page.push_str(&release_metrics::page(&table, &shared.traffic.counts.snapshot()));
    }
    let mut response = Response::new(Outgoing::text(page));
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

fn client(idle: Option<Duration>) -> Client<HttpConnector, Outgoing> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let mut builder = Client::builder(TokioExecutor::new());
    builder.timer(TokioTimer::new()).pool_timer(TokioTimer::new()).pool_idle_timeout(idle);
    if idle.is_none() {
        builder.pool_max_idle_per_host(0);
    }
    builder.build(connector)
}

fn open(address: SocketAddr) -> std::io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Each client costs two files: its connection and the one to an instance.
fn connections_max() -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let fitting = files.map_or(CONNECTIONS_MAX, |files| files.saturating_sub(FILES_RESERVED) / 2);
    usize::try_from(fitting.clamp(CONNECTIONS_MIN, CONNECTIONS_MAX)).unwrap_or(usize::MAX)
}
