//! `fraiseql restore`: to a moment, verified before it takes the place of the old data, which is kept.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use fraiseql_backup::{
    Inspection, Lsn, Moment, Repository, RestoreOptions, RestorePlan, RestoreReport, RestoreRequest,
    RestoreTarget, Watcher, abandon, plan_restore, restore, resume,
};
use fraiseql_cluster::Programs;
use fraiseql_model::errors;
use serde_json::json;

use super::backup::{Place, now};
use super::up;
use crate::archiving;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::progress::Progress;
use crate::project::Project;

/// Arguments of `restore`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Restore {
    /// What else to do
    #[command(subcommand)]
    command: Option<RestoreCommand>,
    /// To where in time
    #[command(flatten)]
    wanted: Wanted,
    /// Restore into this new data directory, and leave the database of the project alone
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Do not read the restored files once more with `pg_verifybackup` and `amcheck`
    #[arg(long)]
    quick: bool,
    /// Go on with a restore that was interrupted
    #[arg(long, conflicts_with_all = ["to", "to_lsn", "to_point", "latest", "abandon"])]
    resume: bool,
    /// Undo a restore that was interrupted before it switched
    #[arg(long, conflicts_with_all = ["to", "to_lsn", "to_point", "latest"])]
    abandon: bool,
}

/// Commands on restores.
#[derive(Debug, Subcommand)]
pub(crate) enum RestoreCommand {
    /// Tell what a restore would do, keep and lose; touch nothing
    Plan(Wanted),
}

const MOMENT: &str = "What had committed at a moment, for example \"2026-01-26 14:03:00+00\"";

/// Where to restore to.
#[derive(Debug, Args)]
pub(crate) struct Wanted {
    /// Where
    #[command(flatten)]
    place: Place,
    #[arg(long, value_name = "TIME", help = MOMENT, conflicts_with_all = ["to_lsn", "to_point", "latest"])]
    to: Option<String>,
    /// What was written before a position in WAL
    #[arg(long, value_name = "LSN", conflicts_with_all = ["to_point", "latest"])]
    to_lsn: Option<String>,
    /// What was written before a restore point
    #[arg(long, value_name = "NAME", conflicts_with = "latest")]
    to_point: Option<String>,
    /// Everything that is archived
    #[arg(long)]
    latest: bool,
    /// Along which timeline; default: the newest
    #[arg(long, value_name = "NUMBER")]
    timeline: Option<u32>,
    /// From which backup; default: the newest that ended before the target
    #[arg(long, value_name = "LABEL")]
    backup: Option<String>,
}

impl Wanted {
    fn request(&self) -> Result<RestoreRequest, Failure> {
        let target = match (&self.to, &self.to_lsn, &self.to_point, self.latest) {
            (Some(text), ..) => RestoreTarget::Time(Moment::parse(text)?),
            (_, Some(text), ..) => RestoreTarget::Lsn(Lsn::parse(text)?),
            (_, _, Some(name), _) => RestoreTarget::Point(name.clone()),
            (.., true) => RestoreTarget::Latest,
            _ => {
                return Err(Failure::new(&errors::BAK_TARGET, "restore: no target is given")
                    .hint("add --to TIME, --to-lsn LSN, --to-point NAME or --latest"));
            }
        };
        Ok(RestoreRequest { target, timeline: self.timeline, backup: self.backup.clone() })
    }
}

/// Runs the command.
pub(crate) async fn run(arguments: &Restore, printer: &Printer) -> Result<(), Failure> {
    match &arguments.command {
        Some(RestoreCommand::Plan(wanted)) => plan(wanted, printer).await,
        None => restore_project(arguments, printer).await,
    }
}

async fn plan(wanted: &Wanted, printer: &Printer) -> Result<(), Failure> {
    let request = wanted.request()?;
    let project = Project::open(&wanted.place.project, &[])?;
    let repository = archiving::open(&project, wanted.place.repository.as_deref()).await?;
    let programs = up::programs(&project)?;
    let progress = Progress::new(printer, "plan");
    let plan = plan_restore(&repository, &programs, &request, &Watcher(&|event| progress.show(event)))?;
    match printer.is_json() {
        true => printer.data_json(&json!({ "plan": plan })),
        false => printer.data(&plan.told()),
    }
    Ok(())
}

async fn restore_project(arguments: &Restore, printer: &Printer) -> Result<(), Failure> {
    let wanted = &arguments.wanted;
    let project = Project::open(&wanted.place.project, &[])?;
    let (data_dir, programs) = destination(arguments, &project)?;
    // `up` starts what it finds there; held until everything is in its place.
    let _lock = up::Lock::take(&project.dir)?;
    let inspection = if arguments.quick { Inspection::Quick } else { Inspection::Full };
    let options = RestoreOptions { programs: &programs, data_dir: &data_dir, clock: now, inspection };
    let progress = Progress::new(printer, "restore");
    let show = |event| progress.show(event);
    let watcher = Watcher(&show);
    if arguments.abandon {
        let id = abandon(&options).await?;
        printer.say(&format!("restore {id} was undone; {} is as it was", data_dir.display()));
        return Ok(());
    }
    let report = if arguments.resume {
        let access = archiving::required(&project, wanted.place.repository.as_deref()).await?;
        resume(|| Repository::open(&access.location, access.key), &options, &watcher).await?
    } else {
        let request = wanted.request()?;
        let repository = archiving::open(&project, wanted.place.repository.as_deref()).await?;
        restore(&repository, &request, &options, &watcher).await?
    };
    tell(&report, &data_dir, arguments.into.is_some(), printer);
    Ok(())
}

/// Returns the data directory that is made or replaced, and the programs for it.
fn destination(arguments: &Restore, project: &Project) -> Result<(PathBuf, Programs), Failure> {
    if let Some(into) = &arguments.into {
        let interrupted = fraiseql_backup::unfinished_restore(into)?.is_some();
        if into.exists() && !interrupted {
            let message = format!("restore into {}: it is there already", into.display());
            return Err(Failure::new(&errors::IO_EXISTS, message).hint("name a folder that is not there"));
        }
        return Ok((absolute(into)?, up::programs(project)?));
    }
    if project.settings.text("database.url").is_some() {
        let message = "replace the configured database: it is not the embedded one";
        let hint = "restore into a new data directory with --into DIR, and start your server on it";
        return Err(Failure::new(&errors::CFG_MISSING, message).hint(hint));
    }
    let (data_dir, programs) = up::place(project)?;
    Ok((absolute(&data_dir)?, programs))
}

/// Journal and kept data stand beside it, also after a change of the current folder.
fn absolute(path: &std::path::Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::new(&errors::IO_READ, format!("find {}", path.display())).because(&error))
}

fn tell(report: &RestoreReport, data_dir: &std::path::Path, aside: bool, printer: &Printer) {
    if printer.is_json() {
        printer.data_json(&json!({
            "restore": report.id, "plan": report.plan, "data_dir": data_dir, "kept": report.kept,
            "timeline": report.timeline, "checks": report.checks, "skipped": report.skipped,
        }));
        return;
    }
    if let Some(plan) = &report.plan {
        printer.data(&RestorePlan::told(plan));
    }
    for check in &report.checks {
        printer.data(&format!("ok   {check}\n"));
    }
    for skipped in &report.skipped {
        printer.data(&format!("not  {skipped}\n"));
    }
    printer.data(&format!("the restored database is {}\n", data_dir.display()));
    if let Some(kept) = &report.kept {
        printer.data(&format!("the old one is kept as {}\n", kept.display()));
    }
    printer.say(match aside {
        true => "start your server on it; then take a new backup: `fraiseql backup create`",
        false => "go on with `fraiseql up`, then take a new backup: `fraiseql backup create`",
    });
}
