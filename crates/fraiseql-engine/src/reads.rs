//! What a planned statement reads, so that somebody can watch for changes of it.
//!
//! Taken from the SQL itself: whatever the planner learns to write, a relation that a statement
//! names cannot be missed. Too much is harmless here, too little is not.

use std::collections::BTreeSet;

use crate::plan::Statement;
use crate::schema::Schema;

/// What a statement reads. Names are `schema.name`, unquoted, as in the manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reads {
    /// Tables and views: rows, filters and orders alike.
    pub relations: BTreeSet<String>,
    /// Functions that are called; what they read is not known here.
    pub functions: BTreeSet<String>,
}

/// Returns what a statement that was planned against `schema` reads.
pub fn reads(schema: &Schema, statement: &Statement) -> Reads {
    let artifact = &schema.artifact;
    let mut known: BTreeSet<String> =
        artifact.objects.values().map(|object| object.relation.to_string()).collect();
    known.extend(artifact.manifest.reads.keys().cloned());
    let mut found = Reads::default();
    for (name, called) in qualified_names(&statement.sql) {
        if called {
            found.functions.insert(name);
        } else if known.contains(&name) {
            found.relations.insert(name);
        }
    }
    found
}

/// Returns each `"a"."b"` of a statement as `a.b`, and whether it is called. What is of
/// `pg_catalog` reads nothing that changes.
fn qualified_names(sql: &str) -> Vec<(String, bool)> {
    let mut names = Vec::new();
    let mut rest = sql;
    while let Some(start) = rest.find(['"', '\'']) {
        if rest.as_bytes()[start] == b'\'' {
            rest = quoted(&rest[start..], '\'').1;
            continue;
        }
        let (first, behind) = quoted(&rest[start..], '"');
        rest = behind;
        let Some(second) = behind.strip_prefix('.').filter(|second| second.starts_with('"')) else {
            continue;
        };
        let (second, behind) = quoted(second, '"');
        rest = behind;
        if first != "pg_catalog" {
            names.push((format!("{first}.{second}"), behind.starts_with('(')));
        }
    }
    names
}

/// Reads a quoted word, doubled quotes within it; returns it and what follows.
fn quoted(text: &str, quote: char) -> (String, &str) {
    let mut word = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character != quote {
            word.push(character);
        } else if characters.peek().is_some_and(|(_, next)| *next == quote) {
            characters.next();
            word.push(quote);
        } else {
            return (word, &text[at + quote.len_utf8()..]);
        }
    }
    (word, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sql: &str, expected: &[(&str, bool)]) {
        let expected: Vec<_> = expected.iter().map(|(name, called)| ((*name).to_owned(), *called)).collect();
        assert_eq!(qualified_names(sql), expected);
    }

    #[test]
    fn names_are_found_wherever_they_stand() {
        check(r#"SELECT "1"."a" FROM "public"."album" AS "1""#, &[("1.a", false), ("public.album", false)]);
        check(r#"SELECT "s"."top"($1::"pg_catalog"."int4")"#, &[("s.top", true)]);
        check(r#"SELECT '"a"."b"', 'it''s' FROM "we""ird"."ta.ble""#, &[("we\"ird.ta.ble", false)]);
        check(r#"SELECT "a", "b" FROM "unended"."#, &[]);
        check(r#"SELECT "a"."unended"#, &[("a.unended", false)]);
    }
}
