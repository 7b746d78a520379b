//! Makes data directories: under another name first, so that half of one is never taken for one.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::account::Account;
use crate::error::{ClusterError, file};
use crate::place::beside;
use crate::programs::Programs;

/// Whether a new data directory must survive the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Written to the disk before it is used.
    Full,
    /// Gone with its server anyway.
    None,
}

const INITDB_TIMEOUT: Duration = Duration::from_secs(300);
const LINES_SHOWN: usize = 6;
/// How often a folder is removed again into which a dying process still writes.
const REMOVALS_MAX: u32 = 50;
const REMOVE_AGAIN: Duration = Duration::from_millis(100);

/// Makes `data_dir` unless it is there. Only one call at a time for one data directory.
///
/// Crash-safe: a run that died leaves `<name>.new-<pid>`, which the next one removes. Fails with
/// [`ClusterError::OtherMajor`] when it is there and of another major version than the programs.
pub(crate) async fn ensure(
    programs: &Programs,
    data_dir: &Path,
    account: &Account,
    durability: Durability,
) -> Result<(), ClusterError> {
    remove_leftovers(data_dir).await?;
    match fs::read_to_string(data_dir.join("PG_VERSION")) {
        Ok(found) if found.trim() == programs.major.to_string() => return Ok(()),
        Ok(found) => {
            let (data_dir, data) = (data_dir.to_owned(), found.trim().to_owned());
            return Err(ClusterError::OtherMajor { data_dir, data, programs: programs.major });
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(file("read the version of", data_dir)(error)),
    }
    // Somebody's folder: nothing of it is overwritten. An empty one is replaced.
    if fs::read_dir(data_dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(file("use as a data directory", data_dir)(ErrorKind::DirectoryNotEmpty.into()));
    }
    let new = beside(data_dir, &format!(".new-{}", std::process::id()));
    run(programs, &new, account, durability).await?;
    fs::rename(&new, data_dir).map_err(file("create", data_dir))?;
    let parent = data_dir.parent().unwrap_or(Path::new("/"));
    fs::File::open(parent).and_then(|folder| folder.sync_all()).map_err(file("sync", parent))
}

async fn run(
    programs: &Programs,
    new: &Path,
    account: &Account,
    durability: Durability,
) -> Result<(), ClusterError> {
    let initdb = programs.program("initdb");
    let locale: &[&str] = if programs.major >= 17 {
        &["--locale-provider=builtin", "--locale=C.UTF-8"]
    } else {
        &["--locale=C.UTF-8"]
    };
    let sync: &[&str] = if durability == Durability::None { &["--no-sync"] } else { &[] };
    let mut said = String::new();
    // The second locale is for a libc that has no C.UTF-8.
    for locale in [locale, &["--locale=C"]] {
        // Made by us, so that the folder above need not belong to the server's user.
        fs::DirBuilder::new().mode(0o700).create(new).map_err(file("create", new))?;
        account.give(new)?;
        match attempt(&initdb, new, &[locale, sync].concat(), account).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(last)) => said = last,
            Err(error) => {
                remove(new).await?;
                return Err(error);
            }
        }
        remove(new).await?;
    }
    Err(ClusterError::Initdb { output: said })
}

/// Returns the last lines that `initdb` printed when it failed. Dropping the future kills it.
async fn attempt(
    initdb: &Path,
    new: &Path,
    more: &[&str],
    account: &Account,
) -> Result<Result<(), String>, ClusterError> {
    let mut command = Command::new(initdb);
    command
        .args(["--username=postgres", "--encoding=UTF8", "--auth-local=trust", "--auth-host=scram-sha-256"])
        .arg("--data-checksums")
        .args(more)
        .arg("--pgdata")
        .arg(new);
    account.dress(&mut command);
    let mut command = tokio::process::Command::from(command);
    let running = command.stdin(std::process::Stdio::null()).kill_on_drop(true).output();
    let Ok(output) = tokio::time::timeout(INITDB_TIMEOUT, running).await else {
        return Ok(Err(format!("it is not done after {} s", INITDB_TIMEOUT.as_secs())));
    };
    let output = output.map_err(file("run", initdb))?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    Ok(Err(lines[lines.len().saturating_sub(LINES_SHOWN)..].join("; ")))
}

/// Removes what killed runs left. None is under way: there is one start at a time.
async fn remove_leftovers(data_dir: &Path) -> Result<(), ClusterError> {
    let left = beside(data_dir, ".new-");
    let (Some(parent), Some(prefix)) = (left.parent(), left.file_name()) else { return Ok(()) };
    for entry in fs::read_dir(parent).map_err(file("read", parent))? {
        let entry = entry.map_err(file("read", parent))?;
        let name = entry.file_name();
        let pid = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
        if pid.is_some_and(|pid| !pid.is_empty() && pid.iter().all(u8::is_ascii_digit)) {
            remove(&entry.path()).await?;
        }
    }
    Ok(())
}

async fn remove(folder: &Path) -> Result<(), ClusterError> {
    for _ in 0..REMOVALS_MAX {
        match fs::remove_dir_all(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
                tokio::time::sleep(REMOVE_AGAIN).await
            }
            Err(error) => return Err(file("remove", folder)(error)),
        }
    }
    Err(file("remove", folder)(ErrorKind::DirectoryNotEmpty.into()))
}
