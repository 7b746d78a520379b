//! `fraiseql agent`: looks after instances and proxy, and runs rollouts.
//!
//! With a database that is configured, instances and proxy outlive it: stopping the agent stops no
//! service. With a database of its own everything ends with it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fraiseql_agent::{Launch, ProxyKeeper, Releases, Supervisor, SupervisorOptions};
use fraiseql_flow::Journal;
use fraiseql_haproxy::{HaProxy, HaProxyOptions};
use fraiseql_incident::{Happening, IncidentEvent, IncidentSeverity, Incidents};
use fraiseql_model::errors;
use fraiseql_model::settings::Settings;
use fraiseql_model::traffic::{ArmCounts, ProxyState, Sticky};
use fraiseql_model::traffic_driver::{BUILT_IN_PROXY, HAPROXY, TrafficDriver};
use fraiseql_rollout::{Executor, ExecutorError, Reason, RolloutOutcome, Tick, Traffic as _};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::proxy::control_socket;
use super::signals::Stop;
use super::systemd::{self, Heartbeat};
use super::up::{Embedded, Lock};
use crate::agent::api::{ApiSocket, Told, Wish};
use crate::agent::{
    Console, DriverTraffic, GateWork, HAPROXY_HELD, HaProxyTraffic, InstanceModes, LocalFleet, LocalGates,
    PAGER, Pager, ProxyTraffic, SOCKET, Sampler,
};
use crate::args;
use crate::clock;
use crate::failure::Failure;
use crate::log::Log;
use crate::printer::Printer;
use crate::project::Project;

/// How often everything is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// The longest title of an incident.
const TITLE_BYTES_MAX: usize = 200;
/// How long everything may take to stop.
const STOP_MAX: Duration = Duration::from_secs(90);

/// Runs until it is told to stop.
pub(crate) async fn run(arguments: &args::Agent, printer: &Printer) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let project = Arc::new(Project::open(&arguments.project, &flags(arguments))?);
    let log = Log::new(printer, project.settings.text("log.format").unwrap_or("text"), true);
    let journal = Journal::take_over(&project.state())?;
    if project.settings.text("database.url").is_some() {
        return Agent::begin(arguments, &project, journal, None, &log)?
            .run(&mut stop, &mut None, printer)
            .await;
    }
    let _lock = Lock::take(&project.dir)?;
    let embedded = Embedded::start(&project, printer).await?;
    let url = embedded.prepare(&project, printer).await;
    let mut embedded = Some(embedded);
    let served = match url {
        Ok(url) => match Agent::begin(arguments, &project, journal, Some(url), &log) {
            Ok(mut agent) => agent.run(&mut stop, &mut embedded, printer).await,
            Err(failure) => Err(failure),
        },
        Err(failure) => Err(failure),
    };
    if let Some(embedded) = embedded {
        embedded.stop(printer).await?;
    }
    served
}

fn flags(arguments: &args::Agent) -> Vec<(&'static str, String, &'static str)> {
    arguments.port.map(|port| ("server.port", port.to_string(), "--port")).into_iter().collect()
}

/// An agent at work.
struct Agent<'a> {
    project: &'a Arc<Project>,
    supervisor: Supervisor,
    /// Keeps the built-in proxy; an HAProxy is somebody else's.
    keeper: Option<ProxyKeeper>,
    traffic: DriverTraffic,
    executor: Executor,
    database_url: Option<String>,
    work: GateWork,
    modes: InstanceModes,
    sampler: Sampler,
    told: Told,
    tick: Tick,
    proxy: Option<ProxyState>,
    /// The rollout whose end was looked at.
    declared: Option<i64>,
    pager: Pager,
    faults: Vec<String>,
    log: &'a Log,
}

impl<'a> Agent<'a> {
    fn begin(
        arguments: &args::Agent,
        project: &'a Arc<Project>,
        journal: Journal,
        database_url: Option<String>,
        log: &'a Log,
    ) -> Result<Self, Failure> {
        let state = project.state();
        let settings = &project.settings;
        let absolute = std::path::absolute(&state)
            .map_err(|error| Failure::internal("find out where the project is", &error))?;
        let variables = variables(arguments, database_url.as_deref());
        let read_only = Arc::new(AtomicBool::new(false));
        let modes = InstanceModes::new(absolute.join("instances"), Arc::clone(&read_only));
        let launch = {
            let (state, variables) = (absolute.clone(), variables.clone());
            let releases = Releases::in_state(&absolute);
            move |release: &str, name: &str| {
                let stored = releases.find(release)?;
                Ok(Launch {
                    program: stored.program(),
                    arguments: instance_arguments(
                        &stored.project(),
                        (&state, name),
                        read_only.load(Ordering::Acquire),
                    ),
                    variables: variables.clone(),
                    folder: stored.project(),
                })
            }
        };
        let supervisor = Supervisor::take_over(&absolute, supervision(settings), Box::new(launch))?;
        let now_ms = clock::now_ms();
        let instances = u32::try_from(settings.integer("agent.instances")).unwrap_or(1);
        let executor = Executor::resume(journal, instances, sticky(settings)?, now_ms)?;
        let (keeper, traffic, driver) = driven(arguments, project, &absolute, variables)?;
        let executor = executor.with_driver(driver);
        Ok(Self {
            project,
            supervisor,
            keeper,
            traffic,
            executor,
            database_url,
            work: GateWork::default(),
            modes,
            sampler: Sampler::new(&state, settings.duration("agent.sample_interval_ms")),
            told: Told::default(),
            tick: Tick::default(),
            proxy: None,
            declared: None,
            pager: Pager::of(&Incidents::in_state(&state)),
            faults: Vec::new(),
            log,
        })
    }

    async fn run(
        &mut self,
        stop: &mut Stop,
        embedded: &mut Option<Embedded>,
        printer: &Printer,
    ) -> Result<(), Failure> {
        let socket = ApiSocket::listen(&self.project.state().join(SOCKET))?;
        let (sender, mut wishes) = mpsc::channel(8);
        let told = self.told.clone();
        let console = self.console().await?;
        let answering = async {
            let console = async {
                match &console {
                    Some(console) => console.serve(told.clone(), sender.clone()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::join!(socket.serve(told.clone(), sender.clone()), console)
        };
        tokio::pin!(answering);
        let epoch = self.executor.journal().epoch();
        self.log.line("info", &format!("agent {epoch} looks after {}", self.project.dir.display()));
        let mut pulse = tokio::time::interval(LOOK_EVERY);
        pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut heartbeat, mut began) = (Heartbeat::new(), false);
        let everything = loop {
            tokio::select! {
                () = stop.next() => break embedded.is_some(),
                _ = &mut answering => {}
                Some(wish) = wishes.recv() => match wish {
                    Wish::Shutdown => break true,
                    Wish::Command(command, answer) => {
                        let told = self.follow(&command)?;
                        // Whoever asked may have left meanwhile.
                        if answer.send(told).is_err() {}
                    }
                },
                _ = pulse.tick() => {
                    if let Some(embedded) = embedded
                        && let Err(failure) = embedded.supervise(printer).await
                    {
                        self.log.line("error", &format!("{}: {}", failure.code.code, failure.message));
                    }
                    self.look().await?;
                    heartbeat.beat(self.log);
                    if !std::mem::replace(&mut began, true) {
                        systemd::ready(self.log);
                    }
                }
            }
        };
        systemd::stopping(self.log);
        if everything {
            self.stop_everything().await;
        } else {
            self.log.line("info", "the agent stops; instances and proxy go on");
        }
        Ok(())
    }

    /// Opens the console where the settings want one.
    async fn console(&self) -> Result<Option<Console>, Failure> {
        let port = u16::try_from(self.project.settings.integer("console.port")).unwrap_or(0);
        if port == 0 {
            return Ok(None);
        }
        let console = Console::listen(&self.project.state(), port).await?;
        self.log.line(
            "info",
            &format!(
                "console on http://127.0.0.1:{port}: `fraiseql console` prints the address with its token"
            ),
        );
        Ok(Some(console))
    }

    /// Follows a command of an operator; returns what to answer.
    fn follow(&mut self, command: &fraiseql_rollout::Command) -> Result<(u16, Value), Failure> {
        match self.executor.command(command, clock::now_ms())? {
            Ok(()) => {
                self.tell();
                let rollout = self.executor.service().rollout.as_ref().map(|rollout| rollout.id);
                Ok((200, json!({ "rollout": rollout })))
            }
            Err(error) => Ok((
                409,
                json!({ "code": error.code().code, "error": error.to_string(), "hint": error.hint() }),
            )),
        }
    }

    /// Looks at everything once, and does what is to be done.
    async fn look(&mut self) -> Result<(), Failure> {
        self.proxy = self.traffic.state().await;
        match self.keeper.as_mut().map(|keeper| keeper.look_after(self.proxy.as_ref().map(|state| state.pid)))
        {
            None | Some(Ok(None)) => {}
            Some(Ok(Some(what))) => self.log.line("info", &format!("the proxy {what}")),
            Some(Err(error)) => self.log.line("error", &format!("the proxy: {error}")),
        }
        let read_only = self.executor.service().read_only;
        let views = self.supervisor.views();
        let untold = self.modes.look_after(&views, read_only);
        self.sampler.look_after(&views);
        for line in self.pager.look_after(self.project) {
            self.log.line("warn", &line);
        }
        self.supervisor.look_after();
        for event in self.supervisor.events() {
            let level = if event.bad { "warn" } else { "info" };
            self.log.line(level, &format!("instance {} {}", event.name, event.what));
        }
        let mut gates = LocalGates {
            project: self.project,
            work: &mut self.work,
            stable: self.executor.service().stable.clone(),
            database_url: self.database_url.clone(),
        };
        let mut fleet = LocalFleet(&mut self.supervisor);
        let ticked = self.executor.tick((&mut fleet, &mut self.traffic, &mut gates), clock::now_ms()).await;
        let tick = match ticked {
            Ok(mut tick) => {
                tick.faults.extend(self.traffic.fault().map(str::to_owned));
                tick.faults.extend(untold);
                tick
            }
            // What cannot be written is tried again: the disk may be full for now, and nothing was begun.
            Err(ExecutorError::Journal(error)) => {
                let text = format!("{}: {error}", error.code().code);
                if self.faults.first() != Some(&text) {
                    self.log.line("error", &text);
                }
                (self.faults, self.tick) = (vec![text], Tick::default());
                self.tell();
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        if tick.busy.is_none() {
            self.work.stop();
        }
        if !tick.changes.is_empty() {
            // Told together: who sees that a rollout has ended sees where it has left the traffic.
            self.proxy = self.traffic.state().await;
        }
        for change in &tick.changes {
            self.log.line("info", change);
        }
        for fault in tick.faults.iter().filter(|fault| !self.faults.contains(fault)) {
            self.log.line("error", fault);
        }
        self.faults.clone_from(&tick.faults);
        self.tick = tick;
        self.declare();
        self.tell();
        Ok(())
    }

    /// Declares an incident when a release went back by itself: once for each rollout, also after a crash.
    fn declare(&mut self) {
        let last = self.executor.service().last.clone();
        let Some(last) = last.filter(|last| self.declared != Some(last.id)) else { return };
        self.declared = Some(last.id);
        let RolloutOutcome::RolledBack { reason, .. } = &last.outcome else { return };
        if matches!(reason, Reason::Operator | Reason::OperatorAtProxy) {
            return;
        }
        let release = last.release.get(..12).unwrap_or(&last.release);
        let prefix = format!("rollout {} of {release} went back: ", last.id);
        let incidents = Incidents::in_state(&self.project.state());
        let declared = incidents.list().and_then(|all| {
            if all.iter().any(|incident| incident.title.starts_with(&prefix)) {
                return Ok(None);
            }
            let mut title = format!("{prefix}{reason}").replace(char::is_control, " ");
            title.truncate(title.floor_char_boundary(TITLE_BYTES_MAX));
            let severity = IncidentSeverity::Major;
            let event = IncidentEvent::new(clock::now_ms(), PAGER, Happening::Declared { severity, title })?;
            incidents.declare(event).map(Some)
        });
        match declared {
            Ok(Some(incident)) => {
                self.log.line("warn", &format!("incident {}: {}", incident.number, incident.title));
                self.pager.owe(incident.number);
            }
            Ok(None) => {}
            // The rollback is done whatever becomes of its record.
            Err(error) => self.log.line("error", &format!("the incident is not written down: {error}")),
        }
    }

    /// Tells whoever asks what is known now.
    fn tell(&self) {
        let views = self.supervisor.views();
        let instances: Vec<Value> = views.iter().map(shown_instance).collect();
        let service = self.executor.service();
        let tallies = service.rollout.as_ref().zip(self.tick.seen.counts.as_ref());
        let tallies = tallies.map(|(rollout, counts)| rollout.tallies(counts));
        self.told.set(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "epoch": self.executor.journal().epoch(),
            "now_ms": clock::now_ms(),
            "service": service,
            "seen": tallies.map(|(new, old)| json!({ "new": new, "old": old })),
            "busy": self.tick.busy.as_ref().map(|(gate, said)| json!({ "gate": gate, "said": said })),
            "traffic": self.tick.seen.counts.as_ref().map(|counts| counts.iter().map(shown_counts).collect::<Vec<_>>()),
            "switched": self.modes.is_done(&views, service.read_only),
            "instances": instances,
            "proxy": self.proxy,
            "faults": self.faults,
        }));
    }

    /// Stops instances and proxy, and waits until they are gone.
    async fn stop_everything(&mut self) {
        self.log.line("info", "stopping instances and proxy");
        self.supervisor.set(&std::collections::BTreeMap::new());
        let deadline = tokio::time::Instant::now() + STOP_MAX;
        while tokio::time::Instant::now() < deadline {
            // The proxy first: nobody must be sent to an instance that is gone.
            let proxy = self.keeper.as_mut().is_none_or(ProxyKeeper::stop);
            if proxy {
                self.supervisor.look_after();
            }
            if proxy && self.supervisor.views().is_empty() {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.log.line("error", "some processes are still there");
    }
}

/// Returns what has come of a release's requests, without those that only ended elsewhere.
fn shown_counts(counts: &ArmCounts) -> Value {
    json!({
        "release": counts.release,
        "requests": counts.requests,
        "bad": counts.failed + counts.graphql_failed,
        "latency": counts.latency,
    })
}

fn shown_instance(view: &fraiseql_agent::InstanceView) -> Value {
    json!({
        "name": view.name, "release": view.release, "address": view.address, "pid": view.pid, "ready": view.ready,
        "stopping": view.stopping, "crashes": view.crashes, "said": view.said, "log": view.log,
        "memory_bytes": view.usage.map(|usage| usage.memory_bytes),
        "cpu_ms": view.usage.map(|usage| u64::try_from(usage.cpu.as_millis()).unwrap_or(u64::MAX)),
        "files": view.usage.map(|usage| usage.files),
    })
}

/// What instances and proxy are told beside the agent's own environment.
fn variables(arguments: &args::Agent, database_url: Option<&str>) -> Vec<(OsString, OsString)> {
    let env = arguments.project.env.as_ref().map(|env| ("FRAISEQL_ENV".into(), env.into()));
    let given = database_url.map(str::to_owned).or_else(|| arguments.project.database_url.clone());
    let url = given.map(|url| ("DATABASE_URL".into(), url.into()));
    env.into_iter().chain(url).collect()
}

fn instance_arguments(project: &Path, (state, name): (&Path, &str), read_only: bool) -> Vec<OsString> {
    let socket = state.join("instances").join(format!("{name}.sock"));
    let set = |key: &str, value: &str| [OsString::from("--set"), format!("{key}={value}").into()];
    let mut arguments = vec!["serve".into(), project.into()];
    arguments.extend(set("server.control_socket", &socket.display().to_string()));
    // The proxy has taken it out of the traffic before it is told to stop.
    arguments.extend(set("server.drain_delay_ms", "0"));
    arguments.extend(set("rate_limit.trusted_proxies", "127.0.0.0/8"));
    if read_only {
        arguments.extend(set("server.mode", "read-only"));
    }
    // TLS ends at the proxy; what follows stays on this machine.
    for key in ["tls.certificate", "tls.key", "tls.client_ca"] {
        arguments.extend(set(key, ""));
    }
    arguments
}

/// Returns who shares out traffic, what that can do, and who keeps it running when we do.
fn driven(
    arguments: &args::Agent,
    project: &Project,
    state: &Path,
    variables: Vec<(OsString, OsString)>,
) -> Result<(Option<ProxyKeeper>, DriverTraffic, TrafficDriver), Failure> {
    let settings = &project.settings;
    if settings.text("proxy.driver") != Some("haproxy") {
        let launch = proxy_launch(arguments, project, state, variables)?;
        let keeper = ProxyKeeper::take_over(state, "proxy", launch)?;
        let traffic = ProxyTraffic { socket: control_socket(state) };
        return Ok((Some(keeper), DriverTraffic::BuiltIn(traffic), BUILT_IN_PROXY));
    }
    let Some(socket) = settings.text("proxy.haproxy_socket") else {
        let message = "reach HAProxy: proxy.haproxy_socket is not set";
        let hint = "set it to the path after `stats socket` in the section global of HAProxy";
        return Err(Failure::new(&errors::CFG_MISSING, message).hint(hint));
    };
    let options = HaProxyOptions {
        socket: project.dir.join(socket),
        backend: settings.text("proxy.haproxy_backend").unwrap_or("fraiseql").to_owned(),
        state: state.join(HAPROXY_HELD),
    };
    let port = u16::try_from(settings.integer("server.port")).unwrap_or(0);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let traffic = HaProxyTraffic::new(HaProxy::open(options)?, address);
    Ok((None, DriverTraffic::HaProxy(Box::new(traffic)), HAPROXY))
}

fn proxy_launch(
    arguments: &args::Agent,
    project: &Project,
    state: &Path,
    variables: Vec<(OsString, OsString)>,
) -> Result<Launch, Failure> {
    let unknown = |error: std::io::Error| Failure::internal("find out which program this is", &error);
    let program = std::env::current_exe().map_err(unknown)?;
    let dir: PathBuf = std::path::absolute(&project.dir).map_err(unknown)?;
    let mut given: Vec<OsString> = vec!["proxy".into(), dir.clone().into()];
    if let Some(port) = arguments.port {
        given.extend(["--port".into(), port.to_string().into()]);
    }
    for pair in &arguments.project.set {
        given.extend(["--set".into(), pair.into()]);
    }
    Ok(Launch { program, arguments: given, variables, folder: state.to_owned() })
}

fn supervision(settings: &Settings) -> SupervisorOptions {
    SupervisorOptions {
        liveness_interval: settings.duration("agent.liveness_interval_ms"),
        liveness_timeout: settings.duration("agent.liveness_timeout_ms"),
        liveness_threshold: u32::try_from(settings.integer("agent.liveness_threshold")).unwrap_or(u32::MAX),
        readiness_interval: Duration::from_millis(250),
        readiness_timeout: settings.duration("proxy.probe_timeout_ms"),
        memory_max: Some(settings.integer("agent.memory_max_mib") << 20).filter(|bytes| *bytes > 0),
        stop_timeout: settings.duration("server.drain_timeout_ms") + Duration::from_secs(5),
    }
}

/// Reads what keeps a user on one release.
fn sticky(settings: &Settings) -> Result<Sticky, Failure> {
    let text = settings.text("proxy.sticky").unwrap_or("none");
    match text.split_once(':') {
        None if text == "none" || text.is_empty() => Ok(Sticky::None),
        Some(("header", name)) if !name.is_empty() => Ok(Sticky::Header(name.to_owned())),
        Some(("cookie", name)) if !name.is_empty() => Ok(Sticky::Cookie(name.to_owned())),
        Some(("claim", name)) if !name.is_empty() => Ok(Sticky::Claim(name.to_owned())),
        _ => {
            let message = format!("use {text:?} as proxy.sticky");
            let hint = "proxy.sticky = \"cookie:session\", \"header:x-user\", \"claim:sub\" or \"none\"";
            Err(Failure::new(&errors::CFG_BAD_VALUE, message).hint(hint))
        }
    }
}
