//! Collects diagnostics while a schema is compiled, and puts them in the order of the file.

use apollo_compiler::parser::SourceSpan;
use fraiseql_model::diagnostic::{Diagnostic, Severity, Span};
use fraiseql_model::errors::ErrorCode;
use fraiseql_model::names::nearest;

/// Where something stands; `None` for what the author did not write.
pub(crate) type Place = Option<SourceSpan>;

/// The diagnostics of one run.
#[derive(Debug)]
pub(crate) struct Findings {
    file: String,
    list: Vec<Diagnostic>,
}

impl Findings {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), list: Vec::new() }
    }

    /// Returns an empty collection for the same file.
    pub(crate) fn scratch(&self) -> Self {
        Self::new(&self.file)
    }

    /// Adds a diagnostic that belongs to `place`.
    pub(crate) fn add(&mut self, place: Place, diagnostic: Diagnostic) {
        self.list.push(match place {
            Some(place) => {
                let (start, end) = (place.offset(), place.end_offset());
                let file = self.file.clone();
                diagnostic.at(Span { file, start, end })
            }
            None => diagnostic,
        });
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.list.iter().any(|found| found.severity == Severity::Error)
    }

    /// Returns where the diagnostics of one code stand.
    pub(crate) fn spans_of(&self, code: &ErrorCode) -> Vec<Span> {
        let of_code = self.list.iter().filter(|found| found.code == code);
        of_code.filter_map(|found| found.span.clone()).collect()
    }

    /// Keeps what passes the test.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&Diagnostic) -> bool) {
        self.list.retain(keep);
    }

    /// Returns the diagnostics in the order of the file, those of the whole project last.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        let place = |found: &Diagnostic| found.span.as_ref().map_or(usize::MAX, |span| span.start);
        self.list.sort_by(|left, right| (place(left), left.code.code).cmp(&(place(right), right.code.code)));
        self.list.dedup();
        self.list
    }
}

/// Adds a hint with the nearest of the known names, when one is near.
pub(crate) fn suggesting<'n>(
    diagnostic: Diagnostic,
    written: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> Diagnostic {
    match nearest(written, known) {
        Some(name) => diagnostic.hint(format!("did you mean \"{name}\"?")),
        None => diagnostic,
    }
}

/// Returns `a`, `a and b`, `a, b and c`.
pub(crate) fn listed<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}
