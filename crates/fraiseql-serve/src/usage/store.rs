//! Writes counts of usage to the database: every minute, and at the end of a drain.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use fraiseql_model::names::quote_identifier;
use fraiseql_postgres::{PostgresError, Query, Session};
use tokio::time::Instant;

use crate::fault::chain;
use crate::observe::Event;
use crate::serving::Serving;

use super::{Counted, UsageRecording};

const INTERVAL: Duration = Duration::from_secs(60);
/// How long one write may take, a connection included; at the end of a drain it delays the end.
const TIMEOUT: Duration = Duration::from_secs(5);

const STORE: &str = "INSERT INTO fraiseql.field_usage AS present (day, client, version, field, count) \
SELECT current_date, told.client, told.version, told.field, told.count \
FROM jsonb_to_recordset($1::pg_catalog.jsonb) AS told(client text, version text, field text, count int8) \
ORDER BY told.client, told.version, told.field \
ON CONFLICT (day, client, version, field) DO UPDATE SET count = present.count + excluded.count";

/// Returns the statements that make the table of usage and let `role` write and read it.
///
/// They may be run again. Days are those of UTC.
pub fn usage_ddl(role: &str) -> String {
    let role = quote_identifier(role);
    format!(
        "-- Which client asked for which fields on which day. Run this as the owner of the database; it may be\n\
         -- run again. Delete old days as you please: DELETE FROM fraiseql.field_usage WHERE day < current_date - 90;\n\
         CREATE SCHEMA IF NOT EXISTS fraiseql;\n\
         CREATE TABLE IF NOT EXISTS fraiseql.field_usage (\n  \
           day date NOT NULL,\n  client text NOT NULL,\n  version text NOT NULL,\n  field text NOT NULL,\n  \
           count bigint NOT NULL,\n  PRIMARY KEY (day, client, version, field)\n);\n\
         GRANT USAGE ON SCHEMA fraiseql TO {role};\n\
         GRANT SELECT, INSERT, UPDATE ON fraiseql.field_usage TO {role};\n"
    )
}

/// Stores usage for ever; to be dropped when the server ends.
pub(crate) async fn run(serving: std::sync::Arc<Serving>) {
    if serving.usage.recording != UsageRecording::Database {
        return;
    }
    loop {
        tokio::time::sleep(INTERVAL).await;
        store(&serving).await;
    }
}

/// Stores what is left at the end of a drain.
pub(crate) async fn finish(serving: &Serving) {
    if serving.usage.recording == UsageRecording::Database {
        store(serving).await;
    }
    let left = serving.usage.take();
    if !left.is_empty() {
        serving.observer.observe(&Event::UsageForgotten { rows: left.len() });
    }
}

async fn store(serving: &Serving) {
    if serving.usage.is_empty() {
        return;
    }
    let session = match serving.pool.acquire(Instant::now() + TIMEOUT).await {
        Ok(session) => session,
        Err(error) => return said(serving, chain(&error)),
    };
    // Taken only now: whoever stops waiting for a connection leaves the counts where they are.
    let counted = serving.usage.take();
    // Only what is certainly not stored is put back: a count may be lost, and is never doubled.
    match tokio::time::timeout(TIMEOUT, write(session, &counted)).await {
        Ok(Ok(())) => serving.usage.said.store(false, Ordering::Relaxed),
        Ok(Err(error)) => {
            if matches!(error, PostgresError::Sql(_)) {
                serving.usage.put_back(counted);
            }
            said(serving, chain(&error));
        }
        Err(_elapsed) => said(serving, "the database did not answer in time".to_owned()),
    }
}

fn said(serving: &Serving, reason: String) {
    if !serving.usage.said.swap(true, Ordering::Relaxed) {
        serving.observer.observe(&Event::UsageNotStored { reason });
    }
}

async fn write(mut session: Session, counted: &[Counted]) -> Result<(), PostgresError> {
    let rows = counted.iter().map(|one| {
        serde_json::json!({
            "client": one.client, "version": one.version, "field": one.field, "count": one.count,
        })
    });
    let rows = serde_json::Value::Array(rows.collect()).to_string();
    let params = [Some(Bytes::from(rows))];
    let batch = [Query { sql: STORE, params: &params }];
    let mut answer = session.run(&batch).await?;
    while answer.next().await?.is_some() {}
    Ok(())
}
