//! AWS Secrets Manager: one signed request, GetSecretValue. Credentials are found as the SDKs do.

mod credentials;
mod profile;
mod sign;

use std::collections::BTreeMap;

use fraiseql_model::secret::Secret;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::error::SecretError;
use crate::found::Content;
use crate::http::{self, Answer, text};
use crate::options::{AwsOptions, SecretOptions, VariableLookup};
use profile::Profile;

const TARGET: &str = "secretsmanager.GetSecretValue";
/// Errors whose message repeats what was sent, so that it is not passed on.
const QUIET: [&str; 3] =
    ["InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignatureException"];
/// Errors that may be over after a while, whatever their status.
const PASSING: [&str; 3] = ["ThrottlingException", "InternalServiceError", "RequestTimeout"];

/// Who asks: an access key and, for temporary ones, its token.
#[derive(Debug)]
pub(crate) struct AwsKeys {
    pub(crate) access_key: String,
    pub(crate) secret_key: Secret,
    pub(crate) session_token: Option<Secret>,
}

/// Returns what lies under a name; with `stage` another version than the current one.
pub(crate) async fn read(
    options: &SecretOptions,
    name: &str,
    stage: Option<&str>,
    reference: &str,
) -> Result<Content, SecretError> {
    let (aws, variable) = (&options.aws, &options.variable);
    let profile = Profile::read(&aws.profile, variable)?;
    let region = region(aws, name, &profile, variable, reference)?;
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let endpoint =
        aws.endpoint.clone().unwrap_or_else(|| format!("https://secretsmanager.{region}.{domain}/"));
    let store = format!("AWS Secrets Manager at {endpoint}");
    let client = http::client(&endpoint, None, &store)?;
    let keys = credentials::find(&profile, &region, options, &store).await?;
    let body = match stage {
        Some(stage) => json!({ "SecretId": name, "VersionStage": stage }),
        None => json!({ "SecretId": name }),
    }
    .to_string();
    let headers = BTreeMap::from([("content-type", "application/x-amz-json-1.1"), ("x-amz-target", TARGET)]);
    let signed = sign::headers(&keys, &region, (options.clock)(), &endpoint, &headers, &body)
        .map_err(|reason| SecretError::Answer { store: store.clone(), reason })?;
    let mut request = client.post(&endpoint).body(body);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    for (name, value) in signed {
        request = request.header(name, value);
    }
    content(&http::send(request, &store).await?, &store, reference)
}

/// Returns the region: the setting's, that of an ARN, that of the files.
fn region(
    aws: &AwsOptions,
    name: &str,
    profile: &Profile,
    variable: &VariableLookup,
    reference: &str,
) -> Result<String, SecretError> {
    let of_arn = name.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(2)).map(str::to_owned);
    let region = of_arn.or_else(|| aws.region.clone()).or_else(|| variable("AWS_DEFAULT_REGION"));
    let region = region.or_else(|| profile.region.clone());
    let plain =
        |region: &String| region.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    region
        .filter(|region| !region.is_empty() && plain(region))
        .ok_or_else(|| SecretError::Unconfigured { what: reference.to_owned(), setting: "aws.region" })
}

fn content(answer: &Answer, store: &str, reference: &str) -> Result<Content, SecretError> {
    if answer.status.is_success() {
        return match text(&answer.body, "SecretString") {
            Some(secret) => Ok(Content::of_text(Secret::new(secret.to_owned()))),
            None => Err(SecretError::Value {
                reference: reference.to_owned(),
                reason: "it is binary, and text is needed".to_owned(),
            }),
        };
    }
    let kind = kind(&answer.body);
    if kind == "ResourceNotFoundException" {
        let reason = "there is no such secret, or no version of that stage".to_owned();
        return Err(SecretError::Missing { reference: reference.to_owned(), reason });
    }
    let said = [text(&answer.body, "message"), text(&answer.body, "Message")].into_iter().flatten().next();
    let said = said.filter(|_| !QUIET.contains(&kind)).map_or_else(String::new, |said| format!(": {said}"));
    let what = if kind.is_empty() { format!("it answered {}", answer.status) } else { kind.to_owned() };
    let away = answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS;
    if away || PASSING.contains(&kind) {
        return Err(SecretError::Away { store: store.to_owned(), source: what.into() });
    }
    let reason = format!("{what}{said}");
    Err(SecretError::Refused { what: format!("read {reference}"), store: store.to_owned(), reason })
}

/// Returns the error's name without its name space.
fn kind(body: &Value) -> &str {
    let kind = text(body, "__type").unwrap_or("");
    kind.rsplit('#').next().unwrap_or(kind)
}
