//! `fraiseql runbook deploy`: the deployment guide's lists for a release, step by step. What can be done or seen is;
//! for the rest a person says that it was done. It may be killed at any time and goes on where it was.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use fraiseql_agent::Releases;
use fraiseql_model::errors;
use fraiseql_ops::{RUNBOOK, RunbookEntry, RunbookStep, StepEnd, next_step, runbook_html, runbook_markdown};
use serde_json::json;

use crate::args::ProjectArguments;
use crate::clock;
use crate::failure::Failure;
use crate::files;
use crate::printer::Printer;
use crate::project::Project;

mod record;
mod steps;

use record::Record;
use steps::{Place, StepOutcome, perform};

/// The longest word of a person.
const NOTE_BYTES_MAX: usize = 2_000;
/// Who does what nobody has to.
const OURSELVES: &str = "fraiseql";

/// Commands on runbooks.
#[derive(Debug, Subcommand)]
pub(crate) enum Runbook {
    /// Walk through the deployment of a release
    Deploy(Deploy),
}

/// Arguments of `runbook deploy`.
#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// The project
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    /// The release: its first digits, or `latest`
    #[arg(long, value_name = "RELEASE", default_value = "latest")]
    pub(crate) release: String,
    /// Write down that a step was done, before going on
    #[arg(long, value_name = "STEP")]
    pub(crate) done: Option<String>,
    /// Who has done it
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub(crate) by: String,
    /// What there is to say about it
    #[arg(long, value_name = "TEXT", default_value = "", requires = "done")]
    pub(crate) note: String,
    /// Print the record as it is now, and do nothing
    #[arg(long, conflicts_with = "done")]
    pub(crate) show: bool,
    /// Print the record as HTML
    #[arg(long)]
    pub(crate) html: bool,
    /// Write the record to a file instead of printing it
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Runs a command on runbooks.
pub(crate) async fn run(command: Runbook, printer: &Printer) -> Result<(), Failure> {
    let Runbook::Deploy(arguments) = command;
    let project = Project::open(&arguments.project, &[])?;
    let release = Releases::in_state(&project.state()).find(&arguments.release)?;
    let mut record = Record::open(&project.state(), &release.id)?;
    if let Some(step) = &arguments.done {
        said(&mut record, step, &arguments.by, &arguments.note)?;
    }
    let place = Place { project, release: release.id.as_str().to_owned() };
    let stopped = match arguments.show {
        true => None,
        false => walk(&place, &mut record, printer).await?,
    };
    tell(&arguments, &place, &record, stopped.as_ref(), printer)?;
    match stopped {
        Some(Stopped::Failed { step, reason }) => {
            Err(Failure::new(&errors::RBK_STEP, format!("go on with the runbook: {}: {reason}", step.name))
                .hint("mend it and run the same command again: it goes on with this step"))
        }
        Some(Stopped::Asks { .. }) | None => Ok(()),
    }
}

/// Why the walk is not at its end.
enum Stopped {
    Asks { step: &'static RunbookStep, question: String },
    Failed { step: &'static RunbookStep, reason: String },
}

async fn walk(place: &Place, record: &mut Record, printer: &Printer) -> Result<Option<Stopped>, Failure> {
    while let Some(step) = next_step(record.entries()) {
        printer.say(&format!("{}: {}", step.name, step.title));
        match perform(step.name, place, record, printer).await {
            StepOutcome::Ended(end, evidence) => {
                printer.say(&format!("  {}: {evidence}", end.as_str()));
                record.add(step.name, end, OURSELVES, &evidence)?;
            }
            StepOutcome::Failed(reason) => {
                record.add(step.name, StepEnd::Failed, OURSELVES, &reason)?;
                return Ok(Some(Stopped::Failed { step, reason }));
            }
            StepOutcome::Asks(question) => match asked(step, &question, printer) {
                Some((by, note)) => said(record, step.name, &by, &note)?,
                None => return Ok(Some(Stopped::Asks { step, question })),
            },
        }
    }
    Ok(None)
}

/// Asks whoever sits at the terminal; `None` when nobody does, or nobody has done it yet.
fn asked(step: &RunbookStep, question: &str, printer: &Printer) -> Option<(String, String)> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || printer.is_json() {
        return None;
    }
    let line = |prompt: &str| {
        printer.say(prompt);
        let mut line = String::new();
        // What cannot be read was not said.
        stdin.lock().read_line(&mut line).is_ok().then(|| line.trim().to_owned())
    };
    let by = line(&format!("  {question}\n  {}: who has done it? (nothing: not yet)", step.title))?;
    if by.is_empty() {
        return None;
    }
    Some((by, line("  what is there to say?")?))
}

/// Writes down what a person has said.
fn said(record: &mut Record, name: &str, by: &str, note: &str) -> Result<(), Failure> {
    let refused = |message: String, hint: String| Err(Failure::new(&errors::RBK_NAME, message).hint(hint));
    let names = || RUNBOOK.iter().map(|step| step.name).collect::<Vec<_>>().join(", ");
    if !RUNBOOK.iter().any(|step| step.name == name) {
        return refused(
            format!("write down {name:?}: there is no such step"),
            format!("the steps are {}", names()),
        );
    }
    if !steps::may_be_said(name) {
        let message = format!("write down {name}: it is looked at, not said");
        return refused(message, "run `fraiseql runbook deploy` without --done".to_owned());
    }
    if by.trim().is_empty() || by.len() > NOTE_BYTES_MAX || note.len() > NOTE_BYTES_MAX {
        let hint = format!("name somebody with --by, and say it in {NOTE_BYTES_MAX} bytes");
        return refused(format!("write down {name}: nobody says so, or too much is said"), hint);
    }
    record.add(name, StepEnd::Done, by, note)
}

fn tell(
    arguments: &Deploy,
    place: &Place,
    record: &Record,
    stopped: Option<&Stopped>,
    printer: &Printer,
) -> Result<(), Failure> {
    let release = &place.release[..12];
    let text = text(release, record.entries(), arguments.html);
    if let Some(path) = &arguments.output {
        files::write(path, text.as_bytes())?;
        printer.say(&format!("wrote {}", path.display()));
    } else if !printer.is_json() {
        printer.data(&text);
    }
    if printer.is_json() {
        let next = next_step(record.entries()).map(|step| step.name);
        printer.data_json(&json!({ "release": place.release, "entries": record.entries(), "next": next }));
    }
    if let Some(Stopped::Asks { step, question }) = stopped {
        let command = format!("fraiseql runbook deploy --release {release} --done {} --by NAME", step.name);
        printer.say(&format!("next: {} ({question})\nwhen it is done: {command}", step.title));
    }
    Ok(())
}

fn text(release: &str, entries: &[RunbookEntry], html: bool) -> String {
    match html {
        true => runbook_html(release, entries, clock::shown),
        false => runbook_markdown(release, entries, clock::shown),
    }
}
