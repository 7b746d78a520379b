//! `fraiseql deploy`: a release of the project becomes the one that serves, or it does not and says why.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal};
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use fraiseql_agent::{Releases, StoredRelease};
use fraiseql_flow::{EntryKind, FlowId, Journal};
use fraiseql_model::errors;
use fraiseql_rollout::{Command, Policy, Service, Strategy};
use serde_json::{Value, json};

use super::release::{build, words};
use super::rollout::{Status, send, status_of};
use crate::agent::{ALL_GATES, SCHEMA_GATE};
use crate::args::ProjectArguments;
use crate::clock;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::Project;

/// How often what the judge sees is told while nothing goes wrong.
const TELL_EVERY: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Gates that this version does not look at.
const NOT_YET: &[&str] = &["mirror", "preflight", "backup", "migrations"];

/// Arguments of `deploy`.
#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// The project
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    /// Deploy this release instead of what the project is now: its first digits, or `latest`
    #[arg(long, value_name = "RELEASE")]
    pub(crate) release: Option<String>,
    /// How traffic gets to it
    #[arg(long, value_enum, default_value = "canary")]
    pub(crate) strategy: StrategyWord,
    /// Of a canary: the shares in percent
    #[arg(long, value_name = "PERCENT", value_delimiter = ',', default_value = "5,25,100")]
    pub(crate) steps: Vec<u8>,
    /// Of a canary: how long each share is watched
    #[arg(long, value_name = "TIME", default_value = "20m", value_parser = clock::duration)]
    pub(crate) step_time: Duration,
    /// How long the release is watched once it has all traffic; as --step-time when not given
    #[arg(long, value_name = "TIME", value_parser = clock::duration)]
    pub(crate) bake: Option<Duration>,
    /// How long the release before it is kept, ready to take traffic back
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = clock::duration)]
    pub(crate) keep: Duration,
    /// Of a rolling update: how many instances are replaced at a time
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub(crate) batch: u32,
    /// How many instances; as many as now when not given
    #[arg(long, value_name = "COUNT")]
    pub(crate) instances: Option<u32>,
    /// How long instances may take to become ready
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = clock::duration)]
    pub(crate) deadline: Duration,
    /// How long a share without enough requests to judge is waited upon
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = clock::duration)]
    pub(crate) patience: Duration,
    /// Deploy although clients may break
    #[arg(long)]
    pub(crate) allow_breaking: bool,
    /// Deploy although it was rolled back before
    #[arg(long)]
    pub(crate) again: bool,
    /// Take back the rollout that is under way first
    #[arg(long)]
    pub(crate) supersede: bool,
    /// Compile against catalog.json instead of a database
    #[arg(long)]
    pub(crate) offline: bool,
    /// Print the plan, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
    /// Do not wait for the end
    #[arg(long)]
    pub(crate) detach: bool,
    /// Who deploys
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub(crate) by: String,
}

/// A strategy, as it is typed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum StrategyWord {
    /// All instances start, then all traffic moves at once
    BlueGreen,
    /// Traffic moves in shares, each of them watched
    Canary,
    /// Instances are replaced one after the other
    Rolling,
}

/// Builds, plans, asks, deploys and waits.
pub(crate) async fn run(arguments: &Deploy, printer: &Printer) -> Result<(), Failure> {
    let project = Project::open(&arguments.project, &[])?;
    let state = project.state();
    let stored = match &arguments.release {
        Some(name) => Releases::in_state(&state).find(name)?,
        None => build(&project, arguments.offline, &arguments.by, printer).await?.stored().clone(),
    };
    stored.verify()?;
    let status = status_of(&state).await?;
    let policy = policy(arguments, &status.service);
    policy.check().map_err(|reason| {
        Failure::new(&errors::DEP_POLICY, format!("deploy: {reason}")).hint("for example `--steps 5,25,100`")
    })?;
    let plan = plan(&stored, &status.service, &policy, &Releases::in_state(&state));
    if !printer.is_json() {
        plan.iter().for_each(|line| printer.say(line));
    }
    if arguments.dry_run {
        if printer.is_json() {
            printer.data_json(&json!({ "release": stored.id, "plan": plan, "policy": policy }));
        }
        return Ok(());
    }
    confirm(arguments, printer)?;
    if arguments.supersede && status.service.rollout.is_some() {
        supersede(&state, printer).await?;
    }
    let release = stored.id.as_str().to_owned();
    let command = Command::Deploy { release, policy: Box::new(policy), again: arguments.again };
    let answer = send(&state, &command).await?;
    let rollout = answer["rollout"].as_i64().unwrap_or(0);
    if arguments.detach {
        if printer.is_json() {
            printer.data_json(&json!({ "release": stored.id, "rollout": rollout }));
        }
        printer.say(&format!("rollout {rollout} is under way: `fraiseql status --watch`"));
        return Ok(());
    }
    wait(&state, &stored, rollout, printer).await
}

fn policy(arguments: &Deploy, service: &Service) -> Policy {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut gates: Vec<String> = ALL_GATES.iter().map(|name| (*name).to_owned()).collect();
    gates.retain(|name| name != SCHEMA_GATE || !arguments.allow_breaking);
    let mut shares = arguments.steps.clone();
    if shares.last() != Some(&100) {
        shares.push(100);
    }
    Policy {
        strategy: match arguments.strategy {
            StrategyWord::BlueGreen => Strategy::BlueGreen,
            StrategyWord::Canary => Strategy::Canary,
            StrategyWord::Rolling => Strategy::Rolling,
        },
        instances: arguments.instances.unwrap_or(service.instances),
        old_instances: service.instances,
        shares,
        batch: arguments.batch,
        step_ms: ms(arguments.step_time),
        bake_ms: ms(arguments.bake.unwrap_or(arguments.step_time)),
        keep_ms: ms(arguments.keep),
        progress_ms: ms(arguments.deadline),
        blind_ms: ms(arguments.patience),
        gates,
        ..Policy::default()
    }
}

/// Returns the plan in words, a line each.
fn plan(stored: &StoredRelease, service: &Service, policy: &Policy, releases: &Releases) -> Vec<String> {
    let short = |release: &str| release.get(..12).unwrap_or(release).to_owned();
    let mut lines = Vec::new();
    let before = service.stable.as_deref().and_then(|stable| releases.find(stable).ok());
    let changed = before.map(|before| words(&stored.release.differences(&before.release)).join(", "));
    let changed = changed.map(|changed| format!(", against the stable one: {changed}")).unwrap_or_default();
    lines.push(format!("release   {}{changed}", stored.id));
    let stable = service.stable.as_deref().map_or_else(|| "nothing yet".to_owned(), short);
    lines.push(format!("stable    {stable}"));
    lines.push(format!("strategy  {}", policy.strategy));
    let looked: Vec<&str> =
        policy.gates.iter().map(String::as_str).filter(|name| !NOT_YET.contains(name)).collect();
    let route = policy.route(service.stable.is_some());
    let mut number = 0;
    let mut line = |text: String| {
        number += 1;
        lines.push(format!("{number:7}.  {text}"));
    };
    let (mut old, mut new) = (if service.stable.is_some() { policy.old_instances } else { 0 }, 0);
    for (index, step) in route.steps.iter().enumerate() {
        if !route.surge && step.old < old {
            let left = u32::from(step.old + new < policy.instances);
            let capacity = if left > 0 { ", with less capacity meanwhile" } else { "" };
            line(format!("take {} of {old} instances of {stable} out{capacity}", old - step.old));
        }
        if step.new > new {
            line(format!(
                "start {} of {} instances, and wait until they are ready",
                step.new - new,
                step.new
            ));
        }
        if index == 0 {
            line(format!("gates: {} ({} not available)", looked.join(", "), NOT_YET.join(", ")));
        }
        match step.share {
            100 => line("100 % of the traffic: it is the stable release from here on".to_owned()),
            share => line(format!("{share} % of the traffic")),
        }
        let time = if step.share == 100 { policy.bake_ms } else { policy.step_ms };
        line(format!("watch it for {}", clock::shown_duration(Duration::from_millis(time))));
        (old, new) = (step.old, step.new);
    }
    if service.stable.is_some() {
        let keep = clock::shown_duration(Duration::from_millis(policy.keep_ms));
        if old > 0 {
            line(format!("keep {stable} for {keep}: until then a rollback takes a second"));
        } else {
            line("a rollback has to start instances again: it takes as long as they take".to_owned());
        }
    }
    lines
}

fn confirm(arguments: &Deploy, printer: &Printer) -> Result<(), Failure> {
    if arguments.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        let message = "deploy: nobody can be asked";
        return Err(
            Failure::new(&errors::CFG_MISSING, message).hint("say --yes, or --dry-run to see the plan")
        );
    }
    printer.say("\nDeploy? [y/N]");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failure::internal("read the answer", &error))?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(&errors::RUN_INTERRUPTED, "deploy: it was not wanted"))
}

async fn supersede(state: &Path, printer: &Printer) -> Result<(), Failure> {
    printer.say("taking back the rollout that is under way");
    // On its way back already is as good.
    if let Err(failure) = send(state, &Command::Abort).await
        && failure.code != &errors::DEP_NOTHING
    {
        return Err(failure);
    }
    while status_of(state).await?.service.rollout.is_some() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Tells what happens until the rollout has ended; fails when it ended on the old release.
async fn wait(state: &Path, stored: &StoredRelease, rollout: i64, printer: &Printer) -> Result<(), Failure> {
    let mut told = 0;
    let mut watched = Watched::default();
    loop {
        let status = status_of(state).await;
        if let Some(journal) = Journal::read(state)? {
            for entry in
                journal.entries(FlowId(rollout))?.into_iter().filter(|entry| entry.kind == EntryKind::Note)
            {
                if entry.id > told {
                    told = entry.id;
                    printer.say(&format!(
                        "{}  {}",
                        clock::shown_time(entry.at_ms / 1_000),
                        told_of(&entry.name, &entry.data)
                    ));
                }
            }
        }
        match &status {
            Ok(Status { service, seen, .. }) => {
                if let Some(last) = service.last.as_ref().filter(|last| last.id == rollout) {
                    return told_end(stored, &json!(last), &last.outcome, printer);
                }
                if let Some(text) = watched.news(seen) {
                    printer.say(&format!("          {text}"));
                }
            }
            Err(failure) if failure.code == &errors::AGT_AWAY => {
                printer.say("the agent is away; the rollout goes on when it is back");
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            Err(_) => return status.map(drop),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Returns a note in words, with the evidence of a gate.
pub(crate) fn told_of(name: &str, data: &Value) -> String {
    match (data["outcome"].as_str(), data["evidence"].as_str()) {
        (Some(outcome), Some(evidence)) if name.starts_with("gate ") => {
            format!("{name}: {}, {evidence}", outcome.replace('_', " "))
        }
        _ => name.to_owned(),
    }
}

/// What was told of what the judge sees.
#[derive(Default)]
struct Watched {
    bad: (u64, u64),
    at: Option<Instant>,
}

impl Watched {
    /// Returns what the judge sees, when something went wrong since it was told, or after a while.
    fn news(&mut self, seen: &Value) -> Option<String> {
        let of = |arm: &Value| (arm["requests"].as_u64().unwrap_or(0), arm["bad"].as_u64().unwrap_or(0));
        let ((new, new_bad), (old, old_bad)) = (of(&seen["new"]), of(&seen["old"]));
        let late = self.at.is_none_or(|at| at.elapsed() >= TELL_EVERY);
        if new == 0 || ((new_bad, old_bad) == self.bad && !late) {
            return None;
        }
        (self.bad, self.at) = ((new_bad, old_bad), Some(Instant::now()));
        let rest = if old > 0 { format!(", old {old_bad} of {old}") } else { String::new() };
        Some(format!("bad: new release {new_bad} of {new}{rest}"))
    }
}

fn told_end(
    stored: &StoredRelease,
    ended: &Value,
    outcome: &fraiseql_rollout::RolloutOutcome,
    printer: &Printer,
) -> Result<(), Failure> {
    if printer.is_json() {
        printer.data_json(&json!({ "release": stored.id, "ended": ended }));
    }
    match outcome {
        fraiseql_rollout::RolloutOutcome::Promoted => {
            printer.say(&format!("{} is stable", stored.id));
            Ok(())
        }
        other => Err(Failure::new(&errors::DEP_FAILED, format!("deploy {}: {other}", stored.id)).hint(
            "`fraiseql history` tells every step; the output of the instances is in .fraiseql/instances",
        )),
    }
}

/// Returns the states of gates in words.
pub(crate) fn gates(gates: &BTreeMap<String, fraiseql_rollout::GateState>) -> Vec<String> {
    let gate = |(name, state): (&String, &fraiseql_rollout::GateState)| {
        let outcome = json!(state.outcome);
        format!("{name} {}: {}", outcome.as_str().unwrap_or("").replace('_', " "), state.evidence)
    };
    gates.iter().map(gate).collect()
}
