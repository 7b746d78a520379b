//! AWS Secrets Manager as far as reading goes. Each signature is computed here from the documents of
//! AWS (Signature Version 4, "Create a signed request"), with nothing of the crate that made it.

use std::collections::BTreeMap;

use fraiseql_model::digest::sha256_hex;

use crate::endpoint::{Asked, HttpEndpoint};

/// Who may read.
#[derive(Clone, Debug)]
pub struct AwsUser {
    /// The access key's id.
    pub access_key: &'static str,
    /// The secret key.
    pub secret_key: &'static str,
    /// The token of temporary credentials; empty for others.
    pub session_token: &'static str,
}

/// Starts a store with `secrets`: name and stage to text. It also gives `user`'s credentials as the
/// metadata service of a machine (version 2 only), a container's and STS do.
pub fn aws_store(user: AwsUser, secrets: BTreeMap<(&'static str, &'static str), String>) -> HttpEndpoint {
    HttpEndpoint::start(move |asked| {
        let temporary = format!(
            r#"{{"AccessKeyId":"{}","SecretAccessKey":"{}","Token":"{}"}}"#,
            user.access_key, user.secret_key, user.session_token
        );
        match (asked.method.as_str(), asked.path.as_str()) {
            ("PUT", "/latest/api/token")
                if !asked.header("x-aws-ec2-metadata-token-ttl-seconds").is_empty() =>
            {
                (200, "metadata-token".to_owned())
            }
            ("GET", path)
                if path.starts_with("/latest/")
                    && asked.header("x-aws-ec2-metadata-token") != "metadata-token" =>
            {
                (401, String::new())
            }
            ("GET", "/latest/meta-data/iam/security-credentials/") => (200, "shop-role\n".to_owned()),
            ("GET", "/latest/meta-data/iam/security-credentials/shop-role") => (200, temporary),
            ("GET", "/container") if asked.header("authorization") == "container-token" => (200, temporary),
            ("POST", "/sts") => sts(&user, asked),
            ("POST", "/") => secret(&user, &secrets, asked),
            _ => (404, String::new()),
        }
    })
}

fn sts(user: &AwsUser, asked: &Asked) -> (u16, String) {
    if !asked.body.contains("Action=AssumeRoleWithWebIdentity")
        || !asked.body.contains("WebIdentityToken=web-token")
    {
        return (400, r#"{"Error":{"Code":"InvalidIdentityToken"}}"#.to_owned());
    }
    let credentials = format!(
        r#"{{"AccessKeyId":"{}","SecretAccessKey":"{}","SessionToken":"{}"}}"#,
        user.access_key, user.secret_key, user.session_token
    );
    let body = format!(
        r#"{{"AssumeRoleWithWebIdentityResponse":{{"AssumeRoleWithWebIdentityResult":{{"Credentials":{credentials}}}}}}}"#
    );
    (200, body)
}

fn secret(
    user: &AwsUser,
    secrets: &BTreeMap<(&'static str, &'static str), String>,
    asked: &Asked,
) -> (u16, String) {
    let error = |kind: &str, message: &str| (400, format!(r#"{{"__type":"{kind}","message":"{message}"}}"#));
    if asked.header("x-amz-target") != "secretsmanager.GetSecretValue" {
        return error("UnknownOperationException", "");
    }
    if asked.header("x-amz-security-token") != user.session_token {
        return error(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        );
    }
    match signature(user, asked) {
        Some((claimed, computed)) if claimed == computed => {}
        Some((_, computed)) => {
            return error("InvalidSignatureException", &format!("it should have been {computed}"));
        }
        None => return error("MissingAuthenticationTokenException", "Missing Authentication Token"),
    }
    let body: serde_json::Value =
        serde_json::from_str(&asked.body).expect("it is signed, so it is ours: JSON");
    let name = body["SecretId"].as_str().unwrap_or("");
    let stage = body["VersionStage"].as_str().unwrap_or("AWSCURRENT");
    if name == "forbidden" {
        return error("AccessDeniedException", "User: arn:aws:iam::1:user/shop is not authorized");
    }
    if name == "busy" {
        return (503, String::new());
    }
    match secrets.get(&(name, stage)) {
        Some(text) => (200, serde_json::json!({ "Name": name, "SecretString": text }).to_string()),
        None => error("ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
    }
}

/// Returns the signature that was sent and the one that should have been.
fn signature(user: &AwsUser, asked: &Asked) -> Option<(String, String)> {
    let words = asked.header("authorization").strip_prefix("AWS4-HMAC-SHA256 ")?;
    let word = |name: &str| {
        let found = words.split(',').map(str::trim).find_map(|word| word.strip_prefix(name));
        found.map(str::to_owned)
    };
    let (credential, signed) = (word("Credential=")?, word("SignedHeaders=")?);
    let (access_key, scope) = credential.split_once('/')?;
    let [date, region, "secretsmanager", "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
        return None;
    };
    let time = asked.header("x-amz-date");
    if access_key != user.access_key || !time.starts_with(date) || !signed.contains("host") {
        return None;
    }
    let headers: String = signed.split(';').map(|name| format!("{name}:{}\n", asked.header(name))).collect();
    let (path, body) = (&asked.path, sha256_hex(asked.body.as_bytes()));
    let request = format!("POST\n{path}\n\n{headers}\n{signed}\n{body}");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256_hex(request.as_bytes()));
    let mut key = format!("AWS4{}", user.secret_key).into_bytes();
    for part in [date, region, "secretsmanager", "aws4_request"] {
        key = hmac(&key, part.as_bytes());
    }
    let computed: String = hmac(&key, text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    Some((word("Signature=")?, computed))
}

/// RFC 2104 with SHA-256; keys here are shorter than a block.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = [&block.map(|byte| byte ^ 0x36)[..], text].concat();
    let outer = [&block.map(|byte| byte ^ 0x5c)[..], &sha256(&inner)].concat();
    sha256(&outer)
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    let hex = sha256_hex(bytes);
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}
