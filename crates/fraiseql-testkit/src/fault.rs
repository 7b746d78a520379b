//! A proxy between a client and a server that fails on demand.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What happens on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Bytes pass.
    Pass,
    /// Bytes pass, each piece a moment late.
    Slow,
    /// Connections stay open and nothing moves.
    Hang,
    /// Open connections are cut, and new ones as soon as they are accepted.
    Cut,
    /// Open connections are cut, and new ones refused: nobody listens.
    Refuse,
}

/// By how much a piece is late.
const SLOW: Duration = Duration::from_millis(200);

/// What lies behind a proxy.
#[derive(Clone, Debug)]
enum Upstream {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// A TCP listener on a free port of the loopback, before a server of PostgreSQL or of HTTP.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    _tasks: JoinSet<()>,
}

impl FaultProxy {
    /// Starts a proxy before the server behind `url` (one of [`crate::Database::url`]).
    ///
    /// # Panics
    /// When no port is free.
    pub async fn before(url: &str) -> Self {
        let socket = PathBuf::from(fraiseql_postgres::Target::parse(url).expect("our own URL").host())
            .join(".s.PGSQL.5432");
        Self::start(Upstream::Unix(socket)).await
    }

    /// Starts a proxy before a server that listens on TCP.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn before_tcp(server: SocketAddr) -> Self {
        Self::start(Upstream::Tcp(server)).await
    }

    async fn start(upstream: Upstream) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (fault, state) = watch::channel(Fault::Pass);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, address, upstream, state));
        Self { address, fault, _tasks: tasks }
    }

    /// Returns where the proxy listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the connection string that goes through the proxy.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@{}/{database}?sslmode=disable", self.address)
    }

    /// Changes what happens from now on; [`Fault::Refuse`] takes effect a moment later.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

async fn serve(
    mut listener: TcpListener,
    address: SocketAddr,
    upstream: Upstream,
    mut state: watch::Receiver<Fault>,
) {
    let shared = state.clone();
    loop {
        tokio::select! {
            () = accept(&listener, &upstream, &shared) => return,
            refused = wait_for(&mut state, |fault| fault == Fault::Refuse) => if !refused { return },
        }
        drop(listener);
        if !wait_for(&mut state, |fault| fault != Fault::Refuse).await {
            return;
        }
        listener = listen_again(address).await;
    }
}

/// Returns false when the proxy is gone.
async fn wait_for(state: &mut watch::Receiver<Fault>, wanted: impl Fn(Fault) -> bool) -> bool {
    state.wait_for(|fault| wanted(*fault)).await.is_ok()
}

/// Another process may have the port for an outgoing connection: that passes.
async fn listen_again(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}

async fn accept(listener: &TcpListener, upstream: &Upstream, state: &watch::Receiver<Fault>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(carry(client, upstream.clone(), state.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn carry(client: TcpStream, upstream: Upstream, state: watch::Receiver<Fault>) {
    if matches!(*state.borrow(), Fault::Cut | Fault::Refuse) {
        return;
    }
    match upstream {
        Upstream::Unix(path) => {
            let Ok(server) = UnixStream::connect(&path).await else { return };
            carry_between(client, server, state).await;
        }
        Upstream::Tcp(address) => {
            let Ok(server) = TcpStream::connect(address).await else { return };
            carry_between(client, server, state).await;
        }
    }
}

async fn carry_between(
    client: TcpStream,
    server: impl AsyncRead + AsyncWrite + Send,
    state: watch::Receiver<Fault>,
) {
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = tokio::io::split(server);
    let mut cut = state.clone();
    tokio::select! {
        () = pump(client_read, server_write, state.clone()) => {}
        () = pump(server_read, client_write, state) => {}
        _ = cut.wait_for(|fault| matches!(fault, Fault::Cut | Fault::Refuse)) => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<Fault>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let waiting = state.wait_for(|fault| matches!(fault, Fault::Pass | Fault::Slow)).await;
        // The guard is not held while time passes.
        let Ok(fault) = waiting.map(|fault| *fault) else { return };
        if fault == Fault::Slow {
            tokio::time::sleep(SLOW).await;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
