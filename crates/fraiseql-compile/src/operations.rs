//! Files of operations become persisted operations of an artifact. The schema is compiled already.
//!
//! One file holds one named operation and fragments of its own. A file with fragments only is for
//! all operations: what one of them uses is put behind its text, so that the text stands alone.

use std::collections::{BTreeMap, BTreeSet};

use apollo_compiler::ast::{Definition, Document, FragmentDefinition, OperationType, Selection};
use apollo_compiler::diagnostic::ToCliReport;
use apollo_compiler::parser::Parser;
use apollo_compiler::{Name, Node};
use fraiseql_engine::{Document as Checked, Limits, Schema};
use fraiseql_model::artifact::{Artifact, PersistedKind, PersistedOperation};
use fraiseql_model::diagnostic::{Diagnostic, Span};
use fraiseql_model::digest::sha256_hex;
use fraiseql_model::errors;
use fraiseql_model::response::{GraphqlError, Location};

use crate::casing::uncapitalised;
use crate::compile::{Compiled, Source};
use crate::syntax::readable;

/// How deep a file may nest.
const NESTING_MAX: usize = 250;

/// Adds the operations of `files` to an artifact that [`crate::compile`] made.
///
/// Every problem of every file is told, in the order of the files. The order of the files does not
/// change the artifact. Any text at all gives diagnostics, never a panic.
pub fn with_operations(artifact: Artifact, files: &[Source<'_>]) -> Compiled {
    let mut diagnostics = Vec::new();
    let parsed: Vec<File<'_>> = files.iter().filter_map(|file| parse(&mut diagnostics, *file)).collect();
    check_names(&mut diagnostics, &parsed);
    let shared = shared_fragments(&parsed);
    let schema = match Schema::load_validated(Artifact { operations: Vec::new(), ..artifact.clone() }) {
        Ok(schema) => schema,
        Err(error) => {
            diagnostics.push(Diagnostic::error(&errors::SDL_INVALID, error.to_string()));
            return Compiled { artifact: None, diagnostics };
        }
    };
    let mut operations = Vec::new();
    for file in &parsed {
        if let Some((name, kind)) = &file.operation {
            let text = Assembled::new(file, &shared);
            match Checked::parse(&schema, &text.text, &Limits::CEILING) {
                Ok(_fits) => operations.push(PersistedOperation {
                    name: name.clone(),
                    kind: *kind,
                    file: file.source.file.to_owned(),
                    id: sha256_hex(text.text.as_bytes()),
                    text: text.text,
                }),
                Err(found) => diagnostics.extend(found.iter().map(|error| text.diagnostic(error))),
            }
        }
    }
    let file = |found: &Diagnostic| {
        let span = found.span.as_ref()?;
        Some((files.iter().position(|file| file.file == span.file), span.start))
    };
    diagnostics.sort_by_key(file);
    diagnostics.dedup();
    operations.sort_by(|left, right| left.name.cmp(&right.name));
    let artifact = diagnostics.is_empty().then(|| Artifact { operations, ..artifact }.seal().0);
    Compiled { artifact, diagnostics }
}

/// A file that parsed.
struct File<'a> {
    source: Source<'a>,
    document: Document,
    /// Name and kind; `None` for a file of fragments only.
    operation: Option<(String, PersistedKind)>,
}

fn parse<'a>(diagnostics: &mut Vec<Diagnostic>, source: Source<'a>) -> Option<File<'a>> {
    let document = match Parser::new().recursion_limit(NESTING_MAX).parse_ast(source.text, source.file) {
        Ok(document) => document,
        Err(invalid) => {
            // What follows the first error is mostly its consequence.
            let first = invalid.errors.iter().next()?;
            let message = first.error.to_string();
            let message = readable(message.strip_prefix("syntax error: ").unwrap_or(&message));
            let (start, end) = first.error.location().map_or((0, 0), |at| (at.offset(), at.end_offset()));
            diagnostics.push(Diagnostic::error(&errors::OPS_SYNTAX, message).at(span(source, start, end)));
            return None;
        }
    };
    let mut operations = Vec::new();
    for definition in &document.definitions {
        match definition {
            Definition::OperationDefinition(operation) => operations.push(operation),
            Definition::FragmentDefinition(_) => {}
            other => {
                let error =
                    Diagnostic::error(&errors::OPS_SYNTAX, "a type cannot be defined among operations");
                diagnostics.push(error.at(place(source, other.location())).hint("move it to schema.graphql"));
                return None;
            }
        }
    }
    let misshapen = |message: &str, at, hint: &str| {
        Diagnostic::error(&errors::OPS_SHAPE, message).at(place(source, at)).hint(hint)
    };
    let operation = match operations.as_slice() {
        [] => None,
        [operation] => match &operation.name {
            Some(name) => Some((name.to_string(), kind(operation.operation_type))),
            None => {
                let hint = format!("{} SomeName {{ ... }}", operation.operation_type);
                diagnostics.push(misshapen("the operation has no name", operation.location(), &hint));
                return None;
            }
        },
        [_, second, ..] => {
            let hint = "give each operation a file of its own";
            diagnostics.push(misshapen("the file holds several operations", second.location(), hint));
            return None;
        }
    };
    Some(File { source, document, operation })
}

fn kind(operation: OperationType) -> PersistedKind {
    match operation {
        OperationType::Query => PersistedKind::Query,
        OperationType::Mutation => PersistedKind::Mutation,
        OperationType::Subscription => PersistedKind::Subscription,
    }
}

fn span(source: Source<'_>, start: usize, end: usize) -> Span {
    Span { file: source.file.to_owned(), start, end }
}

fn place(source: Source<'_>, at: Option<apollo_compiler::parser::SourceSpan>) -> Span {
    let start = at.map_or(0, |at| at.offset());
    span(source, start, word_end(source.text, start))
}

/// Returns where the word that begins at `start` ends.
fn word_end(text: &str, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or("");
    let word = rest.chars().take_while(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '$'));
    start + word.map(char::len_utf8).sum::<usize>().max(1)
}

fn check_names(diagnostics: &mut Vec<Diagnostic>, files: &[File<'_>]) {
    let mut operations: BTreeMap<&str, &str> = BTreeMap::new();
    let mut shared: BTreeMap<&str, &str> = BTreeMap::new();
    let (with, without): (Vec<&File<'_>>, Vec<&File<'_>>) =
        files.iter().partition(|file| file.operation.is_some());
    for file in without {
        for fragment in file.fragments() {
            match shared.get(fragment.name.as_str()) {
                Some(other) => diagnostics.push(taken(file, "fragment", &fragment.name, other)),
                None => drop(shared.insert(&fragment.name, file.source.file)),
            }
        }
    }
    for file in with {
        for definition in &file.document.definitions {
            match definition {
                Definition::OperationDefinition(operation) => {
                    let Some(name) = &operation.name else { continue };
                    match operations.get(name.as_str()) {
                        Some(other) => diagnostics.push(taken(file, "operation", name, other)),
                        None => drop(operations.insert(name, file.source.file)),
                    }
                }
                Definition::FragmentDefinition(fragment) => {
                    if let Some(other) = shared.get(fragment.name.as_str()) {
                        diagnostics.push(taken(file, "fragment", &fragment.name, other));
                    }
                }
                _ => {}
            }
        }
    }
}

fn taken(file: &File<'_>, what: &str, name: &Name, other: &str) -> Diagnostic {
    let message = format!("the {what} \"{name}\" is defined in {other} already");
    Diagnostic::error(&errors::OPS_NAME_TAKEN, message)
        .at(place(file.source, name.location()))
        .hint("rename one of the two")
}

/// A fragment that every operation may use, and the file that it stands in.
struct Shared<'f> {
    source: Source<'f>,
    definition: &'f Node<FragmentDefinition>,
}

fn shared_fragments<'f>(files: &'f [File<'_>]) -> BTreeMap<&'f str, Shared<'f>> {
    let mut shared = BTreeMap::new();
    for file in files.iter().filter(|file| file.operation.is_none()) {
        for definition in file.fragments() {
            shared.entry(definition.name.as_str()).or_insert(Shared { source: file.source, definition });
        }
    }
    shared
}

impl File<'_> {
    fn fragments(&self) -> impl Iterator<Item = &Node<FragmentDefinition>> {
        self.document.definitions.iter().filter_map(|definition| match definition {
            Definition::FragmentDefinition(fragment) => Some(fragment),
            _ => None,
        })
    }
}

/// The text of an operation with the fragments that it uses, and where each part of it came from.
struct Assembled<'f> {
    text: String,
    /// Where a part begins in `text`, its file, and where it begins there; in order.
    parts: Vec<(usize, Source<'f>, usize)>,
}

impl<'f> Assembled<'f> {
    fn new(file: &'f File<'_>, shared: &BTreeMap<&str, Shared<'f>>) -> Self {
        let own: BTreeSet<&str> = file.fragments().map(|fragment| fragment.name.as_str()).collect();
        let mut wanted = BTreeSet::new();
        let mut spreads = Vec::new();
        for definition in &file.document.definitions {
            match definition {
                Definition::OperationDefinition(operation) => spread(&operation.selection_set, &mut spreads),
                Definition::FragmentDefinition(fragment) => spread(&fragment.selection_set, &mut spreads),
                _ => {}
            }
        }
        while let Some(name) = spreads.pop() {
            if let Some(fragment) = shared.get(name).filter(|_| !own.contains(name))
                && wanted.insert(name)
            {
                spread(&fragment.definition.selection_set, &mut spreads);
            }
        }
        let mut text = file.source.text.to_owned();
        let mut parts = vec![(0, file.source, 0)];
        for Shared { source, definition } in wanted.iter().filter_map(|name| shared.get(name)) {
            let Some(at) = definition.location() else { continue };
            if !text.ends_with('\n') {
                text.push('\n');
            }
            parts.push((text.len(), *source, at.offset()));
            text.push_str(source.text.get(at.offset()..at.end_offset()).unwrap_or("").trim_end());
            text.push('\n');
        }
        Self { text, parts }
    }

    /// Returns an error of the engine as a diagnostic with its place in the author's files.
    fn diagnostic(&self, error: &GraphqlError) -> Diagnostic {
        let offset = error.locations.first().map_or(0, |location| offset(&self.text, *location));
        let found = self.parts.iter().rev().find(|(start, ..)| *start <= offset);
        let (source, start) = match found {
            Some((begin, source, there)) => (*source, there + (offset - begin)),
            None => (self.parts[0].1, 0),
        };
        let at = span(source, start, word_end(source.text, start));
        Diagnostic::error(&errors::OPS_INVALID, uncapitalised(error.message.trim_end_matches('.'))).at(at)
    }
}

/// Adds the names of the fragments that are spread, at any depth.
fn spread<'d>(selections: &'d [Selection], found: &mut Vec<&'d str>) {
    for selection in selections {
        match selection {
            Selection::Field(field) => spread(&field.selection_set, found),
            Selection::InlineFragment(fragment) => spread(&fragment.selection_set, found),
            Selection::FragmentSpread(fragment) => found.push(&fragment.fragment_name),
        }
    }
}

/// Returns the byte offset of a line and column, both from 1; columns count characters.
fn offset(text: &str, location: Location) -> usize {
    let mut lines = text.split_inclusive('\n');
    let before: usize = lines.by_ref().take(location.line.saturating_sub(1)).map(str::len).sum();
    let line = lines.next().unwrap_or("");
    let column = line.char_indices().nth(location.column.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
    before + column
}
