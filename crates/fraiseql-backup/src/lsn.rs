//! Positions in WAL, and the names of the files that hold them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::BackupError;

/// A position in WAL: bytes since the cluster was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Lsn(pub u64);

impl Lsn {
    /// Reads `0/3000060`.
    pub fn parse(text: &str) -> Result<Self, BackupError> {
        let wrong = || BackupError::Target {
            text: text.to_owned(),
            reason: "it is not a position in WAL, as 0/3000060".to_owned(),
        };
        let (high, low) = text.trim().split_once('/').ok_or_else(wrong)?;
        let half = |text: &str| u32::from_str_radix(text, 16).map_err(|_| wrong());
        Ok(Self(u64::from(half(high)?) << 32 | u64::from(half(low)?)))
    }

    /// Returns the number of the segment that it lies in.
    pub(crate) fn segment(self, segment_bytes: u64) -> u64 {
        self.0 / segment_bytes
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

impl TryFrom<String> for Lsn {
    type Error = BackupError;

    fn try_from(text: String) -> Result<Self, BackupError> {
        Self::parse(&text)
    }
}

impl From<Lsn> for String {
    fn from(lsn: Lsn) -> Self {
        lsn.to_string()
    }
}

/// What a file of WAL is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WalFile {
    /// A whole segment.
    Segment { timeline: u32, high: u32, low: u32 },
    /// The beginning of a segment, of a timeline that was left.
    Partial { timeline: u32, high: u32, low: u32 },
    /// Where a timeline comes from.
    History { timeline: u32 },
    /// What PostgreSQL notes about a base backup.
    Label { timeline: u32 },
}

impl WalFile {
    /// Understands a name; `None` for what PostgreSQL never archives.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let (stem, extension) = name.split_once('.').unwrap_or((name, ""));
        if extension == "history" {
            return Some(Self::History { timeline: hex(stem)? });
        }
        if stem.len() != 24 {
            return None;
        }
        let (timeline, high, low) = (hex(&stem[..8])?, hex(&stem[8..16])?, hex(&stem[16..])?);
        match extension {
            "" if !name.contains('.') => Some(Self::Segment { timeline, high, low }),
            "partial" => Some(Self::Partial { timeline, high, low }),
            label => {
                hex(label.strip_suffix(".backup")?)?;
                Some(Self::Label { timeline })
            }
        }
    }

    pub(crate) fn timeline(self) -> u32 {
        match self {
            Self::Segment { timeline, .. }
            | Self::Partial { timeline, .. }
            | Self::History { timeline }
            | Self::Label { timeline } => timeline,
        }
    }
}

/// Reads eight upper-case hexadecimal digits.
fn hex(text: &str) -> Option<u32> {
    let fits = text.len() == 8 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    fits.then(|| u32::from_str_radix(text, 16).expect("eight digits fit"))
}

/// Returns the name of a segment.
pub(crate) fn segment_name(timeline: u32, segment: u64, segment_bytes: u64) -> String {
    let per_high = (1_u64 << 32) / segment_bytes;
    format!("{timeline:08X}{:08X}{:08X}", segment / per_high, segment % per_high)
}

/// Returns the number of a segment.
pub(crate) fn segment_number(high: u32, low: u32, segment_bytes: u64) -> u64 {
    u64::from(high) * ((1_u64 << 32) / segment_bytes) + u64::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn positions_and_names_go_both_ways() {
        let lsn = Lsn::parse("1/FE000028").unwrap();
        assert_eq!(lsn.to_string(), "1/FE000028");
        let name = segment_name(3, lsn.segment(16 * MIB), 16 * MIB);
        assert_eq!(name, "0000000300000001000000FE");
        let Some(WalFile::Segment { timeline, high, low }) = WalFile::of(&name) else { panic!("{name}") };
        assert_eq!((timeline, segment_number(high, low, 16 * MIB)), (3, lsn.segment(16 * MIB)));
        assert_eq!(
            segment_name(1, Lsn(5 * 64 * MIB).segment(64 * MIB), 64 * MIB),
            "000000010000000000000005"
        );
        assert!(Lsn::parse("3000028").is_err() && Lsn::parse("0/xyz").is_err());
    }

    #[test]
    fn only_names_of_wal_are_names_of_wal() {
        assert_eq!(WalFile::of("00000002.history"), Some(WalFile::History { timeline: 2 }));
        let label = WalFile::of("000000010000000000000002.00000028.backup");
        assert_eq!(label, Some(WalFile::Label { timeline: 1 }));
        let partial = WalFile::of("000000010000000000000002.partial");
        assert!(matches!(partial, Some(WalFile::Partial { timeline: 1, .. })));
        for name in ["", "x", "../../etc/passwd", "00000001000000000000000a", "000000010000000000000002."] {
            assert_eq!(WalFile::of(name), None, "{name}");
        }
    }
}
