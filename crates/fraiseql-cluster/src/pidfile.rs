//! Reads `postmaster.pid`, which a server keeps in its data directory while it runs.
//!
//! It must not write it: the file is the server's own lock.

use std::path::{Path, PathBuf};

use crate::process::number;

/// What the file says. It grows while the server starts: what is not there yet is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: u32,
    pub(crate) port: Option<u16>,
    /// The first folder of `unix_socket_directories`; `None` also when there is none.
    pub(crate) socket_dir: Option<PathBuf>,
    pub(crate) status: Status,
}

/// What the server says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It takes connections.
    Ready,
    /// It starts, recovers or stops.
    NotReady,
}

impl PidFile {
    /// Reads the file of a data directory; `None` when there is none that names a pid.
    pub(crate) fn read(data_dir: &Path) -> Option<Self> {
        parse(&std::fs::read_to_string(path(data_dir)).ok()?)
    }
}

/// Returns the path of the file.
pub(crate) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("postmaster.pid")
}

/// Returns the pid that a lock file begins with; a standalone server writes it as a negative number.
pub(crate) fn pid_of(text: &str) -> Option<u32> {
    let pid: i64 = number(text.lines().next()?.trim())?;
    u32::try_from(pid.unsigned_abs()).ok()
}

/// The lines are numbered in PostgreSQL's `src/include/utils/pidfile.h`.
fn parse(text: &str) -> Option<PidFile> {
    let line = |index: usize| text.lines().nth(index).map(str::trim).filter(|line| !line.is_empty());
    let status = match line(7) {
        Some("ready" | "standby") => Status::Ready,
        _ => Status::NotReady,
    };
    Some(PidFile {
        pid: pid_of(text)?,
        port: line(3).and_then(number),
        socket_dir: line(4).map(PathBuf::from),
        status,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(u32, Option<u16>, Option<&str>, Status)>) {
        let expected = expected.map(|(pid, port, socket_dir, status)| PidFile {
            pid,
            port,
            socket_dir: socket_dir.map(PathBuf::from),
            status,
        });
        assert_eq!(parse(text), expected);
    }

    #[test]
    fn a_running_server_is_read_whole() {
        let text = "4242\n/srv/data\n1700000000\n5432\n/srv/my data-socket\n\n  123456   98304\nready   \n";
        check(text, Some((4242, Some(5432), Some("/srv/my data-socket"), Status::Ready)));
    }

    #[test]
    fn a_server_that_starts_or_stops_is_not_ready() {
        check("4242\n/srv/data\n1700000000\n5432\n\n", Some((4242, Some(5432), None, Status::NotReady)));
        let stopping = "4242\n/d\n1\n5432\n/s\n\n  1  2\nstopping\n";
        check(stopping, Some((4242, Some(5432), Some("/s"), Status::NotReady)));
    }

    #[test]
    fn a_standalone_server_has_a_negative_pid() {
        check("-77\n/srv/data\n", Some((77, None, None, Status::NotReady)));
    }

    #[test]
    fn what_names_no_pid_is_nothing() {
        check("", None);
        check("garbage\n", None);
    }
}
