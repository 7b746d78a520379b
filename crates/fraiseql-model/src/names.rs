//! Identifiers: quoting for SQL, and the nearest known name for hints.

/// Returns `name` as a quoted SQL identifier, embedded quotes doubled.
pub fn quote_identifier(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    for character in name.chars() {
        if character == '"' {
            quoted.push('"');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

/// Returns `value` as a SQL string literal that is safe under any `standard_conforming_strings`.
///
/// For values that are part of the schema (enum labels, type names), never for what a client sent.
pub fn quote_literal(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 3);
    if value.contains('\\') {
        quoted.push('E');
    }
    quoted.push('\'');
    for character in value.chars() {
        if matches!(character, '\'' | '\\') {
            quoted.push(character);
        }
        quoted.push(character);
    }
    quoted.push('\'');
    quoted
}

/// Returns the candidate that is most likely meant by `written`, or `None` when nothing is close.
///
/// Case and underscores do not count; at most a third of the letters may differ.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let fold = |name: &str| name.replace('_', "").to_lowercase();
    let folded = fold(written);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&folded, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(3) / 3)
        .min_by(|left, right| left.cmp(right))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(quote_identifier(r#"a"b"#), r#""a""b""#);
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal(r"a\'b"), r"E'a\\''b'");
    }

    #[test]
    fn nearest_ignores_case_and_underscores() {
        assert_eq!(nearest("artistid", ["artist_id", "album_id"]), Some("artist_id"));
        assert_eq!(nearest("titel", ["title", "name"]), Some("title"));
        assert_eq!(nearest("zebra", ["title", "name"]), None);
    }
}
