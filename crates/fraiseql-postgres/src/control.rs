//! The control plane's connection: tokio-postgres, with the same TLS as the data plane.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream as ControlTls};
use tokio_postgres::{Client, Config};
use tokio_rustls::client::TlsStream;

use crate::connection::login_error;
use crate::error::{PostgresError, SqlError};
use crate::target::Target;
use crate::tls::{TlsMode, end_point};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// What the control plane asks the database with.
pub type ControlClient = Client;

/// A row that it answers with.
pub type ControlRow = tokio_postgres::Row;

/// Connects for DDL, catalog reading and other work that is not a request.
///
/// The connection is driven by a task that ends when the client is dropped.
pub async fn connect_control(target: &Target) -> Result<ControlClient, PostgresError> {
    let mut config: Config = target.config.clone();
    config.ssl_mode(match target.tls.mode {
        TlsMode::Disable => SslMode::Disable,
        TlsMode::Prefer => SslMode::Prefer,
        TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
    });
    if config.get_application_name().is_none() {
        config.application_name("fraiseql control");
    }
    let client_config = target
        .tls
        .client_config()
        .map_err(|reason| PostgresError::Tls { target: target.to_string(), reason })?;
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, config.connect(MakeTls { config: client_config }));
    let Ok(connected) = connecting.await else {
        let source = io::Error::from(io::ErrorKind::TimedOut);
        return Err(PostgresError::Connect { target: target.to_string(), source });
    };
    let (client, connection) = connected.map_err(|error| connect_error(target, &error))?;
    drive(connection);
    Ok(client)
}

#[expect(clippy::disallowed_methods, reason = "the task ends when its client is dropped")]
fn drive(connection: impl Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static) {
    // The error reaches whoever waits on the client.
    drop(tokio::spawn(connection));
}

/// Sorts an error of tokio-postgres by what a person has to do about it.
pub(crate) fn connect_error(target: &Target, error: &tokio_postgres::Error) -> PostgresError {
    if error.as_db_error().is_some() {
        return login_error(target, sql_error(error));
    }
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            if io.get_ref().is_some_and(|below| below.is::<rustls::Error>()) {
                return PostgresError::Tls { target: target.to_string(), reason: io.to_string() };
            }
            let source = io::Error::new(io.kind(), io.to_string());
            return PostgresError::Connect { target: target.to_string(), source };
        }
        cause = inner.source();
    }
    let reason = error.to_string();
    if reason.contains("TLS") {
        return PostgresError::Tls { target: target.to_string(), reason };
    }
    if ["password", "authentication", "SASL"].iter().any(|word| reason.contains(word)) {
        return PostgresError::Auth { target: target.to_string(), reason };
    }
    PostgresError::Connect { target: target.to_string(), source: io::Error::other(reason) }
}

/// Returns a server's error as this crate's.
pub(crate) fn sql_error(error: &tokio_postgres::Error) -> SqlError {
    let Some(db) = error.as_db_error() else {
        return SqlError { message: error.to_string(), ..SqlError::default() };
    };
    let owned = |text: Option<&str>| text.map(str::to_owned);
    SqlError {
        sqlstate: db.code().code().to_owned(),
        severity: db.severity().to_owned(),
        message: db.message().to_owned(),
        detail: owned(db.detail()),
        hint: owned(db.hint()),
        constraint: owned(db.constraint()),
        schema: owned(db.schema()),
        table: owned(db.table()),
        column: owned(db.column()),
        statement: None,
    }
}

impl From<tokio_postgres::Error> for PostgresError {
    fn from(error: tokio_postgres::Error) -> Self {
        if error.is_closed() {
            return Self::Io(io::ErrorKind::UnexpectedEof.into());
        }
        Self::Sql(Box::new(sql_error(&error)))
    }
}

#[derive(Clone)]
struct MakeTls {
    config: Arc<ClientConfig>,
}

struct Connect {
    config: Arc<ClientConfig>,
    host: String,
}

struct Wrapped<S>(Box<TlsStream<S>>);

impl<S> MakeTlsConnect<S> for MakeTls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Wrapped<S>;
    type TlsConnect = Connect;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<Connect> {
        Ok(Connect { config: Arc::clone(&self.config), host: host.to_owned() })
    }
}

impl<S> TlsConnect<S> for Connect
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Wrapped<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Wrapped<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let name = ServerName::try_from(self.host).map_err(io::Error::other)?;
            let stream = tokio_rustls::TlsConnector::from(self.config).connect(name, stream).await?;
            Ok(Wrapped(Box::new(stream)))
        })
    }
}

impl<S> ControlTls for Wrapped<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn channel_binding(&self) -> ChannelBinding {
        let certificates = self.0.get_ref().1.peer_certificates();
        let bound = certificates.and_then(|chain| end_point(chain.first()?));
        bound.map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wrapped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wrapped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
