//! Runs a mutation: each root field one transaction in one round trip, in order.
//!
//! A field that fails is null and the next one runs: section 6.2.2 of the specification. Nothing is
//! run twice, since nobody can tell whether a broken connection had committed.

use std::collections::BTreeMap;

use bytes::Bytes;
use fraiseql_engine::{MutationPlan, MutationStep, MutationWrite, bind};
use fraiseql_model::response::{Code, GraphqlError};
use fraiseql_postgres::{PostgresError, Query, Session};

use crate::answer::{Answer, Partial, Refusal};
use crate::audit;
use crate::partial::placed;
use crate::pipeline::Job;

const MAYBE_APPLIED: &str =
    "the connection to the database broke: the write may or may not have been applied";
const MAYBE_LATE: &str = "the request took longer than it may: the write may or may not have been applied";
const NOT_RUN: &str = "an earlier field took all the time or lost the database: nothing was written";

/// Runs a planned mutation.
pub(crate) async fn run(job: &Job<'_>, plan: &MutationPlan) -> Answer {
    let mut params = BTreeMap::new();
    for (index, step) in plan.fields.iter().enumerate() {
        if let MutationStep::Write(write) = step {
            match bind_all(job, write) {
                Ok(bound) => params.insert(index, bound),
                Err(error) => return Answer::refused(Refusal::of(error.extensions.code), error),
            };
        }
    }
    if params.is_empty() {
        return Answer::Partial(constants(plan), 0);
    }
    // Before the first write nothing has happened, so failing to connect refuses the request.
    let mut session = match job.session().await {
        Ok(session) => Some(session),
        Err(answer) => return answer,
    };
    let (mut partial, mut rows) = (Partial::default(), 0);
    let mut stopped = Code::Unavailable;
    for (index, step) in plan.fields.iter().enumerate() {
        let write = match step {
            MutationStep::Static { key, value } => {
                partial.value(key, Some(value.clone()));
                continue;
            }
            MutationStep::Write(write) => write,
        };
        let Some(mut current) = session.take() else {
            fail(&mut partial, write, GraphqlError::new(stopped, NOT_RUN));
            continue;
        };
        let bound = params.remove(&index).unwrap_or_default();
        match tokio::time::timeout_at(job.deadline, one(job, &mut current, write, &bound)).await {
            Ok(Ok(json)) => {
                rows += u64::from(json.is_some());
                partial.value(&write.key, json);
                session = Some(current);
            }
            Ok(Err(error)) => {
                let lost = is_lost(&error);
                let mut told = job.faults.translate(&error, Some(&write.key));
                if lost && told.extensions.code == Code::Unavailable {
                    told.message = MAYBE_APPLIED.to_owned();
                }
                fail(&mut partial, write, told);
                session = (!lost).then_some(current);
            }
            Err(_elapsed) => {
                // The session goes back here, which cancels the statement.
                drop(current);
                stopped = Code::Timeout;
                fail(&mut partial, write, GraphqlError::new(Code::Timeout, MAYBE_LATE));
            }
        }
    }
    Answer::Partial(partial, rows)
}

fn constants(plan: &MutationPlan) -> Partial {
    let mut partial = Partial::default();
    for step in &plan.fields {
        if let MutationStep::Static { key, value } = step {
            partial.value(key, Some(value.clone()));
        }
    }
    partial
}

/// The parameters of each statement of a write.
type Bound = Vec<Vec<Option<Bytes>>>;

fn bind_all(job: &Job<'_>, write: &MutationWrite) -> Result<Bound, GraphqlError> {
    write.statements.iter().map(|statement| bind(statement, &job.variables)).collect()
}

async fn one(
    job: &Job<'_>,
    session: &mut Session,
    write: &MutationWrite,
    params: &Bound,
) -> Result<Option<Bytes>, PostgresError> {
    let queries = write.statements.iter().zip(params);
    let mut batch: Vec<Query<'_>> =
        queries.map(|(statement, params)| Query { sql: &statement.sql, params }).collect();
    let noted = job.attribution.as_ref().map(|attribution| attribution.of_write(write));
    // In the transaction of the write: neither is there without the other.
    batch.extend(noted.as_ref().map(|noted| Query { sql: audit::STORE, params: noted }));
    let _timed = write.statements.first().map(|first| job.timed(first));
    let mut rows = session.run(&batch).await?;
    let mut json = None;
    // To the end: only the server's last word says that the transaction is committed.
    while let Some(row) = rows.next().await? {
        if row.statement == write.result && json.is_none() {
            json = row.get(0);
        }
    }
    Ok(json)
}

/// Returns true when the connection cannot be used again.
fn is_lost(error: &PostgresError) -> bool {
    match error {
        PostgresError::Sql(sql) => sql.severity != "ERROR",
        _ => true,
    }
}

fn fail(partial: &mut Partial, write: &MutationWrite, error: GraphqlError) {
    partial.failure(&write.key, write.shape.non_null, placed(error, &write.key, write.location));
}
