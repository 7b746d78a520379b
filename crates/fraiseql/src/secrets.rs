//! Makes a resolver of secrets from the settings, and failures from its errors.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fraiseql_model::errors;
use fraiseql_model::secret::{Secret, SecretSource};
use fraiseql_model::settings::{SETTINGS, Settings};
use fraiseql_secret::{
    AwsOptions, CommandOptions, Resolver, SecretError, SecretOptions, VaultLogin, VaultOptions,
};

use crate::failure::Failure;

/// Returns what follows the references of a project.
pub(crate) fn resolver(settings: &Settings) -> Result<Arc<Resolver>, Failure> {
    let words = settings.list("secrets.command");
    let timeout = settings.duration("secrets.command_timeout_ms");
    let options = SecretOptions {
        variable: Arc::new(|name| std::env::var(name).ok()),
        clock: now,
        vault: vault(settings)?,
        aws: AwsOptions {
            region: settings.text("aws.region").map(str::to_owned),
            endpoint: settings.text("aws.endpoint").map(str::to_owned),
            profile: settings.text("aws.profile").unwrap_or("default").to_owned(),
        },
        command: (!words.is_empty()).then_some(CommandOptions { words, timeout }),
    };
    Ok(Arc::new(Resolver::new(options)?))
}

/// How long commands wait for a store that is away.
pub(crate) fn patience(settings: &Settings) -> Duration {
    settings.duration("secrets.start_timeout_ms")
}

/// Secrets that a server reads once, at its start.
const READ_ONCE: [&str; 3] =
    ["cache.redis_url", "identity.development_secret", "identity.introspection_secret"];

/// Returns the settings with the references of secrets followed that are read once.
pub(crate) async fn followed(settings: &Settings) -> Result<Settings, Failure> {
    let mut followed = settings.clone();
    let is_reference = |key: &&str| matches!(settings.secret(key), Some(SecretSource::Reference(_)));
    let references: Vec<&'static str> = READ_ONCE.into_iter().filter(is_reference).collect();
    if references.is_empty() {
        return Ok(followed);
    }
    let resolver = resolver(settings)?;
    for key in references {
        if let Some(found) = value(&resolver, settings, key).await? {
            followed.follow(key, found.expose());
        }
    }
    Ok(followed)
}

/// Returns the value of a secret setting, following its reference.
pub(crate) async fn value(
    resolver: &Resolver,
    settings: &Settings,
    key: &str,
) -> Result<Option<Secret>, Failure> {
    match settings.secret(key) {
        None => Ok(None),
        Some(source) => Ok(Some(resolver.value(&source, patience(settings)).await?)),
    }
}

fn vault(settings: &Settings) -> Result<Option<VaultOptions>, Failure> {
    // $VAULT_ADDR may be there for somebody else: the rest is asked for only when a reference wants it.
    let texts =
        SETTINGS.iter().filter(|setting| setting.secret).filter_map(|setting| settings.text(setting.key));
    let wanted = texts.into_iter().any(|text| text.starts_with("secret://vault/"));
    let Some(address) = settings.text("vault.address").filter(|_| wanted) else { return Ok(None) };
    let method = settings.text("vault.auth").unwrap_or("token");
    let needed = |key: &str| {
        settings.text(key).ok_or_else(|| {
            Failure::new(&errors::CFG_MISSING, format!("log in to Vault by {method}: {key} is not set"))
                .hint(format!("set {key} in fraiseql.toml, or another vault.auth"))
        })
    };
    let source = |key: &str| -> Result<SecretSource, Failure> {
        needed(key)?;
        settings.secret(key).ok_or_else(|| Failure::new(&errors::CFG_MISSING, format!("read {key}")))
    };
    let mount = settings.text("vault.auth_mount").unwrap_or(method).to_owned();
    let login = match method {
        "approle" => VaultLogin::AppRole {
            mount,
            role_id: needed("vault.role_id")?.to_owned(),
            secret_id: source("vault.secret_id")?,
        },
        "kubernetes" | "jwt" => VaultLogin::ServiceAccount {
            mount,
            role: needed("vault.role")?.to_owned(),
            jwt_file: PathBuf::from(needed("vault.jwt_file")?),
        },
        _ => VaultLogin::Token(source("vault.token")?),
    };
    Ok(Some(VaultOptions {
        address: address.to_owned(),
        namespace: settings.text("vault.namespace").map(str::to_owned),
        ca_file: settings.text("vault.ca_file").map(PathBuf::from),
        login,
    }))
}

#[expect(clippy::disallowed_methods, reason = "requests to AWS are signed with the time of day")]
fn now() -> SystemTime {
    SystemTime::now()
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        let mut failure = Self::new(error.code(), error.to_string()).hint(error.hint());
        if let Some(source) = std::error::Error::source(&error) {
            failure = failure.because(source);
        }
        failure
    }
}
