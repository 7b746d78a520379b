//! AWS Secrets Manager: signatures that an independent computation confirms, and where credentials
//! come from.

use std::collections::BTreeMap;
use std::io::Write;

use fraiseql_secret::{AwsOptions, Resolver, SecretOptions};
use fraiseql_testkit::{AwsUser, HttpEndpoint, aws_store};

use crate::{follow, options};

const USER: AwsUser =
    AwsUser { access_key: "AKIDEXAMPLE", secret_key: "wJalrXUtnFEMI/K7MDENG", session_token: "" };
const TEMPORARY: AwsUser = AwsUser { session_token: "s3ssion/token==", ..USER };
const REFERENCE: &str = "secret://aws/prod/shop#password";

fn store(user: AwsUser) -> HttpEndpoint {
    let fields = r#"{"username":"shop","password":"hunter2"}"#.to_owned();
    let secrets = [
        (("prod/shop", "AWSCURRENT"), fields),
        (("prod/shop", "AWSPREVIOUS"), r#"{"password":"older"}"#.to_owned()),
        (("plain", "AWSCURRENT"), "just text".to_owned()),
    ];
    aws_store(user, BTreeMap::from(secrets))
}

fn resolver(store: &HttpEndpoint, variables: &[(&'static str, String)]) -> Resolver {
    let aws = AwsOptions {
        region: Some("eu-west-1".to_owned()),
        endpoint: Some(format!("{}/", store.url())),
        profile: "shop".to_owned(),
    };
    Resolver::new(SecretOptions { aws, ..options(variables) }).unwrap()
}

fn keys(secret_key: &str) -> Vec<(&'static str, String)> {
    vec![("AWS_ACCESS_KEY_ID", USER.access_key.to_owned()), ("AWS_SECRET_ACCESS_KEY", secret_key.to_owned())]
}

#[tokio::test]
async fn a_signed_request_gets_fields_texts_and_stages() {
    let store = store(USER);
    let resolver = resolver(&store, &keys(USER.secret_key));
    let check = async |reference: &str, expected: &str| {
        assert_eq!(follow(&resolver, reference).await.as_deref(), Ok(expected), "{reference}");
    };
    check(REFERENCE, "hunter2").await;
    check("secret://aws/prod/shop?stage=AWSPREVIOUS#password", "older").await;
    check("secret://aws/plain", "just text").await;
}

#[tokio::test]
async fn what_is_refused_is_told_and_no_key_with_it() {
    let store = store(USER);
    let good = resolver(&store, &keys(USER.secret_key));
    let place = format!("AWS Secrets Manager at {}/", store.url());
    let check = async |resolver: &Resolver, reference: &str, expected: String| {
        assert_eq!(follow(resolver, reference).await, Err(expected));
    };
    let missing = "there is no such secret, or no version of that stage";
    check(&good, "secret://aws/nothing", format!("FQ-SEC-005: find secret://aws/nothing: {missing}")).await;
    let denied = "AccessDeniedException: User: arn:aws:iam::1:user/shop is not authorized";
    let read = format!("FQ-SEC-004: read secret://aws/forbidden: {place} refuses it: {denied}");
    check(&good, "secret://aws/forbidden", read).await;
    let busy = format!("FQ-SEC-002: reach {place}: it answered 503 Service Unavailable");
    check(&good, "secret://aws/busy", busy).await;
    // The message of AWS would repeat what was signed.
    let wrong = resolver(&store, &keys("another"));
    let read = format!("FQ-SEC-004: read {REFERENCE}: {place} refuses it: InvalidSignatureException");
    check(&wrong, REFERENCE, read).await;
    let none = resolver(&store, &[("AWS_EC2_METADATA_DISABLED", "true".to_owned())]);
    let refused = follow(&none, REFERENCE).await.unwrap_err();
    assert!(refused.starts_with("FQ-SEC-004: find credentials of AWS: "), "{refused}");
}

#[tokio::test]
async fn credentials_come_from_wherever_the_sdks_look() {
    let store = store(TEMPORARY);
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path.display().to_string()
    };
    let check = async |variables: &[(&'static str, String)]| {
        let found = follow(&resolver(&store, variables), REFERENCE).await;
        assert_eq!(found.as_deref(), Ok("hunter2"), "{:?}", variables[0].0);
    };
    let mut variables = keys(TEMPORARY.secret_key);
    variables.push(("AWS_SESSION_TOKEN", TEMPORARY.session_token.to_owned()));
    check(&variables).await;
    let text = format!(
        "[shop]\naws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n",
        TEMPORARY.access_key, TEMPORARY.secret_key, TEMPORARY.session_token
    );
    check(&[("AWS_SHARED_CREDENTIALS_FILE", file("credentials", &text))]).await;
    check(&[
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file("web", "web-token")),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/shop".to_owned()),
        ("AWS_ENDPOINT_URL_STS", format!("{}/sts", store.url())),
    ])
    .await;
    check(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/container", store.url())),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file("container", "container-token")),
    ])
    .await;
    check(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", store.url())]).await;
}
