//! `fraiseql serve`: one server for a compiled project.

mod admin;
mod backups;
mod control;
mod life;
mod observing;
mod reload;
mod vetting;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use fraiseql_engine::{LimitMode, Limits};
use fraiseql_model::artifact::Artifact;
use fraiseql_model::errors;
use fraiseql_model::settings::Settings;
use fraiseql_postgres::{Pool, PoolOptions, Pooler, QueueBounds, Target};
use fraiseql_serve::{
    Audit, DrainReport, IntrospectionPolicy, LifeOptions, Observe, Origins, RequestPolicy, ServeOptions,
    Server, ServerHandle, SubscriptionOptions, SubscriptionSource, Tuning, UsageRecording,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::args;
use crate::database::Access;
use crate::failure::Failure;
use crate::log::Log;
use crate::printer::Printer;
use crate::project::{Project, open_artifact};

use super::signals::Signals;
use super::systemd;
use super::up::Watch;
use crate::{cache, identity, rates, replicas, secrets};
use control::Control;
pub(crate) use life::{control_socket, handed_over, tls};
use observing::Observing;
use vetting::Vetting;

/// Serves until it is told to stop.
pub(crate) async fn run(arguments: args::Serve, printer: &Printer) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let project = Project::open(&arguments.project, &flags(&arguments))?;
    let artifact = open_artifact(&project.artifact())?;
    let settings = &project.settings;
    // Before the database is asked: these are wrong whatever it says.
    let followed = secrets::followed(settings).await?;
    drop((identity::options(&followed, is_production(settings))?, rates::options(&followed)?));
    drop(cache::options(&followed)?);
    let log = Log::new(printer, settings.text("log.format").unwrap_or("text"), true);
    let Some(access) = Access::open(settings, &|text| log.line("warn", text)).await? else {
        let message = "serve: no database is configured";
        let hint = "set DATABASE_URL, or run `fraiseql up` for an embedded database";
        return Err(Failure::new(&errors::CFG_MISSING, message).hint(hint));
    };
    let vetting = Vetting::new(&access, &artifact.manifest, settings);
    let checked = match vetting.start(&log).await {
        Err(failure) if is_away(&failure) => {
            let message =
                format!("the database is away, readiness is 503 until it returns: {}", failure.message);
            log.line("error", &message);
            false
        }
        verdict => verdict.map(|()| true)?,
    };
    let pool = pool(access.target(), settings);
    let ended = CancellationToken::new();
    let (observers, observing) = Observing::begin(settings, &access, &ended, &log).await?;
    let mut options = options(artifact, pool.clone(), &followed, observers)?;
    let (replicas, beside) = replicas::options(&access, settings)?;
    options.replicas = replicas;
    options.life = life::options(settings, &project.dir)?;
    options.life.listener = handed_over()?;
    let server = Server::bind(options).await?;
    let handle = server.handle();
    let backups = backups::Backups::new(&project);
    let gauges = observing.gauges();
    let admin = admin::bind(&handle, settings, (&access, &backups, gauges), &log)?;
    let resolver = access.resolver();
    let keeping = access.keep(pool.clone(), beside, log.clone());
    let beside =
        async { tokio::join!(keeping, admin::run(admin, ended.clone()), backups.watch(&project, &log)) };
    let watching = vetting.later(!checked, &handle, &log);
    let running = Running { arguments: &arguments, project: &project, handle: handle.clone(), log: &log };
    let outcome = running.run(server, &mut signals, watching, beside).await;
    ended.cancel();
    observing.finish().await;
    let (report, verdict) = outcome?;
    pool.close().await;
    resolver.release_all().await;
    log.line("info", &format!("stopped: {} connections finished, {} cut off", report.finished, report.cut));
    verdict
}

/// A server at work, and what may come in between.
struct Running<'s> {
    arguments: &'s args::Serve,
    project: &'s Project,
    handle: ServerHandle,
    log: &'s Log,
}

impl Running<'_> {
    /// Serves to the end, which comes early when `checking` fails. `beside` is not waited for.
    async fn run(
        &self,
        server: Server,
        signals: &mut Signals,
        checking: impl Future<Output = Result<(), Failure>>,
        beside: impl Future,
    ) -> Result<(DrainReport, Result<(), Failure>), Failure> {
        let (log, dir) = (self.log, &self.project.dir);
        let settings = &self.project.settings;
        let mut watch = match settings.text("server.reload") {
            Some("files") => Some(Watch::of_compiled(dir)?),
            _ => None,
        };
        let (sender, mut wishes) = mpsc::channel(1);
        let control = life::control_socket(settings, dir).and_then(|path| listening(&path, log));
        let controlling = async {
            match &control {
                Some(control) => control.serve(self.handle.clone(), sender).await,
                None => std::future::pending().await,
            }
        };
        let alive = systemd::watchdog(server.local_addr(), log);
        let shutdown = CancellationToken::new();
        let serving = server.run(shutdown.clone().cancelled_owned());
        let Signals { stop, reload } = signals;
        // Beside the server, not between its accepts: a reload may wait for requests to end.
        let reloading = async {
            let mut in_force = settings.clone();
            loop {
                let wish = tokio::select! {
                    () = reload.next() => None,
                    () = changed(&mut watch) => None,
                    Some(wish) = wishes.recv() => Some(wish),
                };
                systemd::reloading(log);
                let told = reload::run(self.arguments, &mut in_force, settings, &self.handle, log).await;
                systemd::ready(log);
                // Whoever asked may have left meanwhile.
                if let Some(wish) = wish
                    && wish.send(told).is_err()
                {}
            }
        };
        tokio::pin!(serving, checking, beside, controlling, alive, reloading);
        let mut checked = None;
        systemd::ready(log);
        loop {
            tokio::select! {
                report = &mut serving => return Ok((report?, checked.unwrap_or(Ok(())))),
                verdict = &mut checking, if checked.is_none() => {
                    if verdict.is_err() {
                        shutdown.cancel();
                    }
                    checked = Some(verdict);
                }
                _never = &mut beside => {}
                () = &mut controlling => {}
                () = &mut alive, if !shutdown.is_cancelled() => {}
                () = &mut reloading, if !shutdown.is_cancelled() => {}
                () = stop.next() => if shutdown.is_cancelled() { self.handle.hasten() } else {
                    systemd::stopping(log);
                    shutdown.cancel();
                },
            }
        }
    }
}

/// A server that cannot be controlled serves nevertheless: its folder may be read-only.
fn listening(path: &Path, log: &Log) -> Option<Control> {
    match Control::listen(path) {
        Ok(control) => Some(control),
        Err(failure) => {
            let causes = failure.causes.join(": ");
            log.line("warn", &format!("{}: cannot {}: {causes}", failure.code.code, failure.message));
            None
        }
    }
}

async fn changed(watch: &mut Option<Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

/// Settings that have flags of their own.
pub(crate) fn flags(arguments: &args::Serve) -> Vec<(&'static str, String, &'static str)> {
    let port = arguments.port.map(|port| ("server.port", port.to_string(), "--port"));
    let address = arguments.address.clone().map(|address| ("server.address", address, "--address"));
    port.into_iter().chain(address).collect()
}

fn is_away(failure: &Failure) -> bool {
    failure.code == &errors::PG_CONNECT
}

pub(crate) fn pooler(settings: &Settings) -> Pooler {
    match settings.text("database.pooler") {
        Some("transaction") => Pooler::Transaction,
        _ => Pooler::None,
    }
}

/// Makes the pool that the settings ask for.
pub(crate) fn pool(target: Target, settings: &Settings) -> Pool {
    let size = usize::try_from(settings.integer("database.pool_size")).unwrap_or(usize::MAX);
    let connect_timeout = settings.duration("database.connect_timeout_ms");
    let waiting_max = usize::try_from(settings.integer("database.queue_max")).unwrap_or(usize::MAX);
    let queue = QueueBounds { waiting_max, wait_max: settings.duration("database.queue_wait_ms") };
    Pool::bounded(target.through(pooler(settings)), PoolOptions { size, connect_timeout }, queue)
}

/// Makes the server's options from the settings.
pub(crate) fn options(
    artifact: Artifact,
    pool: Pool,
    settings: &Settings,
    observer: Arc<dyn Observe>,
) -> Result<ServeOptions, Failure> {
    let Tuning { limits, policy, body_bytes, request_timeout, graphiql, detailed_errors } = tuning(settings)?;
    Ok(ServeOptions {
        artifact,
        pool,
        workers: threads(settings),
        address: address(settings)?,
        limits,
        policy,
        body_bytes,
        request_timeout,
        drain_delay: settings.duration("server.drain_delay_ms"),
        drain_timeout: settings.duration("server.drain_timeout_ms"),
        graphiql,
        version: env!("CARGO_PKG_VERSION"),
        detailed_errors,
        subscriptions: subscriptions(settings),
        usage: usage(settings),
        audit: audit(settings),
        replicas: None,
        traces_percent: traces_percent(settings),
        identity: identity::options(settings, is_production(settings))?,
        rates: rates::options(settings)?,
        cache: cache::options(settings)?,
        life: LifeOptions::default(),
        observer,
    })
}

/// Makes of the settings what a reload may change.
fn tuning(settings: &Settings) -> Result<Tuning, Failure> {
    let size = |key: &str| usize::try_from(settings.integer(key)).unwrap_or(usize::MAX);
    let limits = Limits {
        document_bytes: size("limits.document_bytes"),
        tokens: size("limits.tokens"),
        depth: size("limits.depth"),
        fields: size("limits.fields"),
        root_fields: size("limits.root_fields"),
        bulk_rows: size("limits.bulk_rows"),
        aliases: size("limits.aliases"),
        literal_bytes: size("limits.literal_bytes"),
        value_depth: size("limits.value_depth"),
        rows: size("limits.rows"),
        rows_unlimited_as: size("limits.rows_unlimited_as"),
        mode: if settings.text("limits.mode") == Some("warn") { LimitMode::Warn } else { LimitMode::Enforce },
    };
    Ok(Tuning {
        limits,
        policy: policy(settings)?,
        body_bytes: size("limits.body_bytes"),
        request_timeout: settings.duration("server.request_timeout_ms"),
        graphiql: graphiql(settings),
        detailed_errors: !is_production(settings),
    })
}

fn threads(settings: &Settings) -> usize {
    match usize::try_from(settings.integer("server.threads")) {
        Ok(0) | Err(_) => std::thread::available_parallelism().map_or(1, usize::from),
        Ok(count) => count,
    }
}

fn subscriptions(settings: &Settings) -> SubscriptionOptions {
    let size = |key: &str| usize::try_from(settings.integer(key)).unwrap_or(usize::MAX);
    let source = match settings.text("subscriptions.source") {
        Some("decoding") => SubscriptionSource::Decoding,
        Some("outbox") => SubscriptionSource::Outbox,
        Some("polling") => SubscriptionSource::Polling,
        _ => SubscriptionSource::Auto,
    };
    SubscriptionOptions {
        source,
        poll_interval: settings.duration("subscriptions.poll_interval_ms"),
        read_interval: settings.duration("subscriptions.read_interval_ms"),
        debounce: settings.duration("subscriptions.debounce_ms"),
        per_connection: size("subscriptions.per_connection"),
        total: size("subscriptions.total"),
        message_bytes: size("subscriptions.message_bytes"),
        result_bytes: size("subscriptions.result_bytes"),
        buffer_results: size("subscriptions.buffer_results"),
        send_timeout: settings.duration("subscriptions.send_timeout_ms"),
        init_timeout: settings.duration("subscriptions.init_timeout_ms"),
        origins: settings.list("subscriptions.origins"),
    }
}

fn usage(settings: &Settings) -> UsageRecording {
    match settings.text("usage.record") {
        Some("database") => UsageRecording::Database,
        Some("memory") => UsageRecording::Memory,
        _ => UsageRecording::Off,
    }
}

fn traces_percent(settings: &Settings) -> Option<u8> {
    settings.text("tracing.endpoint")?;
    u8::try_from(settings.integer("tracing.sample_percent")).ok()
}

fn audit(settings: &Settings) -> Audit {
    match settings.text("audit.mutations") {
        Some("database") => Audit::Database { variables: settings.boolean("audit.variables") },
        _ => Audit::Off,
    }
}

fn policy(settings: &Settings) -> Result<RequestPolicy, Failure> {
    let origins = Origins::parse(&settings.list("cors.origins")).map_err(|error| {
        let hint = "write cors.origins as a browser sends them: https://shop.example, without a path";
        Failure::new(&errors::CFG_BAD_VALUE, error.to_string()).hint(hint)
    })?;
    Ok(RequestPolicy {
        persisted_only: settings.text("graphql.operations") == Some("persisted"),
        automatic_persisted: settings.boolean("graphql.automatic_persisted"),
        batch_max: usize::try_from(settings.integer("graphql.batch_max")).unwrap_or(usize::MAX),
        introspection: introspection(settings),
        origins,
        compression: settings.boolean("server.compression"),
    })
}

fn introspection(settings: &Settings) -> IntrospectionPolicy {
    match settings.text("graphql.introspection") {
        Some("on") => IntrospectionPolicy::Everybody,
        Some("known") => IntrospectionPolicy::Known,
        Some("off") => IntrospectionPolicy::Nobody,
        _ if is_production(settings) => IntrospectionPolicy::Known,
        _ => IntrospectionPolicy::Everybody,
    }
}

pub(crate) fn is_production(settings: &Settings) -> bool {
    settings.text("server.profile") == Some("production")
}

/// Returns whether GraphiQL is served.
pub(crate) fn graphiql(settings: &Settings) -> bool {
    match settings.text("server.graphiql") {
        Some("on") => true,
        Some("off") => false,
        _ => !is_production(settings),
    }
}

fn address(settings: &Settings) -> Result<SocketAddr, Failure> {
    let port = u16::try_from(settings.integer("server.port")).unwrap_or(0);
    Ok(SocketAddr::new(ip(settings, "server.address")?, port))
}

/// Returns the address of a setting that names one of this machine.
pub(crate) fn ip(settings: &Settings, key: &str) -> Result<IpAddr, Failure> {
    let text = settings.text(key).unwrap_or("127.0.0.1");
    let text = if text == "localhost" { "127.0.0.1" } else { text };
    text.parse().map_err(|error| {
        Failure::new(&errors::NET_BIND, format!("listen on {text:?}: it is no IP address"))
            .because(&error)
            .hint(format!("set {key} to 127.0.0.1, 0.0.0.0, ::1, :: or another address of this machine"))
    })
}
