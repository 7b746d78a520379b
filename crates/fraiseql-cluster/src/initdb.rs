//! Makes data directories: under another name first, so that half of one is never taken for one.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::account::Account;
use crate::error::{ClusterError, file};
use crate::process::{ProcessId, number};
use crate::programs::Programs;

/// Whether a new data directory must survive the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Written to the disk before it is used.
    Full,
    /// Gone with its server anyway.
    None,
}

/// Makes `data_dir` unless it is there. Returns true when it was made.
///
/// Crash-safe: a run that died leaves `<name>.new-<pid>`, which the next one removes.
pub(crate) fn ensure(
    programs: &Programs,
    data_dir: &Path,
    account: &Account,
    durability: Durability,
) -> Result<bool, ClusterError> {
    remove_leftovers(data_dir)?;
    if data_dir.join("PG_VERSION").is_file() {
        let found = fs::read_to_string(data_dir.join("PG_VERSION")).map_err(file("read", data_dir))?;
        let data = found.trim().to_owned();
        if data != programs.major.to_string() {
            let data_dir = data_dir.to_owned();
            return Err(ClusterError::OtherMajor { data_dir, data, programs: programs.major });
        }
        return Ok(false);
    }
    let new = sibling(data_dir, &format!(".new-{}", std::process::id()));
    run(programs, &new, account, durability)?;
    fs::rename(&new, data_dir).map_err(file("create", data_dir))?;
    let parent = data_dir.parent().unwrap_or(Path::new("/"));
    fs::File::open(parent).and_then(|folder| folder.sync_all()).map_err(file("sync", parent))?;
    Ok(true)
}

fn run(
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
    make_folder(new, account)?;
    let mut output = attempt(&initdb, new, &[locale, sync].concat(), account)?;
    if !output.0 {
        // A libc without C.UTF-8.
        fs::remove_dir_all(new).map_err(file("remove", new))?;
        make_folder(new, account)?;
        output = attempt(&initdb, new, &[&["--locale=C"], sync].concat(), account)?;
    }
    if output.0 {
        return Ok(());
    }
    fs::remove_dir_all(new).map_err(file("remove", new))?;
    Err(ClusterError::Initdb { output: output.1 })
}

/// Made by us, so that the folder above need not belong to the server's user.
fn make_folder(new: &Path, account: &Account) -> Result<(), ClusterError> {
    fs::DirBuilder::new().mode(0o700).create(new).map_err(file("create", new))?;
    account.give(new)
}

fn attempt(
    initdb: &Path,
    new: &Path,
    more: &[&str],
    account: &Account,
) -> Result<(bool, String), ClusterError> {
    let mut command = Command::new(initdb);
    command
        .args(["--username=postgres", "--encoding=UTF8", "--auth-local=trust", "--auth-host=scram-sha-256"])
        .arg("--data-checksums")
        .args(more)
        .arg("--pgdata")
        .arg(new)
        .current_dir(new.parent().unwrap_or(Path::new("/")))
        .env("LC_ALL", "C");
    if account.switch {
        command.uid(account.uid).gid(account.gid);
    }
    let output = command.output().map_err(file("run", initdb))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(6)..].join("; ");
    Ok((output.status.success(), last))
}

fn remove_leftovers(data_dir: &Path) -> Result<(), ClusterError> {
    let (Some(parent), Some(name)) = (data_dir.parent(), data_dir.file_name()) else { return Ok(()) };
    let prefix = format!("{}.new-", name.to_string_lossy());
    let Ok(entries) = fs::read_dir(parent) else { return Ok(()) };
    for entry in entries.filter_map(Result::ok) {
        let found = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = found.strip_prefix(&prefix).and_then(number) else { continue };
        if pid == std::process::id() || ProcessId::of(pid).is_none() {
            fs::remove_dir_all(entry.path()).map_err(file("remove", entry.path()))?;
        }
    }
    Ok(())
}

fn sibling(data_dir: &Path, suffix: &str) -> PathBuf {
    let mut name = data_dir.file_name().map(ToOwned::to_owned).unwrap_or_default();
    name.push(suffix);
    data_dir.with_file_name(name)
}
