//! Values as somebody gave them, where they came from, and why one cannot be used.

use std::fmt;

/// Where a value came from; later variants win.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// `fraiseql.toml`, with the line.
    File {
        /// The file as the user named it.
        file: String,
        /// Line, from 1.
        line: usize,
    },
    /// A section `[env.NAME]` of `fraiseql.toml`, with the line.
    Environment {
        /// The file as the user named it.
        file: String,
        /// The section's name.
        name: String,
        /// Line, from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(&'static str),
    /// The command line.
    Flag(String),
    /// What a reference led to.
    Store,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store => f.write_str("a store of secrets"),
            Self::Default => f.write_str("default"),
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Environment { file, name, line } => write!(f, "{file}:{line} [env.{name}]"),
            Self::Variable(name) => write!(f, "${name}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A value that somebody gave, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The dotted key.
    pub key: String,
    /// The value as text; a list is joined with commas.
    pub text: String,
    /// Who gave it.
    pub origin: Origin,
}

/// Why a given value cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// No such key.
    #[error("find a setting named \"{key}\"")]
    UnknownKey {
        /// The key as given.
        key: String,
        /// Who gave it.
        origin: Origin,
        /// The key that is most likely meant.
        suggestion: Option<&'static str>,
    },
    /// The key exists, the value does not fit.
    #[error("use {shown} for \"{key}\": it must be {expected}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// The value, or "the value" for a secret.
        shown: String,
        /// What it must be.
        expected: String,
        /// Who gave it.
        origin: Origin,
    },
}
