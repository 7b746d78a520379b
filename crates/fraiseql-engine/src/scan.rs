//! One pass over a document's bytes before the parser sees it, so that what is too large or too
//! deep costs next to nothing. It knows strings, comments and brackets, and judges no grammar.

/// What a pass found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Names, numbers, strings, punctuators, commas and comments.
    pub(crate) tokens: usize,
    /// The deepest nesting of braces, parentheses and brackets.
    pub(crate) nesting: usize,
}

/// Counts tokens and nesting; stops as soon as either is above what is allowed.
pub(crate) fn scan(text: &str, tokens_max: usize, nesting_max: usize) -> Scan {
    let bytes = text.as_bytes();
    let (mut at, mut open) = (0, 0_usize);
    let mut found = Scan { tokens: 0, nesting: 0 };
    while at < bytes.len() && found.tokens <= tokens_max && found.nesting <= nesting_max {
        let rest = &bytes[at..];
        let length = match rest[0] {
            b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            b'#' => run(rest, |byte| !matches!(byte, b'\n' | b'\r')),
            b'"' => string(rest),
            b'{' | b'(' | b'[' => {
                open += 1;
                found.nesting = found.nesting.max(open);
                1
            }
            b'}' | b')' | b']' => {
                open = open.saturating_sub(1);
                1
            }
            b'.' => run(rest, |byte| byte == b'.'),
            byte if is_word(byte) => run(rest, is_word),
            _ => 1,
        };
        found.tokens += 1;
        at += length;
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn run(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| belongs(**byte)).count()
}

/// Returns the length of the string that `bytes` begin with; an open one goes to the end.
fn string(bytes: &[u8]) -> usize {
    let block = bytes.starts_with(b"\"\"\"");
    let mut at = if block { 3 } else { 1 };
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if block => at += if bytes[at..].starts_with(b"\\\"\"\"") { 4 } else { 1 },
            b'\\' => at += 2,
            b'"' if !block => return at + 1,
            b'"' if bytes[at..].starts_with(b"\"\"\"") => return at + 3,
            b'\n' | b'\r' if !block => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, tokens: usize, nesting: usize) {
        assert_eq!(scan(text, 100, 100), Scan { tokens, nesting }, "{text}");
    }

    #[test]
    fn strings_and_comments_hide_brackets() {
        check("", 0, 0);
        check("{a(b:[1])}", 10, 3);
        check("query Q { ...F @skip(if: $x) }", 14, 2);
        check(r#"{a(b:"{[(\"{")}"#, 8, 2);
        check("{a(b:\"\"\"{\n\\\"\"\"{\"\"\")}", 8, 2);
        check("# {{{\n{a}#{", 5, 1);
        check("\"{\n{", 2, 1);
        check("}}}{", 4, 1);
        check("{é\u{feff} -1.5,}", 8, 1);
        check("\"", 1, 0);
        check("\"\\", 1, 0);
        check("\"\"\"\\", 1, 0);
    }

    #[test]
    fn it_stops_where_enough_is_known() {
        assert_eq!(scan(&"{".repeat(1_000), 100, 10), Scan { tokens: 11, nesting: 11 });
        assert_eq!(scan(&"a ".repeat(1_000), 100, 10), Scan { tokens: 101, nesting: 0 });
    }
}
