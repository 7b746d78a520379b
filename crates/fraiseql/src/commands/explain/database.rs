//! Asks PostgreSQL for plans, on a connection set up as those that serve.

use std::time::Duration;

use bytes::Bytes;
use fraiseql_engine::{PlanNode, TableFacts, read_plan};
use fraiseql_postgres::{Pool, PoolOptions, PostgresError, Query, Session, Target};
use tokio::time::Instant;

use crate::failure::Failure;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// `plan_cache_mode`, without which PostgreSQL cannot be asked for its plan for any values.
const GENERIC_SINCE: u32 = 120_000;
const NAME: &str = "fraiseql_explain";

/// What a table is to the planner. Tables below views are asked for too, so it is not the catalog of the project.
const FACTS: &str = "SELECT json_build_object(
  'rows', GREATEST(c.reltuples, 0)::int8,
  'indexes', COALESCE((SELECT json_agg((
      SELECT COALESCE(json_agg(a.attname ORDER BY k.n), '[]') FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n)
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum))
    FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL), '[]'),
  'foreign_keys', COALESCE((SELECT json_agg((
      SELECT json_agg(a.attname ORDER BY k.n) FROM unnest(f.conkey) WITH ORDINALITY AS k(attnum, n)
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum))
    FROM pg_catalog.pg_constraint f WHERE f.conrelid = c.oid AND f.contype = 'f'), '[]'))::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1::text AND c.relname = $2::text";

/// How a plan is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    /// The plan for any values, which a server settles for; nothing runs.
    Plan,
    /// Runs the statement in a read-only transaction that is undone, and measures.
    Measure,
}

/// A connection for explaining.
pub(crate) struct Explaining {
    pool: Pool,
    session: Session,
    version: u32,
}

impl Explaining {
    /// Connects.
    pub(crate) async fn connect(target: Target) -> Result<Self, Failure> {
        let options = PoolOptions { size: 1, connect_timeout: CONNECT_TIMEOUT };
        let pool = Pool::new(target, options);
        let mut session = pool.acquire(Instant::now() + CONNECT_TIMEOUT).await?;
        let version = one(&mut session, "SELECT current_setting('server_version_num')", &[]).await?;
        let version = String::from_utf8_lossy(&version).parse();
        let version = version.map_err(|error| Failure::internal("read PostgreSQL's version", &error))?;
        Ok(Self { pool, session, version })
    }

    /// Returns PostgreSQL's plan of a statement.
    pub(crate) async fn plan(
        &mut self,
        sql: &str,
        params: &[Option<Bytes>],
        asking: Asking,
    ) -> Result<PlanNode, Failure> {
        let json = match asking {
            Asking::Measure => self.measured(sql, params).await?,
            Asking::Plan if self.version >= GENERIC_SINCE => self.generic(sql, params.len()).await?,
            // The plan for these values is the nearest that there is.
            Asking::Plan => one(&mut self.session, &explained(sql, ""), params).await?,
        };
        read_plan(&json).map_err(|error| Failure::internal("explain", &error))
    }

    async fn generic(&mut self, sql: &str, params: usize) -> Result<Bytes, PostgresError> {
        // The values do not matter: the plan is for any. NULL is text of ours, not of a client.
        let nulls = vec!["NULL"; params].join(", ");
        let nulls = if nulls.is_empty() { nulls } else { format!("({nulls})") };
        self.session.simple(&format!("PREPARE {NAME} AS {sql}")).await?;
        self.session.simple("SET plan_cache_mode = 'force_generic_plan'").await?;
        let json = one(&mut self.session, &explained(&format!("EXECUTE {NAME}{nulls}"), ""), &[]).await;
        self.session.simple("SET plan_cache_mode = 'auto'").await?;
        self.session.simple(&format!("DEALLOCATE {NAME}")).await?;
        json
    }

    async fn measured(&mut self, sql: &str, params: &[Option<Bytes>]) -> Result<Bytes, PostgresError> {
        self.session.simple("BEGIN READ ONLY").await?;
        let json = one(&mut self.session, &explained(sql, "ANALYZE, "), params).await;
        self.session.simple("ROLLBACK").await?;
        json
    }

    /// Returns what PostgreSQL knows of a table; `None` when it is gone.
    pub(crate) async fn facts(&mut self, schema: &str, name: &str) -> Result<Option<TableFacts>, Failure> {
        let params = [schema, name].map(|text| Some(Bytes::copy_from_slice(text.as_bytes())));
        let json = one(&mut self.session, FACTS, &params).await?;
        if json.is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(&json)
            .map(Some)
            .map_err(|error| Failure::internal("read facts on a table", &error))
    }

    /// Closes the connection.
    pub(crate) async fn close(self) {
        drop(self.session);
        self.pool.close().await;
    }
}

fn explained(sql: &str, more: &str) -> String {
    format!("EXPLAIN ({more}VERBOSE, FORMAT JSON) {sql}")
}

/// Returns the first column of the first row; empty without a row.
async fn one(session: &mut Session, sql: &str, params: &[Option<Bytes>]) -> Result<Bytes, PostgresError> {
    let batch = [Query { sql, params }];
    let mut rows = session.run(&batch).await?;
    let first = rows.next().await?;
    while rows.next().await?.is_some() {}
    Ok(first.and_then(|row| row.get(0)).unwrap_or_default())
}
