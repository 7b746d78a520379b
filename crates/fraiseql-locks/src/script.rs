//! A file of SQL as statements: where each one stands, in which section and in which transaction.

use squawk_syntax::ast::AstNode;
use squawk_syntax::{SourceFile, SyntaxKind};

use crate::act::Act;
use crate::reading;
use crate::tree;

/// What a comment line begins with to open a section.
const MARKER: &str = "migrate:";

/// A section of a migration file, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Changes of the catalog that running releases do not notice.
    Expand,
    /// Writes, a range of keys at a time.
    Backfill,
    /// What is built beside the traffic.
    Index,
    /// What no release needs any more.
    Contract,
    /// Takes back expand, backfill and index.
    Undo,
}

impl Section {
    /// Returns the word that opens it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expand => "expand",
            Self::Backfill => "backfill",
            Self::Index => "index",
            Self::Contract => "contract",
            Self::Undo => "undo",
        }
    }
}

/// A statement in its place.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    /// Bytes of the file, without the semicolon.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The line it begins on, from 1.
    pub(crate) line: usize,
    /// The text, comments out, one space for each gap.
    pub(crate) text: String,
    /// What it does: at least one act.
    pub(crate) steps: Vec<Step>,
    pub(crate) section: Option<Section>,
}

/// One act, and the statement that would do only that.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) act: Act,
    pub(crate) text: String,
}

/// Where the text is not SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misread {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) message: String,
}

/// Reads a file. Fails with every place that PostgreSQL's grammar does not know.
pub(crate) fn read(source: &str) -> Result<Vec<Statement>, Vec<Misread>> {
    let parsed = SourceFile::parse(source);
    let mut wrong: Vec<Misread> = Vec::new();
    let mut last_line = None;
    for error in parsed.errors() {
        let (start, end) = (error.range().start().into(), error.range().end().into());
        // Behind the first mistake of a line the parser only stumbles on.
        let line = source[..start].matches('\n').count();
        if last_line.replace(line) != Some(line) {
            let message = message_for(error.message());
            wrong.push(Misread { start, end, message });
        }
    }
    let sections = sections(source, &mut wrong);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let file = parsed.tree();
    let mut statements = Vec::new();
    for node in file.syntax().children() {
        if node.kind() == SyntaxKind::ERROR {
            continue;
        }
        let text = tree::text(&node);
        if text.is_empty() {
            continue;
        }
        let range = node.text_range();
        let (start, mut end): (usize, usize) = (range.start().into(), range.end().into());
        let written = source[start..end].trim_end();
        end = start + written.strip_suffix(';').map_or(written, str::trim_end).len();
        let line = source[..start].matches('\n').count() + 1;
        let section = sections.iter().rev().find(|(at, _)| *at <= start).map(|(_, section)| *section);
        let steps = reading::steps(&node, &text);
        statements.push(Statement { start, end, line, text, steps, section });
    }
    Ok(statements)
}

/// The parser speaks of its own tokens, such as ALTER_KW.
fn message_for(message: &str) -> String {
    if message.starts_with("expected command") {
        return "this begins no statement that PostgreSQL knows".to_owned();
    }
    message.replace("_KW", "")
}

/// Finds the lines `-- migrate: NAME`.
fn sections(source: &str, wrong: &mut Vec<Misread>) -> Vec<(usize, Section)> {
    let mut found: Vec<(usize, Section)> = Vec::new();
    let mut start = 0;
    for line in source.split_inclusive('\n') {
        let marker = line.trim().strip_prefix("--").map(str::trim).and_then(|rest| rest.strip_prefix(MARKER));
        if let Some(name) = marker {
            let section = match name.trim() {
                "expand" => Some(Section::Expand),
                "backfill" => Some(Section::Backfill),
                "index" => Some(Section::Index),
                "contract" => Some(Section::Contract),
                "undo" => Some(Section::Undo),
                _ => None,
            };
            let problem = match section {
                None => Some("this is no section: write expand, backfill, index, contract or undo"),
                Some(section) if found.iter().any(|(_, before)| *before == section) => {
                    Some("this section is there already")
                }
                Some(section) if found.last().is_some_and(|(_, before)| *before > section) => {
                    Some("the sections stand in the order expand, backfill, index, contract, undo")
                }
                Some(section) => {
                    found.push((start, section));
                    None
                }
            };
            if let Some(message) = problem {
                let end = start + line.trim_end().len();
                wrong.push(Misread { start, end, message: message.to_owned() });
            }
        }
        start += line.len();
    }
    found
}
