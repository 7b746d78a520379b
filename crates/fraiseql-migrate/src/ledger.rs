//! What has run, in the database itself: a restore rewinds it together with what it tells of.

use fraiseql_postgres::{ControlClient, PostgresError};

use crate::plan::MigrationStep;

/// The table, for a role that may make schemas.
const LEDGER: &str = "
CREATE SCHEMA IF NOT EXISTS fraiseql;
CREATE TABLE IF NOT EXISTS fraiseql.migration_step (
    migration text NOT NULL,
    section text NOT NULL,
    position int NOT NULL,
    checksum text NOT NULL,
    state text NOT NULL CHECK (state IN ('running', 'done')),
    cursor text,
    row_count bigint NOT NULL DEFAULT 0,
    began_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    by_role text NOT NULL DEFAULT current_user,
    PRIMARY KEY (migration, section, position)
);";

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// The migration.
    pub migration: String,
    /// The section, in lower case.
    pub section: String,
    /// Number within the section, from 1.
    pub position: i32,
    /// SHA-256 of the statement that ran.
    pub checksum: String,
    /// How far it is.
    pub state: StepState,
    /// Of batches: the last key that was done.
    pub cursor: Option<String>,
    /// Of batches: how many rows were changed.
    pub row_count: i64,
}

/// How far a statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    /// It has begun.
    Running,
    /// It has ended well.
    Done,
}

impl LedgerRow {
    /// Returns true when it tells of that statement.
    pub fn is_of(&self, step: &MigrationStep) -> bool {
        self.migration == step.migration
            && self.section == step.section.as_str()
            && self.position == step.position
    }
}

/// Makes the ledger where there is none.
pub(crate) async fn prepare(client: &ControlClient) -> Result<(), PostgresError> {
    // Asked first: CREATE needs rights that a later run does not.
    if !exists(client).await? {
        client.batch_execute(LEDGER).await?;
    }
    Ok(())
}

async fn exists(client: &ControlClient) -> Result<bool, PostgresError> {
    let row = client.query_one("SELECT to_regclass('fraiseql.migration_step') IS NOT NULL", &[]).await?;
    Ok(row.get(0))
}

/// Returns every line; none where there is no ledger.
pub async fn rows(client: &ControlClient) -> Result<Vec<LedgerRow>, PostgresError> {
    if !exists(client).await? {
        return Ok(Vec::new());
    }
    let sql = "SELECT migration, section, position, checksum, state, cursor, row_count \
               FROM fraiseql.migration_step ORDER BY began_at, migration, section, position";
    let rows = client.query(sql, &[]).await?;
    let line = |row: &_| read(row);
    Ok(rows.iter().map(line).collect())
}

fn read(row: &fraiseql_postgres::ControlRow) -> LedgerRow {
    LedgerRow {
        migration: row.get(0),
        section: row.get(1),
        position: row.get(2),
        checksum: row.get(3),
        state: if row.get::<_, String>(4) == "done" { StepState::Done } else { StepState::Running },
        cursor: row.get(5),
        row_count: row.get(6),
    }
}

/// Notes that a statement begins.
pub(crate) async fn begin(client: &ControlClient, step: &MigrationStep) -> Result<(), PostgresError> {
    let sql = "INSERT INTO fraiseql.migration_step (migration, section, position, checksum, state) \
               VALUES ($1, $2, $3, $4, 'running') ON CONFLICT DO NOTHING";
    let section = step.section.as_str();
    client.execute(sql, &[&step.migration, &section, &step.position, &step.checksum]).await?;
    Ok(())
}

/// Notes that a statement is done; within a transaction, together with it.
pub(crate) async fn done(client: &ControlClient, step: &MigrationStep) -> Result<(), PostgresError> {
    let sql = "INSERT INTO fraiseql.migration_step (migration, section, position, checksum, state, ended_at) \
               VALUES ($1, $2, $3, $4, 'done', now()) \
               ON CONFLICT (migration, section, position) DO UPDATE SET state = 'done', ended_at = now()";
    let section = step.section.as_str();
    client.execute(sql, &[&step.migration, &section, &step.position, &step.checksum]).await?;
    Ok(())
}

/// Notes how far batches are, within the transaction of a batch.
pub(crate) async fn advance(
    client: &ControlClient,
    step: &MigrationStep,
    cursor: Option<&str>,
    rows: i64,
) -> Result<(), PostgresError> {
    let sql = "UPDATE fraiseql.migration_step SET cursor = $4, row_count = row_count + $5 \
               WHERE migration = $1 AND section = $2 AND position = $3";
    let section = step.section.as_str();
    client.execute(sql, &[&step.migration, &section, &step.position, &cursor, &rows]).await?;
    Ok(())
}

/// Forgets a migration that was taken back.
pub(crate) async fn forget(client: &ControlClient, migration: &str) -> Result<(), PostgresError> {
    client.execute("DELETE FROM fraiseql.migration_step WHERE migration = $1", &[&migration]).await?;
    Ok(())
}

/// Forgets a statement, together with what takes it back.
pub(crate) async fn forget_step(client: &ControlClient, step: &MigrationStep) -> Result<(), PostgresError> {
    let sql = "DELETE FROM fraiseql.migration_step WHERE migration = $1 AND section = $2 AND position = $3";
    client.execute(sql, &[&step.migration, &step.section.as_str(), &step.position]).await?;
    Ok(())
}
