//! Finds credentials of AWS: variables, web identity, the shared file, the container's, the machine's.
//! They are looked for at each reading, so that those that end are never used too long.

use fraiseql_model::secret::Secret;
use reqwest::{Client, StatusCode};
use serde_json::Value;
use std::path::Path;

use super::AwsKeys;
use super::profile::Profile;
use crate::error::SecretError;
use crate::http::{self, text};
use crate::local;
use crate::options::{SecretOptions, VariableLookup};

const CONTAINER: &str = "http://169.254.170.2";
const MACHINE: &str = "http://169.254.169.254";
const SESSION: &str = "fraiseql";

/// Returns the first credentials that there are.
pub(super) async fn find(
    profile: &Profile,
    region: &str,
    options: &SecretOptions,
    store: &str,
) -> Result<AwsKeys, SecretError> {
    let variable = &options.variable;
    if let (Some(access_key), Some(secret_key)) =
        (given(variable, "AWS_ACCESS_KEY_ID"), given(variable, "AWS_SECRET_ACCESS_KEY"))
    {
        let session_token = given(variable, "AWS_SESSION_TOKEN").map(Secret::new);
        return Ok(AwsKeys { access_key, secret_key: Secret::new(secret_key), session_token });
    }
    if let (Some(file), Some(role)) =
        (given(variable, "AWS_WEB_IDENTITY_TOKEN_FILE"), given(variable, "AWS_ROLE_ARN"))
    {
        return web_identity(&file, &role, region, variable).await;
    }
    if let (Some(access_key), Some(secret_key)) = (&profile.access_key, &profile.secret_key) {
        let (secret_key, session_token) = (secret_key.clone(), profile.session_token.clone());
        return Ok(AwsKeys { access_key: access_key.clone(), secret_key, session_token });
    }
    let relative =
        given(variable, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("{CONTAINER}{path}"));
    if let Some(url) = relative.or_else(|| given(variable, "AWS_CONTAINER_CREDENTIALS_FULL_URI")) {
        return container(&url, variable).await;
    }
    if given(variable, "AWS_EC2_METADATA_DISABLED").as_deref() == Some("true") {
        return Err(none(
            store,
            "none are in the variables, in the shared file or at the container".to_owned(),
        ));
    }
    machine(variable).await.map_err(|error| {
        let mut reason = format!(
            "none are in the variables, in the shared file or at the container, and of the machine: {error}"
        );
        if let Some(cause) = std::error::Error::source(&error) {
            reason.push_str(&format!(": {cause}"));
        }
        none(store, reason)
    })
}

fn given(variable: &VariableLookup, name: &str) -> Option<String> {
    variable(name).filter(|value| !value.is_empty())
}

fn none(store: &str, reason: String) -> SecretError {
    SecretError::Refused { what: "find credentials of AWS".to_owned(), store: store.to_owned(), reason }
}

/// A pod or a job that trades a token for credentials: AssumeRoleWithWebIdentity, which is not signed.
async fn web_identity(
    file: &str,
    role: &str,
    region: &str,
    variable: &VariableLookup,
) -> Result<AwsKeys, SecretError> {
    let endpoint = given(variable, "AWS_ENDPOINT_URL_STS")
        .unwrap_or_else(|| format!("https://sts.{region}.amazonaws.com/"));
    let store = format!("AWS STS at {endpoint}");
    let token = local::file(Path::new(file))?;
    let session = given(variable, "AWS_ROLE_SESSION_NAME").unwrap_or_else(|| SESSION.to_owned());
    let form = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", role),
        ("RoleSessionName", &session),
        ("WebIdentityToken", token.expose()),
    ];
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = http::client(&endpoint, None, &store)?
        .post(&endpoint)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "application/json")
        .body(body);
    let answer = http::send(request, &store).await?;
    let given =
        answer.body.pointer("/AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials");
    let keys = given.and_then(|given| keys(given, ["AccessKeyId", "SecretAccessKey", "SessionToken"]));
    keys.ok_or_else(|| {
        let code = answer.body.pointer("/Error/Code").and_then(Value::as_str).unwrap_or("without a reason");
        let reason = format!("it answered {} ({code})", answer.status);
        SecretError::Refused { what: format!("take the role {role}"), store, reason }
    })
}

/// A task of ECS, or a pod of EKS with an agent.
async fn container(url: &str, variable: &VariableLookup) -> Result<AwsKeys, SecretError> {
    let store = "the container's credentials of AWS";
    let mut request = http::client(url, None, store)?.get(url);
    let authorization = match given(variable, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(file) => Some(local::file(Path::new(&file))?),
        None => given(variable, "AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Secret::new),
    };
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization.expose());
    }
    let answer = http::send(request, store).await?;
    temporary(&answer.body).ok_or_else(|| none(store, format!("it answered {}", answer.status)))
}

/// A machine of EC2, by version 2 of its metadata service: first a token, by a method that a fooled
/// proxy does not pass on.
async fn machine(variable: &VariableLookup) -> Result<AwsKeys, SecretError> {
    let store = "the machine's credentials of AWS";
    let base = given(variable, "AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| MACHINE.to_owned());
    let base = base.trim_end_matches('/');
    let client = http::client(base, None, store)?;
    let refused = |status: StatusCode| none(store, format!("it answered {status}"));
    let asked =
        client.put(format!("{base}/latest/api/token")).header("x-aws-ec2-metadata-token-ttl-seconds", "60");
    let (status, token) = http::send_for_text(asked, store).await?;
    if !status.is_success() {
        return Err(refused(status));
    }
    let get = |client: &Client, path: &str| {
        client
            .get(format!("{base}/latest/meta-data/iam/security-credentials/{path}"))
            .header("x-aws-ec2-metadata-token", &token)
    };
    let (status, roles) = http::send_for_text(get(&client, ""), store).await?;
    let Some(role) = roles.lines().next().filter(|_| status.is_success()) else {
        return Err(refused(status));
    };
    let answer = http::send(get(&client, role), store).await?;
    temporary(&answer.body).ok_or_else(|| refused(answer.status))
}

fn temporary(body: &Value) -> Option<AwsKeys> {
    keys(body, ["AccessKeyId", "SecretAccessKey", "Token"])
}

fn keys(body: &Value, names: [&str; 3]) -> Option<AwsKeys> {
    let [access_key, secret_key, token] = names.map(|name| text(body, name).map(str::to_owned));
    let session_token = token.map(Secret::new);
    Some(AwsKeys { access_key: access_key?, secret_key: Secret::new(secret_key?), session_token })
}
