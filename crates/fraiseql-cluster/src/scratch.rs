//! A throwaway server: no durability, gone with its owner, also when that is killed.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::Signal;

use crate::account::Account;
use crate::cluster::ensure_database;
use crate::error::{ClusterError, file};
use crate::initdb::Durability;
use crate::launch::{Launch, url};
use crate::process::ProcessId;
use crate::programs::Programs;
use crate::{initdb, place};

/// What a scratch server is started with.
#[derive(Clone, Debug, Default)]
pub struct ScratchOptions {
    /// The programs; found when not given.
    pub programs: Option<Programs>,
    /// More settings, as `name=value`.
    pub settings: Vec<String>,
}

/// A throwaway server in a temporary folder.
#[derive(Debug)]
pub struct Scratch {
    folder: PathBuf,
    socket_dir: PathBuf,
    process: ProcessId,
    child: Child,
    /// The watcher stops the server when this end of its pipe closes, however we die.
    watcher: Option<(Child, ChildStdin)>,
}

const SETTINGS: [&str; 6] = [
    "listen_addresses=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=200",
    "shared_buffers=64MB",
];

impl Scratch {
    /// Starts a server as the options say.
    pub async fn start(options: ScratchOptions) -> Result<Self, ClusterError> {
        let programs = match options.programs {
            Some(programs) => programs,
            None => Programs::find(None, &[], None)?,
        };
        let account = Account::of_servers()?;
        let folder = tempfile::Builder::new()
            .prefix("fraiseql-scratch-")
            .tempdir()
            .map_err(file("create", std::env::temp_dir()))?
            .keep();
        let started = Self::start_in(&programs, &folder, account, options.settings).await;
        if started.is_err() && folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(file("remove", &folder))?;
        }
        started
    }

    async fn start_in(
        programs: &Programs,
        folder: &Path,
        account: Account,
        more: Vec<String>,
    ) -> Result<Self, ClusterError> {
        account.give(folder)?;
        let data_dir = folder.join("data");
        initdb::ensure(programs, &data_dir, &account, Durability::None)?;
        let socket_dir = place::socket_dir(&data_dir, &account)?;
        let mut settings: Vec<String> = SETTINGS.iter().map(|setting| (*setting).to_owned()).collect();
        settings.extend(more);
        let launch = Launch {
            programs,
            data_dir: &data_dir,
            socket_dir: &socket_dir,
            log: folder.join("postgres.log"),
            account,
            settings,
        };
        let mut child = launch.spawn()?;
        let process = ProcessId::of(child.id());
        let process = process.ok_or(ClusterError::Start { reason: "it ended at once".to_owned() })?;
        let watcher = watch(process, folder)?;
        launch.ready(&mut child).await?;
        Ok(Self { folder: folder.to_owned(), socket_dir, process, child, watcher: Some(watcher) })
    }

    /// Returns the connection string of a database, as the superuser, over the socket.
    pub fn url(&self, database: &str) -> String {
        url(&self.socket_dir, database)
    }

    /// Creates a database.
    pub async fn create_database(&self, name: &str) -> Result<(), ClusterError> {
        ensure_database(&self.url("postgres"), name).await.map(|_created| ())
    }

    /// Returns the server's process.
    pub fn process(&self) -> ProcessId {
        self.process
    }

    /// Returns the folder that holds everything of this server.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.process.signal(Signal::QUIT);
        drop(self.child.wait());
        // The watcher removes the folder, as it would after our death; the server is gone already,
        // and its pid may be somebody else's.
        if let Some((mut watcher, mut pipe)) = self.watcher.take() {
            let told = pipe.write_all(b"gone\n");
            drop(pipe);
            if told.is_ok() {
                drop(watcher.wait());
            }
        }
    }
}

/// Starts a shell that reads a pipe of ours. The pipe closes with us; then it ends the server and
/// removes the folder. It is in a process group of its own, so that Ctrl-C does not end it first.
fn watch(process: ProcessId, folder: &Path) -> Result<(Child, ChildStdin), ClusterError> {
    const SCRIPT: &str = "read -r word; if [ \"$word\" != gone ]; then kill -QUIT \"$1\" 2>/dev/null; \
        n=0; while kill -0 \"$1\" 2>/dev/null && [ $n -lt 50 ]; do n=$((n+1)); sleep 0.02; done; \
        kill -KILL \"$1\" 2>/dev/null; fi; rm -rf \"$2\"";
    let mut child = Command::new("sh")
        .args(["-c", SCRIPT, "watcher"])
        .arg(process.pid.to_string())
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        .process_group(0)
        .spawn()
        .map_err(file("run", "sh"))?;
    let pipe = child.stdin.take().expect("its stdin is piped");
    Ok((child, pipe))
}
