//! Follows references of every kind. Cheap to share; stays logged in to Vault.

use std::fmt;
use std::path::Path;

use fraiseql_model::secret::{Secret, SecretRef, SecretSource};
use tokio::time::{Duration, Instant};

use crate::aws;
use crate::command;
use crate::error::SecretError;
use crate::found::{Content, Found};
use crate::local;
use crate::options::SecretOptions;
use crate::vault::Vault;

/// Between two attempts at a store that is away, at first and at most.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long giving leases back may take.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// Follows references.
pub struct Resolver {
    options: SecretOptions,
    vault: Option<Vault>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Resolver {
    /// Makes a resolver; nothing is asked yet. Fails when Vault's address or certificates cannot be used.
    pub fn new(options: SecretOptions) -> Result<Self, SecretError> {
        let vault = match &options.vault {
            Some(vault) => Some(Vault::new(vault.clone(), options.variable.clone())?),
            None => None,
        };
        Ok(Self { options, vault })
    }

    /// Returns what lies at a reference.
    pub async fn find(&self, reference: &SecretRef) -> Result<Found, SecretError> {
        let shown = reference.to_string();
        let content = match reference {
            SecretRef::Vault { path, .. } => return self.vault(&shown)?.read(path, &shown).await,
            SecretRef::Aws { name, stage, .. } => {
                aws::read(&self.options, name, stage.as_deref(), &shown).await?
            }
            SecretRef::Exec { name, .. } => {
                let unconfigured =
                    || SecretError::Unconfigured { what: shown.clone(), setting: "secrets.command" };
                let command = self.options.command.as_ref().ok_or_else(unconfigured)?;
                Content::of_text(command::run(command, name).await?)
            }
            SecretRef::Variable { name } => Content::Text(local::variable(name, &self.options.variable)?),
            SecretRef::File { path } => Content::Text(local::file(Path::new(path))?),
        };
        Ok(Found { reference: shown, content, lease: None })
    }

    /// Returns the value of a setting: itself, or what its reference leads to.
    pub async fn value(&self, source: &SecretSource, patience: Duration) -> Result<Secret, SecretError> {
        match source {
            SecretSource::Plain(secret) => Ok(secret.clone()),
            SecretSource::Reference(reference) => {
                self.find_patiently(reference, patience, &mut |_| ()).await?.take(reference.key())
            }
        }
    }

    /// Does as [`Resolver::find`] and tries again, for as long as `patience` says, while the store is
    /// away or sealed. Tells `waiting` why, once.
    pub async fn find_patiently(
        &self,
        reference: &SecretRef,
        patience: Duration,
        waiting: &mut (dyn FnMut(&SecretError) + Send),
    ) -> Result<Found, SecretError> {
        let deadline = Instant::now() + patience;
        let (mut pause, mut told) = (PAUSE_MIN, false);
        loop {
            match self.find(reference).await {
                Err(error) if error.may_pass() && Instant::now() + pause < deadline => {
                    if !told {
                        waiting(&error);
                        told = true;
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                found => return found,
            }
        }
    }

    /// Gives back every lease that was taken, and the login where one was made. What cannot be given
    /// back within a moment ends by itself.
    pub async fn release_all(&self) {
        if let Some(vault) = &self.vault {
            // Nothing depends on it: an error leaves what would be there without it.
            drop(tokio::time::timeout(RELEASE_TIMEOUT, vault.release()).await);
        }
    }

    pub(crate) fn vault(&self, what: &str) -> Result<&Vault, SecretError> {
        let unconfigured = || SecretError::Unconfigured { what: what.to_owned(), setting: "vault.address" };
        self.vault.as_ref().ok_or_else(unconfigured)
    }
}
