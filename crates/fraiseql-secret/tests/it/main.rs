//! References against the real stores: OpenBao, killed and sealed too, and a store that checks
//! signatures of AWS.

mod aws;
mod login;
mod vault;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fraiseql_model::secret::{SecretRef, SecretSource};
use fraiseql_secret::{
    AwsOptions, CommandOptions, Resolver, SecretError, SecretOptions, VaultLogin, VaultOptions,
};
use fraiseql_testkit::Vault;

/// Options without any store, with these variables.
fn options(variables: &[(&'static str, String)]) -> SecretOptions {
    let variables: BTreeMap<&str, String> = variables.iter().cloned().collect();
    SecretOptions {
        variable: Arc::new(move |name| variables.get(name).cloned()),
        // The signature is checked against the time that it names.
        clock: || SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        vault: None,
        aws: AwsOptions { region: None, endpoint: None, profile: "default".to_owned() },
        command: Some(CommandOptions { words: vec!["echo".to_owned()], timeout: Duration::from_secs(5) }),
    }
}

/// Where a server is, with a login.
fn at(vault: &Vault, login: VaultLogin) -> VaultOptions {
    VaultOptions { address: vault.address(), namespace: None, ca_file: None, login }
}

fn token(text: &str) -> VaultLogin {
    VaultLogin::Token(SecretSource::read(text).unwrap())
}

fn resolver(vault: VaultOptions) -> Resolver {
    Resolver::new(SecretOptions { vault: Some(vault), ..options(&[]) }).unwrap()
}

/// Follows a reference; an error is shown with its causes.
async fn follow(resolver: &Resolver, reference: &str) -> Result<String, String> {
    let reference = SecretRef::parse(reference).unwrap();
    let found = resolver.find(&reference).await;
    let taken = found.and_then(|found| found.take(reference.key()));
    taken.map(|secret| secret.expose().to_owned()).map_err(|error| shown(&error))
}

fn shown(error: &SecretError) -> String {
    let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
    format!("{}: {error}{cause}", error.code().code)
}

#[tokio::test]
async fn what_is_not_configured_names_the_setting() {
    let mut options = options(&[("A", "hunter2".to_owned())]);
    options.command = None;
    let resolver = Resolver::new(options).unwrap();
    let vault = follow(&resolver, "secret://vault/secret/x#y").await.unwrap_err();
    assert_eq!(vault, "FQ-CFG-005: follow secret://vault/secret/x#y: vault.address is not set");
    let exec = follow(&resolver, "secret://exec/db").await.unwrap_err();
    assert_eq!(exec, "FQ-CFG-005: follow secret://exec/db: secrets.command is not set");
    let aws = follow(&resolver, "secret://aws/db").await.unwrap_err();
    assert_eq!(aws, "FQ-CFG-005: follow secret://aws/db: aws.region is not set");
    assert_eq!(follow(&resolver, "env://A").await.as_deref(), Ok("hunter2"));
    let unset = follow(&resolver, "env://B").await.unwrap_err();
    assert_eq!(unset, "FQ-SEC-005: find env://B: the variable is not set, or empty");
}

#[tokio::test]
async fn a_command_prints_a_text_or_fields() {
    let mut options = options(&[]);
    let words = ["printf", "{\"user\":\"%s\",\"port\":5}"].map(str::to_owned).to_vec();
    options.command = Some(CommandOptions { words, timeout: Duration::from_secs(5) });
    let resolver = Resolver::new(options).unwrap();
    assert_eq!(follow(&resolver, "secret://exec/shop#user").await.as_deref(), Ok("shop"));
    assert_eq!(follow(&resolver, "secret://exec/shop#port").await.as_deref(), Ok("5"));
}
