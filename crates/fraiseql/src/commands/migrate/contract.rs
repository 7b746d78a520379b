//! `fraiseql migrate contract`: what no release needs any more is put aside, and dropped after a grace
//! period.

use std::path::PathBuf;
use std::time::Duration;

use fraiseql_backup::{Repository, create_point};
use fraiseql_locks::Section;
use fraiseql_migrate::{Contracted, Migrator, StepState};
use fraiseql_model::errors;
use fraiseql_postgres::Target;
use serde_json::json;

use super::lint::read_all;
use super::run::{Known, Shown, options};
use super::{Contract, FOLDER, guard};
use crate::archiving;
use crate::clock;
use crate::commands::usage::database_target;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::project::Project;

/// How long another runner is waited for.
const RUNNER_WAIT: Duration = Duration::from_secs(10);

/// Puts aside, or drops what was put aside long enough ago.
pub(super) async fn run(arguments: &Contract, printer: &Printer) -> Result<(), Failure> {
    let project = Project::open(&arguments.project.clone().into(), &[])?;
    let target = database_target(&project).await?;
    let known = Known::of(&project.dir, target.clone()).await?;
    if arguments.drop {
        return empty(arguments, &known, printer).await;
    }
    let names = ready(arguments, &known)?;
    if names.is_empty() {
        printer.say("every contract has run");
        return Ok(());
    }
    let paths: Vec<PathBuf> =
        names.iter().map(|name| project.dir.join(FOLDER).join(format!("{name}.sql"))).collect();
    let read = read_all(&paths)?;
    let (broken, asked) = guard::judged(&project, &target, &read, &arguments.acknowledge).await?;
    guard::refuse(&broken, &asked, &read, printer)?;
    printer.say(&format!("no release depends on it; asked were {}", guard::words(&asked)));
    if arguments.dry_run {
        for name in &names {
            let of = |step: &&fraiseql_migrate::MigrationStep| {
                step.migration == *name && step.section == Section::Contract
            };
            known
                .steps
                .iter()
                .filter(of)
                .for_each(|step| printer.say(&format!("would run {}  {}", step.place(), step.text)));
        }
        if printer.is_json() {
            printer.data_json(&json!({ "wouldRun": names }));
        }
        return Ok(());
    }
    let mut told = Vec::new();
    for name in &names {
        let point = restore_point(&project, &target, name, printer).await?;
        let mut migrator = Migrator::begin(&target, options(RUNNER_WAIT, arguments.lock_wait)).await?;
        let mut shown = Shown::new(printer);
        let Contracted { put_aside, ran } =
            migrator.contract(&known.steps, name, &mut |event| shown.show(&event)).await?;
        told.push(json!({ "migration": name, "putAside": put_aside, "ran": ran, "restorePoint": point }));
        if put_aside > 0 {
            let grace = clock::shown_duration(arguments.grace);
            printer.say(&format!(
                "{name}: put aside; `fraiseql migrate undo {name}` brings it back, after {grace} `fraiseql migrate contract --drop` drops it"
            ));
        } else {
            printer.say(&format!("{name}: its contract has run"));
        }
    }
    if printer.is_json() {
        printer.data_json(&json!(told));
    }
    Ok(())
}

/// Returns the migrations whose contract has something left to do.
fn ready(arguments: &Contract, known: &Known) -> Result<Vec<String>, Failure> {
    let open = |step: &&fraiseql_migrate::MigrationStep| {
        let aside = |row: &fraiseql_migrate::TrashRow| {
            row.migration == step.migration && row.position == step.position
        };
        step.section == Section::Contract
            && known.state(step) != Some(StepState::Done)
            && !known.trash.iter().any(aside)
    };
    let mut names: Vec<String> = known.steps.iter().filter(open).map(|step| step.migration.clone()).collect();
    names.dedup();
    if let Some(name) = &arguments.name {
        if !known.steps.iter().any(|step| step.migration == *name) {
            let message = format!("find the migration {name} in {FOLDER}");
            return Err(Failure::new(&errors::MIG_NONE, message).hint("`fraiseql migrate status` lists them"));
        }
        names.retain(|found| found == name);
    }
    Ok(names)
}

/// Makes a restore point where backups are kept, and returns its name.
async fn restore_point(
    project: &Project,
    target: &Target,
    migration: &str,
    printer: &Printer,
) -> Result<Option<String>, Failure> {
    let Some(access) = archiving::access(project, None).await? else {
        printer.say("no restore point: backup.repository is not set");
        return Ok(None);
    };
    let repository = Repository::open(&access.location, access.key)?;
    let points = repository.points()?;
    let mut name = format!("before-contract-{migration}");
    name.truncate(56);
    let mut unique = name.clone();
    let mut number = 2;
    while points.iter().any(|point| point.name == unique) {
        unique = format!("{name}.{number}");
        number += 1;
    }
    let point = create_point(&repository, target, &unique).await?;
    printer.say(&format!("restore point {}", point.name));
    Ok(Some(point.name))
}

async fn empty(arguments: &Contract, known: &Known, printer: &Printer) -> Result<(), Failure> {
    let grace = i64::try_from(arguments.grace.as_secs()).unwrap_or(i64::MAX);
    if arguments.dry_run {
        for row in known.trash.iter().filter(|row| row.seconds >= grace) {
            let column = row.column.as_ref().map_or_else(String::new, |column| format!(".{column}"));
            printer.say(&format!("would drop {}{column}, put aside as {}", row.relation, row.put_as));
        }
        return Ok(());
    }
    let mut migrator = Migrator::begin(&known.target, options(RUNNER_WAIT, arguments.lock_wait)).await?;
    let mut shown = Shown::new(printer);
    let (dropped, kept) =
        migrator.empty_trash(&known.steps, arguments.grace, &mut |event| shown.show(&event)).await?;
    if printer.is_json() {
        printer.data_json(&json!({ "dropped": dropped, "kept": kept }));
    }
    printer.say(&format!("{dropped} dropped, {kept} kept for their grace period"));
    Ok(())
}
