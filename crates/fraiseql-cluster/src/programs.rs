//! Where PostgreSQL's server programs are.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::account::Account;
use crate::error::{ClusterError, file};
use crate::process::number;

/// A folder with `postgres` and `initdb`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// The folder, with links resolved.
    pub bin_dir: PathBuf,
    /// The major version, 10 or more.
    pub major: u32,
}

const SYSTEM: &str = "/usr/lib/postgresql";
const NEEDED: [&str; 2] = ["postgres", "initdb"];
const MAJOR_MIN: u32 = 10;

impl Programs {
    /// Looks in the configured folder only, if there is one; else in the system's newest
    /// `/usr/lib/postgresql/*/bin`, in `more`, and in the folders of `path` (`PATH`).
    ///
    /// Fails when nothing is found, and when nothing of what is found can be used: it is older than
    /// PostgreSQL 10, it does not run, or the server's user may not run it.
    pub fn find(
        configured: Option<&Path>,
        more: &[PathBuf],
        path: Option<&std::ffi::OsStr>,
    ) -> Result<Self, ClusterError> {
        let account = Account::of_servers()?;
        if let Some(dir) = configured {
            return Self::in_folder(dir, &account);
        }
        let mut looked_in = vec![format!("{SYSTEM}/*/bin")];
        let from_path: Vec<PathBuf> =
            path.map(|path| std::env::split_paths(path).collect()).unwrap_or_default();
        looked_in.extend(more.iter().map(|dir| dir.display().to_string()));
        looked_in.push("PATH".to_owned());
        let candidates =
            system_folders(Path::new(SYSTEM)).into_iter().chain(more.iter().cloned()).chain(from_path);
        let mut refused = None;
        // A relative folder in PATH would let whoever owns the current folder choose the program.
        for dir in candidates.filter(|dir| dir.is_absolute()) {
            match Self::in_folder(&dir, &account) {
                Ok(programs) => return Ok(programs),
                Err(ClusterError::Incomplete { .. }) => {}
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or(ClusterError::NoPrograms { looked_in }))
    }

    /// Returns the path of a program.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.bin_dir.join(name)
    }

    fn in_folder(dir: &Path, account: &Account) -> Result<Self, ClusterError> {
        for missing in NEEDED {
            if !dir.join(missing).is_file() {
                return Err(ClusterError::Incomplete { dir: dir.to_owned(), missing });
            }
        }
        let bin_dir = dir.canonicalize().map_err(file("find", dir))?;
        let postgres = bin_dir.join("postgres");
        let mut command = Command::new(&postgres);
        command.arg("--version");
        account.dress(&mut command);
        let output = command.output().map_err(|source| match source.kind() {
            ErrorKind::PermissionDenied => {
                ClusterError::Unreachable { path: postgres.clone(), uid: account.uid }
            }
            _ => file("run", &postgres)(source),
        })?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match major_of(&text) {
            Some(major) if major >= MAJOR_MIN => Ok(Self { bin_dir, major }),
            Some(_) => Err(ClusterError::TooOld { dir: bin_dir, found: text }),
            None => {
                let said = String::from_utf8_lossy(&output.stderr);
                let said = said.lines().next().unwrap_or(&text).to_owned();
                Err(ClusterError::Broken { program: postgres, output: said })
            }
        }
    }
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian ...)`, also `18beta1`.
fn major_of(text: &str) -> Option<u32> {
    let version = text.split_whitespace().nth(2)?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    number(&digits)
}

/// Returns `<root>/<major>/bin`, newest first.
fn system_folders(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root) else { return Vec::new() };
    let mut majors: Vec<(u32, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((number(entry.file_name().to_str()?)?, entry.path().join("bin"))))
        .collect();
    majors.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    majors.into_iter().map(|(_, bin)| bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_program_prints_them() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_of("postgres (PostgreSQL) 9.6.24"), Some(9));
        assert_eq!(major_of("something else"), None);
    }

    #[test]
    fn the_newest_system_folder_comes_first_by_number() {
        let root = tempfile::tempdir().unwrap();
        for name in ["9.6", "10", "9", "17", "share"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        let found = system_folders(root.path());
        let names: Vec<_> = found.iter().map(|bin| bin.parent().unwrap().file_name().unwrap()).collect();
        assert_eq!(names, ["17", "10", "9"]);
    }
}
