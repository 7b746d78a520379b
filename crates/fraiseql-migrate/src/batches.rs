//! Backfills: ranges of keys, each in a transaction of its own together with its cursor, so that nothing is
//! done twice and nothing is left out.

use std::time::{Duration, Instant};

use fraiseql_postgres::PostgresError;

use crate::error::MigrateError;
use crate::ledger::{self, LedgerRow};
use crate::plan::{MigrationStep, proof};
use crate::run::{MigrateEvent, Migrator, failed};

/// How long a batch shall take.
const BATCH_TIME: Duration = Duration::from_millis(20);
const ROWS_FIRST: i64 = 200;
const ROWS_MAX: i64 = 20_000;
/// How long a batch waits for the lock of a row.
const ROW_WAIT_MS: u64 = 200;
const RETRIES: &[&str] = &["55P03", "40P01", "40001"];
/// Pauses between looks at replicas.
const LAG_EVERY: Duration = Duration::from_secs(1);
/// Rows after which the old versions are cleared away: a fifth of the table, and not for less than this.
const VACUUM_MIN: u64 = 50_000;

/// The column that bounds batches.
struct Key {
    column: String,
    kind: String,
    total: u64,
}

impl Migrator {
    /// Goes through the table by its key.
    pub(crate) async fn batches(
        &mut self,
        step: &MigrationStep,
        known: Option<&LedgerRow>,
        table: &str,
        column: &str,
        tell: &mut dyn FnMut(MigrateEvent<'_>),
    ) -> Result<(), MigrateError> {
        let key = self.key(step, table, column).await?;
        ledger::begin(&self.client, step).await?;
        let mut cursor = known.and_then(|row| row.cursor.clone());
        let mut done = known.map_or(0, |row| u64::try_from(row.row_count).unwrap_or(0));
        let (mut size, mut cleared, mut looked) = (ROWS_FIRST, done, Instant::now());
        tell(MigrateEvent::Rows { done, total: key.total });
        while let Some((first, last)) = self.bounds(table, &key, cursor.as_deref(), size).await? {
            let began = Instant::now();
            let changed = self.batch(step, &key, (&first, &last)).await?;
            let took = began.elapsed();
            cursor = Some(last);
            done += changed;
            tell(MigrateEvent::Rows { done, total: key.total.max(done) });
            size = next_size(size, took);
            if done - cleared >= (key.total / 5).max(VACUUM_MIN) {
                cleared = done;
                self.client
                    .batch_execute(&format!("VACUUM {table}"))
                    .await
                    .map_err(|error| failed(step, error.into()))?;
            }
            tokio::time::sleep(took.mul_f64((1.0 - self.options.duty) / self.options.duty)).await;
            if looked.elapsed() >= LAG_EVERY {
                self.let_replicas_follow(tell).await?;
                looked = Instant::now();
            }
        }
        if let Some(sql) = proof(&step.text) {
            let row = self.client.query_one(&sql, &[]).await.map_err(|error| failed(step, error.into()))?;
            let left: i64 = row.get(0);
            tell(MigrateEvent::Note(match left {
                0 => "looked at every row: none is left".to_owned(),
                left => format!(
                    "{left} rows differ: somebody has written them meanwhile who does not know the new column"
                ),
            }));
        }
        Ok(ledger::done(&self.client, step).await?)
    }

    /// Looks up the column; fails when it cannot carry batches.
    async fn key(&self, step: &MigrationStep, table: &str, column: &str) -> Result<Key, MigrateError> {
        let sql = "SELECT quote_ident(a.attname), format_type(a.atttypid, a.atttypmod), a.attnotnull, \
                     EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indkey[0] = a.attnum AND i.indisvalid \
                       AND i.indpred IS NULL), greatest(c.reltuples, 0)::float8 \
                   FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
                   WHERE c.oid = to_regclass($1) AND a.attname = $2";
        let row = self.client.query_opt(sql, &[&table, &column]).await.map_err(PostgresError::from)?;
        let refused = |reason: String| MigrateError::Refused {
            place: step.place(),
            reason,
            hint: "bound the batches by the primary key: WHERE id BETWEEN $1 AND $2",
        };
        let Some(row) = row else { return Err(refused(format!("{table} has no column {column}"))) };
        if !row.get::<_, bool>(2) {
            return Err(refused(format!("{column} may be null, and rows without it would be left out")));
        }
        if !row.get::<_, bool>(3) {
            return Err(refused(format!(
                "no index begins with {column}, and each batch would read the whole table"
            )));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate, never negative"
        )]
        let total = row.get::<_, f64>(4) as u64;
        Ok(Key { column: row.get(0), kind: row.get(1), total })
    }

    /// Returns the first and the last key of the next batch, as text; `None` when there is nothing behind the cursor.
    async fn bounds(
        &self,
        table: &str,
        key: &Key,
        cursor: Option<&str>,
        size: i64,
    ) -> Result<Option<(String, String)>, PostgresError> {
        let Key { column, kind, .. } = key;
        let behind =
            cursor.map(|cursor| format!("WHERE {column} > {}", literal(cursor, kind))).unwrap_or_default();
        let sql = format!(
            "SELECT (array_agg(k ORDER BY k))[1]::text, (array_agg(k ORDER BY k DESC))[1]::text \
             FROM (SELECT {column} AS k FROM {table} {behind} ORDER BY {column} LIMIT {size}) AS keys"
        );
        let row = self.client.query_one(&sql, &[]).await?;
        let (first, last): (Option<String>, Option<String>) = (row.get(0), row.get(1));
        Ok(first.zip(last))
    }

    /// Changes the rows of a range, and notes it in the same transaction.
    async fn batch(
        &self,
        step: &MigrationStep,
        key: &Key,
        (first, last): (&str, &str),
    ) -> Result<u64, MigrateError> {
        let text =
            step.text.replace("$1", &literal(first, &key.kind)).replace("$2", &literal(last, &key.kind));
        loop {
            let tried = async {
                let begin = format!("BEGIN; SET LOCAL lock_timeout = '{ROW_WAIT_MS}ms'");
                self.client.batch_execute(&begin).await?;
                let changed = self.client.execute(&text, &[]).await?;
                ledger::advance(&self.client, step, Some(last), i64::try_from(changed).unwrap_or(i64::MAX))
                    .await?;
                self.client.batch_execute("COMMIT").await?;
                Ok::<_, PostgresError>(changed)
            };
            let tried = tried.await;
            match tried {
                Ok(changed) => return Ok(changed),
                Err(PostgresError::Sql(error)) if RETRIES.contains(&error.sqlstate.as_str()) => {
                    self.client.batch_execute("ROLLBACK").await.map_err(PostgresError::from)?;
                    tokio::time::sleep(BATCH_TIME * 10).await;
                }
                Err(error) => {
                    // The first error is the one to tell.
                    drop(self.client.batch_execute("ROLLBACK").await);
                    return Err(failed(step, error));
                }
            }
        }
    }

    async fn let_replicas_follow(&self, tell: &mut dyn FnMut(MigrateEvent<'_>)) -> Result<(), PostgresError> {
        let sql = "SELECT coalesce(max(extract(epoch FROM replay_lag)), 0)::float8 FROM pg_stat_replication";
        let mut told = false;
        loop {
            let lag: f64 = self.client.query_one(sql, &[]).await?.get(0);
            if lag <= self.options.lag_max.as_secs_f64() {
                return Ok(());
            }
            if !std::mem::replace(&mut told, true) {
                tell(MigrateEvent::Note(format!("a replica is {lag:.0} s behind: waiting for it")));
            }
            tokio::time::sleep(LAG_EVERY).await;
        }
    }
}

/// Returns a key as a constant of its type. It comes from the database itself.
fn literal(text: &str, kind: &str) -> String {
    format!("'{}'::{kind}", text.replace('\'', "''"))
}

/// Returns the size of the next batch: at most twice, at least half of the last one.
fn next_size(size: i64, took: Duration) -> i64 {
    if took > BATCH_TIME * 2 {
        (size / 2).max(1)
    } else if took > BATCH_TIME {
        (size * 4 / 5).max(1)
    } else if took < BATCH_TIME / 2 {
        (size * 2).min(ROWS_MAX)
    } else {
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_the_time_that_batches_take() {
        let sizes = [5, 15, 30, 100].map(|took| next_size(1_000, Duration::from_millis(took)));
        assert_eq!(sizes, [2_000, 1_000, 800, 500]);
        assert_eq!((next_size(20_000, Duration::ZERO), next_size(1, Duration::from_secs(1))), (20_000, 1));
    }

    #[test]
    fn keys_are_constants_whatever_they_hold() {
        assert_eq!(literal("o'hara", "text"), "'o''hara'::text");
        assert_eq!(literal("17", "bigint"), "'17'::bigint");
    }
}
