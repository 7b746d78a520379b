//! Why a secret could not be had. No variant holds a secret.

use std::path::PathBuf;

use fraiseql_model::errors::{self, ErrorCode};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A reference needs a setting that nobody gave.
    #[error("follow {what}: {setting} is not set")]
    Unconfigured {
        /// The reference, or what else.
        what: String,
        /// The setting.
        setting: &'static str,
    },
    /// A store does not answer, or answers that it cannot now.
    #[error("reach {store}")]
    Away {
        /// The store and its address.
        store: String,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Vault is sealed, or was never initialised.
    #[error("read from {store}: it is sealed")]
    Sealed {
        /// The store and its address.
        store: String,
    },
    /// A store refuses: a wrong or expired login, or no permission.
    #[error("{what}: {store} refuses it: {reason}")]
    Refused {
        /// What was tried, as a fragment: "log in", "read PATH".
        what: String,
        /// The store and its address.
        store: String,
        /// What it said.
        reason: String,
    },
    /// There is nothing at the reference.
    #[error("find {reference}: {reason}")]
    Missing {
        /// The reference.
        reference: String,
        /// What is not there.
        reason: String,
    },
    /// The secret has no such field, or several and none was named.
    #[error("take a field of {reference}: it has {known}")]
    Field {
        /// The reference.
        reference: String,
        /// The names of the fields that exist.
        known: String,
    },
    /// The value cannot be used.
    #[error("use {reference}: {reason}")]
    Value {
        /// The reference.
        reference: String,
        /// What is wrong with it, without the value.
        reason: String,
    },
    /// A store said something that it should not.
    #[error("understand {store}: {reason}")]
    Answer {
        /// The store and its address.
        store: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The command failed.
    #[error("run the command for {reference}: {reason}")]
    Command {
        /// The reference.
        reference: String,
        /// What happened.
        reason: String,
    },
    /// A file cannot be read.
    #[error("read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl SecretError {
    /// Returns the registered code.
    pub fn code(&self) -> &'static ErrorCode {
        match self {
            Self::Unconfigured { .. } => &errors::CFG_MISSING,
            Self::Away { .. } | Self::Answer { .. } => &errors::SEC_AWAY,
            Self::Sealed { .. } => &errors::SEC_SEALED,
            Self::Refused { .. } => &errors::SEC_REFUSED,
            Self::Missing { .. } | Self::Field { .. } => &errors::SEC_MISSING,
            Self::Value { .. } => &errors::SEC_VALUE,
            Self::Command { .. } => &errors::SEC_COMMAND,
            Self::Unreadable { .. } => &errors::IO_READ,
        }
    }

    /// Returns what the user can do.
    pub fn hint(&self) -> String {
        match self {
            Self::Unconfigured { setting, .. } => format!("set {setting} in fraiseql.toml; `fraiseql config show` names its variable"),
            Self::Away { .. } => "check that it runs and its address (vault.address or $VAULT_ADDR, aws.endpoint, aws.region), the network, and vault.ca_file for its certificate".to_owned(),
            Self::Sealed { .. } => "unseal it: `vault operator unseal`, or `bao operator unseal`".to_owned(),
            Self::Refused { .. } => "check the login (vault.auth and its settings, or the credentials of AWS) and what its policy allows to read".to_owned(),
            Self::Missing { reference, .. } if reference.starts_with("env://") => {
                "set the variable for the process that reads it".to_owned()
            }
            Self::Missing { .. } => "check the reference; `vault kv put secret/fraiseql db_password=...` makes secret://vault/secret/fraiseql#db_password".to_owned(),
            Self::Field { .. } => "name one of these fields behind the #".to_owned(),
            Self::Value { .. } => "store the value as text; database.credentials needs the fields username and password".to_owned(),
            Self::Answer { .. } => "check that the address is that of the store and not of something else".to_owned(),
            Self::Command { .. } => "run secrets.command by hand with that name; it must print the secret and exit with 0".to_owned(),
            Self::Unreadable { .. } => "check that the file is there and that this user may read it".to_owned(),
        }
    }

    /// Returns true for what may be over after a while.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::Sealed { .. })
    }
}
