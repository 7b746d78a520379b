//! The journal of restores of one data directory: `<data directory>.restores.jsonl`.
//!
//! A line is on the disk before the step that it names begins. It stands beside the data directory and
//! not in the database, which a restore takes back in time.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{BackupError, damaged, file};
use crate::folder::append_line;
use crate::moment::Moment;
use crate::plan::RestoreRequest;
use crate::recover::Aside;

const FORMAT: u32 = 1;

/// A step of a restore. Up to `Keep` nothing of the old database was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RestoreStep {
    /// WAL is unpacked and the target looked for.
    Plan,
    /// The base backup is unpacked.
    Unpack,
    /// A server replays to the target.
    Recover,
    /// The restored database is looked at.
    Check,
    /// The old data directory gets another name.
    Keep,
    /// The restored one takes its place.
    Switch,
}

impl RestoreStep {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Unpack => "unpack",
            Self::Recover => "recover",
            Self::Check => "check",
            Self::Keep => "keep",
            Self::Switch => "switch",
        }
    }
}

/// What a restore works on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Undertaking {
    pub(crate) id: String,
    pub(crate) repository: String,
    pub(crate) request: RestoreRequest,
    pub(crate) aside: PathBuf,
    /// Where the old data directory goes.
    pub(crate) kept: PathBuf,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Began { format: u32, at: Moment, undertaking: Undertaking },
    Intent { at: Moment, step: RestoreStep },
    Outcome { at: Moment, step: RestoreStep },
    Ended { at: Moment, how: String },
}

/// A restore that began and did not end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interrupted {
    pub(crate) undertaking: Undertaking,
    /// The last step that was begun; `None` before the first.
    pub(crate) step: Option<RestoreStep>,
}

/// The journal of a data directory.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    clock: fn() -> std::time::SystemTime,
}

/// Returns the id of the restore of a data directory that was interrupted and not finished, and its
/// step. While there is one the directory must not be started or made: it may be half switched.
pub fn unfinished_restore(data_dir: &Path) -> Result<Option<(String, String)>, BackupError> {
    let found = interrupted(&path_of(data_dir))?;
    Ok(found.map(|found| (found.undertaking.id, found.step.map_or("begin", RestoreStep::name).to_owned())))
}

fn path_of(data_dir: &Path) -> PathBuf {
    beside(data_dir, ".restores.jsonl")
}

/// Returns the path of what stands beside a data directory, named after it.
pub(crate) fn beside(data_dir: &Path, suffix: &str) -> PathBuf {
    let mut name = data_dir.file_name().map(ToOwned::to_owned).unwrap_or_default();
    name.push(suffix);
    data_dir.with_file_name(name)
}

fn interrupted(path: &Path) -> Result<Option<Interrupted>, BackupError> {
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).map_err(file("read", path))?;
    let mut open = None;
    // A line without its end was being written when the machine stopped: its step did not begin.
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let line: Line = serde_json::from_str(line)
            .map_err(|error| damaged(path.display().to_string(), error.to_string()))?;
        match line {
            Line::Began { format: FORMAT, undertaking, .. } => {
                open = Some(Interrupted { undertaking, step: None });
            }
            Line::Began { format, .. } => {
                let reason = format!("it has format {format}, this version reads {FORMAT}");
                return Err(damaged(path.display().to_string(), reason));
            }
            Line::Intent { step, .. } => {
                if let Some(open) = &mut open {
                    open.step = Some(step);
                }
            }
            Line::Outcome { .. } => {}
            Line::Ended { .. } => open = None,
        }
    }
    Ok(open)
}

impl Journal {
    pub(crate) fn of(data_dir: &Path, clock: fn() -> std::time::SystemTime) -> Self {
        Self { path: path_of(data_dir), clock }
    }

    pub(crate) fn interrupted(&self) -> Result<Option<Interrupted>, BackupError> {
        interrupted(&self.path)
    }

    fn write(&self, line: &Line) -> Result<(), BackupError> {
        append_line(&self.path, &serde_json::to_vec(line).expect("its keys are strings"))
    }

    fn now(&self) -> Moment {
        Moment::of((self.clock)())
    }

    pub(crate) fn begin(&self, undertaking: &Undertaking) -> Result<(), BackupError> {
        let undertaking = undertaking.clone();
        self.write(&Line::Began { format: FORMAT, at: self.now(), undertaking })
    }

    pub(crate) fn intend(&self, step: RestoreStep) -> Result<(), BackupError> {
        self.write(&Line::Intent { at: self.now(), step })
    }

    pub(crate) fn done(&self, step: RestoreStep) -> Result<(), BackupError> {
        self.write(&Line::Outcome { at: self.now(), step })
    }

    pub(crate) fn end(&self, how: &str) -> Result<(), BackupError> {
        self.write(&Line::Ended { at: self.now(), how: how.to_owned() })
    }
}

impl Interrupted {
    pub(crate) fn aside(&self) -> Aside {
        Aside { root: self.undertaking.aside.clone() }
    }

    /// Returns true while nothing of the old database was touched.
    pub(crate) fn is_harmless(&self) -> bool {
        self.step.is_none_or(|step| step < RestoreStep::Keep)
    }

    pub(crate) fn error(&self, data_dir: &Path) -> BackupError {
        BackupError::Unfinished {
            data_dir: data_dir.to_owned(),
            id: self.undertaking.id.clone(),
            step: self.step.map_or("begin", RestoreStep::name).to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::RestoreTarget;

    fn clock() -> std::time::SystemTime {
        std::time::UNIX_EPOCH
    }

    fn undertaking() -> Undertaking {
        Undertaking {
            id: "r1".to_owned(),
            repository: "/backup".to_owned(),
            request: RestoreRequest { target: RestoreTarget::Latest, timeline: None, backup: None },
            aside: PathBuf::from("/data.restore-r1"),
            kept: PathBuf::from("/data.before-r1"),
        }
    }

    #[test]
    fn the_last_step_that_began_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let journal = Journal::of(&data_dir, clock);
        assert_eq!(unfinished_restore(&data_dir).unwrap(), None);
        journal.begin(&undertaking()).unwrap();
        assert_eq!(unfinished_restore(&data_dir).unwrap(), Some(("r1".to_owned(), "begin".to_owned())));
        journal.intend(RestoreStep::Plan).unwrap();
        journal.done(RestoreStep::Plan).unwrap();
        journal.intend(RestoreStep::Keep).unwrap();
        let found = journal.interrupted().unwrap().unwrap();
        assert_eq!((found.step, found.is_harmless()), (Some(RestoreStep::Keep), false));
        assert_eq!(found.undertaking, undertaking());
        journal.end("switched").unwrap();
        assert_eq!(journal.interrupted().unwrap(), None);
    }

    #[test]
    fn half_a_line_is_no_line_and_a_newer_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let journal = Journal::of(&data_dir, clock);
        journal.begin(&undertaking()).unwrap();
        let path = path_of(&data_dir);
        let text = std::fs::read_to_string(&path).unwrap();
        crate::folder::replace(&path, format!("{text}{{\"record\":\"int").as_bytes()).unwrap();
        assert_eq!(journal.interrupted().unwrap().unwrap().step, None);
        crate::folder::replace(&path, text.replace("\"format\":1", "\"format\":2").as_bytes()).unwrap();
        assert!(matches!(journal.interrupted(), Err(BackupError::Damaged { .. })));
    }
}
