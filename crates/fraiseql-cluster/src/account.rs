//! Who the server runs as: ourselves, or an unprivileged user when we are root.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::ClusterError;
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
    /// Returns the account that servers run as.
    pub(crate) fn of_servers() -> Result<Self, ClusterError> {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        if uid != 0 {
            return Ok(Self { uid, gid, switch: false });
        }
        let passwd = fs::read_to_string("/etc/passwd").map_err(crate::error::file("read", "/etc/passwd"))?;
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| find(&passwd, name))
            .map(|(uid, gid)| Self { uid, gid, switch: true })
            .ok_or(ClusterError::NoUser)
    }

    /// Gives a file or folder to the account, when it is another than ours.
    pub(crate) fn give(&self, path: &Path) -> Result<(), ClusterError> {
        if self.switch {
            std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
                .map_err(crate::error::file("change the owner of", path))?;
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
    use super::*;

    #[test]
    fn accounts_are_found_by_their_whole_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgresql:x:5:5::/:/x\npostgres:x:104:111:PostgreSQL:/var:/bin/bash\n";
        assert_eq!(find(passwd, "postgres"), Some((104, 111)));
        assert_eq!(find(passwd, "nobody"), None);
    }
}
