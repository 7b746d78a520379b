//! What is in WAL, by `pg_waldump`: which commits, and where a record begins.
//!
//! A restore stops at a record that was seen here, so that whether it was reached can be compared.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use fraiseql_cluster::Programs;
use serde::Serialize;

use crate::chain::Chain;
use crate::error::{BackupError, damaged, file};
use crate::lsn::{Lsn, segment_name};
use crate::moment::Moment;
use crate::tool;

const PROGRAM: &str = "pg_waldump";

/// The commit or abort of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct TransactionEnd {
    pub(crate) lsn: Lsn,
    pub(crate) at: Moment,
    pub(crate) committed: bool,
}

/// A record of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) lsn: Lsn,
    pub(crate) previous: Lsn,
}

/// WAL that lies unpacked in a folder under the name of one timeline, so that it is read as one.
#[derive(Debug)]
pub(crate) struct Dump<'d> {
    programs: &'d Programs,
    chain: &'d Chain,
    folder: PathBuf,
    timeline: u32,
}

impl<'d> Dump<'d> {
    /// Makes `folder`, with links to the segments of `chain` in `staged`.
    pub(crate) fn new(
        programs: &'d Programs,
        chain: &'d Chain,
        staged: &Path,
        folder: PathBuf,
        timeline: u32,
    ) -> Result<Self, BackupError> {
        fs::create_dir(&folder).map_err(file("create", &folder))?;
        for (index, name) in chain.names.iter().enumerate() {
            let shown = segment_name(timeline, chain.first + index as u64, chain.segment_bytes);
            let link = folder.join(shown);
            fs::hard_link(staged.join(name), &link).map_err(file("create", &link))?;
        }
        Ok(Self { programs, chain, folder, timeline })
    }

    /// Calls `each` with the end of each transaction from `start` on. Returns where the WAL cannot be
    /// read any more when that is before its last segment: PostgreSQL would take that for the end.
    pub(crate) fn transactions(
        &self,
        start: Lsn,
        mut each: impl FnMut(TransactionEnd),
    ) -> Result<Option<(Lsn, BackupError)>, BackupError> {
        let said = self.run(start, &["--rmgr=Transaction"], |line| {
            if let Some(end) = transaction_end(line) {
                each(end);
            }
            true
        })?;
        self.damage(&said)
    }

    /// Returns the first record that begins at `lsn` or behind it.
    pub(crate) fn record_from(&self, lsn: Lsn) -> Result<Option<Record>, BackupError> {
        if lsn >= self.chain.end() {
            return Ok(None);
        }
        let mut found = None;
        self.run(lsn, &[], |line| {
            found = record(line).filter(|record| record.lsn >= lsn);
            found.is_none()
        })?;
        Ok(found)
    }

    /// Returns the last record.
    pub(crate) fn last_record(&self) -> Result<Option<Record>, BackupError> {
        // A segment may hold no more than the rest of a record that began before it.
        for back in 1..=self.chain.names.len() as u64 {
            let start = Lsn(self.chain.end().0 - back * self.chain.segment_bytes);
            let mut last = None;
            self.run(start, &[], |line| {
                last = record(line).or(last);
                true
            })?;
            if last.is_some() {
                return Ok(last);
            }
        }
        Ok(None)
    }

    /// Runs the program from `start` on until `each` is false; returns what it said on standard error.
    fn run(
        &self,
        start: Lsn,
        more: &[&str],
        mut each: impl FnMut(&str) -> bool,
    ) -> Result<String, BackupError> {
        let failed =
            |error: std::io::Error| BackupError::Program { program: PROGRAM, reason: error.to_string() };
        let mut command = tool::command(self.programs, PROGRAM)?;
        command.arg("--path").arg(&self.folder);
        command.args([format!("--timeline={}", self.timeline), format!("--start={start}")]);
        // Without an end it waits for seconds for a segment that may be being written.
        command.arg(format!("--end={}", self.chain.end()));
        // A file: two pipes that are read one after the other could block each other.
        let mut errors = tempfile::tempfile().map_err(failed)?;
        command.args(more).stdout(Stdio::piped()).stderr(errors.try_clone().map_err(failed)?);
        let mut child = command.spawn().map_err(failed)?;
        let Some(stdout) = child.stdout.take() else { return Ok(String::new()) };
        let mut lines = BufReader::new(stdout);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = lines.read_until(b'\n', &mut line).map_err(failed)?;
            if read == 0 || !each(&String::from_utf8_lossy(&line)) {
                break;
            }
        }
        // When it still writes it ends for want of a reader.
        drop(lines);
        child.wait().map_err(failed)?;
        use std::io::{Read, Seek};
        let mut said = String::new();
        errors.rewind().map_err(failed)?;
        errors.read_to_string(&mut said).map_err(failed)?;
        Ok(said)
    }

    /// The program ends with an error where the WAL in a segment ends: this looks whether that was in
    /// the last segment or behind it.
    fn damage(&self, said: &str) -> Result<Option<(Lsn, BackupError)>, BackupError> {
        let last_begins = self.chain.end().0 - self.chain.segment_bytes;
        let behind = self.chain.first + self.chain.names.len() as u64;
        let behind = segment_name(self.timeline, behind, self.chain.segment_bytes);
        let said = said.lines().last().unwrap_or_default();
        if said.is_empty() || said.contains(&behind) {
            return Ok(None);
        }
        match positions(said).into_iter().max() {
            Some(at) if at.0 >= last_begins => Ok(None),
            Some(at) => Ok(Some((at, damaged(format!("the WAL at {at}"), said)))),
            None => Err(BackupError::Program { program: PROGRAM, reason: said.to_owned() }),
        }
    }
}

/// Returns every position in a line.
fn positions(line: &str) -> Vec<Lsn> {
    let words = line.split(|letter: char| !letter.is_ascii_hexdigit() && letter != '/');
    words.filter(|word| word.contains('/')).flat_map(Lsn::parse).collect()
}

fn field<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let (_, rest) = line.split_once(name)?;
    Some(rest.split(',').next().unwrap_or(rest).trim())
}

fn record(line: &str) -> Option<Record> {
    let (lsn, previous) = (field(line, " lsn: ")?, field(line, " prev ")?);
    match (Lsn::parse(lsn), Lsn::parse(previous)) {
        (Ok(lsn), Ok(previous)) => Some(Record { lsn, previous }),
        _ => None,
    }
}

/// Reads `... lsn: 0/1501A90, prev 0/1501A58, desc: COMMIT 2026-01-26 14:03:00.123456 UTC; ...`.
fn transaction_end(line: &str) -> Option<TransactionEnd> {
    let (_, described) = line.split_once(" desc: ")?;
    let committed = described.starts_with("COMMIT");
    if !committed && !described.starts_with("ABORT") {
        return None;
    }
    let head = described.split(';').next().unwrap_or(described);
    // `COMMIT_PREPARED 733: 2026-...` has words before the time.
    let at = head.find("20").map(|at| &head[at..]).and_then(moment)?;
    Some(TransactionEnd { lsn: record(line)?.lsn, at, committed })
}

/// Reads the first moment in a text; a number before it is no moment.
fn moment(text: &str) -> Option<Moment> {
    let mut rest = text;
    loop {
        let end = rest.find(" UTC")?;
        if let Ok(found) = Moment::parse(&rest[..end + 4]) {
            return Some(found);
        }
        rest = &rest[rest[1..].find("20")? + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_transactions_are_read() {
        let line = "rmgr: Transaction len (rec/tot):     34/    34, tx:        733, lsn: 0/0150A3B8, prev 0/0150A380, desc: COMMIT 2026-01-26 14:03:00.123456 UTC; inval msgs: catcache 7";
        let end = transaction_end(line).unwrap();
        assert_eq!((end.lsn, end.committed), (Lsn(0x0150_A3B8), true));
        assert_eq!(end.at.to_string(), "2026-01-26T14:03:00.123456Z");
        assert_eq!(record(line).unwrap().previous, Lsn(0x0150_A380));
        let aborted = line.replace("COMMIT", "ABORT");
        assert!(!transaction_end(&aborted).unwrap().committed);
        let prepared = line.replace("COMMIT ", "COMMIT_PREPARED 2020: ");
        assert_eq!(transaction_end(&prepared).unwrap().at, end.at);
        assert_eq!(transaction_end(&line.replace("COMMIT", "ASSIGNMENT")), None);
    }

    #[test]
    fn positions_are_found_in_what_the_program_says() {
        let said = "pg_waldump: error: error in WAL record at 0/30000D8: invalid record length at 0/3000150: wanted 24, got 0";
        assert_eq!(positions(said), [Lsn(0x0300_00D8), Lsn(0x0300_0150)]);
    }
}
