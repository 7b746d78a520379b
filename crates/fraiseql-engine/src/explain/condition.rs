//! The columns of one table in a condition, as EXPLAIN prints it: `("1".artist_id = "0".artist_id)`.

/// How a column is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Comparison {
    /// `=`: an index finds it at once.
    Equal,
    /// `<`, `>=` and so on: a B-tree finds the stretch.
    Range,
    /// `LIKE` and `ILIKE`: an index on trigrams.
    Pattern,
    /// No index that we would know.
    Other,
}

/// Returns the columns of the table that the statement calls `alias`, in the order of the text, each once.
pub(super) fn columns(condition: &str, alias: &str) -> Vec<(String, Comparison)> {
    let mut found: Vec<(String, Comparison)> = Vec::new();
    let mut at = 0;
    while let Some((owner, behind)) = identifier(condition, at) {
        at = behind;
        if owner != alias || !condition[behind..].starts_with('.') {
            continue;
        }
        let start = behind;
        let Some((column, behind)) = identifier(condition, start + 1) else { break };
        at = behind;
        if !found.iter().any(|(known, _)| *known == column) {
            found.push((column, comparison(condition, behind)));
        }
    }
    found
}

/// Returns the next identifier at or behind `from`, unquoted, and where it ends. String literals are passed over.
fn identifier(text: &str, from: usize) -> Option<(String, usize)> {
    let bytes = text.as_bytes();
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b'\'' => at = closing(bytes, at, b'\''),
            b'"' => {
                let end = closing(bytes, at, b'"');
                return Some((text.get(at + 1..end - 1)?.replace("\"\"", "\""), end));
            }
            byte if byte == b'_' || byte.is_ascii_alphabetic() || byte >= 0x80 => {
                let is_part = |byte: &&u8| {
                    **byte == b'_' || **byte == b'$' || byte.is_ascii_alphanumeric() || **byte >= 0x80
                };
                let end = at + bytes[at..].iter().take_while(is_part).count();
                return Some((text[at..end].to_owned(), end));
            }
            b'$' => at += 1 + bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count(),
            _ => at += 1,
        }
    }
    None
}

/// Returns the place behind the quote that closes the one at `at`; doubled quotes do not.
fn closing(bytes: &[u8], at: usize, quote: u8) -> usize {
    let mut at = at + 1;
    while at < bytes.len() {
        if bytes[at] == quote {
            if bytes.get(at + 1) != Some(&quote) {
                return at + 1;
            }
            at += 1;
        }
        at += 1;
    }
    bytes.len()
}

/// Returns the operator behind a column: past brackets and casts. What stands on the right of one has none
/// behind it, and is looked at from the left.
fn comparison(condition: &str, behind: usize) -> Comparison {
    let mut rest = condition[behind..].trim_start_matches(')');
    while let Some(cast) = rest.strip_prefix("::") {
        let end = cast.find([' ', ')']).unwrap_or(cast.len());
        rest = cast[end..].trim_start_matches(')');
    }
    let operator = rest.trim_start().split(' ').next().unwrap_or("");
    let operator = match operator {
        "" | "AND" | "OR" => before(condition, behind),
        operator => operator,
    };
    match operator {
        "=" => Comparison::Equal,
        "<" | "<=" | ">" | ">=" => Comparison::Range,
        "~~" | "~~*" => Comparison::Pattern,
        _ => Comparison::Other,
    }
}

fn before(condition: &str, behind: usize) -> &str {
    let mut words = condition[..behind].rsplit(' ');
    words.next();
    words.next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(condition: &str, expected: &[(&str, Comparison)]) {
        let found = columns(condition, "1");
        let found: Vec<(&str, Comparison)> =
            found.iter().map(|(name, comparison)| (name.as_str(), *comparison)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn columns_are_found_with_how_they_are_compared() {
        check(r#"("1".artist_id = "0".artist_id)"#, &[("artist_id", Comparison::Equal)]);
        check(r#"("0".artist_id = "1".artist_id)"#, &[("artist_id", Comparison::Equal)]);
        check(r#"(("1".name)::text ~~* $2)"#, &[("name", Comparison::Pattern)]);
        check(
            r#"(("1"."odd ""one" > $1) AND ("1".b = 'a.''"1".c'::text))"#,
            &[("odd \"one", Comparison::Range), ("b", Comparison::Equal)],
        );
        check(r#"("1".a IS NULL)"#, &[("a", Comparison::Other)]);
        check("(true)", &[]);
    }
}
