//! Starts a server and waits until it takes connections.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fraiseql_postgres::{Target, connect_control};

use crate::account::Account;
use crate::error::{ClusterError, file};
use crate::programs::Programs;

/// A log larger than this is started anew when the server starts.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const LOG_LINES_SHOWN: usize = 6;

/// What a server is started with.
pub(crate) struct Launch<'a> {
    pub(crate) programs: &'a Programs,
    pub(crate) data_dir: &'a Path,
    pub(crate) socket_dir: &'a Path,
    pub(crate) log: PathBuf,
    pub(crate) account: Account,
    /// `name=value`, given with `-c`.
    pub(crate) settings: Vec<String>,
}

impl Launch<'_> {
    /// Starts the server in a process group of its own, so that Ctrl-C in a terminal does not
    /// reach it before we have drained what uses it.
    pub(crate) fn spawn(&self) -> Result<Child, ClusterError> {
        let log = self.open_log()?;
        let postgres = self.programs.program("postgres");
        let errors = log.try_clone().map_err(file("open", &self.log))?;
        let mut command = Command::new(&postgres);
        command
            .arg("-D")
            .arg(self.data_dir)
            .arg("-c")
            .arg(format!("unix_socket_directories={}", self.socket_dir.display()))
            .args(["-c", "port=5432"])
            .current_dir(self.data_dir.parent().unwrap_or(Path::new("/")))
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0);
        for setting in &self.settings {
            command.arg("-c").arg(setting);
        }
        if self.account.switch {
            command.uid(self.account.uid).gid(self.account.gid);
        }
        command.spawn().map_err(file("run", &postgres))
    }

    /// Waits until the server takes connections.
    ///
    /// Fails with the end of its log when it ends first or takes longer than a minute.
    pub(crate) async fn ready(&self, child: &mut Child) -> Result<(), ClusterError> {
        let deadline = tokio::time::Instant::now() + READY_TIMEOUT;
        loop {
            if let Some(status) = child.try_wait().map_err(file("wait for", self.data_dir))? {
                return Err(ClusterError::Start {
                    reason: format!("it ended with {status}: {}", self.log_end()),
                });
            }
            if answers(&url(self.socket_dir, "postgres")).await {
                return Ok(());
            }
            if tokio::time::Instant::now() >= deadline {
                let reason =
                    format!("it is not ready after {} s: {}", READY_TIMEOUT.as_secs(), self.log_end());
                return Err(ClusterError::Start { reason });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn open_log(&self) -> Result<File, ClusterError> {
        let large = fs::metadata(&self.log).is_ok_and(|found| found.len() > LOG_BYTES_MAX);
        let log = OpenOptions::new()
            .create(true)
            .write(true)
            .append(!large)
            .truncate(large)
            .open(&self.log)
            .map_err(file("open", &self.log))?;
        self.account.give(&self.log)?;
        Ok(log)
    }

    fn log_end(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("; ")
    }
}

/// Returns true when a database answers.
pub(crate) async fn answers(url: &str) -> bool {
    match Target::parse(url) {
        Ok(target) => {
            let connecting = tokio::time::timeout(Duration::from_secs(2), connect_control(&target));
            matches!(connecting.await, Ok(Ok(_)))
        }
        Err(_) => false,
    }
}

/// Returns the connection string of a database behind a socket.
pub(crate) fn url(socket_dir: &Path, database: &str) -> String {
    format!(
        "postgres://postgres@/{}?host={}&port=5432&sslmode=disable",
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
