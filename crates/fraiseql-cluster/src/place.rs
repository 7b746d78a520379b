//! Where a data directory and what stands beside it go.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use fraiseql_model::digest::sha256_hex;

use crate::account::Account;
use crate::error::{ClusterError, file};

/// Room for `/.s.PGSQL.65535` within the 107 bytes of a socket's path.
const SOCKET_FOLDER_BYTES_MAX: usize = 90;
/// Room for the folders and the socket of a server below a folder for temporary things.
const TEMPORARY_BYTES_MAX: usize = 40;

/// How a socket folder is named that cannot stand beside its data directory.
const FAR_SOCKET: &str = "fraiseql-";

/// Returns where a new cluster of a project goes: below the project, or, when the server's user
/// cannot reach that, below `/var/lib/fraiseql`. The caller records it.
pub fn default_data_dir(project: &Path) -> Result<PathBuf, ClusterError> {
    let account = Account::of_servers()?;
    let project = project.canonicalize().map_err(file("find", project))?;
    let inside = project.join(".fraiseql").join("postgres").join("data");
    if !account.switch || account.can_reach(&project.join("x")) {
        return Ok(inside);
    }
    let name = project.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let digest = sha256_hex(project.as_os_str().as_encoded_bytes());
    Ok(Path::new("/var/lib/fraiseql").join(format!("{name}-{}", &digest[..12])).join("data"))
}

/// Returns the data directory with links resolved, and creates the folders above it. Their owner
/// stays: what the server's user needs inside is made and given to it one by one.
pub(crate) fn prepare(data_dir: &Path) -> Result<PathBuf, ClusterError> {
    let Some(name) = data_dir.file_name() else {
        let source = std::io::Error::from(std::io::ErrorKind::InvalidInput);
        return Err(file("use as a data directory", data_dir)(source));
    };
    let parent = match data_dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_open(parent)?;
    if data_dir.exists() {
        return data_dir.canonicalize().map_err(file("find", data_dir));
    }
    Ok(parent.canonicalize().map_err(file("find", parent))?.join(name))
}

/// Creates a folder and those above it. As root they are open to be passed through whatever the
/// umask: the server's user has to.
fn create_open(folder: &Path) -> Result<(), ClusterError> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .filter(|folder| !folder.as_os_str().is_empty())
        .take_while(|folder| !folder.exists())
        .collect();
    fs::create_dir_all(folder).map_err(file("create", folder))?;
    if rustix::process::geteuid().is_root() {
        for folder in missing {
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(folder, mode).map_err(file("open", folder))?;
        }
    }
    Ok(())
}

/// Fails when the account could not reach the data directory.
pub(crate) fn require_reach(data_dir: &Path, account: &Account) -> Result<(), ClusterError> {
    if !account.switch || account.can_reach(data_dir) {
        return Ok(());
    }
    Err(ClusterError::Unreachable { path: data_dir.to_owned(), uid: account.uid })
}

/// Returns the path of what stands beside a data directory, named after it: two data directories
/// may share the folder above them.
pub(crate) fn beside(data_dir: &Path, suffix: &str) -> PathBuf {
    let mut name = data_dir.file_name().map(ToOwned::to_owned).unwrap_or_default();
    name.push(suffix);
    data_dir.with_file_name(name)
}

/// Returns a folder for temporary things that the account can reach, short enough for a socket
/// below it.
pub(crate) fn temporary(account: &Account) -> PathBuf {
    let fits = |folder: &PathBuf| {
        folder.as_os_str().len() <= TEMPORARY_BYTES_MAX && account.can_reach(&folder.join("x"))
    };
    let set = std::env::temp_dir().canonicalize();
    set.ok().filter(fits).unwrap_or_else(|| PathBuf::from("/tmp"))
}

/// Returns the folder for the server's socket, made and checked: short, and the server's user's alone.
pub(crate) fn socket_dir(data_dir: &Path, account: &Account) -> Result<PathBuf, ClusterError> {
    let near = beside(data_dir, "-socket");
    // A connection string is text.
    let dir = if near.as_os_str().len() <= SOCKET_FOLDER_BYTES_MAX && near.to_str().is_some() {
        near
    } else {
        let digest = sha256_hex(data_dir.as_os_str().as_encoded_bytes());
        temporary(account).join(format!("{FAR_SOCKET}{}", &digest[..16]))
    };
    match fs::DirBuilder::new().mode(0o700).create(&dir) {
        Ok(()) => account.give(&dir)?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(&dir).map_err(file("look at", &dir))?;
            let ours = found.uid() == account.uid || found.uid() == rustix::process::geteuid().as_raw();
            if !found.is_dir() || !ours {
                let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
                return Err(ClusterError::File { action: "use as a socket folder", path: dir, source });
            }
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).map_err(file("close", &dir))?;
            account.give(&dir)?;
        }
        Err(error) => return Err(file("create", &dir)(error)),
    }
    Ok(dir)
}

/// Removes a socket folder of ours that stands alone and that no server uses any more: it would be
/// left behind for nobody.
pub(crate) fn leave_socket_dir(dir: &Path) {
    let name = dir.file_name().map_or_else(Default::default, |name| name.to_string_lossy());
    if name.starts_with(FAR_SOCKET) {
        // One that is in use again is not empty, and stays.
        drop(fs::remove_dir(dir));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_beside_is_named_after_the_data() {
        assert_eq!(beside(Path::new("/a/data"), ".log"), Path::new("/a/data.log"));
        assert_eq!(beside(Path::new("/a/data.2"), "-socket"), Path::new("/a/data.2-socket"));
    }

    #[test]
    fn the_root_is_no_data_directory() {
        assert!(matches!(prepare(Path::new("/")), Err(ClusterError::File { .. })));
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("a").join("..").join("a").join("data");
        let prepared = prepare(&data_dir).unwrap();
        assert_eq!(prepared, folder.path().canonicalize().unwrap().join("a").join("data"));
        assert!(!prepared.exists() && prepared.parent().unwrap().is_dir());
    }
}
