//! Files: read whole, written whole or not at all.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use fraiseql_model::errors;

use crate::failure::Failure;

/// Returns a file's text.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    let bytes = read_bytes(path)?;
    String::from_utf8(bytes).map_err(|error| {
        Failure::new(&errors::IO_READ, format!("read {}: it is not UTF-8", path.display()))
            .because(&error.utf8_error())
    })
}

/// Returns a file's bytes.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| {
        let failure = Failure::new(&errors::IO_READ, format!("read {}", path.display())).because(&error);
        match error.kind() {
            ErrorKind::NotFound => failure.hint("check the path"),
            ErrorKind::PermissionDenied => failure.hint("check its permissions"),
            ErrorKind::IsADirectory => failure.hint("a file is expected there, and it is a folder"),
            _ => failure,
        }
    })
}

/// Writes a file so that a crash, or a full disk, leaves the old content or the new, never half.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    write_as(path, content, permissions(content))
}

/// Does as [`write`] for what only our user may read.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), Failure> {
    write_as(path, content, std::os::unix::fs::PermissionsExt::from_mode(0o600))
}

fn write_as(path: &Path, content: &[u8], permissions: fs::Permissions) -> Result<(), Failure> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let write = move || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut new =
            tempfile::Builder::new().prefix(".fraiseql-").permissions(permissions).tempfile_in(folder)?;
        new.write_all(content)?;
        new.as_file().sync_all()?;
        new.persist(path).map_err(|error| error.error)?;
        fs::File::open(folder)?.sync_all()
    };
    write().map_err(|error| {
        let full = matches!(
            error.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
        );
        let code = if full { &errors::IO_DISK_FULL } else { &errors::IO_WRITE };
        let failure = Failure::new(code, format!("write {}", path.display())).because(&error);
        if full {
            failure.hint("make room and run the command again; what was there before is unchanged")
        } else {
            failure.hint("check that the folder exists and may be written")
        }
    })
}

/// As a file that an editor would make, and a script that can be run: the umask still applies.
fn permissions(content: &[u8]) -> fs::Permissions {
    let mode = if content.starts_with(b"#!") { 0o755 } else { 0o644 };
    std::os::unix::fs::PermissionsExt::from_mode(mode)
}
