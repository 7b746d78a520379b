//! `fraiseql migrate lint`: what the statements of migrations would do to those who use the database.

use std::fs;
use std::path::{Path, PathBuf};

use fraiseql_locks::{LintRequest, ServerVersion, SqlFile, StatementReport, Unreadable, fixed, lint};
use fraiseql_model::diagnostic::{Diagnostic, Severity, Span};
use fraiseql_model::errors;
use serde_json::json;

use super::{FOLDER, Lint};
use crate::failure::Failure;
use crate::files;
use crate::printer::Printer;

/// A file of SQL that was read.
pub(super) struct Read {
    path: PathBuf,
    pub(super) name: String,
    pub(super) text: String,
}

/// Returns it as it is judged.
pub(super) fn as_sql(read: &Read) -> SqlFile<'_> {
    SqlFile { name: &read.name, text: &read.text }
}

/// Prints a report on each statement; fails when one of them would keep clients waiting.
pub(super) fn run(arguments: &Lint, printer: &Printer) -> Result<(), Failure> {
    let version = ServerVersion::read(&arguments.server_version).ok_or_else(|| {
        let message = format!("use PostgreSQL {:?}: its locks are not known", arguments.server_version);
        Failure::new(&errors::MIG_VERSION, message)
            .hint("--server-version takes 10 to 18, or for example 14.2")
    })?;
    let schema = read_all(&arguments.schema)?;
    let mut migrations = read_all(&named(&arguments.files, &arguments.project)?)?;
    let mut reports = look(&migrations, &schema, version, arguments.one_transaction)?;
    if arguments.fix {
        let changed = fix(&mut migrations, &reports)?;
        printer.say(&format!("{changed} statements were written in their safe form"));
        reports = look(&migrations, &schema, version, arguments.one_transaction)?;
    }
    let findings = || reports.iter().flat_map(|report| &report.findings);
    let errors = findings().filter(|finding| finding.severity == Severity::Error).count();
    let warnings = findings().count() - errors;
    if printer.is_json() {
        printer.data_json(&json!(reports));
    } else {
        for report in &reports {
            show(report, &migrations, printer);
        }
    }
    let sum = format!(
        "{} statements in {} files for PostgreSQL {}: {errors} errors, {warnings} warnings",
        reports.len(),
        migrations.len(),
        arguments.server_version
    );
    if errors == 0 {
        printer.say(&sum);
        return Ok(());
    }
    let message = format!("call the migrations safe: {sum}");
    let hint = if arguments.fix {
        "what is left needs a decision: each finding says what to write"
    } else {
        "`fraiseql migrate lint --fix` writes the safe form where a machine can"
    };
    Err(Failure::new(&errors::MIG_UNSAFE, message).hint(hint))
}

fn look(
    migrations: &[Read],
    schema: &[Read],
    version: ServerVersion,
    one_transaction: bool,
) -> Result<Vec<StatementReport>, Failure> {
    let files: Vec<SqlFile<'_>> = migrations.iter().map(as_sql).collect();
    let known: Vec<SqlFile<'_>> = schema.iter().map(as_sql).collect();
    lint(&LintRequest { files: &files, schema: &known, version, one_transaction })
        .map_err(|wrong| unreadable(&wrong, migrations.iter().chain(schema)))
}

/// Writes the safe forms, and returns how many statements were changed.
fn fix(migrations: &mut [Read], reports: &[StatementReport]) -> Result<usize, Failure> {
    let mut changed = 0;
    for read in migrations {
        let own: Vec<&StatementReport> = reports.iter().filter(|report| report.file == read.name).collect();
        let (text, count) = fixed(&read.text, &own);
        if count > 0 {
            files::write(&read.path, text.as_bytes())?;
            read.text = text;
            changed += count;
        }
    }
    Ok(changed)
}

fn show(report: &StatementReport, migrations: &[Read], printer: &Printer) {
    let source = migrations.iter().find(|read| read.name == report.file).map(|read| read.text.as_str());
    for finding in &report.findings {
        let message = format!("{} [{}]", finding.message, finding.rule);
        let span = Span { file: report.file.clone(), start: report.start, end: report.end };
        let mut diagnostic = match finding.severity {
            Severity::Error => Diagnostic::error(&errors::MIG_UNSAFE, message),
            Severity::Warning => Diagnostic::warning(&errors::MIG_UNSAFE, message),
        };
        diagnostic = diagnostic.at(span).why(&finding.why);
        if let Some(rewrite) = &finding.rewrite {
            diagnostic = diagnostic.hint(rewrite);
        }
        printer.diagnostic(&diagnostic, source);
    }
}

pub(super) fn unreadable<'a>(wrong: &[Unreadable], files: impl Iterator<Item = &'a Read> + Clone) -> Failure {
    let mut shown = Vec::new();
    let mut values = Vec::new();
    for misread in wrong {
        let span = Span { file: misread.file.clone(), start: misread.start, end: misread.end };
        let diagnostic = Diagnostic::error(&errors::MIG_SQL, &misread.message).at(span);
        let source = files.clone().find(|read| read.name == misread.file).map(|read| read.text.as_str());
        shown.push(diagnostic.render(source));
        values.push(json!(diagnostic));
    }
    let message = format!("read the SQL: {} places cannot be understood", wrong.len());
    let mut failure = Failure::new(&errors::MIG_SQL, message).hint("nothing is said of the other statements");
    failure.shown = Some(shown.join("\n"));
    failure.diagnostics = values;
    failure
}

/// Returns the files that were named; without any, those of the project.
pub(super) fn named(files: &[PathBuf], project: &Path) -> Result<Vec<PathBuf>, Failure> {
    let places = if files.is_empty() { vec![project.join(FOLDER)] } else { files.to_vec() };
    let mut all = Vec::new();
    for place in &places {
        if !place.is_dir() {
            // Without names the folder need not be there.
            if !files.is_empty() {
                all.push(place.clone());
            }
            continue;
        }
        let failed = |error: std::io::Error| {
            Failure::new(&errors::IO_READ, format!("read {}", place.display())).because(&error)
        };
        let mut below = Vec::new();
        for entry in fs::read_dir(place).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "sql") {
                below.push(path);
            }
        }
        below.sort();
        all.extend(below);
    }
    if all.is_empty() {
        let message = format!("find migrations in {}", places[0].display());
        let hint = "name files, or make the first migration: fraiseql migrate new NAME";
        return Err(Failure::new(&errors::MIG_NONE, message).hint(hint));
    }
    Ok(all)
}

pub(super) fn read_all(paths: &[PathBuf]) -> Result<Vec<Read>, Failure> {
    let read = |path: &PathBuf| {
        Ok(Read { path: path.clone(), name: shown_name(path), text: files::read_text(path)? })
    };
    paths.iter().map(read).collect()
}

fn shown_name(path: &Path) -> String {
    let shown = path.display().to_string();
    shown.strip_prefix("./").map_or(shown.clone(), str::to_owned)
}
