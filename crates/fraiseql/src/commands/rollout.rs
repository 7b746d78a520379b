//! `fraiseql status`, `hold`, `resume`, `promote`, `abort`, `rollback`, `maintenance`, `history`, `down`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use fraiseql_agent::{AskError, Releases, ask};
use fraiseql_flow::{EntryKind, Flow, FlowId, Journal};
use fraiseql_model::errors;
use fraiseql_model::traffic::{ProxyState, TrafficGate};
use fraiseql_rollout::{Command, HoldReason, Phase, Rollout, Service, Stage};
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::deploy::{gates, told_of};
use super::proxy::control_socket;
use crate::agent::{CONSOLE_TOKEN, HAPROXY_HELD, SOCKET};
use crate::args::InProject;
use crate::clock;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::Project;

/// A gate may be looked at meanwhile.
const LIMIT: Duration = Duration::from_secs(60);
const PROXY_LIMIT: Duration = Duration::from_secs(5);
/// How long `maintenance read-only` waits for requests that write.
const SWITCH_MAX: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// Rollouts that `history` lists.
const ROLLOUTS_SHOWN: usize = 20;

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    /// The project
    #[command(flatten)]
    pub(crate) project: InProject,
    /// Look again every second
    #[arg(long)]
    pub(crate) watch: bool,
}

/// Arguments of commands that only name a project.
#[derive(Debug, Args)]
pub(crate) struct OnlyProject {
    /// The project
    #[command(flatten)]
    pub(crate) project: InProject,
}

/// Arguments of `rollback`.
#[derive(Debug, Args)]
pub(crate) struct RollbackArguments {
    /// Go back to this release, by its first digits; the one before when not given
    pub(crate) release: Option<String>,
    /// The project
    #[command(flatten)]
    pub(crate) project: InProject,
}

/// Arguments of `history`.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// The rollout to tell step by step
    pub(crate) rollout: Option<i64>,
    /// The project
    #[command(flatten)]
    pub(crate) project: InProject,
}

/// Arguments of `maintenance`.
#[derive(Debug, Args)]
pub(crate) struct Maintenance {
    /// What requests meet
    #[command(subcommand)]
    pub(crate) word: MaintenanceWord,
}

/// A word for `maintenance`.
#[derive(Debug, Subcommand)]
pub(crate) enum MaintenanceWord {
    /// Requests are refused with 503, Retry-After and the body of maintenance.body_file
    On(OnlyProject),
    /// Requests are let through
    Off(OnlyProject),
    /// Mutations are refused, and everything else is let through
    ReadOnly(OnlyProject),
    /// Requests wait, each for a bound, and are refused then
    Pause {
        /// How long each may wait
        #[arg(long, value_name = "TIME", default_value = "10s", value_parser = clock::duration)]
        wait: Duration,
        /// The project
        #[command(flatten)]
        project: InProject,
    },
}

/// What the agent tells of itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Status {
    version: String,
    pid: u32,
    epoch: u64,
    pub(crate) service: Service,
    /// What the judge has seen since the present share began.
    #[serde(default)]
    pub(crate) seen: Value,
    /// Requests of each release, for the console.
    #[serde(default, rename = "traffic")]
    _traffic: Value,
    /// Whether every instance does what is wanted of it: writes, or no more.
    #[serde(default)]
    switched: bool,
    /// The gate that is at work, and how far it is.
    #[serde(default)]
    pub(crate) busy: Option<BusyGate>,
    now_ms: u64,
    instances: Vec<Value>,
    proxy: Option<ProxyState>,
    faults: Vec<String>,
}

/// A gate that is at work.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BusyGate {
    gate: String,
    said: String,
}

impl fmt::Display for BusyGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.gate, self.said)
    }
}

/// Returns what the agent tells of itself.
pub(crate) async fn status_of(state: &Path) -> Result<Status, Failure> {
    let (_, answer) = asked(state, (Method::GET, "/status"), None).await?;
    if answer.is_null() {
        // It has just begun.
        return Err(
            Failure::new(&errors::AGT_AWAY, "ask the agent: it is starting").hint("try again in a second")
        );
    }
    serde_json::from_value(answer).map_err(|error| Failure::internal("understand the agent", &error))
}

/// Sends a command; fails as the agent says.
pub(crate) async fn send(state: &Path, command: &Command) -> Result<Value, Failure> {
    let (status, answer) = asked(state, (Method::POST, "/command"), Some(&json!(command))).await?;
    if status == 200 {
        return Ok(answer);
    }
    let code = answer["code"].as_str().and_then(errors::find).unwrap_or(&errors::RUN_INTERNAL);
    let mut failure = Failure::new(code, answer["error"].as_str().unwrap_or("follow the command").to_owned());
    failure.hint = answer["hint"].as_str().map(str::to_owned);
    Err(failure)
}

async fn asked(state: &Path, what: (Method, &str), body: Option<&Value>) -> Result<(u16, Value), Failure> {
    let socket = state.join(SOCKET);
    ask(&socket, what, body, LIMIT).await.map_err(|error| match error {
        AskError::Away(error) => {
            Failure::new(&errors::AGT_AWAY, format!("reach the agent at {}", socket.display()))
                .because(&error)
                .hint(
                    "start it with `fraiseql agent`, as the same user; `fraiseql rollback` works without it",
                )
        }
        error => Failure::new(&errors::AGT_AWAY, format!("reach the agent at {}", socket.display()))
            .because(&error),
    })
}

/// Prints what runs.
pub(crate) async fn status(arguments: &StatusArguments, printer: &Printer) -> Result<(), Failure> {
    let state = Project::state_of(&arguments.project.dir);
    loop {
        let (_, answer) = asked(&state, (Method::GET, "/status"), None).await?;
        if printer.is_json() {
            printer.data_json(&answer);
        } else {
            let status = status_of(&state).await?;
            if arguments.watch {
                printer.clear();
            }
            printer.data(&shown(&status));
        }
        if !arguments.watch {
            return Ok(());
        }
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

fn short(release: &str) -> &str {
    release.get(..12).unwrap_or(release)
}

fn shown(status: &Status) -> String {
    let service = &status.service;
    let mut text = String::new();
    let stable = service.stable.as_deref().map_or("nothing yet", short);
    text.push_str(&format!("stable    {stable}\n"));
    if let Some(previous) = &service.previous {
        let until = match previous.until_ms {
            u64::MAX => "while the rollout goes on".to_owned(),
            until => format!("until {} UTC", clock::shown(until / 1_000)),
        };
        text.push_str(&format!(
            "kept      {} {until}: `fraiseql rollback` leads to it\n",
            short(&previous.release)
        ));
    }
    match &status.proxy {
        Some(proxy) => {
            let arms = proxy.generation.iter().flat_map(|generation| &generation.arms);
            let shares: Vec<String> = arms
                .filter(|arm| arm.weight > 0)
                .map(|arm| format!("{} {} %", short(&arm.release), arm.weight))
                .collect();
            let shares = if shares.is_empty() { "none".to_owned() } else { shares.join(", ") };
            text.push_str(&format!("traffic   {shares}, at http://{}\n", proxy.address));
        }
        None => text.push_str("traffic   the proxy does not answer\n"),
    }
    match &service.gate {
        TrafficGate::Open if service.read_only => {
            text.push_str("gate      mutations are refused: `fraiseql maintenance off` lets them through\n")
        }
        TrafficGate::Open => {}
        TrafficGate::Paused { .. } => {
            text.push_str("gate      requests wait: `fraiseql maintenance off` lets them through\n")
        }
        TrafficGate::Closed { .. } => {
            text.push_str("gate      requests are refused: `fraiseql maintenance off` lets them through\n")
        }
    }
    match (&service.rollout, &service.last) {
        (Some(rollout), _) => text.push_str(&shown_rollout(rollout, status)),
        (None, Some(last)) => {
            text.push_str(&format!("last      {} {}\n", short(&last.release), last.outcome))
        }
        (None, None) => {}
    }
    for instance in &status.instances {
        text.push_str(&shown_instance(instance));
    }
    let Status { version, pid, epoch, .. } = status;
    text.push_str(&format!("agent     {version}, pid {pid}, epoch {epoch}\n"));
    for fault in &status.faults {
        text.push_str(&format!("fault     {fault}\n"));
    }
    text
}

fn shown_rollout(rollout: &Rollout, status: &Status) -> String {
    let mut text = format!("rollout   {} of {}", rollout.policy.strategy, short(&rollout.new));
    match &rollout.phase {
        Phase::Going { step, stage, since_ms } => {
            let share = rollout.route().steps.get(*step).map_or(0, |step| step.share);
            let since = Duration::from_millis(status.now_ms.saturating_sub(*since_ms));
            text.push_str(&format!(
                ", {}, at {share} %, for {}\n",
                stage.as_str(),
                clock::shown_duration(since)
            ));
            if *stage == Stage::Watch {
                let tally = |arm: &Value| format!("{} of {}", arm["bad"], arm["requests"]);
                let (new, old) = (tally(&status.seen["new"]), tally(&status.seen["old"]));
                text.push_str(&format!("evidence  bad: new release {new}, old release {old}\n"));
            }
            let busy = status.busy.as_ref().map(|busy| format!("for the gate {busy}"));
            let waits = busy.unwrap_or_else(|| waits(rollout, *step, *stage, since));
            text.push_str(&format!("waits     {waits}\n"));
        }
        Phase::Returning { reason, .. } => text.push_str(&format!(", going back: {reason}\n")),
    }
    for gate in gates(&rollout.gates) {
        text.push_str(&format!("gate      {gate}\n"));
    }
    text
}

/// Returns what a rollout waits for.
fn waits(rollout: &Rollout, step: usize, stage: Stage, since: Duration) -> String {
    if let Some(hold) = &rollout.hold {
        return match &hold.reason {
            HoldReason::Operator => "for an operator: `fraiseql resume`, or `fraiseql promote`".to_owned(),
            HoldReason::Environment { evidence } => {
                format!(
                    "both releases fail ({evidence}): `fraiseql resume` when that is over, or `fraiseql abort`"
                )
            }
        };
    }
    let left = |limit_ms: u64| clock::shown_duration(Duration::from_millis(limit_ms).saturating_sub(since));
    match stage {
        Stage::Grow => {
            format!("for instances to become ready, at most {} more", left(rollout.policy.progress_ms))
        }
        Stage::Drain => "for requests of old instances to end".to_owned(),
        Stage::Watch => {
            let last = step + 1 >= rollout.route().steps.len();
            let time = if last { rollout.policy.bake_ms } else { rollout.policy.step_ms };
            match Duration::from_millis(time).saturating_sub(since) {
                Duration::ZERO => "for enough requests to judge it: `fraiseql load` makes some".to_owned(),
                _ => format!("for {} more", left(time)),
            }
        }
        _ => "for nothing".to_owned(),
    }
}

fn shown_instance(instance: &Value) -> String {
    let text = |key: &str| instance[key].as_str().unwrap_or("");
    let state = match (instance["pid"].is_null(), instance["stopping"] == true, instance["ready"] == true) {
        (true, _, _) => "down",
        (_, true, _) => "stopping",
        (_, _, true) => "ready",
        _ => "starting",
    };
    let memory =
        instance["memory_bytes"].as_u64().map(|bytes| format!("{} MiB", bytes >> 20)).unwrap_or_default();
    let pid = instance["pid"].as_u64().map(|pid| format!("pid {pid}")).unwrap_or_default();
    let crashes = instance["crashes"].as_u64().unwrap_or(0);
    let crashes =
        if crashes > 0 { format!("  ended {crashes} times: {}", text("said")) } else { String::new() };
    format!("instance  {:16} {state:8} {:21} {pid:11} {memory}{crashes}", text("name"), text("address"))
        .trim_end()
        .to_owned()
        + "\n"
}

/// Sends a command that needs no arguments, and says what has come of it.
pub(crate) async fn tell(command: &Command, project: &InProject, printer: &Printer) -> Result<(), Failure> {
    let state = Project::state_of(&project.dir);
    let answer = send(&state, command).await?;
    if printer.is_json() {
        printer.data_json(&answer);
    }
    printer.say("done: `fraiseql status` shows what follows");
    Ok(())
}

/// Prints where the console is. Whoever can read the token may do what the console does.
pub(crate) fn console(arguments: OnlyProject, printer: &Printer) -> Result<(), Failure> {
    let state = Project::state_of(&arguments.project.dir);
    let port = Project::open(&arguments.project.into(), &[])?.settings.integer("console.port");
    let path = state.join(CONSOLE_TOKEN);
    if port == 0 || !path.exists() {
        let message = "find the console: there is none yet";
        let hint = "set console.port = 4001 in fraiseql.toml, and start `fraiseql agent` again";
        return Err(Failure::new(&errors::CFG_MISSING, message).hint(hint));
    }
    let token = crate::files::read_text(&path)?;
    let url = format!("http://127.0.0.1:{port}/#token={}", token.trim());
    if printer.is_json() {
        printer.data_json(&json!({ "url": url }));
    } else {
        printer.data(&format!("{url}\n"));
    }
    Ok(())
}

/// Goes back to the release before: by the agent, or by the proxy alone when there is no agent.
///
/// A release further back has no instances: it is deployed, all at once and without gates.
pub(crate) async fn rollback(arguments: &RollbackArguments, printer: &Printer) -> Result<(), Failure> {
    let state = Project::state_of(&arguments.project.dir);
    if let Some(name) = &arguments.release {
        let stored = Releases::in_state(&state).find(name)?;
        let service = status_of(&state).await?.service;
        let kept = service.previous.as_ref().is_some_and(|kept| kept.release == stored.id.as_str());
        if !kept {
            return super::deploy::further_back(&state, &stored, &service, printer).await;
        }
    }
    match send(&state, &Command::Rollback).await {
        Err(failure) if failure.code == &errors::AGT_AWAY => {
            printer.say("the agent is away: asking the proxy itself");
            at_the_proxy(&state, printer).await
        }
        Err(failure) => Err(failure),
        Ok(answer) => {
            if printer.is_json() {
                printer.data_json(&answer);
            }
            printer.say("going back: `fraiseql status` shows how far it is");
            Ok(())
        }
    }
}

async fn at_the_proxy(state: &Path, printer: &Printer) -> Result<(), Failure> {
    let socket = control_socket(state);
    let asked = ask(&socket, (Method::POST, "/rollback"), Some(&Value::Null), PROXY_LIMIT).await;
    let (status, answer) = asked.map_err(|error| {
        let failure = Failure::new(&errors::PXY_AWAY, format!("reach the proxy at {}", socket.display()));
        let hint = "HAProxy knows no releases: start `fraiseql agent`, and roll back then";
        match state.join(HAPROXY_HELD).exists() {
            true => failure.because(&error).hint(hint),
            false => failure.because(&error),
        }
    })?;
    if status == 200 {
        let stable = answer["generation"]["stable"].as_str().unwrap_or("");
        printer.say(&format!("all traffic is on {} now", short(stable)));
        if printer.is_json() {
            printer.data_json(&answer);
        }
        return Ok(());
    }
    let code = answer["code"].as_str().and_then(errors::find).unwrap_or(&errors::RUN_INTERNAL);
    Err(Failure::new(code, answer["error"].as_str().unwrap_or("roll back").to_owned()))
}

/// Lets requests through, let them wait, or refuses them.
pub(crate) async fn maintenance(arguments: &Maintenance, printer: &Printer) -> Result<(), Failure> {
    let (gate, project) = match &arguments.word {
        MaintenanceWord::ReadOnly(OnlyProject { project }) => return read_only(project, printer).await,
        MaintenanceWord::On(OnlyProject { project }) => {
            (TrafficGate::Closed { body: body(project)? }, project)
        }
        MaintenanceWord::Off(OnlyProject { project }) => (TrafficGate::Open, project),
        MaintenanceWord::Pause { wait, project } => {
            (TrafficGate::Paused { wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) }, project)
        }
    };
    tell(&Command::Gate { gate }, project, printer).await
}

/// Returns once no instance writes any more.
async fn read_only(project: &InProject, printer: &Printer) -> Result<(), Failure> {
    let state = Project::state_of(&project.dir);
    let answer = send(&state, &Command::ReadOnly).await?;
    let began = std::time::Instant::now();
    while !status_of(&state).await?.switched {
        if began.elapsed() >= SWITCH_MAX {
            let message = "switch: an instance still writes, and is told again and again";
            return Err(
                Failure::new(&errors::RUN_SWITCHING, message).hint("`fraiseql status` shows which, and why")
            );
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    if printer.is_json() {
        printer.data_json(&answer);
    }
    printer.say("mutations are refused: `fraiseql maintenance off` lets them through");
    Ok(())
}

fn body(project: &InProject) -> Result<Option<PathBuf>, Failure> {
    let arguments = crate::args::ProjectArguments {
        dir: project.dir.clone(),
        env: project.env.clone(),
        database_url: None,
        set: project.set.clone(),
    };
    let project = Project::open(&arguments, &[])?;
    let Some(file) = project.settings.text("maintenance.body_file") else { return Ok(None) };
    std::path::absolute(project.dir.join(file))
        .map(Some)
        .map_err(|error| Failure::internal("find out where the project is", &error))
}

/// Stops instances, proxy and agent.
pub(crate) async fn down(project: &InProject, printer: &Printer) -> Result<(), Failure> {
    let state = Project::state_of(&project.dir);
    asked(&state, (Method::POST, "/shutdown"), None).await?;
    printer.say("stopping instances, proxy and agent");
    while ask(&state.join(SOCKET), (Method::GET, "/status"), None, PROXY_LIMIT).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Lists rollouts, or tells one of them step by step.
pub(crate) fn history(arguments: &History, printer: &Printer) -> Result<(), Failure> {
    let state = Project::state_of(&arguments.project.dir);
    let journal = Journal::read(&state)?;
    let flows = match &journal {
        Some(journal) => journal.newest("rollout", usize::MAX)?,
        None => Vec::new(),
    };
    let Some(number) = arguments.rollout else { return list(&flows, printer) };
    let (Some(journal), Some(flow)) = (&journal, flows.iter().find(|flow| flow.id == FlowId(number))) else {
        let message = format!("find rollout {number}");
        return Err(Failure::new(&errors::DEP_NOTHING, message).hint("`fraiseql history` lists them"));
    };
    let entries = journal.entries(flow.id)?;
    if printer.is_json() {
        printer.data_json(&json!({ "rollout": shown_flow(flow), "entries": entries }));
        return Ok(());
    }
    for entry in &entries {
        let time = clock::shown(entry.at_ms / 1_000);
        let text = match entry.kind {
            EntryKind::Intent => format!("  {} {}", entry.name, entry.data),
            EntryKind::Outcome => format!("  {} done: {}", entry.name, entry.data),
            EntryKind::Note | EntryKind::State => told_of(&entry.name, &entry.data),
        };
        printer.data(&format!("{time}  {text}\n"));
    }
    printer.data(&format!("ended     {}\n", flow.outcome.as_deref().unwrap_or("not yet")));
    Ok(())
}

fn shown_flow(flow: &Flow) -> Value {
    json!({ "number": flow.id, "release": flow.subject, "began_ms": flow.began_ms, "ended_ms": flow.ended_ms, "outcome": flow.outcome })
}

fn list(flows: &[Flow], printer: &Printer) -> Result<(), Failure> {
    if printer.is_json() {
        let flows: Vec<Value> = flows.iter().map(shown_flow).collect();
        printer.data_json(&json!({ "rollouts": flows }));
        return Ok(());
    }
    if flows.is_empty() {
        printer.say("there was no rollout yet");
    }
    for flow in flows.iter().take(ROLLOUTS_SHOWN) {
        let (number, began) = (flow.id.0, clock::shown(flow.began_ms / 1_000));
        let outcome = flow.outcome.as_deref().unwrap_or("under way");
        printer.data(&format!("{number:4}  {began}  {}  {outcome}\n", short(&flow.subject)));
    }
    Ok(())
}
