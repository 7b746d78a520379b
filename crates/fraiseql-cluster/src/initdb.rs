//! Makes data directories: under another name first, so that half of one is never taken for one.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::account::Account;
use crate::error::{ClusterError, file};
use crate::programs::Programs;

/// Makes `data_dir` unless it is there. Returns true when it was made.
///
/// Crash-safe: a run that died leaves `<name>.new-<pid>`, which the next one removes.
pub(crate) fn ensure(programs: &Programs, data_dir: &Path, account: &Account) -> Result<bool, ClusterError> {
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
    run(programs, &new, account)?;
    fs::rename(&new, data_dir).map_err(file("create", data_dir))?;
    let parent = data_dir.parent().unwrap_or(Path::new("/"));
    fs::File::open(parent).and_then(|folder| folder.sync_all()).map_err(file("sync", parent))?;
    Ok(true)
}

fn run(programs: &Programs, new: &Path, account: &Account) -> Result<(), ClusterError> {
    let initdb = programs.program("initdb");
    let locale: &[&str] = if programs.major >= 17 {
        &["--locale-provider=builtin", "--locale=C.UTF-8"]
    } else {
        &["--locale=C.UTF-8"]
    };
    let mut output = attempt(&initdb, new, locale, account)?;
    if !output.0 {
        // A libc without C.UTF-8.
        if new.exists() {
            fs::remove_dir_all(new).map_err(file("remove", new))?;
        }
        output = attempt(&initdb, new, &["--locale=C"], account)?;
    }
    if output.0 { Ok(()) } else { Err(ClusterError::Initdb { output: output.1 }) }
}

fn attempt(
    initdb: &Path,
    new: &Path,
    locale: &[&str],
    account: &Account,
) -> Result<(bool, String), ClusterError> {
    let mut command = Command::new(initdb);
    command
        .args(["--username=postgres", "--encoding=UTF8", "--auth-local=trust", "--auth-host=scram-sha-256"])
        .args(["--data-checksums", "--no-instructions"])
        .args(locale)
        .arg("--pgdata")
        .arg(new)
        .current_dir(new.parent().unwrap_or(Path::new("/")))
        .env("LC_ALL", "C");
    if !supports_no_instructions(initdb) {
        let kept: Vec<_> = command
            .get_args()
            .filter(|argument| *argument != "--no-instructions")
            .map(ToOwned::to_owned)
            .collect();
        let folder = new.parent().unwrap_or(Path::new("/")).to_owned();
        command = Command::new(initdb);
        command.args(kept).current_dir(folder).env("LC_ALL", "C");
    }
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

/// The option came with PostgreSQL 14.
fn supports_no_instructions(initdb: &Path) -> bool {
    let help = Command::new(initdb).arg("--help").output();
    help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("--no-instructions"))
}

fn remove_leftovers(data_dir: &Path) -> Result<(), ClusterError> {
    let (Some(parent), Some(name)) = (data_dir.parent(), data_dir.file_name()) else { return Ok(()) };
    let prefix = format!("{}.new-", name.to_string_lossy());
    let Ok(entries) = fs::read_dir(parent) else { return Ok(()) };
    for entry in entries.filter_map(Result::ok) {
        let found = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = found.strip_prefix(&prefix).and_then(|pid| pid.parse().ok()) else { continue };
        if pid == std::process::id() || crate::process::ProcessId::of(pid).is_none() {
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
