//! `fraiseql incident`: what is wrong, who looks after it, what happened when. Needs no database and no agent.

mod page;

pub(crate) use page::{PageOutcome, Paging, Reached, page_people, tell_people};

use std::path::PathBuf;

use clap::{Args, Subcommand};
use fraiseql_flow::{EntryKind, Journal};
use fraiseql_incident::{
    Happening, Incident as Declared, IncidentEvent, IncidentSeverity, IncidentState, Incidents, TimelineLine,
    postmortem, since_declared, timeline,
};
use fraiseql_model::errors;
use serde_json::{Value, json};

use super::deploy::told_of;
use crate::args::InProject;
use crate::clock;
use crate::failure::Failure;
use crate::files;
use crate::printer::Printer;
use crate::project::Project;

/// How long before the declaration a rollout may have ended and still stand in the time line.
const BEFORE_MS: u64 = 3_600_000;
/// How many of the newest rollouts are looked at.
const ROLLOUTS_MAX: usize = 100;

/// Commands on incidents.
#[derive(Debug, Subcommand)]
pub(crate) enum Incident {
    /// Write down that something is wrong; prints the incident's number
    Declare(Declare),
    /// Page people on call by every channel that the settings name
    Page(Page),
    /// Say that you look after an incident
    Ack(Which),
    /// Write down what was seen, decided or done
    Note(Said),
    /// Write down that an incident is over, and how
    Resolve(Said),
    /// List incidents, the newest first
    List(InProject),
    /// Tell an incident with all that the rollouts have recorded meanwhile
    Show(Which),
    /// Write the document that people finish
    Postmortem(Postmortem),
}

/// Arguments of `incident declare`.
#[derive(Debug, Args)]
pub(crate) struct Declare {
    /// What is wrong, on one line
    #[arg(long)]
    pub(crate) title: String,
    /// How bad it is: critical, major or minor
    #[arg(long, default_value = "major", value_parser = IncidentSeverity::parse)]
    pub(crate) severity: IncidentSeverity,
    /// Who says so
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub(crate) by: String,
    /// The project
    #[command(flatten)]
    pub(crate) project: InProject,
}

/// Which incident, and who speaks.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The incident's number; the newest where there is none
    #[arg(long, value_name = "NUMBER")]
    pub(crate) incident: Option<u64>,
    /// Who says so
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub(crate) by: String,
    /// The project
    #[command(flatten)]
    pub(crate) project: InProject,
}

/// Arguments of `incident page`.
#[derive(Debug, Args)]
pub(crate) struct Page {
    /// What they know the service by; default: oncall.service
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// Also who was paged within five minutes, and when somebody looks after it
    #[arg(long)]
    pub(crate) again: bool,
    /// Print what would be sent, and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Which incident
    #[command(flatten)]
    pub(crate) which: Which,
}

/// Arguments of `incident note` and `incident resolve`.
#[derive(Debug, Args)]
pub(crate) struct Said {
    /// What there is to say, on one line
    pub(crate) text: String,
    /// Which incident
    #[command(flatten)]
    pub(crate) which: Which,
}

/// Arguments of `incident postmortem`.
#[derive(Debug, Args)]
pub(crate) struct Postmortem {
    /// Write it to a file that is not there yet
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Which incident
    #[command(flatten)]
    pub(crate) which: Which,
}

/// Runs a command on incidents.
pub(crate) async fn run(command: Incident, printer: &Printer) -> Result<(), Failure> {
    match command {
        Incident::Declare(arguments) => declare(arguments, printer),
        Incident::Page(arguments) => page_now(arguments, printer).await,
        Incident::Ack(which) => add_and_tell(&which, Happening::Acknowledged, printer).await,
        Incident::Note(Said { text, which }) => add(&which, Happening::Noted { text }, printer),
        Incident::Resolve(Said { text, which }) => {
            add_and_tell(&which, Happening::Resolved { text }, printer).await
        }
        Incident::List(project) => list(&project, printer),
        Incident::Show(which) => show(&which, printer),
        Incident::Postmortem(arguments) => write_postmortem(&arguments, printer),
    }
}

fn incidents(project: &InProject) -> Incidents {
    Incidents::in_state(&Project::state_of(&project.dir))
}

fn declare(arguments: Declare, printer: &Printer) -> Result<(), Failure> {
    let Declare { title, severity, by, project } = arguments;
    Project::require(&project.dir)?;
    let event = IncidentEvent::new(clock::now_ms(), &by, Happening::Declared { severity, title })?;
    let incident = incidents(&project).declare(event)?;
    if printer.is_json() {
        printer.data_json(&json!({ "incident": incident }));
        return Ok(());
    }
    printer.say(&format!("incident {} is declared: {}", incident.number, incident.title));
    printer.data(&format!("{}\n", incident.number));
    Ok(())
}

async fn page_now(arguments: Page, printer: &Printer) -> Result<(), Failure> {
    let Page { service, again, dry_run, which } = arguments;
    let incidents = incidents(&which.project);
    let number = incidents.find_or_newest(which.incident)?.number;
    let settings = Project::open(&which.project.into(), &[])?.settings;
    let paging = Paging { service, again, by: which.by };
    let all = page_people(&settings, &incidents, (number, &paging, dry_run)).await?;
    if printer.is_json() {
        let channel = |reached: &Reached| {
            let outcome = reached.outcome.in_words();
            json!({ "channel": reached.channel.as_str(), "outcome": outcome, "document": reached.document })
        };
        printer.data_json(&json!({
            "incident": number, "channels": all.iter().map(channel).collect::<Vec<_>>(),
        }));
    } else {
        for reached in &all {
            let told = format!("{:13} {}\n", reached.channel.as_str(), reached.outcome.in_words());
            printer.data(&told);
            if dry_run {
                printer.data(&format!("{:#}\n", reached.document));
            }
        }
    }
    let failed = all.iter().filter(|reached| matches!(reached.outcome, PageOutcome::Failed(_)));
    if failed.count() < all.len() {
        return Ok(());
    }
    let mut failure = Failure::new(&errors::INC_UNREACHED, format!("page people about incident {number}"));
    failure.causes = all
        .iter()
        .map(|reached| format!("{}: {}", reached.channel.as_str(), reached.outcome.in_words()))
        .collect();
    Err(failure.hint("call somebody by other means; `fraiseql explain FQ-INC-005` tells what to look at"))
}

/// Writes it down first: whoever was paged is told afterwards, and whatever becomes of that is only said.
async fn add_and_tell(which: &Which, what: Happening, printer: &Printer) -> Result<(), Failure> {
    add(which, what, printer)?;
    let incident = incidents(&which.project).find_or_newest(which.incident)?;
    let told = match Project::open(&which.project.clone().into(), &[]) {
        Ok(project) => tell_people(&project.settings, &incident).await,
        Err(failure) => Err(failure),
    };
    let lines = told.unwrap_or_else(|failure| vec![format!("nobody is told: {}", failure.message)]);
    lines.iter().for_each(|line| printer.say(line));
    Ok(())
}

fn add(which: &Which, what: Happening, printer: &Printer) -> Result<(), Failure> {
    let incidents = incidents(&which.project);
    let number = incidents.find_or_newest(which.incident)?.number;
    let event = IncidentEvent::new(clock::now_ms(), &which.by, what)?;
    let incident = incidents.add(number, event)?;
    if printer.is_json() {
        printer.data_json(&json!({ "incident": incident }));
    } else {
        printer.say(&format!("incident {number} is {}", state(&incident)));
    }
    Ok(())
}

fn state(incident: &Declared) -> String {
    match &incident.state {
        IncidentState::Open => "open, acknowledged by nobody".to_owned(),
        IncidentState::Acknowledged { by, .. } => format!("acknowledged by {by}"),
        IncidentState::Resolved { by, .. } => format!("resolved by {by}"),
    }
}

fn list(project: &InProject, printer: &Printer) -> Result<(), Failure> {
    let all = incidents(project).list()?;
    if printer.is_json() {
        printer.data_json(&json!({ "incidents": all }));
        return Ok(());
    }
    if all.is_empty() {
        printer.say("no incident was declared yet");
    }
    for incident in &all {
        let (at, severity) = (clock::shown(incident.declared_ms / 1_000), incident.severity.as_str());
        let (number, title) = (incident.number, &incident.title);
        printer.data(&format!("{number:4}  {at}  {severity:8}  {title}: {}\n", state(incident)));
    }
    Ok(())
}

fn show(which: &Which, printer: &Printer) -> Result<(), Failure> {
    let (incident, lines) = told(which)?;
    if printer.is_json() {
        let line = |line: &TimelineLine| json!({ "at_ms": line.at_ms, "by": line.by, "text": line.text });
        let lines: Vec<Value> = lines.iter().map(line).collect();
        printer.data_json(&json!({ "incident": incident, "timeline": lines }));
        return Ok(());
    }
    let (number, title) = (incident.number, &incident.title);
    let mut text = format!("incident {number}, {}: {title}\n", incident.severity.as_str());
    text.push_str(&format!("{}\n\n", state(&incident)));
    for line in &lines {
        let (since, at) = (since_declared(&incident, line.at_ms), clock::shown(line.at_ms / 1_000));
        text.push_str(&format!("{since:>6}  {at}  {}: {}\n", line.by, line.text));
    }
    printer.data(&text);
    Ok(())
}

fn write_postmortem(arguments: &Postmortem, printer: &Printer) -> Result<(), Failure> {
    let (incident, lines) = told(&arguments.which)?;
    let text = postmortem(&incident, &lines, |at_ms| clock::shown(at_ms / 1_000));
    let Some(path) = &arguments.output else {
        if printer.is_json() {
            printer.data_json(&json!({ "incident": incident.number, "postmortem": text }));
        } else {
            printer.data(&text);
        }
        return Ok(());
    };
    if path.exists() {
        let message = format!("write the postmortem: {} would be overwritten", path.display());
        return Err(Failure::new(&errors::IO_EXISTS, message).hint("name another file with --output"));
    }
    files::write(path, text.as_bytes())?;
    if printer.is_json() {
        printer.data_json(&json!({ "incident": incident.number, "file": path }));
    } else {
        printer.say(&format!("wrote {}", path.display()));
    }
    Ok(())
}

/// Returns an incident and its time line: what people wrote down, and what the rollouts have recorded.
fn told(which: &Which) -> Result<(Declared, Vec<TimelineLine>), Failure> {
    let incident = incidents(&which.project).find_or_newest(which.incident)?;
    let until_ms = match &incident.state {
        IncidentState::Resolved { at_ms, .. } => *at_ms,
        IncidentState::Open | IncidentState::Acknowledged { .. } => u64::MAX,
    };
    let from_ms = incident.declared_ms.saturating_sub(BEFORE_MS);
    let recorded = match Journal::read(&Project::state_of(&which.project.dir))? {
        Some(journal) => of_rollouts(&journal, from_ms, until_ms)?,
        None => Vec::new(),
    };
    let lines = timeline(&incident, recorded);
    Ok((incident, lines))
}

/// Returns what the rollouts between two moments have recorded, without what was only asked again.
fn of_rollouts(journal: &Journal, from_ms: u64, until_ms: u64) -> Result<Vec<TimelineLine>, Failure> {
    let mut lines = Vec::new();
    for flow in journal.newest("rollout", ROLLOUTS_MAX)? {
        if flow.began_ms > until_ms || flow.ended_ms.is_some_and(|ended_ms| ended_ms < from_ms) {
            continue;
        }
        let by = format!("rollout {}", flow.id.0);
        let mut line = |at_ms: u64, text: String| lines.push(TimelineLine { at_ms, by: by.clone(), text });
        line(flow.began_ms, format!("begins: release {}", flow.subject.get(..12).unwrap_or(&flow.subject)));
        for entry in journal.entries(flow.id)? {
            let shown = matches!(entry.kind, EntryKind::State | EntryKind::Note | EntryKind::Outcome);
            if shown && (from_ms..=until_ms).contains(&entry.at_ms) {
                line(entry.at_ms, told_of(&entry.name, &entry.data));
            }
        }
        if let (Some(ended_ms), Some(outcome)) = (flow.ended_ms, &flow.outcome) {
            line(ended_ms, format!("ended: {outcome}"));
        }
    }
    Ok(lines)
}
