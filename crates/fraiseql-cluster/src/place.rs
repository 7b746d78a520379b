//! Where a data directory and its socket go.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use fraiseql_model::digest::sha256_hex;

use crate::account::Account;
use crate::error::{ClusterError, file};

/// Room for `/.s.PGSQL.65535` within the 107 bytes of a socket's path.
const SOCKET_FOLDER_BYTES_MAX: usize = 90;

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

/// Creates the folder above a data directory, and returns it with links resolved. Its owner stays:
/// what the server's user needs inside is made and given to it one by one.
pub(crate) fn prepare_parent(data_dir: &Path) -> Result<PathBuf, ClusterError> {
    let parent = data_dir.parent().unwrap_or(Path::new("/")).to_owned();
    fs::create_dir_all(&parent).map_err(file("create", &parent))?;
    parent.canonicalize().map_err(file("find", &parent))
}

/// Returns the folder for the server's socket, made and checked: short, and the server's user's alone.
pub(crate) fn socket_dir(data_dir: &Path, account: &Account) -> Result<PathBuf, ClusterError> {
    let mut name = data_dir.file_name().map(ToOwned::to_owned).unwrap_or_default();
    name.push("-socket");
    let beside = data_dir.with_file_name(name);
    let dir = if beside.as_os_str().len() <= SOCKET_FOLDER_BYTES_MAX {
        beside
    } else {
        let digest = sha256_hex(data_dir.as_os_str().as_encoded_bytes());
        std::env::temp_dir().join(format!("fraiseql-{}", &digest[..16]))
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
