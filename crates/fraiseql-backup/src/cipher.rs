//! Encryption of what lies in a repository, in the format of age: <https://age-encryption.org/v1>.
//!
//! Whoever only writes needs the public key alone: the program that archives WAL cannot read it again.

use std::io::{self, Read, Write};
use std::str::FromStr;

use age::secrecy::ExposeSecret;
use age::stream::StreamWriter;
use age::x25519::{Identity, Recipient};
use age::{DecryptError, Decryptor, Encryptor};
use fraiseql_model::secret::Secret;

use crate::error::{BackupError, damaged};

/// What a repository is written and read with.
#[derive(Clone)]
pub enum BackupKey {
    /// As it is.
    Open,
    /// Encrypted, and never read again by this process.
    Public(Recipient),
    /// Encrypted.
    Private(Identity),
}

impl std::fmt::Debug for BackupKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BackupKey({})", self.public().unwrap_or_else(|| "none".to_owned()))
    }
}

impl BackupKey {
    /// Makes a new key and returns it with its public part.
    pub fn generate() -> (Secret, String) {
        let identity = Identity::generate();
        (Secret::new(identity.to_string().expose_secret().to_owned()), identity.to_public().to_string())
    }

    /// Reads a private key: `AGE-SECRET-KEY-1...`. The error never shows what was given.
    pub fn private(secret: &Secret) -> Result<Self, BackupError> {
        let identity = Identity::from_str(secret.expose().trim());
        identity
            .map(Self::Private)
            .map_err(|_| wrong("it is not a private key of age, which begins with AGE-SECRET-KEY-1"))
    }

    /// Reads a public key: `age1...`.
    pub fn for_writing(text: &str) -> Result<Self, BackupError> {
        Recipient::from_str(text.trim()).map(Self::Public).map_err(wrong)
    }

    /// Returns the public part, by which a key is named; `None` without one.
    pub fn public(&self) -> Option<String> {
        match self {
            Self::Open => None,
            Self::Public(recipient) => Some(recipient.to_string()),
            Self::Private(identity) => Some(identity.to_public().to_string()),
        }
    }

    fn recipient(&self) -> Option<Recipient> {
        match self {
            Self::Open => None,
            Self::Public(recipient) => Some(recipient.clone()),
            Self::Private(identity) => Some(identity.to_public()),
        }
    }

    /// Returns bytes as they are stored.
    pub(crate) fn encrypt(&self, bytes: &[u8]) -> Result<Vec<u8>, BackupError> {
        match self.recipient() {
            None => Ok(bytes.to_vec()),
            Some(recipient) => age::encrypt(&recipient, bytes).map_err(|error| wrong(error.to_string())),
        }
    }

    /// Returns stored bytes as they were. Fails with [`BackupError::Damaged`] where one bit is another.
    pub(crate) fn decrypt(&self, what: &str, stored: Vec<u8>) -> Result<Vec<u8>, BackupError> {
        if matches!(self, Self::Open) {
            return Ok(stored);
        }
        let mut bytes = Vec::new();
        let mut reader = self.reader(what, stored.as_slice())?;
        reader.read_to_end(&mut bytes).map_err(|error| damaged(what, error.to_string()))?;
        Ok(bytes)
    }

    /// Returns what writes to `to`, encrypted. It must be finished.
    pub(crate) fn writer<W: Write>(&self, to: W) -> io::Result<Encrypting<W>> {
        let Some(recipient) = self.recipient() else { return Ok(Encrypting::Open(to)) };
        let encryptor = Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient));
        encryptor.map_err(io::Error::other)?.wrap_output(to).map(Encrypting::Age)
    }

    /// Returns what reads from `from`, decrypted. A wrong key is found here, before the first byte.
    pub(crate) fn reader<'r>(
        &self,
        what: &str,
        from: impl Read + 'r,
    ) -> Result<Box<dyn Read + 'r>, BackupError> {
        let identity = match self {
            Self::Open => return Ok(Box::new(from)),
            Self::Public(_) => return Err(wrong("a public key can only write")),
            Self::Private(identity) => identity,
        };
        let decryptor = Decryptor::new(from).map_err(|error| damaged(what, error.to_string()))?;
        match decryptor.decrypt(std::iter::once(identity as &dyn age::Identity)) {
            Ok(reader) => Ok(Box::new(reader)),
            Err(DecryptError::NoMatchingKeys) => {
                Err(damaged(what, "it is encrypted to another key, or its beginning is damaged"))
            }
            Err(error) => Err(damaged(what, error.to_string())),
        }
    }
}

fn wrong(reason: impl Into<String>) -> BackupError {
    BackupError::Key { reason: reason.into() }
}

/// Encrypts what is written through it.
pub(crate) enum Encrypting<W: Write> {
    Open(W),
    Age(StreamWriter<W>),
}

impl<W: Write> Encrypting<W> {
    /// Writes the end, without which nobody accepts the rest.
    pub(crate) fn finish(self) -> io::Result<W> {
        match self {
            Self::Open(to) => Ok(to),
            Self::Age(writer) => writer.finish(),
        }
    }
}

impl<W: Write> Write for Encrypting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Open(to) => to.write(bytes),
            Self::Age(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Open(to) => to.flush(),
            Self::Age(writer) => writer.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> (BackupKey, BackupKey) {
        let (secret, public) = BackupKey::generate();
        (BackupKey::private(&secret).unwrap(), BackupKey::for_writing(&public).unwrap())
    }

    #[test]
    fn who_writes_cannot_read_and_who_reads_has_the_key() {
        let (private, public) = keys();
        let stored = public.encrypt(b"a row").unwrap();
        assert!(!stored.windows(5).any(|window| window == b"a row"));
        assert_eq!(private.decrypt("x", stored.clone()).unwrap(), b"a row");
        assert!(matches!(public.decrypt("x", stored.clone()), Err(BackupError::Key { .. })));
        let error = keys().0.decrypt("x", stored).unwrap_err();
        assert!(error.to_string().contains("encrypted to another key"), "{error}");
    }

    #[test]
    fn a_flipped_bit_and_a_missing_end_are_found() {
        let (private, _) = keys();
        let stored = private.encrypt(&[7; 1_000]).unwrap();
        for at in 0..stored.len() {
            let mut broken = stored.clone();
            broken[at] ^= 1;
            let found = private.decrypt("x", broken);
            assert!(matches!(found, Err(BackupError::Damaged { .. })), "the bit at {at}");
        }
        assert!(private.decrypt("x", stored[..stored.len() - 1].to_vec()).is_err());
    }

    #[test]
    fn a_long_content_is_streamed() {
        let (private, _) = keys();
        let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut writer = private.writer(Vec::new()).unwrap();
        writer.write_all(&content).unwrap();
        let stored = writer.finish().unwrap();
        let mut read = Vec::new();
        private.reader("x", &*stored).unwrap().read_to_end(&mut read).unwrap();
        assert!(read == content && stored != content);
    }

    #[test]
    fn a_key_is_never_shown() {
        let (secret, public) = BackupKey::generate();
        let shown = format!("{:?}", BackupKey::private(&secret).unwrap());
        assert_eq!(shown, format!("BackupKey({public})"));
        let error = BackupKey::private(&Secret::new("AGE-SECRET-KEY-1WRONG".to_owned())).unwrap_err();
        assert!(!error.to_string().contains("WRONG"), "{error}");
    }
}
