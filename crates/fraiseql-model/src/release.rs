//! A release: everything that an instance needs to serve one state of a project, named by its content.
//!
//! The same files and the same version of the program give the same identifier on every machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::{json_sha256_hex, sha256_hex};

/// The version of [`Release`] that this program writes, and the newest that it reads.
pub const RELEASE_FORMAT: u32 = 1;

/// How many digits of an identifier people are shown, and names of instances have.
pub const RELEASE_DIGITS_SHOWN: usize = 12;

/// The identifier of a release: 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseId(String);

impl ReleaseId {
    /// Reads an identifier; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
        (text.len() == 64 && text.as_bytes().iter().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// Returns all digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first digits, as people are shown it.
    pub fn short(&self) -> &str {
        &self.0[..RELEASE_DIGITS_SHOWN]
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

impl TryFrom<String> for ReleaseId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is no identifier of a release: it has 64 digits"))
    }
}

impl From<ReleaseId> for String {
    fn from(id: ReleaseId) -> Self {
        id.0
    }
}

/// What a release is made of. Its identifier is the digest of this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// [`RELEASE_FORMAT`].
    pub format: u32,
    /// The version of the program that serves it.
    pub program: String,
    /// The digest of the artifact in it.
    pub artifact: String,
    /// Its files by path from the project's folder, with slashes.
    pub files: BTreeMap<String, ReleaseFile>,
}

/// A file of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseFile {
    /// SHA-256 of its content, 64 hexadecimal digits.
    pub sha256: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// What a file of a release is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleasePart {
    /// The version of the program.
    Program,
    /// Schema, operations, and what they are compiled to.
    Schema,
    /// `fraiseql.toml` and the files that it names.
    Settings,
    /// `db/views`.
    Views,
    /// `db/migrations`.
    Migrations,
    /// `smoke`.
    SmokeTests,
}

impl ReleasePart {
    /// Returns what the file at `path` is for.
    pub fn of(path: &str) -> Self {
        match path.split_once('/') {
            Some(("operations", _)) => Self::Schema,
            Some(("smoke", _)) => Self::SmokeTests,
            Some(("db", rest)) if rest.starts_with("views/") => Self::Views,
            Some(("db", _)) => Self::Migrations,
            None if matches!(path, "schema.graphql" | "schema.compiled.json") => Self::Schema,
            _ => Self::Settings,
        }
    }

    /// Returns it in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Schema => "schema",
            Self::Settings => "settings",
            Self::Views => "views",
            Self::Migrations => "migrations",
            Self::SmokeTests => "smoke tests",
        }
    }
}

impl Release {
    /// Describes a release of these files.
    pub fn new(program: &str, artifact: &str, files: &BTreeMap<String, Vec<u8>>) -> Self {
        let file = |content: &Vec<u8>| ReleaseFile {
            sha256: sha256_hex(content),
            bytes: u64::try_from(content.len()).unwrap_or(u64::MAX),
        };
        Self {
            format: RELEASE_FORMAT,
            program: program.to_owned(),
            artifact: artifact.to_owned(),
            files: files.iter().map(|(path, content)| (path.clone(), file(content))).collect(),
        }
    }

    /// Returns its identifier.
    pub fn id(&self) -> ReleaseId {
        ReleaseId(json_sha256_hex(self))
    }

    /// Returns the parts in which two releases differ.
    pub fn differences(&self, other: &Self) -> BTreeSet<ReleasePart> {
        let paths: BTreeSet<&String> = self.files.keys().chain(other.files.keys()).collect();
        let differs = |path: &&&String| self.files.get(**path) != other.files.get(**path);
        let mut parts: BTreeSet<_> = paths.iter().filter(differs).map(|path| ReleasePart::of(path)).collect();
        if self.program != other.program {
            parts.insert(ReleasePart::Program);
        }
        if self.artifact != other.artifact {
            parts.insert(ReleasePart::Schema);
        }
        parts
    }
}

/// A proof that something was done with a release, by somebody, at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// Which release, and no other.
    pub release: ReleaseId,
    /// When, in seconds since the epoch of Unix.
    pub at_s: u64,
    /// Who says so.
    pub by: String,
    /// What was done.
    pub evidence: Evidence,
}

/// What was done with a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Evidence {
    /// Its tests have run, all of them well.
    Tests {
        /// Test cases that ran.
        run: u64,
        /// Test cases that were left out.
        skipped: u64,
        /// SHA-256 of the report.
        report_sha256: String,
    },
    /// Somebody has looked at it and wants it to be deployed.
    Approval {
        /// What they wrote.
        note: String,
    },
    /// It was scanned for known weaknesses.
    Scan {
        /// What was found, by severity.
        findings: BTreeMap<String, u64>,
        /// SHA-256 of the report.
        report_sha256: String,
    },
    /// It has served a load, and what that was like is what later releases are compared with.
    Baseline {
        /// Requests that were sent.
        requests: u64,
        /// Of these, how many failed.
        failed: u64,
        /// The time that 99 % of them did not exceed, in microseconds.
        p99_us: u64,
        /// SHA-256 of the report.
        report_sha256: String,
    },
}

impl Evidence {
    /// Returns the kind as it is written in files.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tests { .. } => "tests",
            Self::Approval { .. } => "approval",
            Self::Scan { .. } => "scan",
            Self::Baseline { .. } => "baseline",
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tests { run, skipped: 0, .. } => write!(f, "{run} tests passed"),
            Self::Tests { run, skipped, .. } => write!(f, "{run} tests passed, {skipped} skipped"),
            Self::Approval { note } if note.is_empty() => write!(f, "approved"),
            Self::Approval { note } => write!(f, "approved: {note}"),
            Self::Scan { findings, .. } if findings.is_empty() => write!(f, "scanned, nothing found"),
            Self::Scan { findings, .. } => {
                let found: Vec<String> =
                    findings.iter().map(|(severity, count)| format!("{count} {severity}")).collect();
                write!(f, "scanned: {}", found.join(", "))
            }
            Self::Baseline { requests, failed, p99_us, .. } => {
                let (whole, tenths) = (p99_us / 1_000, p99_us % 1_000 / 100);
                write!(f, "{requests} requests, {failed} failed, p99 {whole}.{tenths} ms")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(program: &str, files: &[(&str, &str)]) -> Release {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
        Release::new(program, "a", &files)
    }

    #[test]
    fn the_identifier_is_that_of_the_content() {
        let first = release("1", &[("schema.graphql", "a"), ("fraiseql.toml", "b")]);
        assert_eq!(first.id(), release("1", &[("fraiseql.toml", "b"), ("schema.graphql", "a")]).id());
        assert_ne!(first.id(), release("2", &[("schema.graphql", "a"), ("fraiseql.toml", "b")]).id());
        assert_ne!(first.id(), release("1", &[("schema.graphql", "ab"), ("fraiseql.toml", "")]).id());
        assert_eq!(ReleaseId::parse(first.id().as_str()), Some(first.id()));
        assert_eq!(first.id().to_string().len(), RELEASE_DIGITS_SHOWN);
    }

    #[track_caller]
    fn check(left: &[(&str, &str)], right: &[(&str, &str)], expected: &[ReleasePart]) {
        let parts = release("1", left).differences(&release("1", right));
        assert_eq!(parts.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn differences_are_told_by_part() {
        check(&[("fraiseql.toml", "a")], &[("fraiseql.toml", "a")], &[]);
        check(&[("fraiseql.toml", "a")], &[("fraiseql.toml", "b")], &[ReleasePart::Settings]);
        check(
            &[("smoke/a.graphql", "a"), ("db/views/v.sql", "a")],
            &[("db/migrations/0001_a.sql", ""), ("operations/deep/a.graphql", "")],
            &[ReleasePart::Schema, ReleasePart::Views, ReleasePart::Migrations, ReleasePart::SmokeTests],
        );
        let program = release("1", &[]).differences(&release("2", &[]));
        assert_eq!(program.into_iter().collect::<Vec<_>>(), [ReleasePart::Program]);
    }

    #[test]
    fn what_is_no_identifier_is_refused() {
        for text in ["", "abc", &"A".repeat(64), &"g".repeat(64), &"a".repeat(65)] {
            assert_eq!(ReleaseId::parse(text), None, "{text}");
        }
        assert!(serde_json::from_str::<ReleaseId>("\"../../etc\"").is_err());
    }

    #[test]
    fn attestations_are_read_as_they_are_written() {
        let evidence = Evidence::Tests { run: 12, skipped: 1, report_sha256: "ab".to_owned() };
        let attestation = Attestation {
            release: release("1", &[]).id(),
            at_s: 1_769_436_180,
            by: "ci".to_owned(),
            evidence,
        };
        let text = serde_json::to_string(&attestation).unwrap();
        assert_eq!(serde_json::from_str::<Attestation>(&text).unwrap(), attestation);
        assert_eq!(attestation.evidence.to_string(), "12 tests passed, 1 skipped");
    }
}
