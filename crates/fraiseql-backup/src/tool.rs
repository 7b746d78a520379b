//! PostgreSQL's client programs: found beside the server's, run without anything of our environment.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use fraiseql_cluster::Programs;

use crate::error::BackupError;

const LINES_SHOWN: usize = 4;

/// Returns the path of a program beside the server's, which must be there.
pub(crate) fn find(programs: &Programs, name: &'static str) -> Result<PathBuf, BackupError> {
    let path = programs.bin_dir.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let reason = format!("it is not in {}", programs.bin_dir.display());
    Err(BackupError::Program { program: name, reason })
}

/// Returns a command for a program, with a clean environment: English, UTC.
pub(crate) fn command(programs: &Programs, name: &'static str) -> Result<Command, BackupError> {
    let mut command = Command::new(find(programs, name)?);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C").env("TZ", "UTC");
    command.stdin(Stdio::null());
    Ok(command)
}

/// Runs a command to its end.
pub(crate) fn output(name: &'static str, command: &mut Command) -> Result<Output, BackupError> {
    command.output().map_err(|error| BackupError::Program { program: name, reason: error.to_string() })
}

/// Returns the last lines of what a program said.
pub(crate) fn last_lines(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LINES_SHOWN)..].join("; ")
}
