//! Who the server runs as: ourselves, or an unprivileged user when we are root.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::error::{ClusterError, file};
use crate::process::number;

/// A user and its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// True when processes must be started as this user, because we are root.
    pub(crate) switch: bool,
}

impl Account {
    /// Returns the account that new servers run as: ourselves, or as root `postgres`, else `nobody`.
    pub(crate) fn of_servers() -> Result<Self, ClusterError> {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        if uid != 0 {
            return Ok(Self { uid, gid, switch: false });
        }
        let passwd = fs::read_to_string("/etc/passwd").map_err(file("read", "/etc/passwd"))?;
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| find(&passwd, name))
            .map(|(uid, gid)| Self { uid, gid, switch: true })
            .ok_or(ClusterError::NoUser)
    }

    /// Returns the account for a data directory: as root its owner, when it is there. PostgreSQL
    /// accepts no other, and `postgres` may have come to this machine after the directory.
    pub(crate) fn for_data(data_dir: &Path) -> Result<Self, ClusterError> {
        let account = Self::of_servers()?;
        match fs::metadata(data_dir.join("PG_VERSION")) {
            Ok(found) if account.switch && found.uid() != 0 => {
                Ok(Self { uid: found.uid(), gid: found.gid(), switch: true })
            }
            _ => Ok(account),
        }
    }

    /// Makes a command run as the account, in a process group of its own so that Ctrl-C in a
    /// terminal does not reach it before us, and with nothing of our environment: no secret of
    /// ours reaches a server, and what it does never depends on who starts it.
    pub(crate) fn dress(&self, command: &mut Command) {
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C");
        command.current_dir("/").process_group(0);
        if self.switch {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Gives a file or folder, never what a link leads to, to the account, when it is not ours.
    pub(crate) fn give(&self, path: &Path) -> Result<(), ClusterError> {
        if self.switch {
            std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid))
                .map_err(file("change the owner of", path))?;
        }
        Ok(())
    }

    /// Returns true when the account can reach `path`: it may pass through every folder above it.
    pub(crate) fn can_reach(&self, path: &Path) -> bool {
        path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()).all(|folder| {
            fs::metadata(folder).is_ok_and(|found| {
                let bit = if found.uid() == self.uid {
                    0o100
                } else if found.gid() == self.gid {
                    0o010
                } else {
                    0o001
                };
                found.mode() & bit != 0
            })
        })
    }
}

fn find(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((number(fields.next()?)?, number(fields.next()?)?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn accounts_are_found_by_their_whole_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgresql:x:5:5::/:/x\npostgres:x:104:111:PostgreSQL:/var:/bin/bash\n";
        assert_eq!(find(passwd, "postgres"), Some((104, 111)));
        assert_eq!(find(passwd, "nobody"), None);
    }

    #[test]
    fn nothing_of_our_environment_reaches_a_server() {
        let mut command = Command::new("env");
        Account::of_servers().unwrap().dress(&mut command);
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let names: Vec<_> = text.lines().filter_map(|line| line.split('=').next()).collect();
        assert!(names.iter().all(|name| matches!(*name, "PATH" | "LC_ALL" | "PWD")), "{names:?}");
    }

    #[test]
    fn a_closed_folder_above_is_in_the_way() {
        let closed = tempfile::tempdir_in("/tmp").unwrap();
        let inside = closed.path().join("data");
        let stranger = Account { uid: 4_000_001, gid: 4_000_001, switch: true };
        fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!stranger.can_reach(&inside));
        fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(stranger.can_reach(&inside));
    }
}
