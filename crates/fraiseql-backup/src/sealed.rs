//! An archived WAL file: one line of JSON that says what follows, then its content,
//! compressed, and encrypted where the repository is. The line itself is not.
//!
//! One file and not two, so that content and digest take their place together.

use fraiseql_model::digest::sha256_hex;
use serde::{Deserialize, Serialize};

use crate::cipher::BackupKey;
use crate::error::{BackupError, damaged};
use crate::moment::Moment;

const FORMAT: u32 = 1;
/// Fast, and WAL of a quiet server is mostly zeros.
const LEVEL: i32 = 3;
/// The longest first line.
const HEADER_BYTES_MAX: usize = 4_096;
/// PostgreSQL's largest segment.
const CONTENT_BYTES_MAX: u64 = 1 << 30;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    format: u32,
    pub(crate) name: String,
    /// Of the content.
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    /// Of what follows the line, so that a flipped bit is found without unpacking.
    stored_sha256: String,
    pub(crate) archived_at: Moment,
}

/// Returns the file for a content.
pub(crate) fn seal(name: &str, content: &[u8], now: Moment, key: &BackupKey) -> Result<Vec<u8>, BackupError> {
    let stored = key.encrypt(&zstd::bulk::compress(content, LEVEL).expect("memory takes everything"))?;
    let header = Header {
        format: FORMAT,
        name: name.to_owned(),
        bytes: content.len() as u64,
        sha256: sha256_hex(content),
        stored_sha256: sha256_hex(&stored),
        archived_at: now,
    };
    let mut sealed = serde_json::to_vec(&header).expect("its keys are strings");
    sealed.push(b'\n');
    sealed.extend(stored);
    Ok(sealed)
}

/// Returns the header, after a check of what follows it.
pub(crate) fn inspect(name: &str, sealed: &[u8]) -> Result<Header, BackupError> {
    split(name, sealed).map(|(header, _)| header)
}

/// Returns header and content, after a check of both.
pub(crate) fn open(name: &str, sealed: &[u8], key: &BackupKey) -> Result<(Header, Vec<u8>), BackupError> {
    let (header, stored) = split(name, sealed)?;
    if header.bytes > CONTENT_BYTES_MAX {
        return Err(damaged(name, "it says that it is larger than a segment can be"));
    }
    let stored = key.decrypt(name, stored.to_vec())?;
    let capacity = usize::try_from(header.bytes).map_err(|_| damaged(name, "it is too large"))?;
    let content =
        zstd::bulk::decompress(&stored, capacity).map_err(|error| damaged(name, error.to_string()))?;
    if sha256_hex(&content) != header.sha256 {
        return Err(damaged(name, "its content has another SHA-256 than was written down"));
    }
    Ok((header, content))
}

fn split<'s>(name: &str, sealed: &'s [u8]) -> Result<(Header, &'s [u8]), BackupError> {
    let line = sealed.iter().take(HEADER_BYTES_MAX).position(|byte| *byte == b'\n');
    let end = line.ok_or_else(|| damaged(name, "its first line is missing"))?;
    let header: Header =
        serde_json::from_slice(&sealed[..end]).map_err(|error| damaged(name, error.to_string()))?;
    let stored = &sealed[end + 1..];
    if header.format != FORMAT {
        return Err(damaged(name, format!("it has format {}, this version reads {FORMAT}", header.format)));
    }
    if header.name != name {
        return Err(damaged(name, format!("it holds {}", header.name)));
    }
    if sha256_hex(stored) != header.stored_sha256 {
        return Err(damaged(name, "it has another SHA-256 than was written down"));
    }
    Ok((header, stored))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> Vec<u8> {
        let now = Moment::parse("2026-01-26 14:03:00Z").unwrap();
        seal("000000010000000000000002", &[7; 70_000], now, &BackupKey::Open).unwrap()
    }

    fn open(name: &str, sealed: &[u8]) -> Result<(Header, Vec<u8>), BackupError> {
        super::open(name, sealed, &BackupKey::Open)
    }

    #[test]
    fn what_is_sealed_comes_back_smaller() {
        let sealed = sealed();
        assert!(sealed.len() < 1_000);
        let (header, content) = open("000000010000000000000002", &sealed).unwrap();
        assert_eq!((header.bytes, content), (70_000, vec![7; 70_000]));
    }

    #[test]
    fn a_flipped_bit_anywhere_is_found() {
        let sealed = sealed();
        for at in 0..sealed.len() {
            let mut broken = sealed.clone();
            broken[at] ^= 1;
            let same = open("000000010000000000000002", &broken).is_ok_and(|(header, content)| {
                // Of the header only the moment may differ unseen: it decides nothing about content.
                content == [7; 70_000] && header.bytes == 70_000
            });
            let in_moment = String::from_utf8_lossy(&sealed[..at.min(400)]).contains("archived_at");
            assert!(!same || in_moment, "the bit at {at}");
        }
    }

    #[test]
    fn another_name_another_version_and_half_a_file_are_refused() {
        let sealed = sealed();
        assert!(open("000000010000000000000003", &sealed).is_err());
        assert!(open("000000010000000000000002", &sealed[..sealed.len() / 2]).is_err());
        let newer = String::from_utf8_lossy(&sealed).replacen("\"format\":1", "\"format\":2", 1);
        let error = inspect("000000010000000000000002", newer.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("format 2"), "{error}");
        let more = [b"{\"surprise\":1,".as_slice(), &sealed[1..]].concat();
        assert!(inspect("000000010000000000000002", &more).is_err());
    }
}
