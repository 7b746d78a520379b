//! Text becomes an AST. What the parser refuses becomes diagnostics; what it understood goes on.

use apollo_compiler::ast::Document;
use apollo_compiler::diagnostic::ToCliReport as _;
use apollo_compiler::parser::Parser;
use apollo_compiler::validation::DiagnosticList;
use fraiseql_model::diagnostic::{Diagnostic, Span};
use fraiseql_model::errors;
use fraiseql_model::names::nearest;

use crate::findings::{Findings, Place};

/// Brackets within brackets that a schema may have; deeper ones would only be an attack.
const NESTING_MAX: usize = 64;

/// Syntax errors that are looked at; a file with more is no schema.
const SYNTAX_ERRORS_MAX: usize = 200;

/// The codes that a half understood document can still give rightly.
const SURE: &[&fraiseql_model::errors::ErrorCode] = &[
    &errors::SDL_SYNTAX,
    &errors::SDL_UNKNOWN_DIRECTIVE,
    &errors::SDL_UNKNOWN_RELATION,
    &errors::SDL_UNKNOWN_COLUMN,
    &errors::SDL_TYPE_MISMATCH,
    &errors::SDL_NULLABLE,
    &errors::SDL_UNSUPPORTED,
];

/// Parses a schema as far as it can be understood. Syntax errors are in `findings`.
pub(crate) fn parse(findings: &mut Findings, file: &str, text: &str) -> Document {
    let parsed = Parser::new().recursion_limit(NESTING_MAX).parse_ast(text, file);
    match parsed {
        Ok(document) => document,
        Err(incomplete) => {
            add_syntax_errors(findings, &incomplete.errors, &incomplete.partial, text);
            incomplete.partial
        }
    }
}

/// Words that begin a definition.
const KEYWORDS: &[&str] =
    &["type", "enum", "scalar", "extend", "input", "interface", "union", "directive", "schema"];
/// What the parser calls tokens.
const TOKENS: &[(&str, &str)] = &[
    ("R_BRACK", "\"]\""),
    ("L_BRACK", "\"[\""),
    ("R_CURLY", "\"}\""),
    ("L_CURLY", "\"{\""),
    ("R_PAREN", "\")\""),
    ("L_PAREN", "\"(\""),
    ("COLON", "\":\""),
    ("EQ", "\"=\""),
    ("EOF", "the end of the file"),
];

fn add_syntax_errors(findings: &mut Findings, errors: &DiagnosticList, document: &Document, text: &str) {
    let starts: Vec<usize> =
        document.definitions.iter().filter_map(|definition| Some(definition.location()?.offset())).collect();
    let mut last: Option<usize> = None;
    for error in errors.iter().take(SYNTAX_ERRORS_MAX) {
        let place = error.error.location();
        let message = error.error.to_string();
        let message = message.strip_prefix("syntax error: ").unwrap_or(&message);
        let start = place.map_or(0, |place| place.offset());
        let no_definition = message == "expected definition" || message.contains("OperationDefinition");
        // One mistake makes the parser stumble over every token up to the next definition.
        let recovered = |before: usize| starts.iter().any(|definition| (before..start).contains(definition));
        let consequence = last.is_some_and(|before| before == start || (no_definition && !recovered(before)));
        last = Some(start);
        if consequence {
            continue;
        }
        let found = place.and_then(|place| text.get(place.offset()..place.end_offset())).unwrap_or("");
        let diagnostic = if no_definition {
            let message = format!("expected a definition, found \"{}\"", found.trim());
            let error = Diagnostic::error(&errors::SDL_SYNTAX, message);
            match nearest(found, KEYWORDS.iter().copied()) {
                Some(near) => error.hint(format!("did you mean \"{near}\"?")),
                None => error.hint("a schema consists of type, input, enum, scalar and extend type"),
            }
        } else if text.trim().is_empty() {
            Diagnostic::error(&errors::SDL_SYNTAX, "the file is empty").hint("type Query { ... }")
        } else {
            Diagnostic::error(&errors::SDL_SYNTAX, readable(message))
        };
        findings.add(place, diagnostic);
    }
}

/// Returns the parser's words in ours.
pub(crate) fn readable(message: &str) -> String {
    let mut text = message.trim().trim_end_matches('.').to_owned();
    for (token, shown) in TOKENS {
        let words = text.split(' ').map(|word| {
            let bare = word.trim_end_matches(',');
            if bare == *token { word.replacen(token, shown, 1) } else { word.to_owned() }
        });
        text = words.collect::<Vec<_>>().join(" ");
    }
    crate::casing::uncapitalised(&text)
}

/// Drops what could be the mere consequence of a syntax error: everything about definitions that
/// have one, and every code that speaks of something missing.
pub(crate) fn drop_consequences(findings: &mut Findings, document: &Document, broken: &[Span]) {
    let touched: Vec<(usize, usize)> = document
        .definitions
        .iter()
        .filter_map(|definition| definition.location())
        .map(|place: apollo_compiler::parser::SourceSpan| (place.offset(), place.end_offset()))
        .filter(|(start, end)| broken.iter().any(|span| span.start <= *end && *start <= span.end))
        .collect();
    findings.retain(|found| {
        let Some(span) = &found.span else { return false };
        let apart = !touched.iter().any(|(start, end)| *start <= span.start && span.start <= *end);
        found.code == &errors::SDL_SYNTAX || (apart && SURE.contains(&found.code))
    });
}

/// Returns where the syntax errors stand.
pub(crate) fn broken(findings: &Findings) -> Vec<Span> {
    findings.spans_of(&errors::SDL_SYNTAX)
}

/// Runs GraphQL's own rules over a document that had no other fault.
pub(crate) fn validate(findings: &mut Findings, document: &Document) {
    let mut prelude = Document::new();
    prelude.sources = document.sources.clone();
    prelude.definitions = document.definitions.clone();
    prelude.definitions.retain(|definition| !is_own_definition(definition));
    let known =
        format!("{}\n{}{}", crate::directive::DIRECTIVES, undeclared_scalars(document), one_of(document));
    let built = apollo_compiler::Schema::builder()
        .adopt_orphan_extensions()
        .parse(known, "directives.graphql")
        .add_ast(&prelude)
        .build();
    let invalid = match built {
        Ok(schema) => schema.validate().err(),
        Err(invalid) => Some(invalid),
    };
    for error in invalid.iter().flat_map(|invalid| invalid.errors.iter()) {
        // The author's file only: others are ours.
        let place: Place = error.error.location();
        let place = place.filter(|place| document.sources.contains_key(&place.file_id()));
        findings.add(place, Diagnostic::error(&errors::SDL_INVALID, error.error.to_string()));
    }
}

fn is_own_definition(definition: &apollo_compiler::ast::Definition) -> bool {
    match definition {
        apollo_compiler::ast::Definition::DirectiveDefinition(directive) => {
            crate::directive::is_ours(&directive.name)
        }
        _ => false,
    }
}

/// Returns the definition of a directive of GraphQL that the parser's library lacks.
fn one_of(document: &Document) -> &'static str {
    let mut directives = document.definitions.iter().filter_map(|found| found.as_directive_definition());
    if directives.any(|directive| directive.name == "oneOf") {
        ""
    } else {
        "directive @oneOf on INPUT_OBJECT"
    }
}

fn undeclared_scalars(document: &Document) -> String {
    let declared = |name: &str| {
        document.definitions.iter().any(|definition| {
            matches!(definition, apollo_compiler::ast::Definition::ScalarTypeDefinition(scalar) if scalar.name == name)
        })
    };
    crate::scalar::CUSTOM
        .iter()
        .filter(|scalar| !declared(scalar.name))
        .map(|scalar| format!("scalar {}\n", scalar.name))
        .collect()
}
