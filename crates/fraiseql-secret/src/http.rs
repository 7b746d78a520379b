//! The HTTP client of the stores: TLS by the system's certificates or a file's, limits, few redirects.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use crate::error::SecretError;
use crate::local::SECRET_BYTES_MAX;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(10);
/// A Vault that stands by sends to the one that is active.
const REDIRECTS_MAX: usize = 2;

/// An answer: its status, and its body if that is JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

/// Makes a client for a store at `address`, told as `store` in errors.
pub(crate) fn client(address: &str, ca_file: Option<&Path>, store: &str) -> Result<Client, SecretError> {
    let wrong = |reason: String| SecretError::Answer { store: store.to_owned(), reason };
    let url: Url = address.parse().map_err(|error| wrong(format!("its address is no URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("its address begins neither with https:// nor with http://".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .with_root_certificates(roots(ca_file)?)
        .with_no_client_auth();
    let redirects = Policy::custom(|attempt| {
        let first = attempt.previous().first().map(Url::scheme);
        // A token must not go on in the clear.
        if attempt.previous().len() > REDIRECTS_MAX
            || first.is_some_and(|first| first == "https" && attempt.url().scheme() != "https")
        {
            attempt.stop()
        } else {
            attempt.follow()
        }
    });
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .redirect(redirects)
        .user_agent(concat!("fraiseql/", env!("CARGO_PKG_VERSION")));
    if is_local(&url) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| wrong(format!("no client for it: {error}")))
}

/// Returns true for this machine and for the addresses at which clouds tell of it.
fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or("").trim_matches(|bracket| matches!(bracket, '[' | ']'));
    let by_number = host.parse::<std::net::IpAddr>().is_ok_and(|ip| match ip {
        std::net::IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
        std::net::IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    });
    by_number || host == "localhost"
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, SecretError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca_file else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let unreadable = |error: String| SecretError::Unreadable {
        path: path.to_owned(),
        source: std::io::Error::other(error),
    };
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
    }
    Ok(roots)
}

/// Sends a request whose answer is JSON.
///
/// Fails with [`SecretError::Away`] when there is none.
pub(crate) async fn send(request: RequestBuilder, store: &str) -> Result<Answer, SecretError> {
    let (status, bytes) = exchange(request, store).await?;
    // What is no JSON is looked at by its status alone: it comes from something in between.
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Ok(Answer { status, body })
}

/// Sends a request whose answer is a plain text.
pub(crate) async fn send_for_text(
    request: RequestBuilder,
    store: &str,
) -> Result<(StatusCode, String), SecretError> {
    let (status, bytes) = exchange(request, store).await?;
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}

/// Sends a request and reads the answer within limits.
async fn exchange(request: RequestBuilder, store: &str) -> Result<(StatusCode, Vec<u8>), SecretError> {
    // The URL may hold what it must not; the store is named by us.
    let away = |error: reqwest::Error| SecretError::Away {
        store: store.to_owned(),
        source: Box::new(error.without_url()),
    };
    let mut response = request.send().await.map_err(away)?;
    let status = response.status();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(away)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > SECRET_BYTES_MAX {
            let reason = "its answer has more than a million bytes".to_owned();
            return Err(SecretError::Answer { store: store.to_owned(), reason });
        }
    }
    Ok((status, bytes))
}

/// Returns a text of a JSON object.
pub(crate) fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}
