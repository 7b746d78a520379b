//! Changes from an outbox: a table to which triggers write one row for each writing statement.
//!
//! Read by transaction id and snapshot, not by a sequence: rows of a transaction that commits late
//! are never passed over. For databases where logical decoding is not allowed.

use std::collections::BTreeSet;
use std::time::Duration;

use fraiseql_model::catalog::QualifiedName;
use fraiseql_model::names::quote_identifier;
use tokio::time::Instant;
use tokio_postgres::{Client, Statement};

use crate::changes::Changed;
use crate::control::connect_control;
use crate::error::{PostgresError, SqlError};
use crate::target::Target;

const TABLES: &str = "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_trigger t \
     JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE t.tgfoid = pg_catalog.to_regproc('fraiseql.note_change')::oid AND t.tgenabled IN ('O', 'A')";
const SNAPSHOT: &str = "SELECT pg_catalog.txid_current_snapshot()::text";
/// One statement, so one snapshot: what it reads and what it says it has read are the same.
const READ: &str = "SELECT pg_catalog.txid_current_snapshot()::text, ARRAY(SELECT DISTINCT relation FROM fraiseql.outbox \
     WHERE xid >= pg_catalog.txid_snapshot_xmin($1::text::txid_snapshot) \
     AND NOT pg_catalog.txid_visible_in_snapshot(xid, $1::text::txid_snapshot))";
const CLEAN: &str =
    "DELETE FROM fraiseql.outbox WHERE xid < pg_catalog.txid_snapshot_xmin($1::text::txid_snapshot)";
/// How old rows are when they are removed. A reader that has not looked for half of it takes
/// everything as changed.
const KEPT: Duration = Duration::from_secs(120);

/// A reader of the outbox.
pub struct Outbox {
    client: Client,
    tables: BTreeSet<String>,
    read: Statement,
    /// What the last look saw.
    snapshot: String,
    read_at: Instant,
    /// A snapshot of some time ago: rows that it saw can go when it is old enough.
    kept_from: (String, Instant),
}

impl Outbox {
    /// Begins to read. Changes committed after this returns are told.
    ///
    /// Fails when there is no outbox, no table has its trigger, or the role may not read it.
    pub async fn open(target: &Target) -> Result<Self, PostgresError> {
        let client = connect_control(target).await?;
        let rows = client.query(TABLES, &[]).await?;
        let tables: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
        if tables.is_empty() {
            let message = "no table has the outbox's trigger: `fraiseql schema outbox` prints the SQL for it";
            let error = SqlError {
                sqlstate: "42704".to_owned(),
                severity: "ERROR".to_owned(),
                message: message.to_owned(),
                ..SqlError::default()
            };
            return Err(PostgresError::Sql(Box::new(error)));
        }
        let read = client.prepare(READ).await?;
        let snapshot: String = client.query_one(SNAPSHOT, &[]).await?.get(0);
        let now = Instant::now();
        let kept_from = (snapshot.clone(), now);
        Ok(Self { client, tables, read, snapshot, read_at: now, kept_from })
    }

    /// Returns the tables that had the trigger when the reader was opened, as `schema.table`.
    pub fn tables(&self) -> &BTreeSet<String> {
        &self.tables
    }

    /// Returns what was written to since the last call. Costs one look into an index.
    pub async fn read(&mut self) -> Result<Changed, PostgresError> {
        let late = self.read_at.elapsed() > KEPT / 2;
        let row = self.client.query_one(&self.read, &[&self.snapshot]).await?;
        self.snapshot = row.get(0);
        self.read_at = Instant::now();
        if self.kept_from.1.elapsed() > KEPT {
            self.clean().await;
        }
        let tables: Vec<String> = row.get(1);
        Ok(if late { Changed::Everything } else { Changed::Tables(tables.into_iter().collect()) })
    }

    /// Removes old rows, where the role may; who may not leaves it to somebody else.
    async fn clean(&mut self) {
        let (old, _) = std::mem::replace(&mut self.kept_from, (self.snapshot.clone(), self.read_at));
        let _denied = self.client.execute(CLEAN, &[&old]).await.is_err();
    }
}

/// Returns the SQL that makes an outbox for tables, to be run by their owner.
/// It can be run again. `role` is who serves, if that is another role.
pub fn outbox_sql<'t>(tables: impl IntoIterator<Item = &'t QualifiedName>, role: Option<&str>) -> String {
    let mut sql = String::from(FRAME);
    for table in tables {
        let name = table.sql();
        sql.push_str(&format!(
            "\nDROP TRIGGER IF EXISTS fraiseql_note_change ON {name};\n\
             CREATE TRIGGER fraiseql_note_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {name}\n  \
             FOR EACH STATEMENT EXECUTE PROCEDURE fraiseql.note_change();\n"
        ));
    }
    if let Some(role) = role {
        let role = quote_identifier(role);
        sql.push_str(&format!(
            "\nGRANT USAGE ON SCHEMA fraiseql TO {role};\nGRANT SELECT, DELETE ON fraiseql.outbox TO {role};\n"
        ));
    }
    sql
}

const FRAME: &str = "\
-- Tells fraiseql which tables were written to, for subscriptions: one row for each statement.
-- Unlogged: after a crash of the server everything is asked anew anyway.
CREATE SCHEMA IF NOT EXISTS fraiseql;
CREATE UNLOGGED TABLE IF NOT EXISTS fraiseql.outbox (
  xid bigint NOT NULL DEFAULT pg_catalog.txid_current(),
  relation text NOT NULL
);
CREATE INDEX IF NOT EXISTS outbox_xid ON fraiseql.outbox (xid);
CREATE OR REPLACE FUNCTION fraiseql.note_change() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO fraiseql.outbox (relation) VALUES (TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME);
  RETURN NULL;
END $$;
";
