//! What was proven of each release, one line of JSON each, the oldest first.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use fraiseql_model::release::{Attestation, ReleaseId};

use crate::error::{AgentError, file};
use crate::written::write;

/// The attestations of a project's releases.
#[derive(Clone, Debug)]
pub struct Attestations {
    folder: PathBuf,
}

impl Attestations {
    /// Returns those in a state directory, which need not exist.
    pub fn in_state(state: &Path) -> Self {
        Self { folder: state.join("attestations") }
    }

    /// Returns those of a release. Fails when one of them is damaged: it would be missed otherwise.
    pub fn of(&self, release: &ReleaseId) -> Result<Vec<Attestation>, AgentError> {
        let path = self.path(release);
        let malformed = |reason: String| AgentError::Malformed { path: path.clone(), reason };
        let mut found = Vec::new();
        for (index, line) in self.text(release)?.lines().enumerate() {
            let read: Result<Attestation, _> = serde_json::from_str(line);
            let attestation = read.map_err(|error| malformed(format!("line {}: {error}", index + 1)))?;
            if attestation.release != *release {
                return Err(malformed(format!("line {} is of {}", index + 1, attestation.release)));
            }
            found.push(attestation);
        }
        Ok(found)
    }

    /// Adds one, down to the disk.
    pub fn add(&self, attestation: &Attestation) -> Result<(), AgentError> {
        let path = self.path(&attestation.release);
        let line = serde_json::to_string(attestation).map_err(|error| file("write", &path)(error.into()))?;
        let text = self.text(&attestation.release)?;
        write(&path, format!("{text}{line}\n").as_bytes())
    }

    fn text(&self, release: &ReleaseId) -> Result<String, AgentError> {
        let path = self.path(release);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(file("read", &path)(error)),
        }
    }

    fn path(&self, release: &ReleaseId) -> PathBuf {
        self.folder.join(format!("{}.jsonl", release.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use fraiseql_model::release::Evidence;

    use super::*;

    #[test]
    fn attestations_are_bound_to_one_release() {
        let state = tempfile::tempdir().unwrap();
        let attestations = Attestations::in_state(state.path());
        let [first, second] = ["a", "b"].map(|digit| ReleaseId::parse(&digit.repeat(64)).unwrap());
        let approval = |release: &ReleaseId, by: &str| Attestation {
            release: release.clone(),
            at_s: 1,
            by: by.to_owned(),
            evidence: Evidence::Approval { note: String::new() },
        };
        for by in ["ann", "bob"] {
            attestations.add(&approval(&first, by)).unwrap();
        }
        assert_eq!(attestations.of(&first).unwrap(), [approval(&first, "ann"), approval(&first, "bob")]);
        assert_eq!(attestations.of(&second).unwrap(), []);

        // The proofs of one release copied to another prove nothing.
        fs::copy(attestations.path(&first), attestations.path(&second)).unwrap();
        let error = attestations.of(&second).unwrap_err().to_string();
        assert!(error.contains("line 1 is of aaaaaaaaaaaa"), "{error}");
    }
}
