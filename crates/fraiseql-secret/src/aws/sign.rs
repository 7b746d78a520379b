//! Signature version 4 for one request; the arithmetic is that of AWS's own crate.

use std::collections::BTreeMap;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;

use super::AwsKeys;

/// Returns the headers that sign a POST of `body` to `url`; the error says in words what is wrong.
pub(super) fn headers(
    keys: &AwsKeys,
    region: &str,
    now: SystemTime,
    url: &str,
    headers: &BTreeMap<&'static str, &'static str>,
    body: &str,
) -> Result<Vec<(String, String)>, String> {
    let token = keys.session_token.as_ref().map(|token| token.expose().to_owned());
    let credentials = Credentials::new(&keys.access_key, keys.secret_key.expose(), token, None, "fraiseql");
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("secretsmanager")
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| error.to_string())?;
    let given = headers.iter().map(|(name, value)| (*name, *value));
    let request = SignableRequest::new("POST", url, given, SignableBody::Bytes(body.as_bytes()))
        .map_err(|error| error.to_string())?;
    let (instructions, _signature) =
        sign(request, &params.into()).map_err(|error| error.to_string())?.into_parts();
    let added = instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(added.collect())
}
