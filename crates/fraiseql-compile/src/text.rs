//! Writes the small pieces of SDL: strings, descriptions, directives, values.

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, InputValueDefinition};

use crate::directive::is_public;

/// Returns a string literal of GraphQL.
pub(crate) fn string(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for character in text.chars() {
        match character {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            control if control.is_control() => literal.push_str(&format!("\\u{:04X}", u32::from(control))),
            other => literal.push(other),
        }
    }
    literal.push('"');
    literal
}

/// Appends a description as lines of their own, indented; nothing for none.
///
/// Several lines are a block string where that keeps the text to the letter, else a string with
/// escapes: section 2.9.4 of the specification takes common indentation and blank edges away.
pub(crate) fn describe(out: &mut String, indent: &str, description: Option<&str>) {
    let Some(text) = description.filter(|text| !text.is_empty()) else { return };
    if !text.contains('\n') || !survives_as_block(text) {
        out.push_str(&format!("{indent}{}\n", string(text)));
        return;
    }
    out.push_str(&format!("{indent}\"\"\"\n"));
    for line in text.replace("\"\"\"", "\\\"\"\"").split('\n') {
        if line.is_empty() {
            out.push('\n');
        } else {
            out.push_str(&format!("{indent}{line}\n"));
        }
    }
    out.push_str(&format!("{indent}\"\"\"\n"));
}

fn survives_as_block(text: &str) -> bool {
    let lines: Vec<&str> = text.split('\n').collect();
    let blank = |line: &&str| line.chars().all(|character| matches!(character, ' ' | '\t'));
    let starts_flush = |line: &&str| !line.starts_with([' ', '\t']) && !line.is_empty();
    !text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\t'))
        && !text.ends_with('\\')
        && !lines.first().is_some_and(blank)
        && !lines.last().is_some_and(blank)
        && lines.iter().all(|line| line.is_empty() || !blank(line))
        && lines.iter().any(starts_flush)
}

/// Returns those directives that stay in the public schema, each with a space before it.
pub(crate) fn public_directives<'d>(list: impl IntoIterator<Item = &'d Node<Directive>>) -> String {
    let public = list.into_iter().filter(|directive| is_public(&directive.name));
    public.map(|directive| format!(" {}", directive.serialize().no_indent())).collect()
}

/// Returns an argument definition as the author wrote it, without our directives.
pub(crate) fn argument(definition: &InputValueDefinition) -> String {
    let description = definition.description.as_deref().filter(|text| !text.is_empty());
    let description = description.map_or_else(String::new, |text| format!("{} ", string(text)));
    format!("{description}{}", input_value(definition))
}

/// Returns an argument or a field of an input without its description.
pub(crate) fn input_value(definition: &InputValueDefinition) -> String {
    let default = definition.default_value.as_ref();
    let default = default.map_or_else(String::new, |value| format!(" = {}", value.serialize().no_indent()));
    let directives = public_directives(definition.directives.iter());
    format!("{}: {}{default}{directives}", definition.name, definition.ty)
}

#[cfg(test)]
mod tests {
    use apollo_compiler::Schema;

    use super::*;

    /// Writes a description and reads it back with another parser.
    #[track_caller]
    fn check(text: &str) {
        for indent in ["", "  "] {
            let mut sdl = String::new();
            if indent.is_empty() {
                describe(&mut sdl, indent, Some(text));
                sdl.push_str("type Query { a: Int }");
            } else {
                sdl.push_str("type Query {\n");
                describe(&mut sdl, indent, Some(text));
                sdl.push_str("  a: Int\n}\n");
            }
            let schema = Schema::parse_and_validate(&sdl, "test.graphql").unwrap_or_else(|_| panic!("{sdl}"));
            let query = schema.get_object("Query").unwrap();
            let found = if indent.is_empty() {
                query.description.as_deref()
            } else {
                query.fields["a"].description.as_deref()
            };
            assert_eq!(found, Some(text), "{sdl}");
        }
    }

    #[test]
    fn descriptions_survive_to_the_letter() {
        for text in [
            "One line.",
            "Two\nlines",
            "It's \"quoted\"",
            "three \"\"\" quotes",
            "ends with a quote\"",
            "ends with a backslash \\",
            "  indented",
            "first\n  second\n\nfourth",
            "\nstarts with a blank line",
            "ends with a newline\n",
            "windows\r\nline",
            "a\tb\u{7}c",
            "größe 名前 🎵",
            " ",
            "a\n   \nb",
        ] {
            check(text);
        }
    }
}
