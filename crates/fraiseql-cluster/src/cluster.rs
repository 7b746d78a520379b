//! A server with a data directory that lasts: started once, adopted after its owner's death.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use fraiseql_model::names::quote_identifier;
use fraiseql_postgres::{Target, connect_control};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::error::{ClusterError, file};
use crate::initdb::Durability;
use crate::launch::{Launch, answers, url};
use crate::process::{ProcessId, number, serving};
use crate::programs::Programs;
use crate::{initdb, place};

/// What a cluster is started with.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// The programs.
    pub programs: Programs,
    /// The data directory; made when it is not there.
    pub data_dir: PathBuf,
    /// More settings, as `name=value`.
    pub settings: Vec<String>,
}

/// What happens during [`Cluster::start`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A data directory is made.
    Initdb,
    /// The server starts.
    Starting,
    /// A server that its owner left behind is taken over.
    Adopted,
    /// The processes of a server that was killed are waited for.
    Clearing,
    /// It takes connections.
    Ready,
}

/// A running server. Dropping it leaves it running: call [`Cluster::stop`].
#[derive(Debug)]
pub struct Cluster {
    data_dir: PathBuf,
    socket_dir: PathBuf,
    process: ProcessId,
    child: Option<Child>,
}

/// The state file's format written today.
const STATE_FORMAT: u32 = 1;
const ADOPTION_TIMEOUT: Duration = Duration::from_secs(60);
const CLEARING_TIMEOUT: Duration = Duration::from_secs(10);
const FAST_TIMEOUT: Duration = Duration::from_secs(15);
const IMMEDIATE_TIMEOUT: Duration = Duration::from_secs(5);
const START_ATTEMPTS: usize = 3;

/// What is needed to find a server again after its owner's death.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    format: u32,
    process: ProcessId,
    socket_dir: PathBuf,
}

impl Cluster {
    /// Makes the data directory if it is new, takes over the server that runs in it if there is one,
    /// else starts it. Returns once it takes connections.
    ///
    /// After `kill -9` of the owner, of the server or of both, the next call finds the same data:
    /// processes are told by pid, start time and working directory, never by pid alone.
    pub async fn start(options: ClusterOptions, progress: &dyn Fn(Progress)) -> Result<Self, ClusterError> {
        let account = Account::of_servers()?;
        let parent = place::prepare_parent(&options.data_dir)?;
        let name = options.data_dir.file_name().unwrap_or(std::ffi::OsStr::new("data"));
        let data_dir = parent.join(name);
        if !data_dir.join("PG_VERSION").is_file() {
            progress(Progress::Initdb);
        }
        initdb::ensure(&options.programs, &data_dir, &account, Durability::Full)?;
        let socket_dir = place::socket_dir(&data_dir, &account)?;
        if let Some(cluster) = Self::adopt(&data_dir, &socket_dir).await? {
            progress(Progress::Adopted);
            return Ok(cluster);
        }
        clear(&data_dir, &socket_dir, progress).await?;
        progress(Progress::Starting);
        let mut settings = vec!["listen_addresses=".to_owned()];
        settings.extend(options.settings.iter().cloned());
        let launch = Launch {
            programs: &options.programs,
            data_dir: &data_dir,
            socket_dir: &socket_dir,
            log: parent.join("postgres.log"),
            account,
            settings,
        };
        let cluster = Self::launch(&launch, progress).await?;
        cluster.record()?;
        progress(Progress::Ready);
        Ok(cluster)
    }

    async fn launch(launch: &Launch<'_>, progress: &dyn Fn(Progress)) -> Result<Self, ClusterError> {
        let mut attempt = 1;
        loop {
            let mut child = launch.spawn()?;
            let process = ProcessId::of(child.id());
            match launch.ready(&mut child).await {
                Ok(()) => {
                    let process =
                        process.ok_or(ClusterError::Start { reason: "it ended at once".to_owned() })?;
                    return Ok(Self {
                        data_dir: launch.data_dir.to_owned(),
                        socket_dir: launch.socket_dir.to_owned(),
                        process,
                        child: Some(child),
                    });
                }
                // Shared memory of a server that was killed is in use until its last process ends.
                Err(ClusterError::Start { reason })
                    if attempt < START_ATTEMPTS && reason.contains("shared memory block") =>
                {
                    attempt += 1;
                    clear(launch.data_dir, launch.socket_dir, progress).await?;
                }
                Err(error) => {
                    if let Some(process) = process {
                        process.signal(Signal::QUIT);
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Takes over the server that runs in the data directory, if it answers.
    async fn adopt(data_dir: &Path, socket_dir: &Path) -> Result<Option<Self>, ClusterError> {
        let Some(process) = postmaster(data_dir) else { return Ok(None) };
        // It may be starting, in recovery, or stopping: it answers, or goes, or is not ours to use.
        let deadline = tokio::time::Instant::now() + ADOPTION_TIMEOUT;
        while !answers(&url(socket_dir, "postgres")).await {
            if process.gone(Duration::from_millis(100)).await {
                return Ok(None);
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(ClusterError::InUse { data_dir: data_dir.to_owned(), pid: process.pid });
            }
        }
        let cluster =
            Self { data_dir: data_dir.to_owned(), socket_dir: socket_dir.to_owned(), process, child: None };
        cluster.record()?;
        Ok(Some(cluster))
    }

    fn record(&self) -> Result<(), ClusterError> {
        let state =
            State { format: STATE_FORMAT, process: self.process, socket_dir: self.socket_dir.clone() };
        let path = self.data_dir.with_file_name("cluster.json");
        let folder = path.parent().unwrap_or(Path::new("/"));
        let write = || -> std::io::Result<()> {
            let mut new = tempfile::NamedTempFile::new_in(folder)?;
            new.write_all(&serde_json::to_vec_pretty(&state)?)?;
            new.as_file().sync_all()?;
            new.persist(&path).map_err(|error| error.error)?;
            fs::File::open(folder)?.sync_all()
        };
        write().map_err(file("write", &path))
    }

    /// Returns the connection string of a database, as the superuser, over the socket.
    pub fn url(&self, database: &str) -> String {
        url(&self.socket_dir, database)
    }

    /// Returns the server's pid.
    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// Returns the data directory, with links resolved.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Creates a database unless it exists. Returns true when it was created.
    pub async fn ensure_database(&self, name: &str) -> Result<bool, ClusterError> {
        ensure_database(&self.url("postgres"), name).await
    }

    /// Waits until the server has ended.
    pub async fn wait(&mut self) {
        while self.is_running() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Returns true while the server runs.
    pub fn is_running(&mut self) -> bool {
        if let Some(child) = &mut self.child
            && matches!(child.try_wait(), Ok(Some(_)))
        {
            return false;
        }
        crate::process::is_alive(self.process)
    }

    /// Stops the server: sessions are ended and a checkpoint is written; after 15 s it is made to
    /// end at once, which costs a recovery at the next start and no data.
    pub async fn stop(mut self) -> Result<(), ClusterError> {
        let steps = [
            (Signal::INT, FAST_TIMEOUT),
            (Signal::QUIT, IMMEDIATE_TIMEOUT),
            (Signal::KILL, IMMEDIATE_TIMEOUT),
        ];
        for (signal, limit) in steps {
            self.process.signal(signal);
            let deadline = tokio::time::Instant::now() + limit;
            while self.is_running() && tokio::time::Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            if !self.is_running() {
                // A socket folder outside of the cluster's own place would be left behind for nobody.
                if self.socket_dir.parent() != self.data_dir.parent() {
                    drop(fs::remove_dir(&self.socket_dir));
                }
                return Ok(());
            }
        }
        Err(ClusterError::InUse { data_dir: self.data_dir, pid: self.process.pid })
    }
}

/// Creates a database unless it exists.
pub(crate) async fn ensure_database(admin_url: &str, name: &str) -> Result<bool, ClusterError> {
    let client = connect_control(&Target::parse(admin_url)?).await?;
    let found =
        client.query("SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1::text::name", &[&name]).await;
    if !found.map_err(fraiseql_postgres::PostgresError::from)?.is_empty() {
        return Ok(false);
    }
    let sql = format!("CREATE DATABASE {}", quote_identifier(name));
    client.batch_execute(&sql).await.map_err(fraiseql_postgres::PostgresError::from)?;
    Ok(true)
}

/// Returns the server that `postmaster.pid` names, if it lives and serves this data directory.
fn postmaster(data_dir: &Path) -> Option<ProcessId> {
    let text = fs::read_to_string(data_dir.join("postmaster.pid")).ok()?;
    let process = ProcessId::of(number(text.lines().next()?.trim())?)?;
    process.may_serve(data_dir).then_some(process)
}

/// Makes the way free for a new server: the processes of a killed one are waited for, then
/// stopped, and a `postmaster.pid` that names a process which is not a server of this data
/// directory is removed, since PostgreSQL itself only looks whether the pid is in use.
async fn clear(data_dir: &Path, socket_dir: &Path, progress: &dyn Fn(Progress)) -> Result<(), ClusterError> {
    let left = serving(data_dir);
    if !left.is_empty() {
        progress(Progress::Clearing);
    }
    for process in &left {
        if !process.gone(CLEARING_TIMEOUT).await {
            process.signal(Signal::KILL);
            if !process.gone(IMMEDIATE_TIMEOUT).await {
                return Err(ClusterError::InUse { data_dir: data_dir.to_owned(), pid: process.pid });
            }
        }
    }
    if postmaster(data_dir).is_some() || !serving(data_dir).is_empty() {
        return Ok(());
    }
    // The socket's lock file, too, names a pid that another process may have by now.
    let stale = [
        data_dir.join("postmaster.pid"),
        socket_dir.join(".s.PGSQL.5432.lock"),
        socket_dir.join(".s.PGSQL.5432"),
    ];
    for path in stale {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(file("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}
