//! Secrets of this machine: variables and files.

use std::io::Read;
use std::path::Path;

use fraiseql_model::secret::{Secret, SecretRef, SecretSource};

use crate::error::SecretError;
use crate::options::VariableLookup;

/// The largest secret, wherever it comes from.
pub(crate) const SECRET_BYTES_MAX: u64 = 1 << 20;

/// Reads a variable.
pub(crate) fn variable(name: &str, lookup: &VariableLookup) -> Result<Secret, SecretError> {
    let found = lookup(name).filter(|value| !value.is_empty());
    found.map(Secret::new).ok_or_else(|| SecretError::Missing {
        reference: format!("env://{name}"),
        reason: "the variable is not set, or empty".to_owned(),
    })
}

/// Reads a file, without the line's end that editors add.
pub(crate) fn file(path: &Path) -> Result<Secret, SecretError> {
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    let wrong = |reason: &str| SecretError::Value {
        reference: format!("file://{}", path.display()),
        reason: reason.to_owned(),
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(wrong("it has more than a million bytes"));
    }
    text(bytes).map_err(wrong)
}

/// Takes bytes as the text of a secret; the error says what is wrong with them.
pub(crate) fn text(bytes: Vec<u8>) -> Result<Secret, &'static str> {
    let mut text = String::from_utf8(bytes).map_err(|_| "it is no UTF-8 text")?;
    let length =
        text.strip_suffix('\n').map_or(text.len(), |line| line.strip_suffix('\r').unwrap_or(line).len());
    text.truncate(length);
    if text.is_empty() { Err("it is empty") } else { Ok(Secret::new(text)) }
}

/// Returns what is needed to get at a store. It cannot lie in a store itself.
pub(crate) fn source(source: &SecretSource, lookup: &VariableLookup) -> Result<Secret, SecretError> {
    match source {
        SecretSource::Plain(secret) => Ok(secret.clone()),
        SecretSource::Reference(SecretRef::Variable { name }) => variable(name, lookup),
        SecretSource::Reference(SecretRef::File { path }) => file(Path::new(path)),
        SecretSource::Reference(reference) => Err(SecretError::Value {
            reference: reference.to_string(),
            reason: "what opens a store is by env:// or file://, not in a store".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_one_end_of_line_is_taken_off() {
        for (bytes, expected) in [
            ("a", Ok("a")),
            ("a\n", Ok("a")),
            ("a\r\n", Ok("a")),
            ("a\n\n", Ok("a\n")),
            (" a ", Ok(" a ")),
            ("\n", Err("it is empty")),
        ] {
            let text = super::text(bytes.as_bytes().to_vec());
            assert_eq!(text.as_ref().map(|secret| secret.expose()).map_err(|error| *error), expected);
        }
        assert_eq!(super::text(vec![0xff]), Err("it is no UTF-8 text"));
    }
}
