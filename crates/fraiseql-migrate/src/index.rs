//! Indexes that are built beside the traffic: found again after a crash, and never taken for good unseen.

use std::time::Duration;

use fraiseql_postgres::{PostgresError, connect_control};

use crate::error::MigrateError;
use crate::ledger::{self, LedgerRow};
use crate::plan::MigrationStep;
use crate::run::{MigrateEvent, Migrator, failed};

const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Migrator {
    /// Builds an index, after removing what an attempt of ours has left behind.
    pub(crate) async fn build_index(
        &mut self,
        step: &MigrationStep,
        known: Option<&LedgerRow>,
        table: &str,
        index: &str,
        tell: &mut dyn FnMut(MigrateEvent<'_>),
    ) -> Result<(), MigrateError> {
        match self.found_index(table, index).await? {
            // Ours, and the crash came before the ledger; or the user's own, which is what was asked for.
            Some((true, _)) => return Ok(ledger::done(&self.client, step).await?),
            Some((false, name)) if known.is_some() => {
                tell(MigrateEvent::Note(format!("removing {name}, which an earlier attempt has left")));
                let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {name}");
                self.client.batch_execute(&drop).await.map_err(|error| failed(step, error.into()))?;
            }
            Some((false, index)) => return Err(MigrateError::ForeignIndex { place: step.place(), index }),
            None => {}
        }
        ledger::begin(&self.client, step).await?;
        self.watched(step, tell).await?;
        match self.found_index(table, index).await? {
            Some((true, _)) => Ok(ledger::done(&self.client, step).await?),
            _ => Err(MigrateError::Refused {
                place: step.place(),
                reason: format!(
                    "PostgreSQL says that it was built, and {index} is not a valid index of {table}"
                ),
                hint: "run the command again: it is removed and built anew",
            }),
        }
    }

    /// Returns whether the index is valid, and its name with its schema; `None` when it is not there.
    async fn found_index(&self, table: &str, index: &str) -> Result<Option<(bool, String)>, PostgresError> {
        let sql = "SELECT i.indisvalid AND i.indisready, c.oid::regclass::text FROM pg_index i \
                   JOIN pg_class c ON c.oid = i.indexrelid \
                   WHERE i.indrelid = to_regclass($1) AND c.relname = $2";
        let row = self.client.query_opt(sql, &[&table, &index]).await?;
        Ok(row.map(|row| (row.get(0), row.get(1))))
    }

    /// Runs the statement, and tells how far it is as another connection sees it.
    async fn watched(
        &self,
        step: &MigrationStep,
        tell: &mut dyn FnMut(MigrateEvent<'_>),
    ) -> Result<(), MigrateError> {
        let pid: i32 =
            self.client.query_one("SELECT pg_backend_pid()", &[]).await.map_err(PostgresError::from)?.get(0);
        let version: i32 = self
            .client
            .query_one("SELECT current_setting('server_version_num')::int", &[])
            .await
            .map_err(PostgresError::from)?
            .get(0);
        let watcher = if version >= 120_000 { Some(connect_control(&self.target).await?) } else { None };
        let building = self.client.batch_execute(&step.text);
        tokio::pin!(building);
        loop {
            tokio::select! {
                built = &mut building => return built.map_err(|error| failed(step, error.into())),
                () = tokio::time::sleep(LOOK_EVERY) => {
                    let Some(watcher) = &watcher else { continue };
                    let sql = "SELECT blocks_done, blocks_total FROM pg_stat_progress_create_index WHERE pid = $1";
                    // What cannot be seen is not told; the work goes on.
                    if let Ok(Some(row)) = watcher.query_opt(sql, &[&pid]).await {
                        let of = |place| u64::try_from(row.get::<_, i64>(place)).unwrap_or(0);
                        tell(MigrateEvent::Blocks { done: of(0), total: of(1) });
                    }
                }
            }
        }
    }
}
