//! `fraiseql migrate plan`, `run`, `status` and `undo`: migrations on a database that serves meanwhile.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fraiseql_locks::{Section, ServerVersion};
use fraiseql_migrate::{
    LedgerRow, MigrateEvent, MigrateOptions, MigrationFile, MigrationStep, Migrator, StepState, StepWay,
    TrashRow, steps,
};
use fraiseql_model::diagnostic::Severity;
use fraiseql_model::errors;
use fraiseql_postgres::{ControlClient, PostgresError, Target, connect_control};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::{FOLDER, Look, Run, SectionWord, Undo};
use crate::clock;
use crate::commands::usage::database_target;
use crate::failure::Failure;
use crate::files;
use crate::printer::Printer;
use crate::project::Project;

/// The migrations of a project, and what the database tells of them.
pub(super) struct Known {
    pub(super) target: Target,
    pub(super) steps: Vec<MigrationStep>,
    rows: Vec<LedgerRow>,
    /// What contracts have put aside.
    pub(super) trash: Vec<TrashRow>,
    client: ControlClient,
}

impl Known {
    async fn read(arguments: &crate::args::InProject) -> Result<Self, Failure> {
        let project = Project::open(&arguments.clone().into(), &[])?;
        Self::of(&project.dir, database_target(&project).await?).await
    }

    /// Reads the migrations of a project, or of a release, and what that database tells of them.
    pub(super) async fn of(dir: &Path, target: Target) -> Result<Self, Failure> {
        let files = migrations(dir)?;
        let client = connect_control(&target).await?;
        let row = client.query_one(
            "SELECT current_setting('server_version_num')::int / 10000, current_setting('server_version')",
            &[],
        );
        let row = row.await.map_err(PostgresError::from)?;
        let (major, named): (i32, String) = (row.get(0), row.get(1));
        let version = ServerVersion::read(named.split(' ').next().unwrap_or(""))
            .or_else(|| ServerVersion::read(&major.to_string()))
            .ok_or_else(|| {
                Failure::new(&errors::MIG_VERSION, format!("use PostgreSQL {named}: its locks are not known"))
            })?;
        let steps = steps(&files, version)?;
        let rows = fraiseql_migrate::ledger(&client).await?;
        let trash = fraiseql_migrate::trash(&client).await?;
        Ok(Self { target, steps, rows, trash, client })
    }

    pub(super) fn state(&self, step: &MigrationStep) -> Option<StepState> {
        self.rows.iter().find(|row| row.is_of(step)).map(|row| row.state)
    }

    /// Returns what has not run and comes before the contract.
    pub(super) fn pending(&self, to: Section) -> Vec<&MigrationStep> {
        let open = |step: &&MigrationStep| step.section <= to && self.state(step) != Some(StepState::Done);
        self.steps.iter().filter(open).collect()
    }
}

fn migrations(dir: &Path) -> Result<Vec<MigrationFile>, Failure> {
    let folder = dir.join(FOLDER);
    let none = || {
        Failure::new(&errors::MIG_NONE, format!("find migrations in {}", folder.display()))
            .hint("`fraiseql migrate new NAME` makes the first one")
    };
    let entries = std::fs::read_dir(&folder).map_err(|error| none().because(&error))?;
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| none().because(&error))?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err(none());
    }
    let read = |path: &PathBuf| {
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(MigrationFile { name, text: files::read_text(path)? })
    };
    paths.iter().map(read).collect()
}

/// Prints every statement that has not run, what it locks, who is in its way now, and how long the table is.
pub(super) async fn plan(arguments: &Look, printer: &Printer) -> Result<(), Failure> {
    let known = Known::read(&arguments.project).await?;
    let mut values: Vec<Value> = Vec::new();
    for step in known.pending(Section::Contract) {
        let tables: Vec<&str> = step.locks.iter().map(|(table, _)| table.as_str()).collect();
        let sql = "SELECT name, greatest(c.reltuples, 0)::float8 FROM unnest($1::text[]) AS name \
                   JOIN pg_class c ON c.oid = to_regclass(name)";
        let rows = known.client.query(sql, &[&tables]).await.map_err(PostgresError::from)?;
        let size = |table: &str| {
            rows.iter().find(|row| row.get::<_, &str>(0) == table).map(|row| row.get::<_, f64>(1))
        };
        let blockers = fraiseql_migrate::blockers(&known.client, step).await?;
        let locks: Vec<Value> = step
            .locks
            .iter()
            .map(|(table, mode)| json!({ "table": table, "mode": mode, "rows": size(table) }))
            .collect();
        let findings: Vec<&str> = step.findings.iter().map(|finding| finding.rule).collect();
        values.push(json!({
            "migration": step.migration, "section": step.section.as_str(), "line": step.line, "statement": step.text,
            "way": way(step), "locks": locks, "blockers": blockers, "findings": findings,
        }));
        if !printer.is_json() {
            printer.data(&format!("{}  {:8} {}\n", step.place(), step.section.as_str(), step.text));
            printer.data(&format!("    runs      {}\n", way(step)));
            for (table, mode) in &step.locks {
                let rows = size(table).map(|rows| format!(", about {rows:.0} rows")).unwrap_or_default();
                printer.data(&format!("    locks     {table}: {mode}{rows}\n"));
            }
            if !blockers.is_empty() {
                printer.data(&format!("    in its way now: {}\n", blockers.join(", ")));
            }
            for finding in &step.findings {
                let word = if finding.severity == Severity::Error { "error" } else { "warning" };
                printer.data(&format!("    {word}: {} [{}]\n", finding.message, finding.rule));
            }
        }
    }
    if printer.is_json() {
        printer.data_json(&json!(values));
    } else if values.is_empty() {
        printer.say("everything has run");
    }
    Ok(())
}

fn way(step: &MigrationStep) -> &'static str {
    match step.way {
        StepWay::Transaction => {
            "in a transaction of its own; its lock is tried for moments, nobody waits behind it for long"
        }
        StepWay::Alone => "outside of a transaction",
        StepWay::BuildIndex { .. } => "beside the traffic",
        StepWay::Batches { .. } => "in batches of some 20 ms, half of the time asleep",
    }
}

/// Prints how far each migration is.
pub(super) async fn status(arguments: &Look, printer: &Printer) -> Result<(), Failure> {
    let known = Known::read(&arguments.project).await?;
    let mut names: Vec<&str> = known.steps.iter().map(|step| step.migration.as_str()).collect();
    names.dedup();
    let mut values = Vec::new();
    for name in names {
        let mut sections = serde_json::Map::new();
        let mut words = Vec::new();
        for section in [Section::Expand, Section::Backfill, Section::Index, Section::Contract] {
            let of: Vec<&MigrationStep> =
                known.steps.iter().filter(|step| step.migration == name && step.section == section).collect();
            if of.is_empty() {
                continue;
            }
            let done = of.iter().filter(|step| known.state(step) == Some(StepState::Done)).count();
            let rows: i64 = known
                .rows
                .iter()
                .filter(|row| of.iter().any(|step| row.is_of(step)))
                .map(|row| row.row_count)
                .sum();
            let is_aside = |row: &TrashRow| row.migration == name && section == Section::Contract;
            let state = if done == of.len() {
                "done"
            } else if known.trash.iter().any(is_aside) {
                "put aside"
            } else if done > 0 || rows > 0 {
                "begun"
            } else {
                "to do"
            };
            words.push(format!("{} {state}", section.as_str()));
            sections.insert(
                section.as_str().to_owned(),
                json!({ "state": state, "statements": of.len(), "done": done, "rows": rows }),
            );
        }
        let drifted = known
            .steps
            .iter()
            .any(|step| known.rows.iter().any(|row| row.is_of(step) && row.checksum != step.checksum));
        if drifted {
            words.push("CHANGED since it ran".to_owned());
        }
        if !printer.is_json() {
            printer.data(&format!("{name}  {}\n", words.join(", ")));
        }
        values.push(json!({ "migration": name, "sections": sections, "changed": drifted }));
    }
    if printer.is_json() {
        printer.data_json(&json!(values));
    }
    Ok(())
}

/// Runs what has not run.
pub(super) async fn run(arguments: &Run, printer: &Printer) -> Result<(), Failure> {
    let to = match arguments.to {
        SectionWord::Expand => Section::Expand,
        SectionWord::Backfill => Section::Backfill,
        SectionWord::Index => Section::Index,
    };
    let known = Known::read(&arguments.project).await?;
    let pending = known.pending(to);
    refuse_unsafe(&pending, &arguments.allow)?;
    if arguments.dry_run {
        let places: Vec<Value> = pending
            .iter()
            .map(|step| json!({ "place": step.place(), "section": step.section.as_str(), "statement": step.text }))
            .collect();
        if printer.is_json() {
            printer.data_json(&json!({ "wouldRun": places }));
        }
        for step in &pending {
            printer.say(&format!("would run {}  {}", step.place(), step.text));
        }
        return Ok(());
    }
    let mut migrator = Migrator::begin(&known.target, options(arguments.wait, arguments.lock_wait)).await?;
    let mut shown = Shown::new(printer);
    let count = migrator.run(&known.steps, to, &mut |event| shown.show(&event)).await?;
    if printer.is_json() {
        printer.data_json(&json!({ "statements": count }));
    }
    printer.say(&format!("{count} statements have run, up to section {}", to.as_str()));
    Ok(())
}

/// Fails at the first statement that would keep clients waiting and is not allowed nevertheless.
pub(super) fn refuse_unsafe(pending: &[&MigrationStep], allow: &[String]) -> Result<(), Failure> {
    for step in pending {
        let refused = |finding: &&fraiseql_locks::LintFinding| {
            finding.severity == Severity::Error && !allow.iter().any(|rule| rule == finding.rule)
        };
        if let Some(finding) = step.findings.iter().find(refused) {
            let message = format!("run {}: {} [{}]", step.place(), finding.message, finding.rule);
            let rule = finding.rule;
            return Err(Failure::new(&errors::MIG_UNSAFE, message).hint(format!(
                "`fraiseql migrate lint` shows the safe form; `fraiseql migrate run --allow {rule}` runs it nevertheless"
            )));
        }
    }
    Ok(())
}

/// Takes a migration back.
pub(super) async fn undo(arguments: &Undo, printer: &Printer) -> Result<(), Failure> {
    let known = Known::read(&arguments.project).await?;
    let last = known.rows.iter().map(|row| row.migration.as_str()).max();
    let Some(name) = arguments.name.as_deref().or(last).map(str::to_owned) else {
        return Err(Failure::new(&errors::MIG_UNDO, "take a migration back: none has run"));
    };
    let brings_back = known.trash.iter().any(|row| row.migration == name);
    if arguments.dry_run && brings_back {
        let aside = known.trash.iter().filter(|row| row.migration == name);
        aside.for_each(|row| printer.say(&format!("would bring back {}", row.put_as)));
        return Ok(());
    }
    if arguments.dry_run {
        let undo = known.steps.iter().filter(|step| step.migration == name && step.section == Section::Undo);
        undo.for_each(|step| printer.say(&format!("would run {}  {}", step.place(), step.text)));
        return Ok(());
    }
    let wait = Duration::from_secs(10);
    let mut migrator = Migrator::begin(&known.target, options(wait, Duration::from_secs(60))).await?;
    let mut shown = Shown::new(printer);
    let count = migrator.undo(&known.steps, &name, &mut |event| shown.show(&event)).await?;
    if printer.is_json() {
        printer.data_json(&json!({ "migration": name, "statements": count }));
    }
    let what = if brings_back { "what its contract had put aside is back" } else { "it is taken back" };
    printer.say(&format!("{name}: {what}"));
    Ok(())
}

pub(super) fn options(wait: Duration, lock_wait: Duration) -> MigrateOptions {
    MigrateOptions { wait, lock_wait, duty: 0.5, lag_max: Duration::from_secs(10) }
}

/// What is seen of a run.
pub(super) struct Shown<'p> {
    printer: &'p Printer,
    bar: Option<ProgressBar>,
}

impl<'p> Shown<'p> {
    pub(super) fn new(printer: &'p Printer) -> Self {
        Self { printer, bar: None }
    }

    pub(super) fn show(&mut self, event: &MigrateEvent<'_>) {
        match event {
            MigrateEvent::Began(step) => self.printer.say(&format!("{}  {}", step.place(), step.text)),
            MigrateEvent::Waits { blockers, .. } => {
                self.printer.say(&format!("    its lock is not free: {blockers}"));
            }
            MigrateEvent::Rows { done, total } => self.bar("rows", *done, *total),
            MigrateEvent::Blocks { done, total } => self.bar("blocks", *done, *total),
            MigrateEvent::Note(text) => self.printer.say(&format!("    {text}")),
            MigrateEvent::Ended(_, took) => {
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
                self.printer.say(&format!("    done in {}", clock::shown_duration(*took)));
            }
        }
    }

    fn bar(&mut self, what: &str, done: u64, total: u64) {
        let printer = self.printer;
        let bar = self.bar.get_or_insert_with(|| printer.progress(&format!("    {what}"), total));
        bar.set_length(total);
        bar.set_position(done);
    }
}
