//! A server with a data directory that lasts: started once, adopted after its owner's death.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fraiseql_model::names::quote_identifier;
use fraiseql_postgres::{PostgresError, Target, connect_control};

use crate::account::Account;
use crate::error::ClusterError;
use crate::initdb::{self, Durability};
use crate::launch::{Launch, bound_log, url};
use crate::place;
use crate::programs::Programs;
use crate::server::Server;
use crate::start_lock::StartLock;
use crate::takeover;

/// What a cluster is started with.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// The programs.
    pub programs: Programs,
    /// The data directory; made when it is not there.
    pub data_dir: PathBuf,
    /// More settings, as `name=value`. A server that is adopted keeps those it was started with.
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
    log: PathBuf,
    server: Server,
}

/// How often a start is tried while shared memory of a killed server is in use.
const START_ATTEMPTS: usize = 10;
const START_AGAIN: Duration = Duration::from_secs(1);

impl Cluster {
    /// Makes the data directory if it is new, takes over the server that runs in it if there is one,
    /// else starts it. Returns once it takes connections. Its log is `<data directory>.log`.
    ///
    /// After `kill -9` of the owner, of the server or of both, the next call finds the same data:
    /// processes are told by pid, start time and working directory, never by pid alone. Two calls at
    /// once, also of two processes, end with one server, which both have. A call that is dropped
    /// leaves no half data directory, and stops the server that it was starting.
    pub async fn start(options: ClusterOptions, progress: &dyn Fn(Progress)) -> Result<Self, ClusterError> {
        let data_dir = place::prepare(&options.data_dir)?;
        let _one_at_a_time = StartLock::take(&data_dir).await?;
        let account = Account::for_data(&data_dir)?;
        place::require_reach(&data_dir, &account)?;
        if !data_dir.join("PG_VERSION").is_file() {
            progress(Progress::Initdb);
        }
        initdb::ensure(&options.programs, &data_dir, &account, Durability::Full).await?;
        let log = place::beside(&data_dir, ".log");
        if let Some(found) = takeover::find(&data_dir, &account).await? {
            progress(Progress::Adopted);
            let server = Server::adopted(found.process);
            return Ok(Self { data_dir, socket_dir: found.socket_dir, log, server });
        }
        let socket_dir = place::socket_dir(&data_dir, &account)?;
        let mut settings = vec!["listen_addresses=".to_owned()];
        settings.extend(options.settings);
        let launch = Launch {
            programs: &options.programs,
            data_dir: &data_dir,
            socket_dir: &socket_dir,
            log: &log,
            account,
            settings,
        };
        let server = launch_cleared(&launch, progress).await?;
        progress(Progress::Ready);
        Ok(Self { data_dir, socket_dir, log, server })
    }

    /// Returns the connection string of a database, as the superuser, over the socket.
    pub fn url(&self, database: &str) -> String {
        url(&self.socket_dir, database)
    }

    /// Returns the server's pid.
    pub fn pid(&self) -> u32 {
        self.server.process.pid
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
        self.server.ended().await;
    }

    /// Returns true while the server runs. Whoever looks regularly also keeps the log bounded.
    pub fn is_running(&mut self) -> bool {
        bound_log(&self.log);
        self.server.is_running()
    }

    /// Stops the server: sessions are ended and a checkpoint is written; after 15 s it is made to
    /// end at once, which costs a recovery at the next start and no data.
    ///
    /// Fails with [`ClusterError::InUse`] when it lives even then.
    pub async fn stop(mut self) -> Result<(), ClusterError> {
        if self.server.stop().await {
            place::leave_socket_dir(&self.socket_dir);
            return Ok(());
        }
        Err(ClusterError::InUse { pid: self.server.process.pid, data_dir: self.data_dir })
    }
}

/// Starts a server once nothing of a killed one is in the way.
async fn launch_cleared(launch: &Launch<'_>, progress: &dyn Fn(Progress)) -> Result<Server, ClusterError> {
    let mut attempt = 1;
    loop {
        let told = || progress(Progress::Clearing);
        takeover::clear(launch.data_dir, launch.socket_dir, &launch.account, told).await?;
        progress(Progress::Starting);
        match launch.run().await {
            // Of a process that we could not see, or of one whose start was given up a moment ago and
            // that had written nothing yet: it is stopping.
            Err(ClusterError::Start { reason })
                if attempt < START_ATTEMPTS
                    && ["shared memory block", "lock file \"postmaster.pid\" already exists"]
                        .iter()
                        .any(|in_the_way| reason.contains(in_the_way)) =>
            {
                attempt += 1;
                tokio::time::sleep(START_AGAIN).await;
            }
            outcome => return outcome,
        }
    }
}

/// Creates a database unless it exists, also when another does so at this moment.
pub(crate) async fn ensure_database(admin_url: &str, name: &str) -> Result<bool, ClusterError> {
    let client = connect_control(&Target::parse(admin_url)?).await?;
    let found =
        client.query("SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1::text::name", &[&name]).await;
    if !found.map_err(PostgresError::from)?.is_empty() {
        return Ok(false);
    }
    let sql = format!("CREATE DATABASE {}", quote_identifier(name));
    match client.batch_execute(&sql).await.map_err(PostgresError::from) {
        Ok(()) => Ok(true),
        // Found by its name, or by the unique index when both were past that check.
        Err(PostgresError::Sql(error)) if matches!(error.sqlstate.as_str(), "42P04" | "23505") => Ok(false),
        Err(error) => Err(error.into()),
    }
}
