//! The server that is backed up: what it is, and whether its WAL arrives in the repository.

use std::collections::BTreeMap;
use std::time::Duration;

use fraiseql_postgres::{ControlClient, PostgresError, Target, connect_control};
use tokio::time::Instant;

use crate::error::BackupError;
use crate::lsn::{Lsn, segment_name};
use crate::moment::Moment;
use crate::repository::Repository;

/// The oldest version that writes a manifest of its base backups.
const MAJOR_MIN: u32 = 13;
/// How long WAL may take from the server into the repository.
const ARCHIVE_TIMEOUT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Each look into a bucket is a request.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// A server that archives.
pub(crate) struct Source {
    pub(crate) client: ControlClient,
    pub(crate) major: u32,
    pub(crate) system_id: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) bytes: u64,
    /// Those below which a standby refuses to replay this server's WAL.
    pub(crate) settings: BTreeMap<String, String>,
}

const FACTS: &str = "SELECT current_setting('server_version_num')::int, \
(SELECT system_identifier FROM pg_control_system()), \
pg_size_bytes(current_setting('wal_segment_size')), \
(SELECT coalesce(sum(pg_database_size(oid)), 0)::bigint FROM pg_database), \
(SELECT count(*) FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')), \
pg_is_in_recovery(), current_setting('archive_mode'), \
coalesce(nullif(current_setting('archive_command', true), ''), nullif(current_setting('archive_library', true), ''), '')";
const NEEDED: &str = "SELECT name, setting FROM pg_settings WHERE name IN ('max_connections', \
'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions', 'max_locks_per_transaction')";
const FAILING: &str = "SELECT last_failed_wal, failed_count FROM pg_stat_archiver \
WHERE last_failed_time > coalesce(last_archived_time, '-infinity')";

impl Source {
    /// Connects, and refuses a server that this engine cannot back up or that does not archive.
    pub(crate) async fn open(target: &Target) -> Result<Self, BackupError> {
        let client = connect_control(target).await?;
        let row = client.query_one(FACTS, &[]).await.map_err(PostgresError::from)?;
        let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
        let major = u32::try_from(row.get::<_, i32>(0) / 10_000).unwrap_or(0);
        let unsupported = |reason: String| Err(BackupError::Unsupported { reason });
        if major < MAJOR_MIN {
            return unsupported(format!("it is PostgreSQL {major}, and {MAJOR_MIN} is the oldest"));
        }
        if row.get::<_, i64>(4) > 0 {
            return unsupported("it has tablespaces outside of its data directory".to_owned());
        }
        if row.get::<_, bool>(5) {
            return unsupported("it is a standby: name the primary".to_owned());
        }
        let archiving = |reason: String| Err(BackupError::Archiving { reason });
        if row.get::<_, String>(6) == "off" {
            return archiving("archive_mode is off".to_owned());
        }
        if row.get::<_, String>(7).is_empty() {
            return archiving("archive_command is empty".to_owned());
        }
        let settings = client.query(NEEDED, &[]).await.map_err(PostgresError::from)?;
        let settings = settings.iter().map(|row| (row.get(0), row.get(1))).collect();
        let (system_id, segment_bytes) = (unsigned(row.get(1)), unsigned(row.get(2)));
        let bytes = unsigned(row.get(3));
        let source = Self { client, major, system_id, segment_bytes, bytes, settings };
        source.require_no_failure().await?;
        Ok(source)
    }

    /// Fails when the server's last attempt to archive failed.
    async fn require_no_failure(&self) -> Result<(), BackupError> {
        let failing = self.client.query_opt(FAILING, &[]).await.map_err(PostgresError::from)?;
        match failing {
            None => Ok(()),
            Some(row) => {
                let (name, times): (String, i64) = (row.get(0), row.get(1));
                let reason = format!("its last attempt, of {name}, failed ({times} failures in all)");
                Err(BackupError::Archiving { reason })
            }
        }
    }

    /// Begins a new segment and waits until the one before it is in the repository: whether archiving
    /// works is known before the long copy, which would wait for it at its end.
    pub(crate) async fn prove_archiving(&self, repository: &Repository) -> Result<(), BackupError> {
        let sql = "SELECT pg_create_restore_point('fraiseql backup')::text, \
                   substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8), pg_switch_wal()::text";
        let row = self.client.query_one(sql, &[]).await.map_err(PostgresError::from)?;
        let timeline = u32::from_str_radix(row.get(1), 16)
            .map_err(|error| BackupError::Archiving { reason: format!("it names no timeline: {error}") })?;
        self.archived(repository, timeline, Lsn::parse(row.get(0))?).await
    }

    /// Returns the server's clock.
    pub(crate) async fn now(&self) -> Result<Moment, BackupError> {
        let row =
            self.client.query_one("SELECT clock_timestamp()", &[]).await.map_err(PostgresError::from)?;
        Ok(Moment::of(row.get(0)))
    }

    /// Waits until everything before `lsn` is in the repository.
    pub(crate) async fn archived(
        &self,
        repository: &Repository,
        timeline: u32,
        lsn: Lsn,
    ) -> Result<(), BackupError> {
        // A position on the border belongs to the segment before it: that one holds its last byte.
        let name = segment_name(
            timeline,
            Lsn(lsn.0.saturating_sub(1)).segment(self.segment_bytes),
            self.segment_bytes,
        );
        let deadline = Instant::now() + ARCHIVE_TIMEOUT;
        while !repository.has_wal(&name)? {
            self.require_no_failure().await?;
            if Instant::now() >= deadline {
                let reason = format!(
                    "{name} did not come into {} within {} s",
                    repository.shown(),
                    ARCHIVE_TIMEOUT.as_secs()
                );
                return Err(BackupError::Archiving { reason });
            }
            tokio::time::sleep(if repository.root().is_some() { LOOK_EVERY } else { ASK_EVERY }).await;
        }
        repository.claim(self.system_id, self.segment_bytes)
    }
}
