//! After an SQL error of a whole query: which of its root fields failed, and what the others gave.
//!
//! The fields run one by one in one read-only transaction with one snapshot, each behind a savepoint.

use bytes::Bytes;
use fraiseql_engine::{SingleField, bind, complete, plan_singles};
use fraiseql_model::response::{Code, GraphqlError, PathSegment};
use fraiseql_postgres::{PostgresError, Session, SqlError};

use crate::answer::{Answer, Partial, Refusal};
use crate::fault::null_guard;
use crate::pipeline::Job;
use crate::query::only_row;

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const SAVE: &str = "SAVEPOINT field";
const UNDO: &str = "ROLLBACK TO SAVEPOINT field";
const FORGET: &str = "RELEASE SAVEPOINT field";
const END: &str = "COMMIT";

/// Answers a query whose statement failed with `sql`, which `error` holds.
pub(crate) async fn recover(
    job: &Job<'_>,
    session: Session,
    sql: &SqlError,
    error: &PostgresError,
) -> Answer {
    let limits = &job.generation.limits_for(&job.document);
    let (schema, document) = (&job.generation.schema, &job.document.document);
    let singles = match plan_singles(schema, document, job.operation, &job.variables, limits) {
        Ok(singles) => singles,
        Err(errors) => return Answer::Refused(Refusal::Internal, errors),
    };
    let told = crate::sqlstate::told(&sql.sqlstate).code;
    if matches!(told, Code::Timeout | Code::Unavailable) && null_guard(sql).is_none() {
        // Not one field's fault: running more would make it worse.
        let error = job.faults.translate(error, None);
        return Answer::refused(Refusal::of(error.extensions.code), error);
    }
    let statements = singles.iter().filter(|single| single.statement.is_some()).count();
    if statements == 1 && null_guard(sql).is_none() {
        return Answer::Partial(one_failed(job, singles, error), 0);
    }
    match all_again(job, session, singles).await {
        Ok((partial, rows)) => Answer::Partial(partial, rows),
        Err(error) => job.unavailable(&error),
    }
}

fn one_failed(job: &Job<'_>, singles: Vec<SingleField>, error: &PostgresError) -> Partial {
    let mut partial = Partial::default();
    for single in singles {
        match single.fixed {
            Some(json) => partial.value(&single.key, Some(json)),
            None => fail(job, &mut partial, &single, error),
        }
    }
    partial
}

async fn all_again(
    job: &Job<'_>,
    mut session: Session,
    singles: Vec<SingleField>,
) -> Result<(Partial, u64), PostgresError> {
    let mut partial = Partial::default();
    let mut rows = 0;
    session.simple(BEGIN).await?;
    for single in singles {
        if let Some(json) = single.fixed {
            partial.value(&single.key, Some(json));
            continue;
        }
        session.simple(SAVE).await?;
        match one(job, &mut session, &single).await {
            Ok(json) => {
                rows += u64::from(json.is_some());
                session.simple(FORGET).await?;
                add(&mut partial, &single, json);
            }
            Err(error @ PostgresError::Sql(_)) => {
                session.simple(UNDO).await?;
                fail(job, &mut partial, &single, &error);
            }
            Err(error) => return Err(error),
        }
    }
    session.simple(END).await?;
    Ok((partial, rows))
}

async fn one(
    job: &Job<'_>,
    session: &mut Session,
    single: &SingleField,
) -> Result<Option<Bytes>, PostgresError> {
    let Some(statement) = &single.statement else { return Ok(None) };
    // The same variables as before, so they bind as before.
    let params = bind(statement, &job.variables)
        .map_err(|_mismatch| PostgresError::Protocol { what: "a plan that fits its variables" })?;
    let row = only_row(session, statement, &params).await?;
    Ok(row.and_then(|row| row.get(0)))
}

fn add(partial: &mut Partial, single: &SingleField, json: Option<Bytes>) {
    // Even without errors: completing takes the numbers off objects of several types.
    let completed = complete(&single.shape, &single.key, json.as_deref());
    partial.errors.extend(completed.errors);
    match completed.value {
        Some(value) => partial.value(&single.key, Some(Bytes::from(value.to_string()))),
        None => partial.bubble(),
    }
}

fn fail(job: &Job<'_>, partial: &mut Partial, single: &SingleField, error: &PostgresError) {
    let told = job.faults.translate(error, Some(&single.key));
    partial.failure(&single.key, single.shape.non_null, placed(told, &single.key, single.location));
}

/// Returns an error with the path of a root field and its place in the document.
pub(crate) fn placed(
    error: GraphqlError,
    key: &str,
    location: Option<fraiseql_model::response::Location>,
) -> GraphqlError {
    error.at(location).on(vec![PathSegment::Key(key.to_owned())])
}
