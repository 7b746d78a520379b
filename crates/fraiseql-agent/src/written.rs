//! Files that a crash leaves old or new, never half.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{AgentError, file};

/// Writes a value as JSON in one piece, for our user only.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), AgentError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| file("write", path)(error.into()))?;
    bytes.push(b'\n');
    write(path, &bytes)
}

/// Writes a file in one piece, for our user only.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), AgentError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let owner_only = Permissions::from_mode(0o600);
        let mut new = tempfile::Builder::new().prefix(".new-").permissions(owner_only).tempfile_in(folder)?;
        new.write_all(content)?;
        new.as_file().sync_all()?;
        new.persist(path).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(file("write", path))
}

/// Reads what [`write_json`] wrote; `None` when the file is not there.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, AgentError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file("read", path)(error)),
    };
    let malformed =
        |error: serde_json::Error| AgentError::Malformed { path: path.to_owned(), reason: error.to_string() };
    serde_json::from_slice(&bytes).map(Some).map_err(malformed)
}
