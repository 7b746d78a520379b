//! What is found in a data directory before a start: a server to adopt, or what a killed one left.
//!
//! It must not end a process, or remove a file, that is not proven to be of this data directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fraiseql_process::ProcessId;
use rustix::process::Signal;
use tokio::time::Instant;

use crate::account::Account;
use crate::error::{ClusterError, file};
use crate::launch::{Answer, PORT, SOCKET, ask, url};
use crate::pidfile::{self, PidFile, Status};
use crate::process::{Serves, serves, serving};

/// A server that runs in a data directory.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: ProcessId,
    pub(crate) socket_dir: PathBuf,
}

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the processes of a killed server may take to notice, and to obey a signal.
const CLEARING_TIMEOUT: Duration = Duration::from_secs(5);
const OBEYING_TIMEOUT: Duration = Duration::from_secs(3);

/// Returns the server that runs in the data directory, once it takes connections; `None` when there
/// is none, or when it ends while we wait: it may have been stopping.
///
/// Fails with [`ClusterError::InUse`] when it is not to be talked to in the way of our own servers.
pub(crate) async fn find(data_dir: &Path, account: &Account) -> Result<Option<Running>, ClusterError> {
    let start = Instant::now();
    loop {
        let Some((found, process)) = postmaster(data_dir, account) else { return Ok(None) };
        let in_use = || ClusterError::InUse { data_dir: data_dir.to_owned(), pid: process.pid };
        let answer = match found.socket_dir {
            Some(socket_dir) if found.port == Some(PORT) => {
                let answer = ask(&url(&socket_dir, "postgres")).await;
                if matches!(answer, Answer::Ready) {
                    return Ok(Some(Running { process, socket_dir }));
                }
                answer
            }
            _ if found.status == Status::Ready => return Err(in_use()),
            _ => Answer::Nothing,
        };
        if start.elapsed() >= answer.patience() {
            return Err(match answer {
                Answer::Refused(error) => error.into(),
                _ => in_use(),
            });
        }
        // Its end is noticed at once: `ended` looks by pid and start time.
        process.gone(LOOK_EVERY).await;
    }
}

/// Makes the way free for a new server. The processes of a killed one get the time to notice, then
/// are made to end: as long as one lives, PostgreSQL refuses to start. `told` is called before a wait.
///
/// Lock files that name a zombie, or a process which is not a server of this data directory, are
/// removed, since PostgreSQL itself only looks whether the pid is in use. Where it is not, they are
/// left: PostgreSQL reads in them which shared memory to look for.
pub(crate) async fn clear(
    data_dir: &Path,
    socket_dir: &Path,
    account: &Account,
    told: impl FnOnce(),
) -> Result<(), ClusterError> {
    let left = serving(data_dir, account);
    if !left.is_empty() {
        told();
        end(data_dir, &left).await?;
    }
    for path in [pidfile::path(data_dir), socket_dir.join(format!("{SOCKET}.lock"))] {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if pidfile::pid_of(&text).is_some_and(|pid| is_stranger(pid, data_dir, account)) {
            fs::remove_file(&path).map_err(file("remove", &path))?;
        }
    }
    Ok(())
}

/// Returns true when the pid is in use, but not by a living server of the data directory.
fn is_stranger(pid: u32, data_dir: &Path, account: &Account) -> bool {
    match ProcessId::of(pid) {
        Some(holder) => serves(holder, data_dir, account) == Serves::Other,
        // Nobody took the exit status of a server that was killed: it is a zombie.
        None => Path::new("/proc").join(pid.to_string()).exists(),
    }
}

async fn end(data_dir: &Path, processes: &[ProcessId]) -> Result<(), ClusterError> {
    let steps = [
        (None, CLEARING_TIMEOUT),
        (Some(Signal::QUIT), OBEYING_TIMEOUT),
        (Some(Signal::KILL), OBEYING_TIMEOUT),
    ];
    for (signal, limit) in steps {
        if let Some(signal) = signal {
            for process in processes {
                process.signal(signal);
            }
        }
        let all_gone = async {
            for process in processes {
                process.ended().await;
            }
        };
        if tokio::time::timeout(limit, all_gone).await.is_ok() {
            return Ok(());
        }
    }
    let pid = processes
        .iter()
        .find(|process| fraiseql_process::is_alive(**process))
        .map_or(0, |process| process.pid);
    Err(ClusterError::InUse { data_dir: data_dir.to_owned(), pid })
}

/// Returns the server that `postmaster.pid` names, if it lives and nothing says that it is another.
fn postmaster(data_dir: &Path, account: &Account) -> Option<(PidFile, ProcessId)> {
    let found = PidFile::read(data_dir)?;
    let process = ProcessId::of(found.pid)?;
    (serves(process, data_dir, account) != Serves::Other).then_some((found, process))
}
