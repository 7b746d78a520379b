//! Runs a query: one statement, whose bytes are framed as they come.

use std::sync::Arc;

use bytes::Bytes;
use fraiseql_engine::{Statement, bind};
use fraiseql_postgres::{PostgresError, Query, Row, Session};

use crate::answer::{Answer, Refusal};
use crate::body::Reply;
use crate::partial;
use crate::pipeline::Job;
use crate::prepared::PreparedQuery;
use crate::replicas::Replica;
use crate::stream::{self, Beginning, Failure, Rest};

/// How often a query is run again on another connection when one broke before anything was answered.
///
/// Only for queries: they change nothing, and after a restart of PostgreSQL the pool may still hold
/// connections that it does not know to be dead.
const RETRIES: usize = 2;

/// Runs a prepared query.
pub(crate) async fn run(job: &Job<'_>, query: Arc<PreparedQuery>) -> Answer {
    let Some(statement) = &query.statement else {
        return Answer::Data(query.frame(|_| None), 0);
    };
    let params = match bind(statement, &job.variables) {
        Ok(params) => params,
        Err(error) => return Answer::refused(Refusal::of(error.extensions.code), error),
    };
    if let Some(replica) = job.replica
        && let Some(answer) = on_replica(job, replica, &query, statement, &params).await
    {
        return answer;
    }
    let mut retries = RETRIES;
    loop {
        let session = match job.session().await {
            Ok(session) => session,
            Err(answer) => return answer,
        };
        let Failure { session, error } = match attempt(job, session, &query, statement, &params).await {
            Ok(answer) => return answer,
            Err(failure) => *failure,
        };
        match &error {
            PostgresError::Sql(sql) if !is_shutdown(&sql.sqlstate) => {
                return partial::recover(job, session, sql, &error).await;
            }
            PostgresError::Sql(_) | PostgresError::Io(_) if retries > 0 => retries -= 1,
            _ => return job.unavailable(&error),
        }
    }
}

/// Runs a query on a replica; `None` when it has to run on the primary, which then also says what is
/// wrong with it.
async fn on_replica(
    job: &Job<'_>,
    replica: &Replica,
    query: &Arc<PreparedQuery>,
    statement: &Statement,
    params: &[Option<Bytes>],
) -> Option<Answer> {
    let error = match job.session_of(&replica.pool).await {
        Ok(session) => match attempt(job, session, query, statement, params).await {
            Ok(answer) => return Some(answer),
            Err(failure) => failure.error,
        },
        Err(error) => error,
    };
    let fit = match &error {
        PostgresError::Sql(sql) => !is_shutdown(&sql.sqlstate),
        PostgresError::Overload(_) | PostgresError::Timeout => true,
        _ => false,
    };
    replica.failed(!fit);
    None
}

/// The server told the connection to go, before or while it ran the statement.
fn is_shutdown(sqlstate: &str) -> bool {
    matches!(sqlstate, "57P01" | "57P02" | "57P03")
}

async fn attempt(
    job: &Job<'_>,
    mut session: Session,
    query: &Arc<PreparedQuery>,
    statement: &Statement,
    params: &[Option<Bytes>],
) -> Result<Answer, Box<Failure>> {
    let running = job.timed(statement);
    if query.streams {
        return match stream::begin(session, Arc::clone(query), params.to_vec(), running).await {
            Beginning::Going(reading) => Ok(Answer::Streaming(reading)),
            Beginning::Ended(end) => {
                let Rest { bytes, rows } = end?;
                Ok(Answer::Data(Reply::whole(bytes), rows))
            }
        };
    }
    match only_row(&mut session, statement, params).await {
        Ok(row) => {
            let rows = u64::from(row.is_some());
            let reply = query.frame(|column| row.as_ref().and_then(|row| row.get(column)));
            Ok(Answer::Data(reply, rows))
        }
        Err(error) => Err(Box::new(Failure { session, error })),
    }
}

/// Runs a statement that gives at most one row.
pub(crate) async fn only_row(
    session: &mut Session,
    statement: &Statement,
    params: &[Option<Bytes>],
) -> Result<Option<Row>, PostgresError> {
    let batch = [Query { sql: &statement.sql, params }];
    let mut rows = session.run(&batch).await?;
    let first = rows.next().await?;
    // To the end, or the connection would be cancelled and drained.
    while rows.next().await?.is_some() {}
    Ok(first)
}
