//! A throwaway server: no durability, gone with its owner, also when that is killed.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fraiseql_process::ProcessId;

use crate::account::Account;
use crate::cluster::ensure_database;
use crate::error::{ClusterError, file};
use crate::initdb::{self, Durability};
use crate::launch::{Launch, url};
use crate::place;
use crate::programs::Programs;
use crate::server::Server;
use crate::watcher::Watcher;

/// What a scratch server is started with.
#[derive(Clone, Debug, Default)]
pub struct ScratchOptions {
    /// The programs; the system's when not given.
    pub programs: Option<Programs>,
    /// More settings, as `name=value`.
    pub settings: Vec<String>,
}

/// A throwaway server in a temporary folder.
#[derive(Debug)]
pub struct Scratch {
    folder: PathBuf,
    socket_dir: PathBuf,
    server: Server,
    /// Goes last: it removes the folder.
    _watcher: Watcher,
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
    /// Starts a server as the options say. Dropping it, or the call, ends the server and removes
    /// everything of it; so does the death of this process.
    pub async fn start(options: ScratchOptions) -> Result<Self, ClusterError> {
        let programs = match options.programs {
            Some(programs) => programs,
            None => Programs::find(None, &[], None)?,
        };
        let account = Account::of_servers()?;
        let above = place::temporary(&account);
        let folder = tempfile::Builder::new()
            .prefix("fraiseql-scratch-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&above)
            .map_err(file("create a folder in", &above))?;
        account.give(folder.path())?;
        let watcher = Watcher::start(folder.path(), &account)?;
        let folder = folder.keep();
        let data_dir = folder.join("data");
        initdb::ensure(&programs, &data_dir, &account, Durability::None).await?;
        let socket_dir = place::socket_dir(&data_dir, &account)?;
        let mut settings: Vec<String> = SETTINGS.iter().map(|setting| (*setting).to_owned()).collect();
        settings.extend(options.settings);
        let launch = Launch {
            programs: &programs,
            data_dir: &data_dir,
            socket_dir: &socket_dir,
            log: &place::beside(&data_dir, ".log"),
            account,
            settings,
        };
        let server = launch.run().await?;
        Ok(Self { folder, socket_dir, server, _watcher: watcher })
    }

    /// Returns the connection string of a database, as the superuser, over the socket.
    pub fn url(&self, database: &str) -> String {
        url(&self.socket_dir, database)
    }

    /// Creates a database unless it exists.
    pub async fn create_database(&self, name: &str) -> Result<(), ClusterError> {
        ensure_database(&self.url("postgres"), name).await.map(|_created| ())
    }

    /// Returns the server's process.
    pub fn process(&self) -> ProcessId {
        self.server.process
    }

    /// Returns the folder that holds everything of this server.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.server.destroy();
    }
}
