//! The eight locks that PostgreSQL puts on tables, and the one that stands for "we cannot tell".

use std::fmt;

use serde::{Serialize, Serializer};

/// A lock on a relation, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockMode {
    /// Readers.
    AccessShare,
    /// `SELECT FOR UPDATE`, and the other side of a foreign key that is checked.
    RowShare,
    /// Writers.
    RowExclusive,
    /// Work that lets readers and writers go on.
    ShareUpdateExclusive,
    /// Blocks writers.
    Share,
    /// Blocks writers, and itself.
    ShareRowExclusive,
    /// Blocks all but plain readers.
    Exclusive,
    /// Blocks everybody.
    AccessExclusive,
    /// Nobody can tell: counts as the strongest.
    Unknown,
}

impl LockMode {
    /// Returns true when INSERT, UPDATE and DELETE wait for it.
    pub fn blocks_writes(self) -> bool {
        self >= Self::Share
    }

    /// Returns true when even SELECT waits for it.
    pub fn blocks_reads(self) -> bool {
        self >= Self::AccessExclusive
    }

    /// Returns the lock as PostgreSQL's documentation writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessShare => "ACCESS SHARE",
            Self::RowShare => "ROW SHARE",
            Self::RowExclusive => "ROW EXCLUSIVE",
            Self::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            Self::Share => "SHARE",
            Self::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Self::Exclusive => "EXCLUSIVE",
            Self::AccessExclusive => "ACCESS EXCLUSIVE",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for LockMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
