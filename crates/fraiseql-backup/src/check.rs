//! What is looked at before a restored database is accepted: its structure, and how many rows it has.

use std::collections::BTreeMap;

use fraiseql_model::names::quote_identifier;
use fraiseql_postgres::{ControlClient, PostgresError};

use crate::error::BackupError;

/// The rows of tables that nobody writes to: database, then `schema.table`.
pub(crate) type RowCounts = BTreeMap<String, BTreeMap<String, i64>>;

/// Tables with more rows are not counted, and no more tables than this of a database.
const ROWS_MAX: i64 = 1_000_000;
const TABLES_MAX: i64 = 1_000;
const SHOWN_MAX: i64 = 3;

/// Returns the databases that can be connected to.
pub(crate) async fn databases(client: &ControlClient) -> Result<Vec<String>, BackupError> {
    let sql = "SELECT datname::text FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1";
    let rows = client.query(sql, &[]).await.map_err(PostgresError::from)?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Compares every index with its table, and looks at every page of every table from PostgreSQL 14 on.
/// Returns what was done, in words; `None` where the extension `amcheck` is not installed.
///
/// The extension is made in a transaction that is undone: nothing of it stays.
pub(crate) async fn amcheck(
    client: &ControlClient,
    database: &str,
    major: u32,
) -> Result<Option<String>, BackupError> {
    let sql = "SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck'";
    if client.query_opt(sql, &[]).await.map_err(PostgresError::from)?.is_none() {
        return Ok(None);
    }
    let run = async |sql: &str| client.batch_execute(sql).await.map_err(PostgresError::from);
    run("BEGIN; CREATE EXTENSION IF NOT EXISTS amcheck").await?;
    let checked = structure(client, database, major).await;
    run("ROLLBACK").await?;
    checked.map(Some)
}

async fn structure(client: &ControlClient, database: &str, major: u32) -> Result<String, BackupError> {
    let wrong = |what: String| BackupError::Verify { reason: format!("amcheck in {database}: {what}") };
    let schema = "SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace \
                  WHERE extname = 'amcheck'";
    let row = client.query_one(schema, &[]).await.map_err(PostgresError::from)?;
    let schema: String = row.get(0);
    let mut tables = 0_i64;
    if major >= 14 {
        let count = "SELECT count(*) FROM pg_class JOIN pg_am a ON a.oid = relam AND amname = 'heap' \
                     WHERE relkind IN ('r', 'm', 't') AND relpersistence = 'p'";
        tables = client.query_one(count, &[]).await.map_err(PostgresError::from)?.get(0);
        let pages = format!(
            "SELECT c.oid::regclass::text, v.msg FROM pg_class c JOIN pg_am a ON a.oid = c.relam AND amname = 'heap', \
             LATERAL {schema}.verify_heapam(relation => c.oid) v \
             WHERE c.relkind IN ('r', 'm', 't') AND c.relpersistence = 'p' LIMIT {SHOWN_MAX}"
        );
        let found = client.query(&pages, &[]).await.map_err(|error| wrong(said(error)))?;
        if !found.is_empty() {
            let shown: Vec<String> = found
                .iter()
                .map(|row| format!("{}: {}", row.get::<_, String>(0), row.get::<_, String>(1)))
                .collect();
            return Err(wrong(shown.join("; ")));
        }
    }
    let indexes = format!(
        "SELECT count({schema}.bt_index_check(c.oid, true)::text) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         JOIN pg_am a ON a.oid = c.relam AND amname = 'btree' \
         WHERE c.relkind = 'i' AND c.relpersistence = 'p' AND i.indisready AND i.indisvalid"
    );
    let row = client.query_one(&indexes, &[]).await.map_err(|error| wrong(said(error)))?;
    let indexes: i64 = row.get(0);
    Ok(format!("amcheck of {tables} tables and {indexes} indexes in {database}"))
}

fn said(error: impl Into<PostgresError>) -> String {
    match error.into() {
        PostgresError::Sql(error) => error.message.clone(),
        other => other.to_string(),
    }
}

/// Returns the number of rows of each table, with a digest of which row versions they are.
pub(crate) async fn count_rows(
    client: &ControlClient,
) -> Result<BTreeMap<String, (i64, String)>, BackupError> {
    let sql = "SELECT nspname::text, relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
               WHERE relkind = 'r' AND relpersistence = 'p' AND reltuples <= $1::int8 \
               AND nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2 LIMIT $2";
    let tables = client.query(sql, &[&ROWS_MAX, &TABLES_MAX]).await.map_err(PostgresError::from)?;
    let mut counted = BTreeMap::new();
    for row in &tables {
        let (schema, table): (String, String) = (row.get(0), row.get(1));
        let sql = format!(
            "SELECT count(*), coalesce(sum(hashtext(xmin::text || ctid::text)::bigint), 0)::text FROM {}.{}",
            quote_identifier(&schema),
            quote_identifier(&table)
        );
        let row = client.query_one(&sql, &[]).await.map_err(PostgresError::from)?;
        counted.insert(format!("{schema}.{table}"), (row.get(0), row.get(1)));
    }
    Ok(counted)
}

/// Fails when a table has another number of rows than at the restore point.
pub(crate) async fn compare_rows(
    client: &ControlClient,
    database: &str,
    expected: &BTreeMap<String, i64>,
) -> Result<String, BackupError> {
    let found = count_rows(client).await?;
    for (table, rows) in expected {
        let there = found.get(table).map(|(rows, _)| *rows);
        if there != Some(*rows) {
            let there = there.map_or("is not there".to_owned(), |rows| format!("has {rows} rows"));
            let reason = format!("{table} of {database} {there}, and had {rows} at the restore point");
            return Err(BackupError::Verify { reason });
        }
    }
    Ok(format!("rows of {} tables in {database}", expected.len()))
}
