//! Settings of secrets, of the stores that they lie in, and of the admin listener.

use std::fmt;

use super::{Kind, Origin, SETTINGS, Setting, SettingError, Settings, setting};
use crate::secret::{REFERENCES, SecretRef, SecretSource, has_password};

/// A setting whose value is never printed, unless it is a reference.
const fn secret(key: &'static str, env: &'static str, doc: &'static str) -> Setting {
    Setting { secret: true, ..setting(key, env, Kind::Text, None, doc) }
}

pub(super) const ADMIN_ADDRESS: Setting = setting(
    "admin.address",
    "FRAISEQL_ADMIN_ADDRESS",
    Kind::Text,
    Some("127.0.0.1"),
    "The address of the admin listener. Whoever reaches it may read everything that it shows.",
);

pub(super) const ADMIN_PORT: Setting = setting(
    "admin.port",
    "FRAISEQL_ADMIN_PORT",
    Kind::Integer { min: 0, max: 65_535 },
    None,
    "The port of the admin listener, never that of clients; 0 takes a free one. Without it there is none.",
);

pub(super) const AWS_ENDPOINT: Setting = setting(
    "aws.endpoint",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    Kind::Text,
    None,
    "URL of AWS Secrets Manager. Default: that of the region.",
);

pub(super) const AWS_PROFILE: Setting = setting(
    "aws.profile",
    "AWS_PROFILE",
    Kind::Text,
    Some("default"),
    "The section of the shared files of AWS to take credentials and region from.",
);

pub(super) const AWS_REGION: Setting = setting(
    "aws.region",
    "AWS_REGION",
    Kind::Text,
    None,
    "The region of AWS Secrets Manager. Default: that of the shared configuration file.",
);

pub(super) const DATABASE_CREDENTIALS: Setting = secret(
    "database.credentials",
    "FRAISEQL_DATABASE_CREDENTIALS",
    "Reference to a secret with the fields `username` and `password`, for example secret://vault/database/creds/shop; they take the place of those in `database.url`.",
);

pub(super) const DATABASE_PASSWORD: Setting = secret(
    "database.password",
    "FRAISEQL_DATABASE_PASSWORD",
    "Password for `database.url`, best a reference, for example secret://vault/secret/fraiseql#db_password.",
);

pub(super) const SECRETS_COMMAND: Setting = setting(
    "secrets.command",
    "FRAISEQL_SECRETS_COMMAND",
    Kind::List,
    Some(""),
    "Program and arguments that print the secret NAME of secret://exec/NAME, which is added as the last argument. No shell reads it.",
);

pub(super) const SECRETS_COMMAND_TIMEOUT_MS: Setting = setting(
    "secrets.command_timeout_ms",
    "FRAISEQL_SECRETS_COMMAND_TIMEOUT_MS",
    Kind::Integer { min: 100, max: 600_000 },
    Some("10000"),
    "How long that command may take.",
);

pub(super) const SECRETS_REFRESH_MS: Setting = setting(
    "secrets.refresh_ms",
    "FRAISEQL_SECRETS_REFRESH_MS",
    Kind::Integer { min: 100, max: 86_400_000 },
    Some("300000"),
    "How often credentials of the database without a lease are read again, so that a new password is taken without a restart.",
);

pub(super) const SECRETS_START_TIMEOUT_MS: Setting = setting(
    "secrets.start_timeout_ms",
    "FRAISEQL_SECRETS_START_TIMEOUT_MS",
    Kind::Integer { min: 0, max: 3_600_000 },
    Some("15000"),
    "How long a command waits for a store of secrets that is away or sealed.",
);

pub(super) const VAULT_ADDRESS: Setting = setting(
    "vault.address",
    "VAULT_ADDR",
    Kind::Text,
    None,
    "URL of Vault or OpenBao, for example https://vault.example:8200.",
);

pub(super) const VAULT_AUTH: Setting = setting(
    "vault.auth",
    "FRAISEQL_VAULT_AUTH",
    Kind::Choice(&["token", "approle", "kubernetes", "jwt"]),
    Some("token"),
    "How to log in to Vault.",
);

pub(super) const VAULT_AUTH_MOUNT: Setting = setting(
    "vault.auth_mount",
    "FRAISEQL_VAULT_AUTH_MOUNT",
    Kind::Text,
    None,
    "Where that method is mounted. Default: the method's name.",
);

pub(super) const VAULT_CA_FILE: Setting = setting(
    "vault.ca_file",
    "VAULT_CACERT",
    Kind::Text,
    None,
    "File with the certificates that Vault's own must come from, as PEM. Default: those of the system.",
);

pub(super) const VAULT_JWT_FILE: Setting = setting(
    "vault.jwt_file",
    "FRAISEQL_VAULT_JWT_FILE",
    Kind::Text,
    Some("/var/run/secrets/kubernetes.io/serviceaccount/token"),
    "The token of the service account, for `kubernetes` and `jwt`; read anew at each login.",
);

pub(super) const VAULT_NAMESPACE: Setting =
    setting("vault.namespace", "VAULT_NAMESPACE", Kind::Text, None, "Vault's namespace.");

pub(super) const VAULT_ROLE: Setting =
    setting("vault.role", "FRAISEQL_VAULT_ROLE", Kind::Text, None, "The role of `kubernetes` and `jwt`.");

pub(super) const VAULT_ROLE_ID: Setting =
    setting("vault.role_id", "FRAISEQL_VAULT_ROLE_ID", Kind::Text, None, "The role id of `approle`.");

pub(super) const VAULT_SECRET_ID: Setting = secret(
    "vault.secret_id",
    "FRAISEQL_VAULT_SECRET_ID",
    "The secret id of `approle`, best a reference such as file:///run/secrets/secret_id.",
);

pub(super) const VAULT_TOKEN: Setting = secret(
    "vault.token",
    "VAULT_TOKEN",
    "The token of `token`, best a reference such as file:///run/secrets/vault_token.",
);

impl Settings {
    /// Returns the value of a secret setting, or where it is. For settings marked secret only.
    pub fn secret(&self, key: &str) -> Option<SecretSource> {
        Some(SecretSource::read(self.text(key)?).expect("checked by resolve"))
    }

    /// Puts what a reference led to in its place.
    pub fn follow(&mut self, key: &'static str, found: &str) {
        self.values.insert(key, (found.to_owned(), Origin::Store));
    }

    /// Returns the settings whose secret was written where others may read it: into the file or onto
    /// the command line, which every process of the machine can see.
    pub fn plain_secrets(&self) -> Vec<(&'static Setting, &Origin)> {
        let exposed = |setting: &'static Setting| {
            let (text, origin) = self.values.get(setting.key)?;
            let open = matches!(origin, Origin::File { .. } | Origin::Environment { .. } | Origin::Flag(_));
            (open && setting.holds_secret(text)).then_some((setting, origin))
        };
        SETTINGS.iter().filter_map(exposed).collect()
    }
}

impl Setting {
    /// Returns true when this value of it is a secret itself and no reference to one.
    pub fn holds_secret(&self, text: &str) -> bool {
        let is_url = self.key.ends_with("url") || self.key == "database.replicas";
        let has_password = || has_password(text) || text.split_whitespace().any(has_password);
        self.secret && !SecretRef::is_meant(text) && (!is_url || has_password())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.shown();
        let given = shown.iter().filter_map(|(setting, value)| Some((setting.key, &value.as_ref()?.0)));
        f.debug_map().entries(given).finish()
    }
}

/// Returns what is wrong with a reference in a setting that may be one.
pub(super) fn bad_reference(setting: &Setting, text: &str, origin: &Origin) -> Option<SettingError> {
    let reason =
        (setting.secret && SecretRef::is_meant(text)).then(|| SecretRef::parse(text).err()).flatten()?;
    let (shown, origin) = (format!("{text:?}"), origin.clone());
    let expected = format!("{REFERENCES}; {}", reason.0);
    Some(SettingError::BadValue { key: setting.key, shown, expected, origin })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Given;

    fn given(key: &str, text: &str, origin: Origin) -> Given {
        Given { key: key.to_owned(), text: text.to_owned(), origin }
    }

    fn file(line: usize) -> Origin {
        Origin::File { file: "fraiseql.toml".to_owned(), line }
    }

    #[test]
    fn a_reference_is_shown_and_a_wrong_one_is_refused() {
        let reference = "secret://vault/secret/fraiseql#db_password";
        let settings = Settings::resolve(&[given("database.password", reference, file(2))]).unwrap();
        assert!(format!("{settings:?}").contains(reference));
        assert!(settings.plain_secrets().is_empty());
        let errors = Settings::resolve(&[given("database.password", "secret://gcp/x", file(2))]).unwrap_err();
        let [SettingError::BadValue { expected, .. }] = errors.as_slice() else { panic!("{errors:?}") };
        assert!(expected.ends_with("behind secret:// stands vault, aws or exec"), "{expected}");
    }

    #[test]
    fn secrets_that_others_can_read_are_found() {
        let given = [
            given("database.url", "postgres://u:hunter2@h/d", file(2)),
            given("database.direct_url", "postgres://u@h/d", file(3)),
            given("vault.token", "s.abc", Origin::Variable("VAULT_TOKEN")),
            given("database.password", "hunter2", Origin::Flag("--set".to_owned())),
        ];
        let settings = Settings::resolve(&given).unwrap();
        let keys: Vec<&str> = settings.plain_secrets().iter().map(|(setting, _)| setting.key).collect();
        assert_eq!(keys, ["database.url", "database.password"]);
    }
}
