//! Descriptions of operations, fragments and variables (sections 2.4, 2.9 and 2.11): read over.
//!
//! The parser's library does not know them, and nobody asks for them. A description becomes spaces
//! before the text is parsed, so that every other token keeps its line and column.

use std::borrow::Cow;

use apollo_compiler::ast::Document;

use crate::tokens::tokens;

/// Returns `text` with spaces for the descriptions of definitions and variables.
///
/// A string that is not sound stays, so that the parser names what is wrong with it.
pub(crate) fn without_descriptions(text: &str) -> Cow<'_, str> {
    if !text.contains('"') {
        return Cow::Borrowed(text);
    }
    let tokens = tokens(text);
    let mut blanked: Option<String> = None;
    let mut nesting: Vec<u8> = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).map_or("", |index| tokens[index].text);
        let next = tokens.get(index + 1).map_or("", |token| token.text);
        match token.text.as_bytes() {
            [open @ (b'(' | b'[' | b'{')] => nesting.push(*open),
            [b')' | b']' | b'}'] => drop(nesting.pop()),
            [b'"', ..] => {
                let describes = match nesting.as_slice() {
                    [] => matches!(next, "query" | "mutation" | "subscription" | "fragment"),
                    // A string after `=` is a default, and one after another string is a mistake.
                    [b'('] => next == "$" && before != "=" && !before.starts_with('"'),
                    _ => false,
                };
                if describes && is_sound(token.text) {
                    let out = blanked.get_or_insert_with(|| text.to_owned());
                    let spaces: String =
                        token.text.chars().map(|c| if c == '\n' || c == '\r' { c } else { ' ' }).collect();
                    // What stands before has its own length by now, what comes after does not.
                    let start = out.len() - token.from_end;
                    out.replace_range(start..start + token.text.len(), &spaces);
                }
            }
            _ => {}
        }
    }
    blanked.map_or(Cow::Borrowed(text), Cow::Owned)
}

fn is_sound(string: &str) -> bool {
    Document::parse(format!("{{a(b:{string})}}"), "description").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(without_descriptions(text), expected);
    }

    #[test]
    fn descriptions_become_spaces() {
        check("\"d\" query{a}", "    query{a}");
        check("\"\"\"é\nb\"\"\" fragment F on Q{a}", "    \n     fragment F on Q{a}");
        check("query(\"x\" $a:Int \"é\" $b:Int){a}", "query(    $a:Int     $b:Int){a}");
    }

    #[test]
    fn values_and_mistakes_stay() {
        for text in [
            "query($a:String=\"x\" $b:Int){a}",
            "{a(b:\"x\")}",
            "\"d\" {a}",
            "\"\\q\" query{a}",
            "query($a:[String]=[\"x\"] $b:Int){a(c:\"$\")}",
            "\"unclosed query",
            "\"\"\"unclosed query",
            "# \"comment\" \nquery{a}",
        ] {
            check(text, text);
        }
    }
}
