//! A rough look at a document's tokens, for what the parser's library does not tell.
//!
//! It accepts everything: what is not GraphQL is named by the parser.

use fraiseql_model::response::Location;

/// Splits a text roughly: strings, names and single characters; comments and blanks are left out.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest),
            '#' => rest.find(['\n', '\r']).unwrap_or(rest.len()),
            first if first.is_ascii_alphabetic() || first == '_' => {
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())
            }
            '-' | '0'..='9' => {
                rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-+._".contains(c)).unwrap_or(rest.len())
            }
            first => first.len_utf8(),
        };
        if !matches!(first, '#' | ',' | '\u{feff}') && !first.is_ascii_whitespace() {
            tokens.push(Token { from_end: rest.len(), text: &rest[..length] });
        }
        rest = &rest[length..];
    }
    tokens
}

/// A word, number, string or single character.
pub(crate) struct Token<'t> {
    /// Bytes from the end of the text, which no replacement before it changes.
    pub(crate) from_end: usize,
    pub(crate) text: &'t str,
}

/// Returns the place of the first field of an input object without a value, as in `{a}`.
///
/// The parser's library lets it pass and forgets the field.
pub(crate) fn field_without_value(text: &str) -> Option<Location> {
    let tokens = tokens(text);
    let mut nesting: Vec<u8> = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token.text.as_bytes() {
            [open @ (b'(' | b'[' | b'{')] => nesting.push(*open),
            [b')' | b']' | b'}'] => drop(nesting.pop()),
            [first, ..] if first.is_ascii_alphabetic() || *first == b'_' => {
                let before = index.checked_sub(1).map_or("", |index| tokens[index].text);
                let next = tokens.get(index + 1).map_or("", |token| token.text);
                let in_object = nesting.last() == Some(&b'{') && nesting.contains(&b'(');
                if in_object && next != ":" && !matches!(before, ":" | "$") {
                    return Some(location(text, text.len() - token.from_end));
                }
            }
            _ => {}
        }
    }
    None
}

/// Returns line and column of a byte, both from 1.
pub(crate) fn location(text: &str, offset: usize) -> Location {
    let before = text.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Location { line, column }
}

fn string_length(text: &str) -> usize {
    if let Some(block) = text.strip_prefix("\"\"\"") {
        let mut from = 0;
        while let Some(end) = block[from..].find("\"\"\"") {
            if !block[..from + end].ends_with('\\') {
                return 3 + from + end + 3;
            }
            from += end + 3;
        }
        return text.len();
    }
    let mut escaped = false;
    for (index, character) in text.char_indices().skip(1) {
        match character {
            '\n' | '\r' => return index,
            '"' if !escaped => return index + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<usize>) {
        assert_eq!(field_without_value(text).map(|location| location.column), expected, "{text}");
    }

    #[test]
    fn fields_without_values_are_found() {
        check("{a(b:{c})}", Some(7));
        check("{a(b:{c:1 d})}", Some(11));
        check("{a(b:[{c:{d e:1}}])}", Some(11));
        check("{a(b:{c:d e:$f g:[h] i:-1.5e10 j:\"k}\"}) @x(y:{z:1}) {b}}", None);
    }
}
