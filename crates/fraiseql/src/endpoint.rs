//! Asks a GraphQL server over HTTP: one request, with limits, no redirects.

use std::sync::Arc;
use std::time::Duration;

use fraiseql_model::errors;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::http::request::Builder;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::failure::Failure;

/// How long the whole exchange may take, the connection included.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer; introspections of the largest public schemas have a few million bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A connection that is kept for many requests.
#[derive(Debug)]
pub(crate) struct KeptConnection<'a> {
    endpoint: &'a Endpoint,
    sender: SendRequest<Full<Bytes>>,
    /// It goes with this.
    _driving: JoinSet<()>,
}

impl KeptConnection<'_> {
    /// Sends a request and returns the whole response document; after a failure the connection is of no use.
    pub(crate) async fn send(&mut self, request: &Value) -> Result<Value, Failure> {
        let request = self.endpoint.request(self.endpoint.posting(), request.to_string())?;
        let exchange = exchange(self.endpoint, &mut self.sender, request);
        let (status, bytes) = self.endpoint.in_time(TIMEOUT, exchange).await?;
        self.endpoint.document(status, &bytes)
    }
}

async fn exchange(
    endpoint: &Endpoint,
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), Failure> {
    let broken = |error: &dyn std::error::Error| endpoint.failed("the connection broke").because(error);
    let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
    let status = response.status();
    let collected = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let bytes = collected.map_err(|error| broken(&*error))?.to_bytes();
    Ok((status, bytes))
}

/// A TCP connection, with TLS or without.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A GraphQL server.
#[derive(Debug)]
pub(crate) struct Endpoint {
    uri: Uri,
    host: String,
    tls: bool,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Endpoint {
    /// Returns true for what is a URL and no path.
    pub(crate) fn is_url(text: &str) -> bool {
        text.starts_with("http://") || text.starts_with("https://")
    }

    /// Understands a URL and headers written `name: value`.
    pub(crate) fn new(url: &str, headers: &[String]) -> Result<Self, Failure> {
        let wrong = |reason: &str| {
            let message = format!("use {url:?}: {reason}");
            Failure::new(&errors::CFG_BAD_VALUE, message).hint("write it as https://host/graphql")
        };
        let uri: Uri = url.parse().map_err(|error| wrong("it is no URL").because(&error))?;
        let tls = uri.scheme_str() == Some("https");
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("it names no host"))?;
        let host = host.trim_matches(|bracket| matches!(bracket, '[' | ']')).to_owned();
        let headers = headers.iter().map(|header| parse_header(header)).collect::<Result<_, _>>()?;
        Ok(Self { uri, host, tls, headers })
    }

    /// Sends a query and returns the whole response document.
    ///
    /// Fails when there is no answer in time, or it is not JSON; GraphQL errors are an answer.
    pub(crate) async fn ask(&self, query: &str) -> Result<Value, Failure> {
        self.send(&serde_json::json!({ "query": query })).await
    }

    /// Does as [`Self::ask`] for a whole request.
    pub(crate) async fn send(&self, request: &Value) -> Result<Value, Failure> {
        let (status, bytes) = self.once(TIMEOUT, self.posting(), request.to_string()).await?;
        self.document(status, &bytes)
    }

    /// Gets the page at the URL itself: its status and its body.
    pub(crate) async fn get(&self, limit: Duration) -> Result<(StatusCode, Bytes), Failure> {
        self.once(limit, self.begin(Method::GET), String::new()).await
    }

    /// Sends a document, and returns the status alone.
    pub(crate) async fn post(&self, limit: Duration, document: &Value) -> Result<StatusCode, Failure> {
        Ok(self.once(limit, self.posting(), document.to_string()).await?.0)
    }

    /// Opens a connection for many requests.
    pub(crate) async fn connect(&self) -> Result<KeptConnection<'_>, Failure> {
        let (sender, driving) = self.in_time(TIMEOUT, self.open()).await?;
        Ok(KeptConnection { endpoint: self, sender, _driving: driving })
    }

    async fn once(
        &self,
        limit: Duration,
        builder: Builder,
        body: String,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let request = self.request(builder, body)?;
        let both = async {
            let (mut sender, _driving) = self.open().await?;
            exchange(self, &mut sender, request).await
        };
        self.in_time(limit, both).await
    }

    fn request(&self, builder: Builder, body: String) -> Result<Request<Full<Bytes>>, Failure> {
        let built = builder.body(Full::new(Bytes::from(body)));
        let mut request = built.map_err(|error| Failure::internal("make an HTTP request", &error))?;
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        Ok(request)
    }

    async fn in_time<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(limit, work).await {
            Ok(done) => done,
            Err(_elapsed) => {
                Err(self.failed(&format!("there was no answer within {} seconds", limit.as_secs_f64())))
            }
        }
    }

    async fn open(&self) -> Result<(SendRequest<Full<Bytes>>, JoinSet<()>), Failure> {
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(self.wire().await?)).await;
        let (sender, connection) =
            shaken.map_err(|error| self.failed("the connection broke").because(&error))?;
        let mut driving = JoinSet::new();
        // How it ends is seen by whoever waits for an answer.
        driving.spawn(async { drop(connection.await) });
        Ok((sender, driving))
    }

    async fn wire(&self) -> Result<Box<dyn Wire>, Failure> {
        let port = self.uri.port_u16().unwrap_or(if self.tls { 443 } else { 80 });
        let connected = TcpStream::connect((self.host.as_str(), port)).await;
        let stream = connected.map_err(|error| self.failed("it cannot be reached").because(&error))?;
        drop(stream.set_nodelay(true));
        if !self.tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(self.host.clone())
            .map_err(|error| self.failed("its name is no host name").because(&error))?;
        let connecting = TlsConnector::from(Arc::new(self.tls_config()?)).connect(name, stream);
        let stream =
            connecting.await.map_err(|error| self.failed("there is no TLS with it").because(&error))?;
        Ok(Box::new(stream))
    }

    fn posting(&self) -> Builder {
        self.begin(Method::POST)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/graphql-response+json, application/json;q=0.9")
    }

    fn document(&self, status: StatusCode, bytes: &[u8]) -> Result<Value, Failure> {
        let answer: Result<Value, _> = serde_json::from_slice(bytes);
        answer
            .map_err(|error| self.failed(&format!("it answered {status}, and not with JSON")).because(&error))
    }

    fn begin(&self, method: Method) -> Builder {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.authority())
            .header(USER_AGENT, concat!("fraiseql/", env!("CARGO_PKG_VERSION")))
    }

    fn tls_config(&self) -> Result<ClientConfig, Failure> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| self.failed("there is no TLS").because(&error))?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }

    pub(crate) fn failed(&self, reason: &str) -> Failure {
        // Without user and password, should the URL have them.
        let message = format!("ask {}://{}{}: {reason}", self.scheme(), self.authority(), self.uri.path());
        Failure::new(&errors::INT_ENDPOINT, message)
            .hint("check the URL and the network; --header 'Authorization: ...' where it wants one")
    }

    /// Host and port, without user and password.
    fn authority(&self) -> &str {
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        authority.rsplit('@').next().unwrap_or("")
    }

    fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

fn parse_header(header: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let parts = header.split_once(':');
    let parsed = parts.and_then(|(name, value)| {
        let (Ok(name), Ok(value)) = (name.trim().parse(), HeaderValue::from_str(value.trim())) else {
            return None;
        };
        Some((name, value))
    });
    parsed.ok_or_else(|| {
        // The value may be a secret.
        let name = parts.map_or("", |(name, _)| name);
        Failure::new(&errors::CFG_BAD_VALUE, format!("use the header {name:?}: it is not name: value"))
            .hint("--header 'Authorization: Bearer TOKEN'")
    })
}
