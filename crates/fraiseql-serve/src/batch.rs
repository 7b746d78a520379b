//! Several GraphQL requests in one HTTP request: a JSON array, answered by an array in its order.
//!
//! They run one after another under one deadline and have no transaction in common. Every answer is
//! kept until the last one is known, so there is a limit on the bytes of all of them together.

use std::sync::Arc;
use std::time::Instant as Started;

use bytes::{Bytes, BytesMut};
use fraiseql_model::identity::Identity;
use fraiseql_model::response::{Code, GraphqlError};
use http_body_util::BodyExt;
use hyper::{Response, StatusCode};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::answer::{Answer, errors_json};
use crate::body::{Chunk, Reply};
use crate::fault::Faults;
use crate::graphql::{finish, refuse, refuse_rate};
use crate::media::ResponseType;
use crate::observe::RequestKind;
use crate::params::Params;
use crate::pipeline::{self, Way};
use crate::record::Record;
use crate::serving::Serving;
use crate::stream::{Outcome, Reading};

/// The most bytes of all answers together.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Returns true when a body is an array.
pub(crate) fn is_batch(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}

/// Answers a batch: 200 with an answer in each place, whatever they are; 400 when it is no batch.
pub(crate) async fn respond(
    serving: &Arc<Serving>,
    body: &[u8],
    identity: &Arc<Identity>,
    media: ResponseType,
    deadline: Instant,
    mut record: Record,
) -> Response<Reply> {
    let requests = match Params::from_batch(body, serving.tuning().policy.batch_max) {
        Ok(requests) => requests,
        Err(error) => return refuse(record, StatusCode::BAD_REQUEST, media, &[error]),
    };
    // One of them is paid for already.
    let more = requests.len().saturating_sub(1) as u64;
    let mut paid = serving.rates.charge_address(record.origin.address, more).await;
    if paid.is_ok() {
        paid = serving.rates.charge_caller(identity, more).await;
    }
    if let Err(overdraft) = paid {
        return refuse_rate(record, media, overdraft);
    }
    let mut joined = BytesMut::from(&b"["[..]);
    let mut rows = 0;
    for (index, params) in requests.into_iter().enumerate() {
        if index > 0 {
            joined.extend_from_slice(b",");
        }
        let started = Started::now();
        record.begin_entry();
        let answer = match params {
            Ok(params) => {
                let params = params.asked_by(identity, &record.origin).timed_by(&record.stopwatch);
                pipeline::answer(serving, params, Way::Post, deadline, &mut record).await
            }
            Err(error) => Answer::Refused(crate::answer::Refusal::Request, vec![error]),
        };
        let left = ANSWER_BYTES_MAX.saturating_sub(joined.len());
        let (json, read) = kept(serving, answer, left, deadline, &mut record).await;
        rows += read;
        joined.extend_from_slice(&json);
        record.end_entry(started.elapsed());
    }
    joined.extend_from_slice(b"]");
    (record.kind, record.operation, record.rows) = (RequestKind::Batch, None, rows);
    finish(record, StatusCode::OK, media, Reply::whole(joined))
}

/// Returns an answer as JSON, and the rows that were read for it.
async fn kept(
    serving: &Serving,
    answer: Answer,
    left: usize,
    deadline: Instant,
    record: &mut Record,
) -> (Bytes, u64) {
    let (json, rows) = match answer {
        Answer::Data(reply, rows) => match reply.collect().await {
            Ok(collected) => (Ok(collected.to_bytes()), rows),
            Err(_aborted) => (Err(GraphqlError::new(Code::Internal, "the answer was not finished")), rows),
        },
        Answer::Streaming(reading) => collect(serving, reading, left, deadline, record).await,
        Answer::Partial(partial, rows) => {
            record.errors(&partial.errors);
            (Ok(Bytes::from(partial.json())), rows)
        }
        Answer::Refused(_, errors) => {
            record.errors(&errors);
            (Ok(Bytes::from(errors_json(&errors))), 0)
        }
        Answer::NotByGet => (Err(GraphqlError::new(Code::BadRequest, "a batch is sent by POST")), 0),
    };
    let json = json.and_then(|json| if json.len() > left { Err(too_long()) } else { Ok(json) });
    let json = json.unwrap_or_else(|error| {
        let errors = [error];
        record.errors(&errors);
        Bytes::from(errors_json(&errors))
    });
    (json, rows)
}

fn too_long() -> GraphqlError {
    let message =
        format!("the answers of a batch have more than {ANSWER_BYTES_MAX} bytes: ask for this one alone");
    GraphqlError::new(Code::LimitExceeded, message)
}

/// Reads a long list to its end, or to where it is too long.
async fn collect(
    serving: &Serving,
    reading: Reading,
    left: usize,
    deadline: Instant,
    record: &Record,
) -> (Result<Bytes, GraphqlError>, u64) {
    let (sender, mut receiver) = mpsc::channel(1);
    let gathering = async {
        let mut json = BytesMut::new();
        while let Some(Chunk::Data(piece)) = receiver.recv().await {
            if json.len() + piece.len() > left {
                // Dropping the receiver ends the reading, which cancels its statement.
                receiver.close();
                return None;
            }
            json.extend_from_slice(&piece);
        }
        Some(json.freeze())
    };
    let ((outcome, sent), gathered) = tokio::join!(reading.feed(sender, deadline), gathering);
    let json = match (outcome, gathered) {
        (Outcome::Complete, Some(json)) => Ok(json),
        (Outcome::Left, _) | (_, None) => Err(too_long()),
        (Outcome::Late, _) => Err(GraphqlError::new(Code::Timeout, crate::sqlstate::TIMEOUT)),
        (Outcome::Failed(error), _) => {
            let observer = Arc::clone(&serving.observer);
            let faults = Faults::new(record.request_id.clone(), observer, serving.tuning().detailed_errors);
            Err(faults.translate(&error, None))
        }
    };
    (json, sent.rows)
}
