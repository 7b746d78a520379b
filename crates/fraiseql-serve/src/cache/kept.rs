//! One kept answer: its bytes, shared by all who get it, and when it holds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use hyper::header::HeaderValue;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::cache::sources::Sources;
use crate::compress::Coding;

/// What an entry takes besides its bytes and its key.
const ENTRY_BYTES: usize = 512;
/// Bytes of the hash that a tag shows.
const TAG_BYTES: usize = 16;

/// A kept answer.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The response as JSON text.
    pub(crate) body: Bytes,
    /// Of these bytes; weak, since the same tag stands for every coding.
    pub(crate) etag: HeaderValue,
    coded: [OnceLock<Bytes>; Coding::ALL.len()],
    /// What the compressed forms may still take.
    coded_left: AtomicUsize,
    pub(super) stamp: Stamp,
    pub(super) filled_at: Instant,
}

/// What was known of the tables before an answer was read: as long as it is so, the answer holds.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub(super) flushes: u64,
    pub(super) changes: Vec<u64>,
    pub(super) sources: Arc<Sources>,
}

impl Kept {
    /// Keeps an answer that was asked for under this stamp.
    pub(super) fn new(body: Bytes, stamp: Stamp, filled_at: Instant) -> Self {
        let hash = Sha256::digest(&body);
        let hash: String = hash.iter().take(TAG_BYTES).map(|byte| format!("{byte:02x}")).collect();
        let etag = HeaderValue::try_from(format!("W/\"{hash}\"")).expect("digits are a header value");
        let coded_left = AtomicUsize::new(body.len());
        Self { body, etag, coded: Default::default(), coded_left, stamp, filled_at }
    }

    /// Returns what it takes at most, compressed forms included.
    pub(super) fn bytes(&self) -> usize {
        ENTRY_BYTES + 2 * self.body.len()
    }

    /// Returns the compressed form, made by whoever asks for it first and kept while it fits; `None`
    /// when compressing does not pay.
    pub(crate) fn coded(
        &self,
        coding: Coding,
        compress: impl FnOnce(&Bytes) -> Option<Bytes>,
    ) -> Option<Bytes> {
        let slot = &self.coded[coding as usize];
        if let Some(made) = slot.get() {
            return Some(made.clone());
        }
        let made = compress(&self.body)?;
        let fits = |left: usize| left.checked_sub(made.len());
        if self.coded_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok() {
            // Somebody who made the same in the meantime was first.
            drop(slot.set(made.clone()));
        }
        Some(made)
    }

    /// Returns true when a client has this answer, by its `If-None-Match` (RFC 9110, section 13.1.2).
    pub(crate) fn is_named_by(&self, if_none_match: &str) -> bool {
        let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        let ours = opaque(self.etag.to_str().unwrap_or(""));
        if_none_match.trim() == "*" || if_none_match.split(',').any(|tag| opaque(tag) == ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        let stamp = Stamp { flushes: 0, changes: Vec::new(), sources: Arc::default() };
        Kept::new(Bytes::from_static(b"0123456789"), stamp, Instant::now())
    }

    #[test]
    fn compressed_forms_are_kept_while_they_fit() {
        let kept = kept();
        let of = |len: usize| move |_: &Bytes| Some(Bytes::from(vec![0; len]));
        assert_eq!(kept.coded(Coding::Zstd, of(6)).unwrap().len(), 6);
        assert_eq!(kept.coded(Coding::Zstd, |_| panic!("it is kept")).unwrap().len(), 6);
        assert_eq!(kept.coded(Coding::Gzip, of(5)).unwrap().len(), 5, "made, and not kept");
        assert_eq!(kept.coded(Coding::Gzip, of(4)).unwrap().len(), 4, "made anew");
        assert!(kept.coded(Coding::Brotli, |_| None).is_none());
    }

    #[test]
    fn a_tag_is_compared_weakly() {
        let kept = kept();
        let tag = kept.etag.to_str().unwrap();
        for (sent, named) in [
            (tag.to_owned(), true),
            (tag.trim_start_matches("W/").to_owned(), true),
            (format!("\"x\", {tag}"), true),
            ("*".to_owned(), true),
            ("\"x\"".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(kept.is_named_by(&sent), named, "{sent}");
        }
    }
}
