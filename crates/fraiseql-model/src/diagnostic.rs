//! Diagnostics with a place in a source file, shown as a compiler shows them.

use std::fmt::Write as _;

use serde::Serialize;

use crate::errors::ErrorCode;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing is written.
    Error,
    /// The result stands; somebody should look.
    Warning,
}

/// A stretch of a source file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Span {
    /// The file, as the user named it.
    pub file: String,
    /// Byte offset of the first byte.
    pub start: usize,
    /// Byte offset behind the last byte.
    pub end: usize,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The stable code, with a page of its own.
    #[serde(serialize_with = "serialize_code")]
    pub code: &'static ErrorCode,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// Where; `None` for the project as a whole.
    pub span: Option<Span>,
    /// Why it is wrong, when the message alone does not tell.
    pub why: Option<String>,
    /// What to type.
    pub hint: Option<String>,
}

fn serialize_code<S: serde::Serializer>(code: &&'static ErrorCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.code)
}

impl Diagnostic {
    /// Makes an error.
    pub fn error(code: &'static ErrorCode, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, message: message.into(), span: None, why: None, hint: None }
    }

    /// Makes a warning.
    pub fn warning(code: &'static ErrorCode, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Adds the place.
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// Adds the reason.
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// Adds what to type.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the diagnostic as text without colour, several lines, ending in a newline.
    ///
    /// `source` is the content of the file that the span names.
    pub fn render(&self, source: Option<&str>) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut text = format!("{severity}[{}]: {}\n", self.code.code, self.message);
        let mut gutter = 1;
        if let Some(span) = &self.span {
            match source {
                Some(source) => gutter = render_span(&mut text, span, source),
                None => text.push_str(&format!("  --> {}\n", span.file)),
            }
        }
        for (label, note) in [("why", &self.why), ("help", &self.hint)] {
            if let Some(note) = note {
                let mut lines = note.lines();
                let first = lines.next().unwrap_or("");
                writeln!(text, "{:gutter$} = {label}: {first}", "").expect("a String takes every write");
                for line in lines {
                    let indent = gutter + 5 + label.len();
                    writeln!(text, "{:indent$}{line}", "").expect("a String takes every write");
                }
            }
        }
        text
    }
}

/// Returns line and column of a byte offset, both from 1; columns count characters.
pub fn line_and_column(source: &str, offset: usize) -> (usize, usize) {
    let before = &source[..floor_char_boundary(source, offset)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn render_span(text: &mut String, span: &Span, source: &str) -> usize {
    let (line, column) = line_and_column(source, span.start);
    let content = source.lines().nth(line - 1).unwrap_or("");
    let gutter = line.to_string().len();
    let last = floor_char_boundary(source, span.end);
    let spanned = source.get(floor_char_boundary(source, span.start)..last).unwrap_or("");
    let carets = spanned.lines().next().unwrap_or("").chars().count().max(1);
    let pad: String = content.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    write!(
        text,
        "{:gutter$}--> {}:{line}:{column}\n{:gutter$} |\n{line} | {content}\n{:gutter$} | {pad}{}\n",
        "",
        span.file,
        "",
        "",
        "^".repeat(carets)
    )
    .expect("a String takes every write");
    gutter
}

fn floor_char_boundary(source: &str, offset: usize) -> usize {
    let mut offset = offset.min(source.len());
    while !source.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors;

    #[test]
    fn shows_the_line_the_reason_and_what_to_type() {
        let source = "type Artist {\n\tñame: Strin\n}\n";
        let start = source.find("Strin").unwrap();
        let diagnostic = Diagnostic::error(&errors::SDL_UNKNOWN_TYPE, "no type named \"Strin\"")
            .at(Span { file: "shop/schema.graphql".to_owned(), start, end: start + 5 })
            .why("fields have a scalar, an enum or an object type")
            .hint("did you mean \"String\"?");
        assert_eq!(
            diagnostic.render(Some(source)),
            "error[FQ-SDL-003]: no type named \"Strin\"\n \
             --> shop/schema.graphql:2:8\n  \
             |\n\
             2 | \tñame: Strin\n  \
             | \t      ^^^^^\n  \
             = why: fields have a scalar, an enum or an object type\n  \
             = help: did you mean \"String\"?\n"
        );
    }

    #[test]
    fn offsets_past_the_end_or_inside_a_character_do_not_panic() {
        assert_eq!(line_and_column("é", 1), (1, 1));
        assert_eq!(line_and_column("a\nb", 99), (2, 2));
    }
}
