//! Asks about opaque tokens (RFC 7662).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Url};
use serde_json::{Map, Value};

use super::denial::Denial;
use super::provider_client;

/// Where and as whom to ask about opaque tokens.
#[derive(Clone)]
pub struct IntrospectionOptions {
    /// The endpoint.
    pub url: String,
    /// The name of this server there.
    pub client_id: String,
    /// The secret that goes with it.
    pub secret: String,
    /// How long an answer is held.
    pub cache: Duration,
}

/// The endpoint.
pub(super) struct Introspection {
    client: Client,
    url: Url,
    authorization: HeaderValue,
    pub(super) cache: Duration,
}

impl Introspection {
    /// Fails when the URL cannot be asked.
    pub(super) fn new(
        options: &IntrospectionOptions,
        timeout: Duration,
        https_only: bool,
    ) -> Result<Self, String> {
        let url = provider_client::url(&options.url, https_only)?;
        // RFC 6749, section 2.3.1: both are encoded as in a form, then joined.
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encode(&options.client_id), encode(&options.secret));
        let mut authorization = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
            .map_err(|error| error.to_string())?;
        authorization.set_sensitive(true);
        let client = provider_client::client(&url, timeout)?;
        Ok(Self { client, url, authorization, cache: options.cache })
    }

    /// Returns the claims of an active token. `Err(None)` is a token that is not active, `Err` with a
    /// reason an endpoint that cannot be asked.
    pub(super) async fn ask(&self, token: &str) -> Result<Map<String, Value>, Result<Denial, String>> {
        let form = form_urlencoded::Serializer::new(String::new()).append_pair("token", token).finish();
        let request = self
            .client
            .post(self.url.clone())
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        let body = provider_client::fetch(request).await.map_err(Err)?;
        let claims: Map<String, Value> =
            serde_json::from_slice(&body).map_err(|error| Err(format!("{}: {error}", self.url)))?;
        match claims.get("active") {
            Some(Value::Bool(true)) => Ok(claims),
            Some(Value::Bool(false)) => Err(Ok(Denial::Inactive)),
            _ => Err(Err(format!("{} does not say whether the token is active", self.url))),
        }
    }
}
