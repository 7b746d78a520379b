//! The HTTP client that issuers are asked with: TLS, limits on time and size, no redirects.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, Url};

use crate::fault::chain;

/// The largest document that an issuer may send.
const DOCUMENT_BYTES_MAX: usize = 512 << 10;

/// Makes a client for what lies at `url`. What is on this machine is not asked through a proxy.
pub(super) fn client(url: &Url, timeout: Duration) -> Result<Client, String> {
    let builder = Client::builder()
        .timeout(timeout)
        .connect_timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("fraiseql/", env!("CARGO_PKG_VERSION")));
    let builder = if is_loopback(url) { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| chain(&error))
}

/// Reads a URL that may be asked: `https`, or `http` where that is allowed.
pub(super) fn url(text: &str, https_only: bool) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("{text:?} is no URL: {error}"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if !https_only => Ok(url),
        _ => Err(format!("{text:?} does not begin with https://")),
    }
}

/// Sends a request and returns the body of a 200.
pub(super) async fn fetch(request: RequestBuilder) -> Result<Vec<u8>, String> {
    let mut response = request.send().await.map_err(|error| chain(&error))?;
    if response.status() != StatusCode::OK {
        return Err(format!("{} answers {}", response.url(), response.status()));
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| chain(&error))? {
        if body.len() + piece.len() > DOCUMENT_BYTES_MAX {
            return Err(format!("{} sends more than {DOCUMENT_BYTES_MAX} bytes", response.url()));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or("").trim_matches(|bracket| matches!(bracket, '[' | ']'));
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
