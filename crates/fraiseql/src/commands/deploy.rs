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

use super::migrate::{has_migrations, pending};
use super::promotion::{check_approvals, promoted};
use super::release::{build, words};
use super::rollout::{Status, send, status_of};
use super::usage::database_target;
use crate::agent::{ALL_GATES, PREPARE_GATES, SCHEMA_GATE};
use crate::args::ProjectArguments;
use crate::clock;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::Project;

/// How often what the judge sees is told while nothing goes wrong.
const TELL_EVERY: Duration = Duration::from_secs(15);
/// How often is told how far a gate is.
const TELL_WORK_EVERY: Duration = Duration::from_secs(2);
/// Pending statements that the plan shows.
const STATEMENTS_SHOWN: usize = 20;
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Gates that this version does not look at.
const NOT_YET: &[&str] = &["mirror"];

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
    /// How long the old release is watched after a rollback, to see whether that has helped
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = clock::duration)]
    pub(crate) settle: Duration,
    /// Deploy although clients may break
    #[arg(long)]
    pub(crate) allow_breaking: bool,
    /// Do not look at this gate
    #[arg(long, value_name = "GATE", value_parser = gate_name)]
    pub(crate) skip: Vec<String>,
    /// Shares hold although the agent is gone: for HAProxy, whose shares do not end by themselves
    #[arg(long)]
    pub(crate) no_lease: bool,
    /// Deploy although it was never stable in the environment before (promotion.from)
    #[arg(long)]
    pub(crate) untried: bool,
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
    let stored =
        match (promoted(&project, arguments.release.as_deref(), arguments.untried)?, &arguments.release) {
            (Some(promoted), _) => promoted,
            (None, Some(name)) => Releases::in_state(&state).find(name)?,
            (None, None) => {
                build(&project, arguments.offline, &arguments.by, printer).await?.stored().clone()
            }
        };
    stored.verify()?;
    check_approvals(&project, &stored)?;
    let status = status_of(&state).await?;
    let policy = policy(arguments, &status.service);
    policy.check().map_err(|reason| {
        Failure::new(&errors::DEP_POLICY, format!("deploy: {reason}")).hint("for example `--steps 5,25,100`")
    })?;
    let haproxy = project.settings.text("proxy.driver") == Some("haproxy");
    let driver = haproxy.then_some("HAProxy: times, and errors within good answers, are not judged");
    let looks = Looks { policy: &policy, driver, prepared: prepared(&project, &stored, &policy).await };
    let plan = plan(&stored, &status.service, &looks, &Releases::in_state(&state));
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
    let wanted = |name: &&&str| {
        !(arguments.skip.iter().any(|skip| skip == *name)
            || **name == SCHEMA_GATE && arguments.allow_breaking)
    };
    let named = |gates: &[&str]| gates.iter().filter(wanted).map(|name| (*name).to_owned()).collect();
    let mut shares = arguments.steps.clone();
    if shares.last() != Some(&100) {
        shares.push(100);
    }
    let lease_ms = if arguments.no_lease { 0 } else { Policy::default().lease_ms };
    Policy {
        lease_ms,
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
        after_ms: ms(arguments.settle),
        prepare: named(PREPARE_GATES),
        gates: named(ALL_GATES),
        ..Policy::default()
    }
}

/// What is looked at before traffic.
struct Looks<'p> {
    policy: &'p Policy,
    /// What is to be known of who shares out traffic.
    driver: Option<&'static str>,
    /// What is done before the first instance starts, a line each.
    prepared: Vec<String>,
}

/// Returns what is done before the first instance starts.
async fn prepared(project: &Project, stored: &StoredRelease, policy: &Policy) -> Vec<String> {
    if policy.prepare.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!("gates before instances: {}", named_gates(&policy.prepare))];
    let has = |name: &str| policy.prepare.iter().any(|gate| gate == name);
    if has("backup") {
        lines.push(match project.settings.text("backup.repository") {
            Some(_) => {
                let hours = project.settings.integer("backup.age_max_h");
                format!("a verified base backup younger than {hours} h, else one is taken; a restore point")
            }
            None => "no backup: backup.repository is not set".to_owned(),
        });
    }
    if has("migrations") && has_migrations(&stored.project()) {
        let found = match database_target(project).await {
            Ok(target) => pending(&stored.project(), &target).await,
            Err(failure) => Err(failure),
        };
        match found {
            Ok(statements) if statements.is_empty() => {}
            Ok(statements) => {
                let count = statements.len();
                let shown = statements.iter().take(STATEMENTS_SHOWN);
                let shown: String = shown.map(|text| format!("\n            {text}")).collect();
                let rest = count.saturating_sub(STATEMENTS_SHOWN);
                let rest = if rest > 0 { format!("\n            and {rest} more") } else { String::new() };
                lines.push(format!("run {count} pending statements of migrations:{shown}{rest}"));
            }
            Err(failure) => lines.push(format!(
                "run what is pending of the migrations; what that is cannot be told: {}",
                failure.message
            )),
        }
    }
    lines
}

/// Returns the names of gates, those apart that this version does not look at.
fn named_gates(gates: &[String]) -> String {
    let (later, looked): (Vec<&str>, Vec<&str>) =
        gates.iter().map(String::as_str).partition(|name| NOT_YET.contains(name));
    let later =
        if later.is_empty() { String::new() } else { format!(" ({} not available)", later.join(", ")) };
    let looked = if looked.is_empty() { "none".to_owned() } else { looked.join(", ") };
    format!("{looked}{later}")
}

fn gate_name(text: &str) -> Result<String, String> {
    let all: Vec<&str> = PREPARE_GATES.iter().chain(ALL_GATES).copied().collect();
    if all.contains(&text) { Ok(text.to_owned()) } else { Err(format!("the gates are {}", all.join(", "))) }
}

/// Returns the plan in words, a line each.
fn plan(stored: &StoredRelease, service: &Service, looks: &Looks<'_>, releases: &Releases) -> Vec<String> {
    let policy = looks.policy;
    let short = |release: &str| release.get(..12).unwrap_or(release).to_owned();
    let mut lines = Vec::new();
    let before = service.stable.as_deref().and_then(|stable| releases.find(stable).ok());
    let changed = before.map(|before| words(&stored.release.differences(&before.release)).join(", "));
    let changed = changed.map(|changed| format!(", against the stable one: {changed}")).unwrap_or_default();
    lines.push(format!("release   {}{changed}", stored.id));
    let stable = service.stable.as_deref().map_or_else(|| "nothing yet".to_owned(), short);
    lines.push(format!("stable    {stable}"));
    lines.push(format!("strategy  {}", policy.strategy));
    if let Some(driver) = looks.driver {
        lines.push(format!("traffic   {driver}"));
    }
    let route = policy.route(service.stable.is_some());
    let mut number = 0;
    let mut line = |text: String| {
        number += 1;
        lines.push(format!("{number:7}.  {text}"));
    };
    looks.prepared.iter().for_each(|text| line(text.clone()));
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
            line(format!("gates: {}", named_gates(&policy.gates)));
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

/// Deploys a release that has no instances any more, as a way back: all at once and without gates, since
/// whatever it breaks, what serves now is worse.
pub(crate) async fn further_back(
    state: &Path,
    stored: &StoredRelease,
    service: &Service,
    printer: &Printer,
) -> Result<(), Failure> {
    stored.verify()?;
    printer.say(&format!(
        "{} has no instances any more: they start first, check that the database still has what they read, \
         and then take all traffic",
        stored.id
    ));
    if service.rollout.is_some() {
        supersede(state, printer).await?;
    }
    let policy = Policy {
        strategy: Strategy::BlueGreen,
        instances: service.instances,
        old_instances: service.instances,
        bake_ms: 0,
        ..Policy::default()
    };
    let release = stored.id.as_str().to_owned();
    let answer = send(state, &Command::Deploy { release, policy: Box::new(policy), again: true }).await?;
    wait(state, stored, answer["rollout"].as_i64().unwrap_or(0), printer).await
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
            Ok(Status { service, seen, busy, .. }) => {
                if let Some(last) = service.last.as_ref().filter(|last| last.id == rollout) {
                    return told_end(stored, &json!(last), &last.outcome, printer);
                }
                if let Some(text) = watched.work(busy.as_ref().map(ToString::to_string)) {
                    printer.say(&format!("          {text}"));
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
    /// How far a gate was, and when that was told.
    work: Option<(String, Instant)>,
}

impl Watched {
    /// Returns how far a gate is, when it has come further and that is not told all the time.
    fn work(&mut self, now: Option<String>) -> Option<String> {
        let now = now?;
        let is_new =
            self.work.as_ref().is_none_or(|(told, at)| *told != now && at.elapsed() >= TELL_WORK_EVERY);
        is_new.then(|| {
            self.work = Some((now.clone(), Instant::now()));
            now
        })
    }

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
