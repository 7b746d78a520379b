//! What a resolver is made of. The binary fills it from settings and the environment.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fraiseql_model::secret::SecretSource;

/// Looks a variable of the environment up.
pub type VariableLookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Everything that following references may need. What is not configured is an error only when a
/// reference asks for it.
#[derive(Clone)]
pub struct SecretOptions {
    /// Looks a variable up, for `env://` and for the credentials of AWS.
    pub variable: VariableLookup,
    /// The time of day, for signatures.
    pub clock: fn() -> SystemTime,
    /// Vault, where it is configured.
    pub vault: Option<VaultOptions>,
    /// AWS Secrets Manager.
    pub aws: AwsOptions,
    /// The command, where one is configured.
    pub command: Option<CommandOptions>,
}

impl fmt::Debug for SecretOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SecretOptions");
        shown.field("vault", &self.vault).field("aws", &self.aws).field("command", &self.command);
        shown.finish_non_exhaustive()
    }
}

/// Where Vault is and how to log in.
#[derive(Clone, Debug)]
pub struct VaultOptions {
    /// `https://host:8200`.
    pub address: String,
    /// The namespace, sent with each request.
    pub namespace: Option<String>,
    /// Certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// How to log in.
    pub login: VaultLogin,
}

/// How to log in to Vault. What is secret may be by reference, but not to Vault itself.
#[derive(Clone, Debug)]
pub enum VaultLogin {
    /// With a token that is there.
    Token(SecretSource),
    /// With a role id and a secret id.
    AppRole {
        /// Where the method is mounted.
        mount: String,
        /// The role id.
        role_id: String,
        /// The secret id.
        secret_id: SecretSource,
    },
    /// With a signed token of a service account: the methods `kubernetes` and `jwt`.
    ServiceAccount {
        /// Where the method is mounted.
        mount: String,
        /// The role.
        role: String,
        /// The file with the token, read at each login.
        jwt_file: PathBuf,
    },
}

/// AWS Secrets Manager. Credentials are found as the SDKs find them.
#[derive(Clone, Debug)]
pub struct AwsOptions {
    /// The region; without one that of the shared configuration file.
    pub region: Option<String>,
    /// Another endpoint than the region's.
    pub endpoint: Option<String>,
    /// The section of the shared files.
    pub profile: String,
}

/// The command behind `secret://exec/NAME`.
#[derive(Clone, Debug)]
pub struct CommandOptions {
    /// Program and arguments; the name is added.
    pub words: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
}
