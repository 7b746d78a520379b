//! What is written down about backups, restore points and drills. Each file carries its format.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::lsn::Lsn;
use crate::moment::Moment;

/// The format of every record here.
pub(crate) const FORMAT: u32 = 1;

/// Whose backups a repository holds: `repository.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    pub(crate) format: u32,
    pub(crate) system_id: String,
    pub(crate) segment_bytes: u64,
}

/// A base backup that was verified when it was taken: `base/LABEL/manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupManifest {
    pub(crate) format: u32,
    /// Its name: the moment at which it began.
    pub label: String,
    /// The system identifier of the cluster.
    pub system_id: String,
    /// PostgreSQL's major version.
    pub major: u32,
    /// The timeline that it was taken on.
    pub timeline: u32,
    /// WAL is needed from here.
    pub start_lsn: Lsn,
    /// WAL is needed up to here, at least.
    pub stop_lsn: Lsn,
    /// By the server's clock.
    pub started_at: Moment,
    /// By the server's clock: nothing before this can be restored from it.
    pub stopped_at: Moment,
    /// How large a segment of WAL is.
    pub segment_bytes: u64,
    /// Bytes of the cluster.
    pub bytes: u64,
    /// Files of the cluster.
    pub files: u64,
    /// Bytes in the repository.
    pub stored_bytes: u64,
    /// SHA-256 of what is in the repository.
    pub stored_sha256: String,
    /// When all of it was last read again and compared.
    pub verified_at: Moment,
    /// Settings below which a server refuses to replay this WAL.
    pub(crate) settings: BTreeMap<String, String>,
}

/// A named position: `points/NAME.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestorePoint {
    pub(crate) format: u32,
    /// Its name.
    pub name: String,
    /// The timeline that it is on.
    pub timeline: u32,
    /// Behind its record in WAL.
    pub lsn: Lsn,
    /// By the server's clock.
    pub at: Moment,
    /// How many rows the tables had that nobody wrote to meanwhile, by `database`, then `schema.table`.
    pub rows: BTreeMap<String, BTreeMap<String, i64>>,
}

/// How a drill went: a line of `drills.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillRecord {
    pub(crate) format: u32,
    /// When it began.
    pub at: Moment,
    /// The backup that was restored.
    pub backup: String,
    /// Bytes of the cluster.
    pub bytes: u64,
    /// From the first step to a server that passed every check.
    pub rto_ms: u64,
    /// How much of the past would have been lost at that moment.
    pub rpo_ms: u64,
    /// The checks that passed.
    pub checks: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_kind_is_refused() {
        let point = RestorePoint {
            format: FORMAT,
            name: "a".to_owned(),
            timeline: 1,
            lsn: Lsn(77),
            at: Moment::parse("2026-01-26 14:03:00Z").unwrap(),
            rows: BTreeMap::new(),
        };
        let text = serde_json::to_string(&point).unwrap();
        assert_eq!(serde_json::from_str::<RestorePoint>(&text).unwrap(), point);
        assert!(serde_json::from_str::<RestorePoint>(&text.replacen('{', "{\"new\":1,", 1)).is_err());
        assert!(serde_json::from_str::<RestorePoint>(&text.replace("0/4D", "77")).is_err());
    }
}
