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
    for Named { name, called, .. } in qualified_names(&statement.sql) {
        if called {
            found.functions.insert(name);
        } else if known.contains(&name) {
            found.relations.insert(name);
        }
    }
    found
}

/// Returns what the statements of a mutation write to: the relations behind INSERT INTO, UPDATE and
/// DELETE FROM, and every function that is called, whatever it does.
pub fn writes<'s>(statements: impl IntoIterator<Item = &'s Statement>) -> Reads {
    let mut found = Reads::default();
    for Named { name, called, written } in statements.into_iter().flat_map(|one| qualified_names(&one.sql)) {
        if written {
            found.relations.insert(name);
        } else if called {
            found.functions.insert(name);
        }
    }
    found
}

/// What stands before the name of a relation that is written to.
const WRITING: [&str; 3] = ["INSERT INTO ", "UPDATE ", "DELETE FROM "];

/// A qualified name in a statement.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    name: String,
    called: bool,
    written: bool,
}

/// Returns each `"a"."b"` of a statement as `a.b`, whether it is called, and whether it is written to.
/// What is of `pg_catalog` reads nothing that changes.
fn qualified_names(sql: &str) -> Vec<Named> {
    let mut names = Vec::new();
    let mut rest = sql;
    while let Some(start) = rest.find(['"', '\'']) {
        if rest.as_bytes()[start] == b'\'' {
            rest = quoted(&rest[start..], '\'').1;
            continue;
        }
        let written = WRITING.iter().any(|word| rest[..start].ends_with(word));
        let (first, behind) = quoted(&rest[start..], '"');
        rest = behind;
        let Some(second) = behind.strip_prefix('.').filter(|second| second.starts_with('"')) else {
            continue;
        };
        let (second, behind) = quoted(second, '"');
        rest = behind;
        if first != "pg_catalog" {
            // `INSERT INTO "a"."b" (` has a blank before its bracket, a call has none.
            let called = behind.starts_with('(');
            names.push(Named { name: format!("{first}.{second}"), called, written });
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
        let found: Vec<_> =
            qualified_names(sql).into_iter().map(|named| (named.name, named.called)).collect();
        assert_eq!(found, expected);
    }

    #[track_caller]
    fn check_writes(sql: &str, relations: &[&str], functions: &[&str]) {
        let found = writes(&[Statement { sql: sql.into(), params: Vec::new() }]);
        let texts = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>();
        assert_eq!((texts(&found.relations), texts(&found.functions)), {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            (owned(relations), owned(functions))
        });
    }

    #[test]
    fn what_is_written_is_told_from_what_is_read() {
        check_writes(r#"INSERT INTO "s"."a" ("x") SELECT "y" FROM "s"."b""#, &["s.a"], &[]);
        check_writes(r#"UPDATE "s"."a" AS "0" SET "x" = "0"."y" WHERE true"#, &["s.a"], &[]);
        check_writes(
            r#"WITH "d" AS (DELETE FROM "s"."a" AS "0" RETURNING 1) SELECT "s"."f"(1) FROM "s"."b""#,
            &["s.a"],
            &["s.f"],
        );
        check_writes(r#"SELECT 'INSERT INTO "s"."a"' FROM "s"."b""#, &[], &[]);
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
