//! `fraiseql up`: everything on one machine. One process and, unless a database is configured, a
//! PostgreSQL below it, which outlives a `kill -9` of ours and is taken over by the next `up`.

mod database;
mod lock;
mod watch;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fraiseql_cluster::Programs;
use fraiseql_model::artifact::Artifact;
use fraiseql_model::catalog::Catalog;
use fraiseql_model::errors;
use fraiseql_postgres::{Pool, Target};
use fraiseql_serve::{Server, ServerHandle};
use tokio_util::sync::CancellationToken;

use crate::args;
use crate::database::Access;
use crate::failure::Failure;
use crate::files;
use crate::log::Log;
use crate::printer::Printer;
use crate::project::Project;
use crate::secrets;
use crate::try_queries::try_queries;

use super::compile::{catalog_at, compiled};
use super::serve::{flags, graphiql, options, pool};
use super::signals::Stop;
pub(super) use database::Embedded;
pub(super) use lock::Lock;
pub(super) use watch::Watch;

const SUPERVISION: Duration = Duration::from_millis(200);

/// Runs everything until it is told to stop, then stops everything.
pub(crate) async fn run(arguments: args::Serve, printer: &Printer) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let project = Project::open(&arguments.project, &flags(&arguments))?;
    let _lock = Lock::take(&project.dir)?;
    let Some(access) = Access::open(&project.settings, &|text| printer.say(text)).await? else {
        return embedded(&project, printer, &mut stop).await;
    };
    let log = log(&project, printer);
    let pool = pool(access.target(), &project.settings);
    let target = access.for_control();
    let keeping = access.keep(pool.clone(), Vec::new(), log);
    serve(&project, (&pool, &target, keeping), printer, &mut None, &mut stop).await
}

/// Returns the catalog that the project's own data makes, from a scratch server that is gone afterwards.
pub(crate) async fn scratch_catalog(project: &Project, printer: &Printer) -> Result<Catalog, Failure> {
    database::scratch_catalog(project, printer).await
}

/// Starts the embedded database, serves from it, and stops it whatever comes.
async fn embedded(project: &Project, printer: &Printer, stop: &mut Stop) -> Result<(), Failure> {
    let starting = Embedded::start(project, printer);
    tokio::pin!(starting);
    let (started, told) = tokio::select! {
        started = &mut starting => (started, false),
        () = stop.next() => {
            printer.say("stopping once PostgreSQL has started");
            (starting.await, true)
        }
    };
    let mut embedded = Some(started?);
    let served =
        if told { Err(interrupted()) } else { fill_and_serve(project, printer, &mut embedded, stop).await };
    if let Some(embedded) = embedded {
        embedded.stop(printer).await?;
    }
    served
}

async fn fill_and_serve(
    project: &Project,
    printer: &Printer,
    embedded: &mut Option<Embedded>,
    stop: &mut Stop,
) -> Result<(), Failure> {
    let prepared = async {
        match &*embedded {
            Some(embedded) => embedded.prepare(project, printer).await,
            None => Err(interrupted()),
        }
    };
    let url = tokio::select! {
        url = prepared => url?,
        () = stop.next() => return Err(interrupted()),
    };
    let target = Target::parse(&url)?;
    let pool = pool(target.clone(), &project.settings);
    serve(project, (&pool, &|| target.clone(), std::future::pending()), printer, embedded, stop).await
}

fn log(project: &Project, printer: &Printer) -> Log {
    Log::new(printer, project.settings.text("log.format").unwrap_or("text"), false)
}

fn interrupted() -> Failure {
    Failure::new(&errors::RUN_INTERRUPTED, "finish starting: it was interrupted")
}

/// Returns where the embedded database of a project is, or would be, and with which programs it runs.
pub(super) fn place(project: &Project) -> Result<(PathBuf, Programs), Failure> {
    database::place(project)
}

/// Returns PostgreSQL's programs as the embedded database would use them.
pub(super) fn programs(project: &Project) -> Result<Programs, Failure> {
    database::programs(project)
}

/// Returns the embedded database's connection string while `up` runs in a project.
pub(crate) async fn running_url(dir: &Path) -> Option<String> {
    database::running_url(dir).await
}

/// Serves from a pool; with it come what knows the target of now, and what keeps its login good.
async fn serve(
    project: &Project,
    (pool, target, keeping): (&Pool, &(dyn Fn() -> Target + Sync), impl Future<Output = ()>),
    printer: &Printer,
    embedded: &mut Option<Embedded>,
    stop: &mut Stop,
) -> Result<(), Failure> {
    let artifact = build(project, &target(), printer).await?;
    let queries = try_queries(&artifact);
    let settings = &project.settings;
    let log = log(project, printer);
    let followed = secrets::followed(settings).await?;
    let server = Server::bind(options(artifact, pool.clone(), &followed, Arc::new(log.clone()))?).await?;
    let mut watch = Watch::begin(&project.dir)?;
    let handle = server.handle();
    if printer.is_json() {
        let url = format!("http://{}", server.local_addr());
        printer.data_json(&serde_json::json!({ "url": url, "try": queries }));
    }
    greet(printer, server.local_addr(), graphiql(settings), &queries);
    let shutdown = CancellationToken::new();
    let serving = server.run(shutdown.clone().cancelled_owned());
    tokio::pin!(serving);
    // Beside the server, not between its accepts: a compilation or a start may take long.
    let watching = async {
        loop {
            watch.changed().await;
            reload(project, &target(), printer, &handle).await;
        }
    };
    let supervising = supervise(embedded, printer, &log, &shutdown);
    tokio::pin!(watching, supervising, keeping);
    let mut supervised = false;
    let report = loop {
        tokio::select! {
            report = &mut serving => break report,
            () = stop.next() => if shutdown.is_cancelled() { handle.hasten() } else {
                printer.say("stopping");
                shutdown.cancel();
            },
            () = &mut watching, if !shutdown.is_cancelled() => {}
            () = &mut keeping => {}
            () = &mut supervising, if !supervised => supervised = true,
        }
    };
    // However serving ended: a server that is being started must be known before it is stopped.
    shutdown.cancel();
    if !supervised {
        supervising.await;
    }
    let report = report?;
    pool.close().await;
    if report.cut > 0 {
        printer.say(&format!("{} connections were cut off", report.cut));
    }
    Ok(())
}

/// Starts the embedded database again whenever it has died, until `shutdown`.
async fn supervise(
    embedded: &mut Option<Embedded>,
    printer: &Printer,
    log: &Log,
    shutdown: &CancellationToken,
) {
    let Some(embedded) = embedded.as_mut() else { return };
    let mut pulse = tokio::time::interval(SUPERVISION);
    while shutdown.run_until_cancelled(pulse.tick()).await.is_some() {
        if let Err(failure) = embedded.supervise(printer).await {
            log.line("error", &format!("{}: {}", failure.code.code, failure.message));
        }
    }
}

async fn build(project: &Project, target: &Target, printer: &Printer) -> Result<Artifact, Failure> {
    let catalog = catalog_at(target, &project.settings.list("database.schemas")).await?;
    let built = compiled(project, &catalog, printer)?;
    files::write(&project.artifact(), &built.bytes)?;
    Ok(built.artifact)
}

/// Compiles again; when that fails the last good schema stays.
async fn reload(project: &Project, target: &Target, printer: &Printer, handle: &ServerHandle) {
    match build(project, target, printer).await {
        Ok(artifact) => {
            let digest = artifact.digest.clone();
            match handle.reload(artifact) {
                Ok(()) => printer.say(&format!("reloaded: schema {}", &digest[..12])),
                Err(error) => printer.failure(&Failure::internal("load the new schema", &error)),
            }
        }
        Err(failure) => {
            printer.failure(&failure);
            printer.say("the last good schema stays");
        }
    }
}

fn greet(printer: &Printer, address: SocketAddr, graphiql: bool, queries: &[String]) {
    let local = address.ip().is_loopback() || address.ip().is_unspecified();
    let base =
        if local { format!("http://localhost:{}", address.port()) } else { format!("http://{address}") };
    if graphiql {
        printer.say(&format!("\n  GraphiQL  {base}/"));
    }
    printer.say(&format!("  GraphQL   {base}/graphql"));
    printer.say(&format!("  Health    {base}/health"));
    printer.say(&format!("  Metrics   {base}/metrics"));
    if !queries.is_empty() {
        printer.say("\nThree queries to try:");
    }
    for query in queries {
        let body = serde_json::json!({ "query": query }).to_string().replace('\'', "'\\''");
        printer.say(&format!("\n  {query}"));
        printer.say(&format!("  curl -s {base}/graphql -H 'content-type: application/json' -d '{body}'"));
    }
    printer.say("\nCtrl-C stops everything.");
}
