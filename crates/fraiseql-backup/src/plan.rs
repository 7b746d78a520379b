//! What a restore will do: which backup, which WAL, where it stops, what is lost. Changes nothing.
//!
//! Every target becomes a record that was seen in the archived WAL. So PostgreSQL is never asked to
//! stop at what it cannot reach, and afterwards there is something to compare with.

use std::path::Path;

use fraiseql_cluster::{Custody, Programs};
use serde::{Deserialize, Serialize};

use crate::chain::Chain;
use crate::create::human_bytes;
use crate::error::{BackupError, file};
use crate::event::Watcher;
use crate::lsn::Lsn;
use crate::moment::Moment;
use crate::records::{BackupManifest, RestorePoint};
use crate::repository::Repository;
use crate::timeline::TimelinePath;
use crate::waldump::{Dump, TransactionEnd};

/// How far to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreTarget {
    /// To the end of what is archived.
    Latest,
    /// What had committed at that moment, and nothing later.
    Time(Moment),
    /// What was written before that position.
    Lsn(Lsn),
    /// What was written before the restore point of that name.
    Point(String),
}

impl std::fmt::Display for RestoreTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Latest => f.write_str("the latest moment"),
            Self::Time(moment) => write!(f, "{moment}"),
            Self::Lsn(lsn) => write!(f, "{lsn}"),
            Self::Point(name) => write!(f, "the point {name:?}"),
        }
    }
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestoreRequest {
    /// How far.
    pub target: RestoreTarget,
    /// Along which timeline; the newest when not given.
    pub timeline: Option<u32>,
    /// From which backup; the newest that ended before the target when not given.
    pub backup: Option<String>,
}

/// Where replay stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StopAt {
    /// Before a record; `previous` is the last that is replayed.
    Before { record: Lsn, previous: Lsn },
    /// After the last record that is there.
    After { record: Lsn },
}

/// What a restore will do.
#[derive(Clone, Debug, Serialize)]
pub struct RestorePlan {
    /// The target, in words.
    pub target: String,
    /// The base backup.
    pub backup: String,
    /// Bytes of its files.
    pub backup_bytes: u64,
    /// The timeline that is followed. The restored database begins a new one.
    pub timeline: u32,
    /// The first and the last segment of WAL.
    pub first_wal: String,
    /// The last segment.
    pub last_wal: String,
    /// Bytes of WAL.
    pub wal_bytes: u64,
    pub(crate) stop: StopAt,
    /// The last commit that is kept, as far as one is in the WAL.
    pub last_commit_kept: Option<Moment>,
    /// How many commits that are archived will not be there.
    pub commits_lost: u64,
    /// The first of them.
    pub first_commit_lost: Option<Moment>,
    /// The last of them.
    pub last_commit_lost: Option<Moment>,
    /// When the last segment was archived: commits after this are in no archive.
    pub archived_until: Moment,
    /// How long it takes, roughly.
    pub seconds_estimated: u64,
    /// How many rows tables had at the restore point.
    #[serde(skip)]
    pub(crate) rows: std::collections::BTreeMap<String, std::collections::BTreeMap<String, i64>>,
}

/// What a plan was made with, for whoever carries it out.
pub(crate) struct Planned {
    pub(crate) plan: RestorePlan,
    pub(crate) backup: BackupManifest,
}

/// Names of folders below the one that a plan works in.
pub(crate) const STAGED: &str = "wal";
const SCANNED: &str = "scan";
/// For the estimate, when no drill was held yet: bytes for each second that are unpacked and
/// replayed on a small machine, and what a start and the checks take.
const COPY_RATE: u64 = 150_000_000;
const REPLAY_RATE: u64 = 50_000_000;
const FIXED_SECONDS: u64 = 5;

/// Plans a restore. Works in a temporary folder and touches nothing else.
///
/// Fails where PostgreSQL would restore something else in silence: a target before the end of every
/// base backup, one that the WAL does not reach, WAL that is missing or damaged before it.
pub fn plan_restore(
    repository: &Repository,
    programs: &Programs,
    request: &RestoreRequest,
    watcher: &Watcher<'_>,
) -> Result<RestorePlan, BackupError> {
    let above = std::env::temp_dir();
    let folder = tempfile::Builder::new().prefix("fraiseql-plan-").tempdir_in(&above);
    let folder = folder.map_err(file("create a folder in", above))?;
    let custody = Custody::of(folder.path())?;
    plan_in(repository, programs, request, folder.path(), &custody, watcher).map(|planned| planned.plan)
}

/// Does as [`plan_restore`], in a folder that then holds the unpacked WAL.
pub(crate) fn plan_in(
    repository: &Repository,
    programs: &Programs,
    request: &RestoreRequest,
    folder: &Path,
    custody: &Custody,
    watcher: &Watcher<'_>,
) -> Result<Planned, BackupError> {
    let histories = repository.histories()?;
    let newest = histories.keys().copied().max().unwrap_or(1);
    let timeline = request.timeline.unwrap_or(newest);
    let path = TimelinePath::to(timeline, &histories)?;
    let point = match &request.target {
        RestoreTarget::Point(name) => Some(find_point(repository.points()?, name, &path)?),
        _ => None,
    };
    let backup = choose_backup(repository.backups()?, request, &path, point.as_ref())?;
    let chain = Chain::find(repository, &backup, &path)?;
    let staged = folder.join(STAGED);
    std::fs::create_dir(&staged).map_err(file("create", &staged))?;
    custody.give(&staged)?;
    let (chain, archived_until, broken) = chain.stage(repository, &backup, &staged, custody, watcher)?;
    if chain.end() < backup.stop_lsn {
        return Err(broken.unwrap_or_else(|| chain.gap_error(&backup)));
    }
    let dump = Dump::new(programs, &chain, &staged, folder.join(SCANNED), timeline)?;
    watcher.begin("looking for the target in the WAL", 0);
    let position = match (&request.target, &point) {
        (RestoreTarget::Lsn(lsn), _) => Some(*lsn),
        (_, Some(point)) => Some(point.lsn),
        _ => None,
    };
    let found = Found::scan(&dump, &backup, &request.target, position)?;
    watcher.end();
    let stop = found.stop(&dump, &backup, request, broken)?;
    let wal_bytes = chain.names.len() as u64 * chain.segment_bytes;
    let drilled = repository.drills()?.last().map(|drill| drill.bytes * 1_000 / drill.rto_ms.max(1));
    let copying = backup.bytes / drilled.unwrap_or(COPY_RATE).max(1);
    let plan = RestorePlan {
        target: request.target.to_string(),
        backup: backup.label.clone(),
        backup_bytes: backup.bytes,
        timeline,
        first_wal: chain.names.first().cloned().unwrap_or_default(),
        last_wal: chain.names.last().cloned().unwrap_or_default(),
        wal_bytes,
        stop,
        last_commit_kept: found.last_kept.map(|commit| commit.at),
        commits_lost: found.lost,
        first_commit_lost: found.first_lost.map(|commit| commit.at),
        last_commit_lost: found.last_lost.map(|commit| commit.at),
        archived_until,
        seconds_estimated: FIXED_SECONDS + copying + wal_bytes / REPLAY_RATE,
        rows: point.map(|point| point.rows).unwrap_or_default(),
    };
    Ok(Planned { plan, backup })
}

impl RestorePlan {
    /// Returns it in sentences, one a line.
    pub fn told(&self) -> String {
        let shown = |moment: Option<Moment>| moment.map_or("none".to_owned(), |moment| moment.to_string());
        let mut told = format!(
            "restore to {}\n  from   backup {} ({} of files)\n  then   WAL {} to {} of timeline {} ({})\n  keeps  commits up to {}\n",
            self.target,
            self.backup,
            human_bytes(self.backup_bytes),
            self.first_wal,
            self.last_wal,
            self.timeline,
            human_bytes(self.wal_bytes),
            shown(self.last_commit_kept),
        );
        told.push_str(&match self.commits_lost {
            0 => "  loses  no commit that is archived\n".to_owned(),
            lost => format!(
                "  loses  {lost} archived commits, from {} to {}\n",
                shown(self.first_commit_lost),
                shown(self.last_commit_lost)
            ),
        });
        told.push_str(&format!("         and whatever was not archived after {}\n", self.archived_until));
        told.push_str(&format!("  takes  about {} s\n", self.seconds_estimated));
        told
    }
}

fn find_point(
    points: Vec<RestorePoint>,
    name: &str,
    path: &TimelinePath,
) -> Result<RestorePoint, BackupError> {
    let wrong = |reason: String| BackupError::Point { name: name.to_owned(), reason };
    let names: Vec<String> = points.iter().map(|point| point.name.clone()).collect();
    let Some(point) = points.into_iter().find(|point| point.name == name) else {
        let nearest = fraiseql_model::names::nearest(name, names.iter().map(String::as_str));
        let suggestion = nearest.map(|near| format!(", did you mean {near:?}?")).unwrap_or_default();
        return Err(wrong(format!("there is none of this name{suggestion}")));
    };
    match path.holds(point.timeline, point.lsn) {
        true => Ok(point),
        false => {
            let timeline = point.timeline;
            Err(wrong(format!(
                "it is on timeline {timeline}, which a later restore has left: add --timeline {timeline}"
            )))
        }
    }
}

/// Returns the newest backup on the path that ended before the target.
fn choose_backup(
    backups: Vec<BackupManifest>,
    request: &RestoreRequest,
    path: &TimelinePath,
    point: Option<&RestorePoint>,
) -> Result<BackupManifest, BackupError> {
    let ended_before = |backup: &BackupManifest| match (&request.target, point) {
        (RestoreTarget::Time(moment), _) => backup.stopped_at <= *moment,
        (RestoreTarget::Lsn(lsn), _) => backup.stop_lsn <= *lsn,
        (_, Some(point)) => backup.stop_lsn <= point.lsn,
        _ => true,
    };
    let none = |reason: String| BackupError::NoBackup { target: request.target.to_string(), reason };
    let mut usable = backups;
    usable.retain(|backup| path.holds(backup.timeline, backup.stop_lsn));
    if let Some(label) = &request.backup {
        usable.retain(|backup| backup.label == *label);
    }
    let Some(oldest) = usable.first() else {
        let which = request.backup.as_ref().map_or_else(String::new, |label| format!(" {label}"));
        return Err(none(format!("there is no backup{which} on timeline {}", path.last())));
    };
    let reason = format!(
        "the oldest backup, {}, ended later, at {} ({})",
        oldest.label, oldest.stopped_at, oldest.stop_lsn
    );
    usable.into_iter().rev().find(ended_before).ok_or_else(|| none(reason))
}

/// What was found in the WAL.
struct Found {
    /// The first transaction that ended after the moment that is the target.
    beyond: Option<TransactionEnd>,
    position: Option<Lsn>,
    last_kept: Option<TransactionEnd>,
    last_seen: Option<TransactionEnd>,
    lost: u64,
    first_lost: Option<TransactionEnd>,
    last_lost: Option<TransactionEnd>,
    /// From where on the WAL cannot be read.
    broken: Option<(Lsn, BackupError)>,
}

impl Found {
    fn scan(
        dump: &Dump<'_>,
        backup: &BackupManifest,
        target: &RestoreTarget,
        position: Option<Lsn>,
    ) -> Result<Self, BackupError> {
        let mut found = Self {
            beyond: None,
            position,
            last_kept: None,
            last_seen: None,
            lost: 0,
            first_lost: None,
            last_lost: None,
            broken: None,
        };
        let broken = dump.transactions(backup.start_lsn, |end| found.see(end, target))?;
        found.broken = broken;
        Ok(found)
    }

    fn see(&mut self, end: TransactionEnd, target: &RestoreTarget) {
        self.last_seen = Some(end);
        if let RestoreTarget::Time(moment) = target
            && self.beyond.is_none()
            && end.at > *moment
        {
            self.beyond = Some(end);
        }
        let kept = self.beyond.is_none() && self.position.is_none_or(|position| end.lsn < position);
        if !end.committed {
            return;
        }
        if kept {
            self.last_kept = Some(end);
        } else {
            self.lost += 1;
            self.first_lost = self.first_lost.or(Some(end));
            self.last_lost = Some(end);
        }
    }

    /// Decides where replay stops. `unreadable` is why the archive ends where it does.
    fn stop(
        &self,
        dump: &Dump<'_>,
        backup: &BackupManifest,
        request: &RestoreRequest,
        unreadable: Option<BackupError>,
    ) -> Result<StopAt, BackupError> {
        let target = request.target.to_string();
        let last = match self.last_seen {
            Some(end) => format!("the last transaction in it ended at {} ({})", end.at, end.lsn),
            None => "no transaction ended in it".to_owned(),
        };
        let not_reached = |target: String| BackupError::NotReached { target, last };
        if matches!(request.target, RestoreTarget::Latest) {
            if let Some(error) = unreadable.or_else(|| self.damage(None)) {
                return Err(error);
            }
            let record = dump.last_record()?.ok_or_else(|| not_reached(target))?;
            return Ok(StopAt::After { record: record.lsn });
        }
        let position = self.beyond.map(|end| end.lsn).or(self.position);
        let Some(position) = position else {
            return Err(unreadable.or_else(|| self.damage(None)).unwrap_or_else(|| not_reached(target)));
        };
        if let Some(error) = self.damage(Some(position)) {
            return Err(error);
        }
        let Some(record) = dump.record_from(position)? else {
            return Err(unreadable.unwrap_or_else(|| not_reached(target)));
        };
        if record.lsn < backup.stop_lsn {
            let reason = format!(
                "it lies at {}, and backup {} ended at {}: name an older one with --backup",
                record.lsn, backup.label, backup.stop_lsn
            );
            return Err(BackupError::NoBackup { target, reason });
        }
        Ok(StopAt::Before { record: record.lsn, previous: record.previous })
    }

    /// Returns the damage, when it lies before `position`.
    fn damage(&self, position: Option<Lsn>) -> Option<BackupError> {
        let (at, error) = self.broken.as_ref()?;
        position.is_none_or(|position| *at < position).then(|| {
            crate::error::damaged(
                format!("the WAL at {at}"),
                match error {
                    BackupError::Damaged { reason, .. } => reason.clone(),
                    other => other.to_string(),
                },
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn backup(label: &str, timeline: u32, stop: u64, minute: u32) -> BackupManifest {
        let at = Moment::parse(&format!("2026-01-26 14:{minute:02}:00Z")).unwrap();
        BackupManifest {
            format: 1,
            label: label.to_owned(),
            system_id: "7".to_owned(),
            major: 15,
            timeline,
            start_lsn: Lsn(stop - 10),
            stop_lsn: Lsn(stop),
            started_at: at,
            stopped_at: at,
            segment_bytes: 1 << 24,
            bytes: 1,
            files: 1,
            stored_bytes: 1,
            stored_sha256: String::new(),
            verified_at: at,
            settings: BTreeMap::new(),
        }
    }

    #[track_caller]
    fn check(target: RestoreTarget, timeline: u32, expected: &str) {
        let histories = BTreeMap::from([(2, format!("1\t{}\tx\n", Lsn(250)))]);
        let path = TimelinePath::to(timeline, &histories).unwrap();
        let backups = vec![
            backup("a", 1, 100, 10),
            backup("b", 1, 200, 20),
            backup("c", 1, 300, 30),
            backup("d", 2, 400, 40),
        ];
        let request = RestoreRequest { target, timeline: None, backup: None };
        let chosen = match choose_backup(backups, &request, &path, None) {
            Ok(backup) => backup.label,
            Err(error) => error.to_string(),
        };
        assert!(chosen.contains(expected), "{chosen}");
    }

    #[test]
    fn the_newest_backup_that_ended_before_the_target_is_chosen() {
        let at = |text: &str| RestoreTarget::Time(Moment::parse(text).unwrap());
        check(at("2026-01-26 14:25:00Z"), 1, "b");
        check(at("2026-01-26 14:20:00Z"), 1, "b");
        check(RestoreTarget::Lsn(Lsn(299)), 1, "b");
        check(RestoreTarget::Lsn(Lsn(300)), 1, "c");
        check(RestoreTarget::Latest, 1, "c");
        check(RestoreTarget::Latest, 2, "d");
    }

    #[test]
    fn a_backup_of_a_timeline_that_was_left_is_not_used() {
        check(RestoreTarget::Lsn(Lsn(350)), 2, "b");
    }

    #[test]
    fn a_target_before_the_end_of_every_backup_is_refused() {
        let target = RestoreTarget::Time(Moment::parse("2026-01-26 14:09:59Z").unwrap());
        check(target, 1, "the oldest backup, a, ended later, at 2026-01-26T14:10:00.000000Z");
        check(RestoreTarget::Lsn(Lsn(99)), 1, "the oldest backup, a, ended later");
    }
}
