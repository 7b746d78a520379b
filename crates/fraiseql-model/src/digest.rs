//! Content digests.

use std::io::{self, Write};

use serde::Serialize;
use sha2::{Digest, Sha256};

/// Returns the SHA-256 of `bytes` as 64 lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the digest of a value's JSON, which is never in memory as a whole.
///
/// Panics when a map of the value has keys that are no strings.
pub(crate) fn sha256_hex_of_json(value: &impl Serialize) -> String {
    let mut hasher = io::BufWriter::with_capacity(BLOCK_BYTES, Hasher(Sha256::new()));
    serde_json::to_writer(&mut hasher, value).expect("it has only string keys, and hashing cannot fail");
    let Hasher(digest) =
        hasher.into_inner().map_err(|failed| failed.into_error()).expect("hashing cannot fail");
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How much is hashed at once: the writer above hands over single words and quotes.
const BLOCK_BYTES: usize = 16 * 1024;

struct Hasher(Sha256);

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn json_that_is_written_in_pieces_has_the_digest_of_the_whole() {
        let value = vec!["a longer text with \"quotes\"".repeat(50); 100];
        let whole = serde_json::to_vec(&value).unwrap();
        assert!(whole.len() > super::BLOCK_BYTES);
        assert_eq!(super::sha256_hex_of_json(&value), super::sha256_hex(&whole));
    }

    #[test]
    fn matches_the_published_vector() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            super::sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
