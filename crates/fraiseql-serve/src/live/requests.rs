//! One operation of a subscriber: what makes it the same as another, and its answer in one piece.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fraiseql_engine::OperationKind;
use fraiseql_model::response::{Code, GraphqlError};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::answer::{Answer, Refusal};
use crate::body::Chunk;
use crate::fault::Faults;
use crate::params::Params;
use crate::pipeline::{self, Job};
use crate::serving::Serving;
use crate::sqlstate::TIMEOUT;
use crate::stream::{Outcome, Reading};

/// Pieces of a long answer that wait to be put together.
const PIECES_WAITING: usize = 2;

/// What makes two subscriptions the same: who asks, their text or its id, operation and variables.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sameness {
    caller: String,
    text: String,
    document_id: Option<String>,
    automatic: Option<String>,
    operation: Option<String>,
    variables: String,
}

impl Sameness {
    /// Returns what identifies a request.
    pub(crate) fn of(params: &Params<'_>) -> Self {
        let who = &params.identity;
        let caller = serde_json::json!([&who.subject, &who.roles, &who.scopes, &who.claims]);
        Self {
            caller: caller.to_string(),
            text: params.query.clone().into_owned(),
            document_id: params.document_id.clone(),
            automatic: params.automatic.clone(),
            operation: params.operation.clone(),
            variables: Value::Object(params.variables.clone()).to_string(),
        }
    }
}

/// An answer in one piece.
#[derive(Debug)]
pub(crate) enum Whole {
    /// It ran: a GraphQL response.
    Response {
        /// The response as JSON text.
        json: Bytes,
        /// The same without what differs from run to run, to be compared.
        essence: Bytes,
    },
    /// It did not run.
    Refused(Refusal, Vec<GraphqlError>),
}

/// Runs a request that is no subscription.
pub(crate) async fn once(serving: &Arc<Serving>, params: &Params<'_>) -> Whole {
    let deadline = Instant::now() + serving.tuning().request_timeout;
    let request_id = serving.request_ids.generate();
    match pipeline::prepare_for(serving, params, request_id, deadline, |_kind, _document| Ok(())) {
        Ok((job, prepared)) => whole(&job, pipeline::run(&job, prepared).await, usize::MAX).await,
        Err(answer) => refused(answer),
    }
}

/// Returns the kind of a request's operation; fails when it cannot be planned.
pub(crate) fn kind(serving: &Arc<Serving>, params: &Params<'_>) -> Result<OperationKind, Vec<GraphqlError>> {
    let mut found = OperationKind::Query;
    let request_id = serving.request_ids.generate();
    let planned = pipeline::prepare_for(serving, params, request_id, Instant::now(), |kind, _document| {
        found = kind;
        Ok(())
    });
    match planned {
        Err(Answer::Refused(_, errors)) => Err(errors),
        Ok(_) | Err(_) => Ok(found),
    }
}

/// Returns an answer in one piece of at most `limit` bytes.
pub(crate) async fn whole(job: &Job<'_>, answer: Answer, limit: usize) -> Whole {
    let json = match answer {
        Answer::Data(reply, _rows) => match reply.collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(_aborted) => return too_late(),
        },
        Answer::Streaming(reading) => match together(job, reading, limit).await {
            Ok(json) => json,
            Err(error) => return Whole::Refused(Refusal::of(error.extensions.code), vec![error]),
        },
        Answer::Partial(mut partial, _rows) => {
            let json = Bytes::from(partial.json());
            for error in &mut partial.errors {
                error.extensions.log_id = None;
            }
            return Whole::Response { json, essence: Bytes::from(partial.json()) };
        }
        other => return refused(other),
    };
    if json.len() > limit {
        let error = too_large(limit);
        return Whole::Refused(Refusal::Internal, vec![error]);
    }
    Whole::Response { essence: json.clone(), json }
}

/// Returns why a request did not run.
pub(crate) fn refused(answer: Answer) -> Whole {
    match answer {
        Answer::Refused(refusal, errors) => Whole::Refused(refusal, errors),
        Answer::NotByGet => {
            let error = GraphqlError::new(Code::BadRequest, "GET is for queries: send mutations by POST");
            Whole::Refused(Refusal::Request, vec![error])
        }
        Answer::Data(..) | Answer::Streaming(_) | Answer::Partial(..) => too_late(),
    }
}

fn too_late() -> Whole {
    Whole::Refused(Refusal::Timeout, vec![GraphqlError::new(Code::Timeout, TIMEOUT)])
}

fn too_large(limit: usize) -> GraphqlError {
    let message =
        format!("the answer of a subscription has more than {limit} bytes: ask for less with limit or where");
    GraphqlError::new(Code::LimitExceeded, message)
}

/// Puts a long list together.
async fn together(job: &Job<'_>, reading: Reading, limit: usize) -> Result<Bytes, GraphqlError> {
    let (sender, mut receiver) = mpsc::channel(PIECES_WAITING);
    let collecting = async {
        let mut json = BytesMut::new();
        while let Some(Chunk::Data(piece)) = receiver.recv().await {
            if json.len() + piece.len() > limit {
                // Dropped, the channel ends the reader.
                drop(receiver);
                return Err(too_large(limit));
            }
            json.extend_from_slice(&piece);
        }
        Ok(json.freeze())
    };
    let ((outcome, _sent), json) = tokio::join!(reading.feed(sender, job.deadline), collecting);
    match outcome {
        Outcome::Complete => json,
        Outcome::Left => json.and(Err(too_large(limit))),
        Outcome::Late => Err(GraphqlError::new(Code::Timeout, TIMEOUT)),
        Outcome::Failed(error) => Err(translate(&job.faults, &error)),
    }
}

fn translate(faults: &Faults, error: &fraiseql_postgres::PostgresError) -> GraphqlError {
    faults.translate(error, None)
}
