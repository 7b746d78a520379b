//! The shared files of AWS: `~/.aws/credentials` and `~/.aws/config`.

use std::path::{Path, PathBuf};

use fraiseql_model::secret::Secret;

use crate::error::SecretError;
use crate::local;
use crate::options::VariableLookup;

/// What the files say of one profile.
#[derive(Debug, Default)]
pub(super) struct Profile {
    pub(super) access_key: Option<String>,
    pub(super) secret_key: Option<Secret>,
    pub(super) session_token: Option<Secret>,
    pub(super) region: Option<String>,
}

impl Profile {
    /// Reads both files; one that is not there says nothing.
    pub(super) fn read(name: &str, variable: &VariableLookup) -> Result<Self, SecretError> {
        let path = |named: &str, file: &str| {
            let home = || variable("HOME").map(|home| Path::new(&home).join(".aws").join(file));
            variable(named).map(PathBuf::from).or_else(home).filter(|path| path.is_file())
        };
        let mut profile = Self::default();
        if let Some(path) = path("AWS_CONFIG_FILE", "config") {
            let section = if name == "default" { name.to_owned() } else { format!("profile {name}") };
            profile.take(local::file(&path)?.expose(), &section);
        }
        if let Some(path) = path("AWS_SHARED_CREDENTIALS_FILE", "credentials") {
            profile.take(local::file(&path)?.expose(), name);
        }
        Ok(profile)
    }

    /// Takes what a section says; later words win.
    fn take(&mut self, text: &str, section: &str) {
        let mut inside = false;
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
                inside = name.0.split_whitespace().collect::<Vec<_>>().join(" ") == section;
            } else if let (true, Some((key, value))) = (inside, line.split_once('=')) {
                let value = value.trim().to_owned();
                match key.trim() {
                    "aws_access_key_id" => self.access_key = Some(value),
                    "aws_secret_access_key" => self.secret_key = Some(Secret::new(value)),
                    "aws_session_token" => self.session_token = Some(Secret::new(value)),
                    "region" => self.region = Some(value),
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_section_counts() {
        let mut profile = Profile::default();
        let text = "[default]\naws_access_key_id = A\n# x\n[ profile  shop ]\nregion=eu-west-1\naws_secret_access_key = b=c\n";
        profile.take(text, "profile shop");
        assert_eq!((profile.access_key.clone(), profile.region.as_deref()), (None, Some("eu-west-1")));
        assert_eq!(profile.secret_key.as_ref().map(|key| key.expose()), Some("b=c"));
        profile.take(text, "default");
        assert_eq!(profile.access_key.as_deref(), Some("A"));
    }
}
