//! The journal: SQLite in the state directory, synced to the disk with each entry.
//!
//! A *flow* is a piece of work from its beginning to its end. Its entries are intents, written before
//! something is done; outcomes, written after; and notes. An intent without an outcome is unknown:
//! whoever takes the flow up looks, and finishes or undoes.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::FlowError;
use crate::lock::ExecutorLock;
use crate::place;
use crate::reserve::Reserve;

/// The format that this program writes, and the newest that it reads.
const FORMAT: i64 = 1;
const NAME: &str = "journal.sqlite";
/// The most entries that are read of one flow.
const ENTRIES_MAX: i64 = 100_000;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS meta (
    one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL, epoch INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS flow (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, began_ms INTEGER NOT NULL,
    ended_ms INTEGER, outcome TEXT, state TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS entry (
    id INTEGER PRIMARY KEY, flow INTEGER NOT NULL REFERENCES flow ON DELETE CASCADE, at_ms INTEGER NOT NULL,
    epoch INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, data TEXT NOT NULL, settles INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS entry_flow ON entry (flow, id);
";

/// The number of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FlowId(pub i64);

/// A piece of work.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// Its number; later ones are greater.
    pub id: FlowId,
    /// What kind of work.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// When it began, in milliseconds since the epoch of Unix.
    pub began_ms: u64,
    /// When it ended.
    pub ended_ms: Option<u64>,
    /// How it ended, in words.
    pub outcome: Option<String>,
    /// The newest state that was written.
    pub state: Value,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// Something will be done.
    Intent,
    /// It was done, or it failed.
    Outcome,
    /// The flow is in another state from now on.
    State,
    /// Something was seen or decided.
    Note,
}

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Its number; later ones are greater.
    pub id: i64,
    /// When, in milliseconds since the epoch of Unix.
    pub at_ms: u64,
    /// The executor that wrote it.
    pub epoch: u64,
    /// What it is.
    pub kind: EntryKind,
    /// A short name.
    pub name: String,
    /// The rest.
    pub data: Value,
    /// Of an outcome: the intent that it settles.
    pub settles: Option<i64>,
}

impl EntryKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::State => "state",
            Self::Note => "note",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Intent, Self::Outcome, Self::State, Self::Note].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A journal.
#[derive(Debug)]
pub struct Journal {
    connection: Connection,
    path: PathBuf,
    reserve: Reserve,
    epoch: u64,
    /// There for the executor, not for readers.
    _lock: Option<ExecutorLock>,
}

impl Journal {
    /// Takes the journal of a state directory over, as its only executor, with an epoch of its own.
    ///
    /// Fails when another executor lives, when the directory is not on a local disk, and when a newer
    /// program has written the journal.
    pub fn take_over(state: &Path) -> Result<Self, FlowError> {
        let make = |source| FlowError::File { action: "make", path: state.to_owned(), source };
        fs::create_dir_all(state).map_err(make)?;
        place::check(state)?;
        let lock = ExecutorLock::take(&state.join("journal.lock"))?;
        let path = state.join(NAME);
        let connection = Connection::open(&path).map_err(failed("open", &path))?;
        let reserve = Reserve::at(state.join("journal.reserve"));
        let mut journal = Self { connection, path, reserve, epoch: 0, _lock: Some(lock) };
        journal.begin_epoch()?;
        Ok(journal)
    }

    /// Opens the journal for reading, beside an executor; `None` when there is none yet.
    pub fn read(state: &Path) -> Result<Option<Self>, FlowError> {
        let path = state.join(NAME);
        if !path.exists() {
            return Ok(None);
        }
        // Not read-only: a reader of a WAL must be able to write its index.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(failed("open", &path))?;
        connection.pragma_update(None, "query_only", true).map_err(failed("open", &path))?;
        connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(failed("open", &path))?;
        let reserve = Reserve::at(state.join("journal.reserve"));
        let journal = Self { connection, path, reserve, epoch: 0, _lock: None };
        journal.check_format()?;
        Ok(Some(journal))
    }

    fn begin_epoch(&mut self) -> Result<(), FlowError> {
        let failed = failed("open", &self.path);
        let prepare = || -> rusqlite::Result<u64> {
            let connection = &self.connection;
            connection.busy_timeout(std::time::Duration::from_secs(5))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.execute_batch(SCHEMA)?;
            connection.execute("INSERT OR IGNORE INTO meta VALUES (1, ?1, 0)", [FORMAT])?;
            let sql = "UPDATE meta SET epoch = epoch + 1 WHERE format <= ?1 RETURNING epoch";
            let epoch: Option<i64> = connection.query_row(sql, [FORMAT], |row| row.get(0)).optional()?;
            Ok(epoch.and_then(|epoch| u64::try_from(epoch).ok()).unwrap_or(0))
        };
        self.epoch = prepare().map_err(failed)?;
        self.check_format()
    }

    fn check_format(&self) -> Result<(), FlowError> {
        let format: i64 = self
            .connection
            .query_row("SELECT format FROM meta", [], |row| row.get(0))
            .map_err(failed("read", &self.path))?;
        if (1..=FORMAT).contains(&format) {
            return Ok(());
        }
        let reason = format!("its format {format} is newer than this program");
        Err(FlowError::Malformed { path: self.path.clone(), reason })
    }

    /// Returns the number of this executor. Each one that begins has a greater one than those before.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Begins a flow. Durable when it returns.
    ///
    /// Fails, and writes nothing, when there is no room for outcomes.
    pub fn begin(&self, kind: &str, subject: &str, state: &Value, now_ms: u64) -> Result<FlowId, FlowError> {
        self.keep_reserve()?;
        let sql = "INSERT INTO flow (kind, subject, began_ms, state) VALUES (?1, ?2, ?3, ?4)";
        let written = self.connection.execute(sql, params![kind, subject, number(now_ms), state.to_string()]);
        written.map_err(failed("write", &self.path))?;
        Ok(FlowId(self.connection.last_insert_rowid()))
    }

    /// Writes that something will be done. Durable when it returns: then it may be done.
    ///
    /// Fails, and writes nothing, when there is no room for its outcome.
    pub fn intend(&self, flow: FlowId, name: &str, data: &Value, now_ms: u64) -> Result<i64, FlowError> {
        self.keep_reserve()?;
        self.write(flow, (EntryKind::Intent, name, data, None), now_ms)
    }

    /// Writes what came of an intent. Also on a full disk: the reserve is for it.
    pub fn settle(&self, flow: FlowId, intent: i64, data: &Value, now_ms: u64) -> Result<(), FlowError> {
        let name: String = self
            .connection
            .query_row("SELECT name FROM entry WHERE id = ?1", [intent], |row| row.get(0))
            .map_err(failed("read", &self.path))?;
        self.write_surely(flow, (EntryKind::Outcome, &name, data, Some(intent)), now_ms).map(drop)
    }

    /// Writes that the flow is in another state. Also on a full disk.
    pub fn advance(&self, flow: FlowId, name: &str, state: &Value, now_ms: u64) -> Result<(), FlowError> {
        let write = || {
            let transaction = self.connection.unchecked_transaction()?;
            let sql = "UPDATE flow SET state = ?2 WHERE id = ?1";
            transaction.execute(sql, params![flow.0, state.to_string()])?;
            self.insert(flow, (EntryKind::State, name, state, None), now_ms)?;
            transaction.commit()
        };
        self.surely(write)
    }

    /// Writes something that was seen or decided.
    pub fn note(&self, flow: FlowId, name: &str, data: &Value, now_ms: u64) -> Result<(), FlowError> {
        self.write_surely(flow, (EntryKind::Note, name, data, None), now_ms).map(drop)
    }

    /// Ends a flow, in its last state. Also on a full disk.
    pub fn end(&self, flow: FlowId, outcome: &str, state: &Value, now_ms: u64) -> Result<(), FlowError> {
        let sql = "UPDATE flow SET ended_ms = ?2, outcome = ?3, state = ?4 WHERE id = ?1";
        let values = params![flow.0, number(now_ms), outcome, state.to_string()];
        self.surely(|| self.connection.execute(sql, values).map(drop))
    }

    /// Returns the flows of a kind that have not ended, the oldest first.
    pub fn open_flows(&self, kind: &str) -> Result<Vec<Flow>, FlowError> {
        self.flows("WHERE kind = ?1 AND ended_ms IS NULL ORDER BY id", kind, i64::MAX)
    }

    /// Returns the newest flows of a kind, the newest first.
    pub fn newest(&self, kind: &str, count: usize) -> Result<Vec<Flow>, FlowError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.flows("WHERE kind = ?1 ORDER BY id DESC", kind, count)
    }

    /// Returns the entries of a flow, the oldest first.
    pub fn entries(&self, flow: FlowId) -> Result<Vec<Entry>, FlowError> {
        let sql = "SELECT id, at_ms, epoch, kind, name, data, settles FROM entry WHERE flow = ?1 ORDER BY id LIMIT ?2";
        let read = || -> rusqlite::Result<Vec<(Entry, Option<String>)>> {
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map(params![flow.0, ENTRIES_MAX], entry)?;
            rows.collect()
        };
        let rows = read().map_err(failed("read", &self.path))?;
        let sound = |(entry, fault): (Entry, Option<String>)| match fault {
            None => Ok(entry),
            Some(reason) => Err(FlowError::Malformed { path: self.path.clone(), reason }),
        };
        rows.into_iter().map(sound).collect()
    }

    /// Returns the intents of a flow that nobody has settled: what they wanted may have happened.
    pub fn unsettled(&self, flow: FlowId) -> Result<Vec<Entry>, FlowError> {
        let entries = self.entries(flow)?;
        let settled: Vec<i64> = entries.iter().filter_map(|entry| entry.settles).collect();
        let open = |entry: &Entry| entry.kind == EntryKind::Intent && !settled.contains(&entry.id);
        Ok(entries.into_iter().filter(open).collect())
    }

    /// Forgets all but the newest ended flows of a kind.
    pub fn retain(&self, kind: &str, count: usize) -> Result<(), FlowError> {
        let sql = "DELETE FROM flow WHERE kind = ?1 AND ended_ms IS NOT NULL AND id NOT IN \
                   (SELECT id FROM flow WHERE kind = ?1 ORDER BY id DESC LIMIT ?2)";
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.connection.execute(sql, params![kind, count]).map(drop).map_err(failed("write", &self.path))
    }

    fn flows(&self, tail: &str, kind: &str, count: i64) -> Result<Vec<Flow>, FlowError> {
        let columns = "id, kind, subject, began_ms, ended_ms, outcome, state";
        // The tail is one of two texts of this file.
        let sql = ["SELECT ", columns, " FROM flow ", tail, " LIMIT ?2"].concat();
        let read = || -> rusqlite::Result<Vec<(Flow, String)>> {
            let mut statement = self.connection.prepare(&sql)?;
            let rows = statement.query_map(params![kind, count], flow)?;
            rows.collect()
        };
        let rows = read().map_err(failed("read", &self.path))?;
        let sound = |(mut flow, state): (Flow, String)| {
            let malformed = |error: serde_json::Error| FlowError::Malformed {
                path: self.path.clone(),
                reason: format!("the state of flow {}: {error}", flow.id.0),
            };
            let state = serde_json::from_str(&state).map_err(malformed)?;
            flow.state = state;
            Ok(flow)
        };
        rows.into_iter().map(sound).collect()
    }

    fn keep_reserve(&self) -> Result<(), FlowError> {
        let path = self.path.parent().unwrap_or(&self.path).to_owned();
        self.reserve.keep().map_err(|source| FlowError::NoReserve { path, source })
    }

    fn write_surely(&self, flow: FlowId, what: What<'_>, now_ms: u64) -> Result<i64, FlowError> {
        self.surely(|| self.insert(flow, what, now_ms))?;
        Ok(self.connection.last_insert_rowid())
    }

    fn write(&self, flow: FlowId, what: What<'_>, now_ms: u64) -> Result<i64, FlowError> {
        self.insert(flow, what, now_ms).map_err(failed("write", &self.path))?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Writes, and when the disk is full once more in the room of the reserve.
    fn surely(&self, write: impl Fn() -> rusqlite::Result<()>) -> Result<(), FlowError> {
        match write() {
            Err(rusqlite::Error::SqliteFailure(error, _)) if is_full(error.code) => {
                let give = |source| FlowError::File { action: "give back", path: self.path.clone(), source };
                self.reserve.give().map_err(give)?;
                write().map_err(failed("write", &self.path))
            }
            written => written.map_err(failed("write", &self.path)),
        }
    }

    fn insert(
        &self,
        flow: FlowId,
        (kind, name, data, settles): What<'_>,
        now_ms: u64,
    ) -> rusqlite::Result<()> {
        let sql = "INSERT INTO entry (flow, at_ms, epoch, kind, name, data, settles) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let (at, epoch, data) = (number(now_ms), number(self.epoch), data.to_string());
        self.connection.execute(sql, params![flow.0, at, epoch, kind.as_str(), name, data, settles]).map(drop)
    }
}

/// Kind, name, data, and the intent that is settled.
type What<'w> = (EntryKind, &'w str, &'w Value, Option<i64>);

fn is_full(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::DiskFull | ErrorCode::SystemIoFailure)
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn positive(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn flow(row: &Row<'_>) -> rusqlite::Result<(Flow, String)> {
    let flow = Flow {
        id: FlowId(row.get(0)?),
        kind: row.get(1)?,
        subject: row.get(2)?,
        began_ms: positive(row.get(3)?),
        ended_ms: row.get::<_, Option<i64>>(4)?.map(positive),
        outcome: row.get(5)?,
        state: Value::Null,
    };
    Ok((flow, row.get(6)?))
}

/// Returns an entry, and what is wrong with it.
fn entry(row: &Row<'_>) -> rusqlite::Result<(Entry, Option<String>)> {
    let (id, kind, data): (i64, String, String) = (row.get(0)?, row.get(3)?, row.get(5)?);
    let parsed = serde_json::from_str(&data);
    let known = EntryKind::parse(&kind);
    let fault = match (&parsed, known) {
        (Err(error), _) => Some(format!("entry {id}: {error}")),
        (_, None) => Some(format!("entry {id} is of the unknown kind {kind:?}")),
        _ => None,
    };
    let entry = Entry {
        id,
        at_ms: positive(row.get(1)?),
        epoch: positive(row.get(2)?),
        kind: known.unwrap_or(EntryKind::Note),
        name: row.get(4)?,
        data: parsed.unwrap_or(Value::Null),
        settles: row.get(6)?,
    };
    Ok((entry, fault))
}

fn failed<'p>(action: &'static str, path: &'p Path) -> impl Fn(rusqlite::Error) -> FlowError + 'p {
    move |source| FlowError::Database { action, path: path.to_owned(), source }
}
