//! The byte stream to a server: TCP or a Unix socket, with or without TLS.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::Host;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::PostgresError;
use crate::target::Target;
use crate::tls::{TlsMode, end_point};

/// A connected stream.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Lost while it changed its runtime.
    Lost,
}

/// One place to try.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    /// The name is what a certificate must be for; the connection goes to the address, if there is one.
    Tcp {
        host: String,
        address: Option<IpAddr>,
        port: u16,
    },
    Unix {
        path: PathBuf,
    },
}

/// Returns the places of a target in the order in which they are tried.
pub(crate) fn addresses(target: &Target) -> Vec<Address> {
    let ports = target.config.get_ports();
    let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
    let hosts = target.config.get_hosts().iter().enumerate();
    hosts
        .map(|(index, host)| match host {
            Host::Tcp(host) => {
                let address = target.config.get_hostaddrs().get(index).copied();
                Address::Tcp { host: host.clone(), address, port: port(index) }
            }
            Host::Unix(folder) => Address::Unix { path: folder.join(format!(".s.PGSQL.{}", port(index))) },
        })
        .collect()
}

/// Connects to one place, with TLS as the target asks for it.
pub(crate) async fn connect(
    target: &Target,
    address: &Address,
    timeout: Duration,
) -> Result<Stream, PostgresError> {
    let failed = |source| PostgresError::Connect { target: target.to_string(), source };
    let attempt = async {
        match address {
            Address::Unix { path } => UnixStream::connect(path).await.map(Stream::Unix).map_err(failed),
            Address::Tcp { host, address, port } => {
                let connected = match address {
                    Some(address) => TcpStream::connect((*address, *port)).await,
                    None => TcpStream::connect((host.as_str(), *port)).await,
                };
                let tcp = connected.map_err(failed)?;
                tcp.set_nodelay(true).map_err(failed)?;
                start_tls(target, tcp, host).await
            }
        }
    };
    match tokio::time::timeout(timeout, attempt).await {
        Ok(result) => result,
        Err(_) => Err(failed(io::Error::from(io::ErrorKind::TimedOut))),
    }
}

async fn start_tls(target: &Target, mut tcp: TcpStream, host: &str) -> Result<Stream, PostgresError> {
    let tls_error = |reason: String| PostgresError::Tls { target: target.to_string(), reason };
    if target.tls.mode == TlsMode::Disable {
        return Ok(Stream::Tcp(tcp));
    }
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    let failed = |source| PostgresError::Connect { target: target.to_string(), source };
    tcp.write_all(&request).await.map_err(failed)?;
    let mut answer = [0_u8];
    tcp.read_exact(&mut answer).await.map_err(failed)?;
    if answer != *b"S" {
        if target.tls.mode == TlsMode::Prefer {
            return Ok(Stream::Tcp(tcp));
        }
        return Err(tls_error("the server does not offer it".to_owned()));
    }
    let config = target.tls.client_config().map_err(tls_error)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| tls_error(error.to_string()))?;
    let stream = TlsConnector::from(config).connect(name, tcp).await;
    stream.map(|stream| Stream::Tls(Box::new(stream))).map_err(|error| tls_error(error.to_string()))
}

impl Stream {
    /// Returns true when a password may be sent as it is.
    pub(crate) fn is_private(&self) -> bool {
        matches!(self, Self::Unix(_) | Self::Tls(_))
    }

    /// Returns what a login can be bound to; `None` without TLS.
    pub(crate) fn end_point(&self) -> Option<Vec<u8>> {
        let Self::Tls(stream) = self else { return None };
        end_point(stream.get_ref().1.peer_certificates()?.first()?)
    }

    /// Returns true when nothing waits to be read and the other side has not hung up.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut byte = [0_u8];
        let waiting = match self {
            Self::Tcp(stream) => stream.try_read(&mut byte),
            Self::Unix(stream) => stream.try_read(&mut byte),
            // Reading below TLS would take bytes from it; a dead peer shows at the next write.
            Self::Tls(_) => return true,
            Self::Lost => return false,
        };
        matches!(waiting, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl Stream {
    /// Registers the socket with the runtime of the calling thread; returns false for TLS, which
    /// stays with the runtime that it was opened in. After an error the stream is lost.
    pub(crate) fn register_here(&mut self) -> io::Result<bool> {
        *self = match std::mem::replace(self, Self::Lost) {
            Self::Tcp(stream) => Self::Tcp(TcpStream::from_std(stream.into_std()?)?),
            Self::Unix(stream) => Self::Unix(UnixStream::from_std(stream.into_std()?)?),
            Self::Tls(stream) => {
                *self = Self::Tls(stream);
                return Ok(false);
            }
            Self::Lost => return Err(lost()),
        };
        Ok(true)
    }
}

fn lost() -> io::Error {
    io::Error::from(io::ErrorKind::NotConnected)
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Lost => Poll::Ready(Err(lost())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Lost => Poll::Ready(Err(lost())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Lost => Poll::Ready(Err(lost())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Lost => Poll::Ready(Err(lost())),
        }
    }
}
