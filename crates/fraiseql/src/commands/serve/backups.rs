//! How fresh the backups are, looked at now and then for the health detail and the metrics.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fraiseql_backup::{Freshness, Moment, Repository, freshness};
use fraiseql_serve::{Gauge, GaugeKind};
use serde_json::{Value, json};

use crate::archiving;
use crate::commands::backup::now;
use crate::failure::Failure;
use crate::log::Log;
use crate::project::Project;

/// A bucket is paid by the request, and an alarm on backups counts hours.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// What is known of the backups.
#[derive(Clone, Debug)]
pub(super) struct Backups {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Clone, Debug)]
enum Seen {
    /// No repository is configured.
    None,
    NotYet,
    Found(Freshness),
    Failed(String),
}

impl Backups {
    pub(super) fn new(project: &Project) -> Self {
        let configured = project.settings.text("backup.repository").is_some();
        let seen = if configured { Seen::NotYet } else { Seen::None };
        Self { seen: Arc::new(Mutex::new(seen)) }
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks again and again; without a repository it only waits.
    pub(super) async fn watch(&self, project: &Project, log: &Log) {
        if matches!(self.seen(), Seen::None) {
            return std::future::pending().await;
        }
        loop {
            let found = match look(project).await {
                Ok(found) => Seen::Found(found),
                Err(failure) => {
                    if !matches!(self.seen(), Seen::Failed(_)) {
                        log.line("warn", &format!("{}: cannot {}", failure.code.code, failure.message));
                    }
                    Seen::Failed(failure.code.code.to_owned())
                }
            };
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = found;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Returns what the health detail shows: when each was last done, or the code of what is wrong.
    pub(super) fn shown(&self) -> Value {
        match self.seen() {
            Seen::None => Value::Null,
            Seen::NotYet => json!({ "status": "not looked at yet" }),
            Seen::Failed(code) => json!({ "status": "failing", "code": code }),
            Seen::Found(Freshness { backup_at, wal_at, drill_at }) => json!({
                "status": "known", "backupAt": backup_at, "walArchivedAt": wal_at, "drillAt": drill_at,
            }),
        }
    }

    /// Returns the metrics. What never happened has no age, and an unknown repository is not up.
    pub(super) fn gauges(&self) -> Vec<Gauge> {
        gauges(&self.seen(), Moment::of(now()))
    }
}

fn gauges(seen: &Seen, now: Moment) -> Vec<Gauge> {
    let level = |name, help, value| Gauge { name, kind: GaugeKind::Level, help, labels: Vec::new(), value };
    let up = |value| {
        level("fraiseql_backup_repository_up", "1 when the backups could be looked at the last time.", value)
    };
    let found = match seen {
        Seen::None | Seen::NotYet => return Vec::new(),
        Seen::Failed(_) => return vec![up(0)],
        Seen::Found(found) => found,
    };
    let age = |name, help, at: Option<Moment>| at.map(|at| level(name, help, now.since(at).as_secs()));
    let ages = [
        age(
            "fraiseql_backup_age_seconds",
            "Seconds since the newest verified base backup ended.",
            found.backup_at,
        ),
        age(
            "fraiseql_backup_wal_age_seconds",
            "Seconds since the last segment of WAL was archived.",
            found.wal_at,
        ),
        age(
            "fraiseql_backup_drill_age_seconds",
            "Seconds since the last drill of a restore that succeeded.",
            found.drill_at,
        ),
    ];
    std::iter::once(up(1)).chain(ages.into_iter().flatten()).collect()
}

async fn look(project: &Project) -> Result<Freshness, Failure> {
    let access = archiving::required(project, None).await?;
    let looking = tokio::task::spawn_blocking(move || {
        Repository::open(&access.location, access.key).and_then(|repository| freshness(&repository))
    });
    let looked = looking.await.map_err(|error| Failure::internal("look at the backups", &error))?;
    Ok(looked?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seen: Seen, expected: &[(&str, u64)]) {
        let now = Moment::parse("2026-01-26 14:00:00Z").unwrap();
        let gauges = gauges(&seen, now);
        let found: Vec<(&str, u64)> = gauges.iter().map(|gauge| (gauge.name, gauge.value)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn unknown_is_never_an_age() {
        check(Seen::None, &[]);
        check(Seen::NotYet, &[]);
        check(Seen::Failed("FQ-BAK-017".to_owned()), &[("fraiseql_backup_repository_up", 0)]);
        let backup_at = Some(Moment::parse("2026-01-26 13:00:00Z").unwrap());
        let found = Freshness { backup_at, ..Freshness::default() };
        let expected = [("fraiseql_backup_repository_up", 1), ("fraiseql_backup_age_seconds", 3_600)];
        check(Seen::Found(found), &expected);
    }
}
