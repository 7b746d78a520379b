//! Secrets and references to them. Pure: who follows a reference is `fraiseql-secret`.

use std::fmt;

use zeroize::Zeroizing;

/// What a reference may be, in words for errors.
pub const REFERENCES: &str = "a reference: secret://vault/PATH#KEY, secret://aws/NAME#KEY, secret://exec/NAME, env://NAME or file:///PATH";

/// The longest reference.
const REFERENCE_BYTES_MAX: usize = 2_048;

/// A value that is never shown: it has no `Display`, `Debug` prints `***`, and its memory is
/// overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a value.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// Returns the value, for whoever sends it to where it is needed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a secret is. Holds nothing secret itself, so it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretRef {
    /// `secret://vault/PATH#KEY`: Vault or OpenBao; the path begins with the mount.
    Vault {
        /// Mount and path.
        path: String,
        /// The field.
        key: Option<String>,
    },
    /// `secret://aws/NAME?stage=STAGE#KEY`: AWS Secrets Manager.
    Aws {
        /// Name or ARN.
        name: String,
        /// The version's stage; AWS takes `AWSCURRENT` without one.
        stage: Option<String>,
        /// The field, where the secret is a JSON object.
        key: Option<String>,
    },
    /// `secret://exec/NAME#KEY`: what the configured command prints for the name.
    Exec {
        /// The command's last argument.
        name: String,
        /// The field, where it prints a JSON object.
        key: Option<String>,
    },
    /// `env://NAME`.
    Variable {
        /// The variable.
        name: String,
    },
    /// `file:///PATH`.
    File {
        /// The absolute path.
        path: String,
    },
}

/// Why a text that begins as a reference is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("understand the reference: {0}")]
pub struct BadReference(pub &'static str);

impl SecretRef {
    /// Returns true for what begins as a reference, right or wrong.
    pub fn is_meant(text: &str) -> bool {
        ["secret://", "env://", "file://"].iter().any(|scheme| text.starts_with(scheme))
    }

    /// Understands a reference.
    pub fn parse(text: &str) -> Result<Self, BadReference> {
        if text.len() > REFERENCE_BYTES_MAX {
            return Err(BadReference("it is longer than 2048 bytes"));
        }
        if let Some(name) = text.strip_prefix("env://") {
            let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            return match name.is_empty() || !name.chars().all(fits) {
                true => Err(BadReference(
                    "behind env:// stands the name of a variable, such as env://DB_PASSWORD",
                )),
                false => Ok(Self::Variable { name: name.to_owned() }),
            };
        }
        if let Some(path) = text.strip_prefix("file://") {
            return match path.starts_with('/') && path.len() > 1 {
                true => Ok(Self::File { path: path.to_owned() }),
                false => Err(BadReference("a file has an absolute path: file:///run/secrets/name")),
            };
        }
        let rest = text
            .strip_prefix("secret://")
            .ok_or(BadReference("it does not begin with secret://, env:// or file://"))?;
        let (place, key) = match rest.split_once('#') {
            Some((_, "")) => return Err(BadReference("nothing stands behind the #")),
            Some((place, key)) => (place, Some(key.to_owned())),
            None => (rest, None),
        };
        let (store, name) = place.split_once('/').unwrap_or((place, ""));
        match store {
            "vault" => Ok(Self::Vault {
                path: plain(name, "a path, such as secret://vault/secret/fraiseql#db_password")?,
                key,
            }),
            "aws" => Self::parse_aws(name, key),
            "exec" => {
                Ok(Self::Exec { name: plain(name, "a name for the command, such as secret://exec/db")?, key })
            }
            _ => Err(BadReference("behind secret:// stands vault, aws or exec")),
        }
    }

    fn parse_aws(name: &str, key: Option<String>) -> Result<Self, BadReference> {
        let (name, stage) = match name.split_once('?') {
            None => (name, None),
            Some((name, query)) => match query.strip_prefix("stage=") {
                Some(stage) if !stage.is_empty() => (name, Some(stage.to_owned())),
                _ => return Err(BadReference("behind the ? stands stage=NAME, such as ?stage=AWSPREVIOUS")),
            },
        };
        let name = plain(name, "the name of a secret, such as secret://aws/prod/shop#password")?;
        Ok(Self::Aws { name, stage, key })
    }

    /// Returns the field that is asked for.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Vault { key, .. } | Self::Aws { key, .. } | Self::Exec { key, .. } => key.as_deref(),
            Self::Variable { .. } | Self::File { .. } => None,
        }
    }
}

/// Returns a path whose every segment is plain: it goes into URLs and onto command lines as it is.
fn plain(text: &str, wanted: &'static str) -> Result<String, BadReference> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "_.~@:+=-".contains(letter);
    let segments = text.split('/').all(|segment| {
        !matches!(segment, "" | "." | "..") && !segment.starts_with('-') && segment.chars().all(fits)
    });
    if segments { Ok(text.to_owned()) } else { Err(BadReference(wanted)) }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vault { path, .. } => write!(f, "secret://vault/{path}")?,
            Self::Aws { name, stage: None, .. } => write!(f, "secret://aws/{name}")?,
            Self::Aws { name, stage: Some(stage), .. } => write!(f, "secret://aws/{name}?stage={stage}")?,
            Self::Exec { name, .. } => write!(f, "secret://exec/{name}")?,
            Self::Variable { name } => write!(f, "env://{name}")?,
            Self::File { path } => write!(f, "file://{path}")?,
        }
        self.key().map_or(Ok(()), |key| write!(f, "#{key}"))
    }
}

/// The value of a setting that is secret: as it is, or by reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// The value itself.
    Plain(Secret),
    /// Where the value is.
    Reference(SecretRef),
}

impl SecretSource {
    /// Reads a setting's text.
    pub fn read(text: &str) -> Result<Self, BadReference> {
        if SecretRef::is_meant(text) {
            SecretRef::parse(text).map(Self::Reference)
        } else {
            Ok(Self::Plain(Secret::new(text.to_owned())))
        }
    }
}

/// Returns true when a connection string has a password in it.
pub fn has_password(url: &str) -> bool {
    match url.split_once("://") {
        Some((_, rest)) => {
            let authority = rest.split(['/', '?']).next().unwrap_or("");
            let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
            let in_query = rest
                .split_once('?')
                .is_some_and(|(_, query)| query.split('&').any(|pair| pair.starts_with("password=")));
            user.contains(':') || in_query
        }
        None => url.split_whitespace().any(|word| word.starts_with("password")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<SecretRef, &str>) {
        let parsed = SecretRef::parse(text);
        if let Ok(parsed) = &parsed {
            assert_eq!(parsed.to_string(), text);
        }
        match expected {
            Ok(expected) => assert_eq!(parsed, Ok(expected)),
            Err(part) => assert!(parsed.as_ref().is_err_and(|error| error.0.contains(part)), "{parsed:?}"),
        }
    }

    fn vault(path: &str, key: Option<&str>) -> SecretRef {
        SecretRef::Vault { path: path.to_owned(), key: key.map(str::to_owned) }
    }

    #[test]
    fn references_are_understood_and_written_as_they_were() {
        check(
            "secret://vault/secret/fraiseql#db_password",
            Ok(vault("secret/fraiseql", Some("db_password"))),
        );
        check("secret://vault/database/creds/shop", Ok(vault("database/creds/shop", None)));
        let (name, stage) = ("prod/shop".to_owned(), Some("AWSPREVIOUS".to_owned()));
        check(
            "secret://aws/prod/shop?stage=AWSPREVIOUS#password",
            Ok(SecretRef::Aws { name, stage, key: Some("password".to_owned()) }),
        );
        let name = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-a1B2c3".to_owned();
        check(&format!("secret://aws/{name}"), Ok(SecretRef::Aws { name, stage: None, key: None }));
        check(
            "secret://exec/db#pw",
            Ok(SecretRef::Exec { name: "db".to_owned(), key: Some("pw".to_owned()) }),
        );
        check("env://DB_PASSWORD", Ok(SecretRef::Variable { name: "DB_PASSWORD".to_owned() }));
        check("file:///run/secrets/db", Ok(SecretRef::File { path: "/run/secrets/db".to_owned() }));
    }

    #[test]
    fn wrong_references_say_what_is_missing() {
        check("secret://vault/", Err("a path"));
        check("secret://vault/secret/../sys/x", Err("a path"));
        check("secret://vault/secret/a b", Err("a path"));
        check("secret://vault/secret/a#", Err("behind the #"));
        check("secret://gcp/x", Err("vault, aws or exec"));
        check("secret://exec/--all", Err("a name"));
        check("secret://aws/x?version=1", Err("stage=NAME"));
        check("env://", Err("a variable"));
        check("file://relative", Err("absolute"));
        check(&format!("env://{}", "A".repeat(3_000)), Err("2048"));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let source = SecretSource::read("hunter2").unwrap();
        assert_eq!(format!("{source:?}"), "Plain(***)");
    }

    #[test]
    fn passwords_in_connection_strings_are_seen() {
        for (url, expected) in [
            ("postgres://u:p@h/d", true),
            ("postgres://u@h:5432/d", false),
            ("postgres://u@/d?host=/run&password=x", true),
            ("postgres://u@/d?host=/run", false),
            ("host=h user=u password=x", true),
            ("host=h user=u", false),
        ] {
            assert_eq!(has_password(url), expected, "{url}");
        }
    }
}
