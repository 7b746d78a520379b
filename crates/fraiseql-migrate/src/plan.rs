//! What a migration file asks for, statement by statement, and the way in which each one runs.

use fraiseql_locks::{LintFinding, LintRequest, Section, ServerVersion, SqlFile, StatementReport, lint};
use sha2::{Digest, Sha256};

use crate::error::MigrateError;

/// A migration file as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationFile {
    /// Its name without the folder and `.sql`, for example `0001_email_lower`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A statement of a migration.
#[derive(Clone, Debug, PartialEq)]
pub struct MigrationStep {
    /// The name of its migration.
    pub migration: String,
    /// Its section.
    pub section: Section,
    /// Its number within the section, from 1.
    pub position: i32,
    /// The line on which it begins, from 1.
    pub line: usize,
    /// Its text, comments out.
    pub text: String,
    /// SHA-256 of its text, as lower-case hexadecimal digits.
    pub checksum: String,
    /// The relations that it locks, and how.
    pub locks: Vec<(String, String)>,
    /// What the linter has against it.
    pub findings: Vec<LintFinding>,
    /// How it runs.
    pub way: StepWay,
}

/// How a statement runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepWay {
    /// In a transaction of its own, together with its line of the ledger.
    Transaction,
    /// Outside of any transaction, as PostgreSQL asks.
    Alone,
    /// Builds an index beside the traffic.
    BuildIndex {
        /// The table, as it is written.
        table: String,
        /// The name of the index.
        index: String,
    },
    /// Again and again, for a range of keys each time.
    Batches {
        /// The table, as it is written.
        table: String,
        /// The column that `$1` and `$2` bound.
        column: String,
    },
}

impl MigrationStep {
    /// Returns what it is called in messages: file and line.
    pub fn place(&self) -> String {
        format!("{}.sql:{}", self.migration, self.line)
    }
}

/// Returns the statements of the files in their order.
///
/// # Errors
///
/// When a file cannot be read as SQL, has no sections, or holds a statement that cannot run in its section.
pub fn steps(files: &[MigrationFile], version: ServerVersion) -> Result<Vec<MigrationStep>, MigrateError> {
    let named: Vec<SqlFile<'_>> =
        files.iter().map(|file| SqlFile { name: &file.name, text: &file.text }).collect();
    let request = LintRequest { files: &named, schema: &[], version, one_transaction: false };
    let reports = lint(&request).map_err(|wrong| {
        let told: Vec<String> = wrong.iter().map(|at| format!("{}.sql: {}", at.file, at.message)).collect();
        MigrateError::Unreadable(told.join("; "))
    })?;
    let mut steps: Vec<MigrationStep> = Vec::new();
    for report in &reports {
        let place = || format!("{}.sql:{}", report.file, report.line);
        let section = report.section.ok_or_else(|| MigrateError::Refused {
            place: place(),
            reason: "it stands in no section".to_owned(),
            hint: "write `-- migrate: expand` above it",
        })?;
        let same = |step: &&MigrationStep| step.migration == report.file && step.section == section;
        let position = i32::try_from(steps.iter().filter(same).count()).unwrap_or(i32::MAX) + 1;
        let way = way(report, section).map_err(|(reason, hint)| MigrateError::Refused {
            place: place(),
            reason,
            hint,
        })?;
        let digest = Sha256::digest(report.statement.as_bytes());
        steps.push(MigrationStep {
            migration: report.file.clone(),
            section,
            position,
            line: report.line,
            text: report.statement.clone(),
            checksum: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            locks: report.locks.iter().map(|(table, mode)| (table.clone(), mode.to_string())).collect(),
            findings: report.findings.clone(),
            way,
        });
    }
    Ok(steps)
}

fn way(report: &StatementReport, section: Section) -> Result<StepWay, (String, &'static str)> {
    let words: Vec<&str> = report.statement.split(' ').collect();
    let is =
        |place: usize, word: &str| words.get(place).is_some_and(|found| found.eq_ignore_ascii_case(word));
    if ["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "SAVEPOINT"].iter().any(|word| is(0, word)) {
        let hint = "take it out: each statement has a transaction of its own";
        return Err(("a migration does not steer transactions".to_owned(), hint));
    }
    if section == Section::Backfill {
        return batches(&report.statement, &words);
    }
    let concurrently = words.iter().position(|word| word.eq_ignore_ascii_case("CONCURRENTLY"));
    match concurrently {
        Some(at) if is(0, "CREATE") => {
            let rest = &words[at + 1..];
            let rest = if rest.first().is_some_and(|word| word.eq_ignore_ascii_case("IF")) {
                rest.get(3..).unwrap_or_default()
            } else {
                rest
            };
            let nameless = rest.first().is_none_or(|word| word.eq_ignore_ascii_case("ON"));
            let on = rest.iter().position(|word| word.eq_ignore_ascii_case("ON"));
            let table = on.and_then(|on| rest.get(on + 1..)).map(|rest| {
                let only = rest.first().is_some_and(|word| word.eq_ignore_ascii_case("ONLY"));
                rest.get(usize::from(only)).copied().unwrap_or("")
            });
            match table {
                Some(table) if !nameless => Ok(StepWay::BuildIndex {
                    table: table.split('(').next().unwrap_or(table).to_owned(),
                    index: unquoted(rest[0]),
                }),
                _ => Err((
                    "an index without a name cannot be found again".to_owned(),
                    "CREATE INDEX CONCURRENTLY name ON table (column)",
                )),
            }
        }
        Some(_) => Ok(StepWay::Alone),
        None if is(0, "VACUUM") || (is(0, "ALTER") && is(1, "TYPE") && is(3, "ADD") && is(4, "VALUE")) => {
            Ok(StepWay::Alone)
        }
        None => Ok(StepWay::Transaction),
    }
}

fn batches(text: &str, words: &[&str]) -> Result<StepWay, (String, &'static str)> {
    let hint = "UPDATE table SET column = expression WHERE id BETWEEN $1 AND $2";
    let refused = |reason: &str| Err((reason.to_owned(), hint));
    let word = |place: usize| words.get(place).copied().unwrap_or("");
    let first = if word(0).eq_ignore_ascii_case("UPDATE") {
        1
    } else if word(0).eq_ignore_ascii_case("DELETE") {
        2
    } else {
        return refused("a backfill is an UPDATE or a DELETE");
    };
    let first = first + usize::from(word(first).eq_ignore_ascii_case("ONLY"));
    let upper = text.to_ascii_uppercase();
    let Some(at) = upper.find(" BETWEEN $1 AND $2") else {
        return refused("it has no range of keys, and would lock every row until the last one is done");
    };
    if text.matches("$1").count() != 1 || text.matches("$2").count() != 1 {
        return refused("it names the bounds of a batch more than once");
    }
    let column = text[..at].rsplit([' ', '(', '.']).next().unwrap_or("");
    Ok(StepWay::Batches { table: word(first).to_owned(), column: unquoted(column) })
}

/// Returns a name as the catalog has it.
pub(crate) fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(name) => name.replace("\"\"", "\""),
        None => name.to_lowercase(),
    }
}

/// Returns a query that counts the rows which a backfill has left, where its text tells which those are:
/// `UPDATE table SET column = expression, ... WHERE key BETWEEN $1 AND $2` and nothing more.
pub(crate) fn proof(text: &str) -> Option<String> {
    let upper = text.to_ascii_uppercase();
    let rest = upper.strip_prefix("UPDATE ")?;
    let table_end = 7 + rest.find(' ')?;
    let set = text.get(table_end..)?.get(..5)?.eq_ignore_ascii_case(" SET ").then_some(table_end + 5)?;
    let between = upper.find(" BETWEEN $1 AND $2").filter(|at| at + 18 == text.len())?;
    let filter = upper[..between].rfind(" WHERE ")?;
    if text[filter + 7..between].contains(' ') {
        return None;
    }
    let (mut depth, mut quoted, mut start) = (0_i32, false, set);
    let mut parts = Vec::new();
    for (at, byte) in text.bytes().enumerate().take(filter).skip(set) {
        match byte {
            b'\'' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth -= 1,
            b',' if !quoted && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..filter]);
    let differs = |part: &&str| {
        let (column, expression) = part.split_once('=')?;
        (!column.contains('(') && !expression.to_ascii_uppercase().contains(" FROM "))
            .then(|| format!("{} IS DISTINCT FROM ({})", column.trim(), expression.trim()))
    };
    let conditions: Option<Vec<String>> = parts.iter().map(differs).collect();
    Some(format!("SELECT count(*) FROM {} WHERE {}", &text[7..table_end], conditions?.join(" OR ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(section: &str, text: &str, expected: Result<StepWay, &str>) {
        let text = format!("-- migrate: {section}\n{text};\n");
        let file = MigrationFile { name: "0001_a".to_owned(), text };
        let version = ServerVersion::read("16").unwrap();
        let found = steps(&[file], version).map(|steps| steps[0].way.clone());
        assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
    }

    #[test]
    fn each_statement_runs_in_its_way() {
        let index = |table: &str, index: &str| {
            Ok(StepWay::BuildIndex { table: table.to_owned(), index: index.to_owned() })
        };
        check("expand", "ALTER TABLE v_user ADD COLUMN email_lower varchar", Ok(StepWay::Transaction));
        check("index", "CREATE INDEX CONCURRENTLY idx ON v_user (email_lower)", index("v_user", "idx"));
        check(
            "index",
            "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS \"Idx\" ON a.b(c)",
            index("a.b", "Idx"),
        );
        check("index", "DROP INDEX CONCURRENTLY idx", Ok(StepWay::Alone));
        check(
            "index",
            "CREATE INDEX CONCURRENTLY ON v_user (email_lower)",
            Err("0001_a.sql:2: an index without a name cannot be found again"),
        );
        check(
            "backfill",
            "UPDATE v_user SET a = lower(b) WHERE id BETWEEN $1 AND $2",
            Ok(StepWay::Batches { table: "v_user".to_owned(), column: "id".to_owned() }),
        );
        check(
            "backfill",
            "UPDATE v_user SET a = lower(b)",
            Err("0001_a.sql:2: it has no range of keys, and would lock every row until the last one is done"),
        );
    }

    #[test]
    fn what_is_left_is_counted_where_the_text_tells_it() {
        assert_eq!(
            proof("UPDATE v_user SET a = lower(b), c = coalesce(d, ',') WHERE id BETWEEN $1 AND $2").unwrap(),
            "SELECT count(*) FROM v_user WHERE a IS DISTINCT FROM (lower(b)) OR c IS DISTINCT FROM (coalesce(d, ','))"
        );
        for text in [
            "UPDATE v_user SET a = 1 WHERE b IS NULL AND id BETWEEN $1 AND $2",
            "UPDATE v_user u SET a = 1 WHERE id BETWEEN $1 AND $2",
            "UPDATE v_user SET (a, b) = (1, 2) WHERE id BETWEEN $1 AND $2",
            "DELETE FROM v_user WHERE id BETWEEN $1 AND $2",
        ] {
            assert_eq!(proof(text), None, "{text}");
        }
    }
}
