//! The linter: files in, a report for each statement out.

use std::collections::BTreeMap;

use fraiseql_model::diagnostic::Severity;
use serde::Serialize;

use crate::act::Act;
use crate::effect::{self, Effect};
use crate::lock_mode::LockMode;
use crate::rules::{self, Case, Rewrite};
use crate::schema::KnownSchema;
use crate::script::{self, Section, Statement};
use crate::server_version::ServerVersion;

/// A file with its name.
#[derive(Clone, Copy, Debug)]
pub struct SqlFile<'a> {
    /// The name, as the user wrote it.
    pub name: &'a str,
    /// The content.
    pub text: &'a str,
}

/// What to look at, and what is known beforehand.
#[derive(Clone, Copy, Debug)]
pub struct LintRequest<'a> {
    /// The migrations, in the order in which they run.
    pub files: &'a [SqlFile<'a>],
    /// DDL of what exists before the first of them.
    pub schema: &'a [SqlFile<'a>],
    /// The server that they will run on.
    pub version: ServerVersion,
    /// The tool that runs plain files wraps each of them in one transaction.
    pub one_transaction: bool,
}

/// What is to be said of a statement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatementReport {
    /// The file, as the user named it.
    pub file: String,
    /// The line on which it begins, from 1.
    pub line: usize,
    /// Its text, comments out, one space for each gap.
    pub statement: String,
    /// Each relation that was there before, and the strongest lock on it. `*` is every relation.
    pub locks: BTreeMap<String, LockMode>,
    /// Relations that are written anew.
    pub rewrites: Vec<String>,
    /// Relations that are read as a whole.
    pub scans: Vec<String>,
    /// What is wrong with it, worst first.
    pub findings: Vec<LintFinding>,
    /// The section in which it stands; `None` in files without sections.
    #[serde(skip)]
    pub section: Option<Section>,
    /// First byte in the file.
    #[serde(skip)]
    pub start: usize,
    /// Behind the last byte, the semicolon left out.
    #[serde(skip)]
    pub end: usize,
    /// The safe form of the whole statement, where a machine can write it.
    #[serde(skip)]
    pub(crate) fix: Option<String>,
}

/// One thing that is wrong with a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LintFinding {
    /// The rule's name, for example `create-index`.
    pub rule: &'static str,
    /// Error: clients stop, or it fails. Warning: somebody should look.
    pub severity: Severity,
    /// What happens: a lower-case fragment.
    pub message: String,
    /// Why it happens.
    pub why: String,
    /// What to write instead, when there is something.
    pub rewrite: Option<String>,
}

/// A place where a file is not SQL that PostgreSQL's grammar knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The file, as the user named it.
    pub file: String,
    /// First byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
    /// What is wrong there.
    pub message: String,
}

/// Looks at every statement of the files, in order; what one leaves behind is known to the next.
///
/// The same request always gives the same reports. Fails when a file cannot be read as SQL, with
/// every such place: a file that is understood by half would be called safe by half.
pub fn lint(request: &LintRequest<'_>) -> Result<Vec<StatementReport>, Vec<Unreadable>> {
    let mut schema = KnownSchema::default();
    let mut unreadable = Vec::new();
    for file in request.schema {
        let text = without_psql(file.text);
        for statement in read(&SqlFile { name: file.name, text: &text }, &mut unreadable) {
            for step in &statement.steps {
                schema.fold(&step.act);
            }
        }
    }
    schema.settle();
    let mut reports = Vec::new();
    for file in request.files {
        let statements = read(file, &mut unreadable);
        let mut open = OpenTransaction::of_file(&statements, request.one_transaction);
        for statement in &statements {
            reports.push(report(file.name, statement, &mut schema, &mut open, request.version));
        }
        schema.settle();
    }
    if unreadable.is_empty() { Ok(reports) } else { Err(unreadable) }
}

/// The transaction that statements run in.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenTransaction {
    /// Statements share a transaction.
    pub(crate) open: bool,
    /// A tool opened it, so that the file cannot end it.
    pub(crate) by_tool: bool,
    /// The file has sections: the runner opens a transaction for each statement.
    pub(crate) sectioned: bool,
    /// Locks taken so far, on relations that were there before the file.
    pub(crate) held: BTreeMap<String, LockMode>,
    /// What was done so far.
    pub(crate) acts: Vec<Act>,
}

impl OpenTransaction {
    fn of_file(statements: &[Statement], one_transaction: bool) -> Self {
        let sectioned = statements.iter().any(|statement| statement.section.is_some());
        let by_tool = one_transaction && !sectioned;
        Self { open: by_tool, by_tool, sectioned, ..Self::default() }
    }

    fn take(&mut self, act: &Act, effect: &Effect, schema: &KnownSchema) {
        match act {
            Act::Begin => self.open = true,
            Act::End => {
                *self = Self {
                    sectioned: self.sectioned,
                    by_tool: self.by_tool,
                    open: self.by_tool,
                    ..Self::default()
                };
            }
            _ if self.open => {
                for (relation, mode) in effect.locks.iter().filter(|(relation, _)| !schema.fresh(relation)) {
                    let held = self.held.entry(relation.clone()).or_insert(*mode);
                    *held = (*held).max(*mode);
                }
                self.acts.push(act.clone());
            }
            _ => {}
        }
    }
}

/// Blanks the commands of psql that pg_dump writes between its statements; places stay as they are.
fn without_psql(text: &str) -> String {
    let blank = |line: &str| {
        if line.starts_with('\\') {
            line.chars().map(|c| if c == '\n' { c.to_string() } else { " ".repeat(c.len_utf8()) }).collect()
        } else {
            line.to_owned()
        }
    };
    text.split_inclusive('\n').map(blank).collect()
}

pub(crate) fn read(file: &SqlFile<'_>, unreadable: &mut Vec<Unreadable>) -> Vec<Statement> {
    match script::read(file.text) {
        Ok(statements) => statements,
        Err(wrong) => {
            unreadable.extend(wrong.into_iter().map(|misread| Unreadable {
                file: file.name.to_owned(),
                start: misread.start,
                end: misread.end,
                message: misread.message,
            }));
            Vec::new()
        }
    }
}

fn report(
    file: &str,
    statement: &Statement,
    schema: &mut KnownSchema,
    open: &mut OpenTransaction,
    version: ServerVersion,
) -> StatementReport {
    let mut whole = Effect::default();
    let mut findings: Vec<LintFinding> = Vec::new();
    let mut fixed: Vec<String> = Vec::new();
    let mut fixes = false;
    for step in &statement.steps {
        let effect = effect::effect(&step.act, schema, version);
        let case = Case { statement, step, effect: &effect, schema, version, open };
        let found = rules::check(&case);
        let fix = found.iter().find_map(|(_, rewrite)| match rewrite {
            Rewrite::Fix(text) => Some(text.clone()),
            _ => None,
        });
        let hopeless = found.iter().any(|(finding, rewrite)| {
            finding.severity == Severity::Error && !matches!(rewrite, Rewrite::Fix(_))
        });
        fixes |= fix.is_some() && !hopeless;
        fixed.push(fix.filter(|_| !hopeless).unwrap_or_else(|| step.text.clone()));
        for (finding, _) in found {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        open.take(&step.act, &effect, schema);
        whole.merge(&effect);
        // The section undo tells what could be, not what is: the next file does not build on it.
        if statement.section != Some(Section::Undo) {
            schema.fold(&step.act);
        }
    }
    findings.sort_by_key(|finding| finding.severity);
    StatementReport {
        file: file.to_owned(),
        line: statement.line,
        statement: statement.text.clone(),
        locks: whole.locks,
        rewrites: whole.rewrites.into_iter().collect(),
        scans: whole.scans.into_iter().collect(),
        findings,
        section: statement.section,
        start: statement.start,
        end: statement.end,
        fix: fixes.then(|| fixed.join(";\n")),
    }
}
