//! A proxy between a client and a server that fails on demand.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What happens on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Bytes pass.
    Pass,
    /// Connections stay open and nothing moves.
    Hang,
    /// Open connections are cut, and new ones as soon as they are accepted.
    Cut,
    /// Open connections are cut, and new ones refused: nobody listens.
    Refuse,
}

/// A TCP listener on a free port of the loopback, before a PostgreSQL server's socket.
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
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (fault, state) = watch::channel(Fault::Pass);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, address, socket, state));
        Self { address, fault, _tasks: tasks }
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
    socket: PathBuf,
    mut state: watch::Receiver<Fault>,
) {
    let shared = state.clone();
    loop {
        tokio::select! {
            () = accept(&listener, &socket, &shared) => return,
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

async fn accept(listener: &TcpListener, socket: &std::path::Path, state: &watch::Receiver<Fault>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(carry(client, socket.to_owned(), state.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn carry(client: TcpStream, socket: PathBuf, state: watch::Receiver<Fault>) {
    if matches!(*state.borrow(), Fault::Cut | Fault::Refuse) {
        return;
    }
    let Ok(server) = UnixStream::connect(&socket).await else { return };
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
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
        if state.wait_for(|fault| *fault == Fault::Pass).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
