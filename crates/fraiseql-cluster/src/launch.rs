//! Starts a server and waits until it takes connections.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use fraiseql_postgres::{PostgresError, Target, connect_control};
use fraiseql_process::ProcessId;
use rustix::fs::OFlags;
use rustix::process::Signal;
use tokio::time::Instant;

use crate::account::Account;
use crate::error::{ClusterError, file};
use crate::programs::Programs;
use crate::server::Server;

/// The port names the socket: there is no TCP.
pub(crate) const PORT: u16 = 5432;
/// The socket's name.
pub(crate) const SOCKET: &str = ".s.PGSQL.5432";

/// A log larger than this is started anew.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What is shown of a log.
const LOG_LINES_SHOWN: usize = 6;
const LOG_BYTES_SHOWN: u64 = 8 * 1024;

const LOOK_EVERY: Duration = Duration::from_millis(10);
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// What a server is started with.
pub(crate) struct Launch<'a> {
    pub(crate) programs: &'a Programs,
    pub(crate) data_dir: &'a Path,
    pub(crate) socket_dir: &'a Path,
    pub(crate) log: &'a Path,
    pub(crate) account: Account,
    /// `name=value`, given with `-c`.
    pub(crate) settings: Vec<String>,
}

/// What comes back from a server that is asked whether it takes connections.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It does.
    Ready,
    /// It says that it starts, recovers or stops.
    Busy,
    /// Nobody answers.
    Nothing,
    /// It takes connections but not ours.
    Refused(PostgresError),
}

impl Answer {
    /// Returns how long after the first question this answer is waited upon to change. A recovery
    /// may take minutes and is never cut short for less.
    pub(crate) fn patience(&self) -> Duration {
        match self {
            Self::Ready => Duration::ZERO,
            Self::Busy => Duration::from_secs(600),
            Self::Nothing => Duration::from_secs(60),
            Self::Refused(_) => Duration::from_secs(5),
        }
    }
}

/// Makes a server end whose start was given up, also when the future that waited was dropped.
struct Unfinished {
    process: ProcessId,
    ready: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.ready {
            self.process.signal(Signal::INT);
        }
    }
}

impl Launch<'_> {
    /// Starts the server and waits until it takes connections.
    ///
    /// Fails with what it wrote to its log when it ends first, or does not become ready in time;
    /// then it is stopped.
    pub(crate) async fn run(&self) -> Result<Server, ClusterError> {
        let log = self.open_log()?;
        let old_bytes = log.metadata().map_err(file("read", self.log))?.len();
        let mut server = self.spawn(log)?;
        let mut unfinished = Unfinished { process: server.process, ready: false };
        self.ready(&mut server, old_bytes).await?;
        unfinished.ready = true;
        Ok(server)
    }

    async fn ready(&self, server: &mut Server, old_bytes: u64) -> Result<(), ClusterError> {
        let failed = |how: String| ClusterError::Start {
            reason: format!("{how}: {}", log_end(self.log, old_bytes).join("; ")),
        };
        let start = Instant::now();
        loop {
            if let Some(status) = server.status() {
                return Err(failed(format!("it ended with {status}")));
            }
            let answer = ask(&url(self.socket_dir, "postgres")).await;
            if matches!(answer, Answer::Ready) {
                return Ok(());
            }
            if start.elapsed() >= answer.patience() {
                server.stop().await;
                return Err(match answer {
                    Answer::Refused(error) => error.into(),
                    _ => failed(format!("it is not ready after {} s", start.elapsed().as_secs())),
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn spawn(&self, log: File) -> Result<Server, ClusterError> {
        let postgres = self.programs.program("postgres");
        let errors = log.try_clone().map_err(file("open", self.log))?;
        let mut command = Command::new(&postgres);
        command.arg("-D").arg(self.data_dir);
        command.arg("-c").arg(format!("unix_socket_directories={}", quoted(self.socket_dir)));
        command.arg("-c").arg(format!("port={PORT}"));
        for setting in &self.settings {
            command.arg("-c").arg(setting);
        }
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        self.account.dress(&mut command);
        let child = command.spawn().map_err(file("run", &postgres))?;
        let unknown = || ClusterError::Start { reason: "there is no /proc to see it in".to_owned() };
        Server::started(child).ok_or_else(unknown)
    }

    /// Opens the log so that every line goes to its end, wherever that is by then. Links are not
    /// followed: the folder may be one that others can write to.
    fn open_log(&self) -> Result<File, ClusterError> {
        bound_log(self.log);
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(self.log)
            .map_err(file("open", self.log))?;
        let found = log.metadata().map_err(file("look at", self.log))?;
        let ours = [self.account.uid, rustix::process::geteuid().as_raw()].contains(&found.uid());
        if !found.is_file() || found.nlink() != 1 || !ours {
            return Err(file("use as a log", self.log)(ErrorKind::PermissionDenied.into()));
        }
        self.account.give(self.log)?;
        Ok(log)
    }
}

/// Empties a log that has become too large. The server goes on writing at its end.
pub(crate) fn bound_log(log: &Path) {
    let large = fs::symlink_metadata(log).is_ok_and(|found| found.is_file() && found.len() > LOG_BYTES_MAX);
    if large {
        let opened =
            OpenOptions::new().write(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(log);
        // A log that cannot be emptied is no reason to stop a server.
        drop(opened.and_then(|log| log.set_len(0)));
    }
}

/// Returns the last lines of what was written to the log since it had `old_bytes`.
fn log_end(log: &Path, old_bytes: u64) -> Vec<String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut log = File::open(log)?;
        let bytes = log.metadata()?.len();
        log.seek(SeekFrom::Start(old_bytes.max(bytes.saturating_sub(LOG_BYTES_SHOWN)).min(bytes)))?;
        let mut end = Vec::new();
        log.take(LOG_BYTES_SHOWN).read_to_end(&mut end)?;
        Ok(end)
    };
    match read() {
        Ok(end) => {
            let text = String::from_utf8_lossy(&end);
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].iter().map(ToString::to_string).collect()
        }
        Err(error) => vec![format!("its log {} cannot be read: {error}", log.display())],
    }
}

/// Asks a server whether it takes connections.
pub(crate) async fn ask(url: &str) -> Answer {
    let target = match Target::parse(url) {
        Ok(target) => target,
        Err(error) => return Answer::Refused(error),
    };
    let Ok(connected) = tokio::time::timeout(ASK_TIMEOUT, connect_control(&target)).await else {
        return Answer::Nothing;
    };
    match connected {
        // A server without that database, or with all its connections in use, does serve.
        Ok(_) | Err(PostgresError::NoDatabase { .. }) => Answer::Ready,
        Err(PostgresError::Sql(error)) if error.sqlstate == "53300" => Answer::Ready,
        Err(PostgresError::Sql(error)) if error.sqlstate == "57P03" => Answer::Busy,
        Err(PostgresError::Connect { .. } | PostgresError::Io(_) | PostgresError::Timeout) => Answer::Nothing,
        Err(error) => Answer::Refused(error),
    }
}

/// Returns a folder as an item of a list: a comma in its name does not end it.
fn quoted(folder: &Path) -> String {
    format!("\"{}\"", folder.display().to_string().replace('"', "\"\""))
}

/// Returns the connection string of a database behind a socket.
pub(crate) fn url(socket_dir: &Path, database: &str) -> String {
    format!(
        "postgres://postgres@/{}?host={}&port={PORT}&sslmode=disable",
        percent_encoded(database),
        percent_encoded(&socket_dir.display().to_string())
    )
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
