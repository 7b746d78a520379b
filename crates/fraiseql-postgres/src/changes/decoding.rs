//! Changes by logical decoding: a temporary slot, read with functions over an ordinary connection.
//!
//! Rows stay in the server: of each change only its transaction and its table come here. The slot
//! ends with the connection, so a reader that died never holds the write-ahead log back.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::{Client, Row, Statement};

use crate::changes::Changed;
use crate::control::connect_control;
use crate::error::PostgresError;
use crate::target::Target;

/// Section 9.27.6 of PostgreSQL's manual. The plugin comes with PostgreSQL and needs no publication.
const CREATE: &str =
    "SELECT pg_catalog.pg_create_logical_replication_slot($1::text::name, 'test_decoding', true)";
const POSITION: &str = "SELECT pg_catalog.pg_current_wal_flush_lsn()::text";
const READ: &str = "SELECT DISTINCT xid::text, substring(data from '^table (.+?): (?:INSERT|UPDATE|DELETE|TRUNCATE):') \
     FROM pg_catalog.pg_logical_slot_get_changes($1::text::name, NULL, NULL, 'include-xids', '0', 'skip-empty-xacts', '1') \
     WHERE data LIKE 'table %'";
/// A TRUNCATE gives a table another file. Before version 11 it is not decoded.
const FILES: &str = "SELECT n.nspname || '.' || c.relname, c.relfilenode FROM pg_catalog.pg_class c \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')";
const TRUNCATE_IS_DECODED: i32 = 110_000;
const SNAPSHOT: &str = "SELECT pg_catalog.txid_current_snapshot()::text";

/// A reader of the write-ahead log.
pub struct Decoding {
    client: Client,
    slot: String,
    position: Statement,
    read: Statement,
    snapshot: Statement,
    /// Up to where the log was read.
    read_to: String,
    /// Changes of transactions that other sessions cannot see yet; no name is every table.
    unseen: Vec<(u32, Option<String>)>,
    /// Where TRUNCATE is not decoded.
    files: Option<Files>,
}

/// The files of all tables at the last look.
struct Files {
    statement: Statement,
    by_table: BTreeMap<String, u32>,
}

impl Decoding {
    /// Makes the slot. Changes committed after this returns are told.
    ///
    /// Waits for transactions that run. Fails when the server's `wal_level` is not `logical`, the
    /// role may not replicate, or no slot is free.
    pub async fn open(target: &Target) -> Result<Self, PostgresError> {
        let client = connect_control(target).await?;
        let pid: i32 = client.query_one("SELECT pg_catalog.pg_backend_pid()", &[]).await?.get(0);
        let slot = format!("fraiseql_live_{pid}");
        client.query_one(CREATE, &[&slot]).await?;
        let position = client.prepare(POSITION).await?;
        let read = client.prepare(READ).await?;
        let snapshot = client.prepare(SNAPSHOT).await?;
        let version = "SELECT pg_catalog.current_setting('server_version_num')::int4";
        let files = if client.query_one(version, &[]).await?.get::<_, i32>(0) < TRUNCATE_IS_DECODED {
            let statement = client.prepare(FILES).await?;
            let by_table = by_table(&client.query(&statement, &[]).await?);
            Some(Files { statement, by_table })
        } else {
            None
        };
        let (read_to, unseen) = (String::new(), Vec::new());
        Ok(Self { client, slot, position, read, snapshot, read_to, unseen, files })
    }

    /// Returns what was written to since the last call. Costs one small function call while nothing
    /// is written anywhere.
    pub async fn read(&mut self) -> Result<Changed, PostgresError> {
        let now: String = self.client.query_one(&self.position, &[]).await?.get(0);
        // At every look: the new file may come in sight later than the log says that it is there.
        let truncated = self.truncated().await?;
        if now != self.read_to {
            for row in self.client.query(&self.read, &[&self.slot]).await? {
                let Ok(transaction) = row.get::<_, &str>(0).parse() else { return Ok(Changed::Everything) };
                self.unseen.push((transaction, row.get(1)));
            }
            self.read_to = now;
        }
        if self.unseen.is_empty() {
            return Ok(Changed::Tables(truncated));
        }
        let text: String = self.client.query_one(&self.snapshot, &[]).await?.get(0);
        let Some(snapshot) = Snapshot::parse(&text) else { return Ok(Changed::Everything) };
        let (seen, unseen) =
            std::mem::take(&mut self.unseen).into_iter().partition(|(id, _)| snapshot.sees(*id));
        self.unseen = unseen;
        Ok(tables(seen, truncated))
    }

    /// Returns the tables that have another file than at the last look, where that must be asked.
    async fn truncated(&mut self) -> Result<BTreeSet<String>, PostgresError> {
        let Some(files) = &mut self.files else { return Ok(BTreeSet::new()) };
        let now = by_table(&self.client.query(&files.statement, &[]).await?);
        let before = std::mem::replace(&mut files.by_table, now);
        let changed = before.iter().filter(|(table, file)| files.by_table.get(*table) != Some(file));
        Ok(changed.map(|(table, _)| table.clone()).collect())
    }

    /// True when a change was read whose transaction other sessions cannot see yet: look again soon.
    pub fn has_unseen(&self) -> bool {
        !self.unseen.is_empty()
    }
}

fn by_table(rows: &[Row]) -> BTreeMap<String, u32> {
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn tables(changes: Vec<(u32, Option<String>)>, mut tables: BTreeSet<String>) -> Changed {
    for (_, names) in changes {
        match names.as_deref().and_then(parse_names) {
            Some(names) => tables.extend(names),
            None => return Changed::Everything,
        }
    }
    Changed::Tables(tables)
}

/// Reads `schema.table, "Schema"."Table"` as PostgreSQL quotes identifiers.
fn parse_names(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text;
    loop {
        let (schema, behind) = parse_word(rest)?;
        let (table, behind) = parse_word(behind.strip_prefix('.')?)?;
        names.push(format!("{schema}.{table}"));
        match behind.strip_prefix(", ") {
            Some(next) => rest = next,
            None => return behind.is_empty().then_some(names),
        }
    }
}

fn parse_word(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(['.', ',']).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut word = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if character != '"' {
            word.push(character);
        } else if characters.peek().is_some_and(|(_, next)| *next == '"') {
            characters.next();
            word.push('"');
        } else {
            return Some((word, &quoted[at + 1..]));
        }
    }
    None
}

/// `xmin:xmax:xip,...`: section 9.27.8 of PostgreSQL's manual.
struct Snapshot {
    end: u64,
    running: Vec<u64>,
}

impl Snapshot {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (_, end, running) = (parts.next()?, parts.next()?, parts.next()?);
        let Ok(end) = end.parse() else { return None };
        let running = running.split(',').filter(|id| !id.is_empty()).map(str::parse::<u64>);
        let Ok(running) = running.collect::<Result<_, _>>() else { return None };
        Some(Self { end, running })
    }

    /// True when a transaction that has committed is seen. Its id has no epoch, so it is compared
    /// within half of the numbers before and behind.
    #[expect(clippy::cast_possible_truncation, reason = "the low half of an id is what PostgreSQL calls xid")]
    fn sees(&self, transaction: u32) -> bool {
        let behind_end = (transaction.wrapping_sub(self.end as u32) as i32) >= 0;
        !behind_end && !self.running.iter().any(|running| *running as u32 == transaction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_names(text: &str, expected: Option<&[&str]>) {
        let expected = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(parse_names(text), expected, "{text}");
    }

    #[test]
    fn names_are_read_as_they_are_quoted() {
        check_names("public.album", Some(&["public.album"]));
        check_names("public.a, public.b", Some(&["public.a", "public.b"]));
        check_names(r#""We ""ird"."ta.b, le", s.t"#, Some(&[r#"We "ird.ta.b, le"#, "s.t"]));
        check_names("album", None);
        check_names("", None);
        check_names(r#"public."cut"#, None);
        check_names("public.a,", None);
    }

    #[track_caller]
    fn check_seen(snapshot: &str, transaction: u32, expected: bool) {
        assert_eq!(
            Snapshot::parse(snapshot).unwrap().sees(transaction),
            expected,
            "{snapshot} {transaction}"
        );
    }

    #[test]
    fn a_transaction_is_seen_when_it_is_neither_running_nor_to_come() {
        check_seen("10:20:10,14", 9, true);
        check_seen("10:20:10,14", 10, false);
        check_seen("10:20:10,14", 12, true);
        check_seen("10:20:10,14", 19, true);
        check_seen("10:20:10,14", 20, false);
        check_seen("10:10:", 9, true);
        // Behind the wrap: 4294967296 is 0 of the next epoch.
        check_seen("4294967290:4294967300:4294967299", 4_294_967_295, true);
        check_seen("4294967290:4294967300:4294967299", 3, false);
        check_seen("4294967290:4294967300:4294967299", 2, true);
        check_seen("4294967290:4294967300:4294967299", 4, false);
        assert!(Snapshot::parse("1:2").is_none());
        assert!(Snapshot::parse("a:b:").is_none());
    }
}
