//! The byte stream to a server: TCP or a Unix socket, with or without TLS.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::Host;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::PostgresError;
use crate::target::{Target, Tls, TlsMode};

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
    Tcp { host: String, port: u16 },
    Unix { path: PathBuf },
}

/// Returns the places of a target in the order in which they are tried.
pub(crate) fn addresses(target: &Target) -> Vec<Address> {
    let ports = target.config.get_ports();
    let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
    let hosts = target.config.get_hosts().iter().enumerate();
    hosts
        .map(|(index, host)| match host {
            Host::Tcp(host) => Address::Tcp { host: host.clone(), port: port(index) },
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
            Address::Tcp { host, port } => {
                let tcp = TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?;
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
    let config = client_config(&target.tls).map_err(tls_error)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| tls_error(error.to_string()))?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
    stream.map(|stream| Stream::Tls(Box::new(stream))).map_err(|error| tls_error(error.to_string()))
}

/// Returns the TLS settings for a target; the error says in words what is wrong.
pub(crate) fn client_config(tls: &Tls) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    if let TlsMode::Disable | TlsMode::Prefer | TlsMode::Require = tls.mode {
        // libpq's meaning: these protect against listening, not against an impostor.
        let verifier = Arc::new(Lenient { provider, chain: None });
        return Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
    }
    let roots = roots(tls)?;
    if tls.mode == TlsMode::VerifyFull {
        return Ok(builder.with_root_certificates(roots).with_no_client_auth());
    }
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| error.to_string())?;
    let verifier = Arc::new(Lenient { provider, chain: Some(chain) });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn roots(tls: &Tls) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(path) = &tls.root_certificate else {
        let native = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(native.certs);
        return if roots.is_empty() {
            Err("the system has no root certificates: give sslrootcert".to_owned())
        } else {
            Ok(roots)
        };
    };
    let unreadable = |error: &dyn std::fmt::Display| format!("read {}: {error}", path.display());
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        roots.add(certificate).map_err(|error| unreadable(&error))?;
    }
    Ok(roots)
}

/// Verifies signatures, and the chain when there is one to verify against, but not the name.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    chain: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => {
                // The chain is checked before the name, so only the name is wrong.
                let parsed = ParsedCertificate::try_from(certificate)?;
                debug_assert!(verify_server_name(&parsed, name).is_err());
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl Stream {
    /// Returns true when a password may be sent as it is.
    pub(crate) fn is_private(&self) -> bool {
        matches!(self, Self::Unix(_) | Self::Tls(_))
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
