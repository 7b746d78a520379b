//! `fraiseql proxy`: the load balancer in front of the instances.
//!
//! It serves what lies on its disk, with or without an agent. SIGHUP, or `POST /replace` on its socket,
//! starts the program anew on the same listening socket; the old one ends once the new one serves.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use fraiseql_model::errors;
use fraiseql_model::settings::Settings;
use fraiseql_proxy::{Proxy, ProxyEvent, ProxyObserver, ProxyOptions};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::serve::{handed_over, ip, tls};
use super::signals::Signals;
use crate::args;
use crate::failure::Failure;
use crate::log::{Log, millis};
use crate::printer::Printer;
use crate::project::Project;
use crate::rates;

/// The name of the control socket in the state directory.
pub(crate) const SOCKET: &str = "proxy.sock";
/// What a program says that has taken over.
const READY: &str = "ready";
/// How long a program may take for that.
const READY_TIMEOUT: Duration = Duration::from_secs(20);
/// The number that the first inherited socket has, as `sd_listen_fds(3)` says.
const FIRST_SOCKET: i32 = 3;
const METRICS_BYTES_MAX: usize = 16 << 20;

/// Passes requests on until it is told to stop.
pub(crate) async fn run(arguments: &args::Proxy, printer: &Printer) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let project = Project::open(&arguments.project, &flags(arguments))?;
    let log = Log::new(
        printer,
        project.settings.text("log.format").unwrap_or("text"),
        project.settings.boolean("proxy.access_log"),
    );
    let mut options = options(&project, &log)?;
    options.listener = handed_over()?;
    let mut proxy = Proxy::bind(options)?;
    proxy.look().await;
    let wishes = proxy.replacements();
    let socket = proxy.listener()?;
    let shutdown = CancellationToken::new();
    let serving = proxy.run(shutdown.clone().cancelled_owned());
    tokio::pin!(serving);
    if arguments.tell_ready {
        printer.data(&format!("{READY}\n"));
    }
    let Signals { stop, reload } = &mut signals;
    let replacing = replacements(wishes, reload, &socket, &log);
    tokio::pin!(replacing);
    let mut replaced = false;
    let report = loop {
        tokio::select! {
            report = &mut serving => break report,
            () = stop.next() => shutdown.cancel(),
            () = &mut replacing, if !replaced => {
                replaced = true;
                shutdown.cancel();
            }
        }
    };
    let (finished, cut) = (report.finished, report.cut);
    log.line("info", &format!("stopped: {finished} connections finished, {cut} cut off"));
    Ok(())
}

/// Waits until another program has taken the socket over. One that fails to start changes nothing.
async fn replacements(
    wishes: Option<mpsc::Receiver<Option<PathBuf>>>,
    reload: &mut super::signals::HangUp,
    socket: &OwnedFd,
    log: &Log,
) {
    let Some(mut wishes) = wishes else { return std::future::pending().await };
    loop {
        let wish = tokio::select! {
            () = reload.next() => None,
            Some(wish) = wishes.recv() => wish,
        };
        match successor(wish, socket).await {
            Ok(pid) => return log.line("info", &format!("process {pid} has taken over")),
            Err(reason) => {
                let text = format!("{}: the proxy goes on as it is: {reason}", errors::PXY_REPLACEMENT.code);
                log.line("error", &text);
            }
        }
    }
}

/// Starts a program on our socket, and waits until it serves. Fails with a reason; then it is gone.
async fn successor(program: Option<PathBuf>, socket: &OwnedFd) -> Result<u32, String> {
    let program = match program {
        Some(program) => program,
        None => own_program().map_err(|error| format!("it is not known which program this is: {error}"))?,
    };
    let socket = socket.try_clone().map_err(|error| error.to_string())?;
    let mut arguments: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--tell-ready") {
        arguments.push("--tell-ready".into());
    }
    let mut command = Command::new(&program);
    command.args(arguments).env("LISTEN_FDS", "1").env_remove("LISTEN_PID");
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mapping = FdMapping { parent_fd: socket, child_fd: FIRST_SOCKET };
    command.fd_mappings(vec![mapping]).map_err(|error| error.to_string())?;
    let failed = |error: std::io::Error| format!("{} cannot be started: {error}", program.display());
    let mut child = command.spawn().map_err(failed)?;
    let pid = child.id().unwrap_or(0);
    let stdout = child.stdout.take().ok_or("its output cannot be read")?;
    let mut line = String::new();
    let mut reader = BufReader::new(stdout);
    let said = tokio::time::timeout(READY_TIMEOUT, reader.read_line(&mut line)).await;
    if line.trim() == READY {
        return Ok(pid);
    }
    let reason = match said {
        Err(_elapsed) => format!("{} did not serve within {} s", program.display(), READY_TIMEOUT.as_secs()),
        Ok(_) => format!("{} ended before it served", program.display()),
    };
    // What does not serve must not linger on our socket.
    if let Err(error) = child.kill().await {
        return Err(format!("{reason}, and cannot be stopped: {error}"));
    }
    Err(reason)
}

/// Returns the program that is where ours came from: a newer one after an update.
fn own_program() -> std::io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    let text = path.to_string_lossy();
    Ok(text.strip_suffix(" (deleted)").map_or_else(|| path.clone(), PathBuf::from))
}

fn flags(arguments: &args::Proxy) -> Vec<(&'static str, String, &'static str)> {
    let port = arguments.port.map(|port| ("server.port", port.to_string(), "--port"));
    let address = arguments.address.clone().map(|address| ("server.address", address, "--address"));
    port.into_iter().chain(address).collect()
}

fn options(project: &Project, log: &Log) -> Result<ProxyOptions, Failure> {
    let settings = &project.settings;
    let port = u16::try_from(settings.integer("server.port")).unwrap_or(0);
    let state = project.state();
    Ok(ProxyOptions {
        address: SocketAddr::new(ip(settings, "server.address")?, port),
        listener: None,
        tls: tls(settings, &project.dir)?,
        control: control_socket(&state),
        state,
        version: env!("CARGO_PKG_VERSION"),
        probe_interval: settings.duration("proxy.probe_interval_ms"),
        probe_timeout: settings.duration("proxy.probe_timeout_ms"),
        answer_timeout: settings.duration("proxy.answer_timeout_ms"),
        drain_timeout: settings.duration("server.drain_timeout_ms"),
        trusted_proxies: rates::trusted_proxies(settings)?,
        choose_header: choose_header(settings)?,
        retry_after_s: u32::try_from(settings.integer("maintenance.retry_after_s")).unwrap_or(u32::MAX),
        metrics_bytes_max: METRICS_BYTES_MAX,
        observer: Arc::new(log.clone()),
    })
}

/// Returns where the control socket of a project's proxy is.
pub(crate) fn control_socket(state: &Path) -> PathBuf {
    state.join(SOCKET)
}

fn choose_header(settings: &Settings) -> Result<Option<hyper::header::HeaderName>, Failure> {
    let Some(name) = settings.text("proxy.choose_header").filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let parsed = name.parse().map(Some);
    parsed.map_err(|error: hyper::header::InvalidHeaderName| {
        let message = format!("use {name:?} as proxy.choose_header: it is no name of a header");
        Failure::new(&errors::CFG_BAD_VALUE, message)
            .because(&error)
            .hint("proxy.choose_header = \"x-release\"")
    })
}

impl Log {
    /// Tells of a request that was answered, when each one is told.
    fn access(&self, event: &ProxyEvent<'_>) {
        let ProxyEvent::Answered { release, backend, method, path, status, peer, request_id, duration } =
            event
        else {
            return;
        };
        if !self.tells_requests() {
            return;
        }
        let details = json!({
            "id": request_id, "address": peer, "method": method, "path": path, "status": status,
            "ms": millis(*duration), "release": release, "instance": backend,
        });
        self.details("info", &format!("{method} {path}"), &details);
    }
}

impl ProxyObserver for Log {
    fn observe(&self, event: &ProxyEvent<'_>) {
        match event {
            ProxyEvent::Listening { address, secure } => {
                let scheme = if *secure { "https" } else { "http" };
                self.line("info", &format!("listening on {scheme}://{address}"));
            }
            ProxyEvent::Certificate { news } => self.certificate(news),
            ProxyEvent::Applied { stamp, origin, shares } => {
                self.details(
                    "info",
                    &format!("generation {stamp} holds: {shares}"),
                    &json!({ "origin": origin }),
                );
            }
            ProxyEvent::HealthChanged { backend, ready: true, .. } => {
                self.line("info", &format!("instance {backend} is ready"));
            }
            ProxyEvent::HealthChanged { backend, reason, .. } => {
                self.line("warn", &format!("instance {backend} gets no requests: {reason}"));
            }
            ProxyEvent::Unanswered { release, status, reason } => {
                let details = json!({ "release": release, "status": status });
                self.details("error", &format!("a request was not answered: {reason}"), &details);
            }
            ProxyEvent::Answered { .. } => self.access(event),
            ProxyEvent::AcceptFailed { error } => {
                self.line("error", &format!("a connection could not be accepted: {error}"));
            }
            ProxyEvent::NotWritten { error } => {
                let cause = std::error::Error::source(*error).map(|cause| format!(": {cause}"));
                self.line("error", &format!("failed to {error}{}", cause.unwrap_or_default()));
            }
            ProxyEvent::Draining { connections } => {
                self.line("info", &format!("draining {connections} connections"));
            }
            other => self.line("info", &format!("{other:?}")),
        }
    }
}
