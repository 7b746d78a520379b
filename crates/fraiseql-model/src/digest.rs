//! Content digests.

use std::io::{BufWriter, Write};

use serde::Serialize;
use sha2::{Digest, Sha256};

/// Returns the SHA-256 of `bytes` as 64 lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Returns the SHA-256 of a value's JSON text, which is never there as a whole.
///
/// For values whose maps have only string keys.
pub(crate) fn json_sha256_hex(value: &impl Serialize) -> String {
    let mut hasher = BufWriter::new(Hasher(Sha256::new()));
    serde_json::to_writer(&mut hasher, value).expect("a hasher takes everything, and keys are strings");
    hasher.flush().expect("a hasher takes everything");
    hex(&hasher.get_ref().0.clone().finalize())
}

/// Takes what is written into a digest.
struct Hasher(Sha256);

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn matches_the_published_vector() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            super::sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
