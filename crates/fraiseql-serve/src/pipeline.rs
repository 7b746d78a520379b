//! A GraphQL request on its way from text to an answer. HTTP is not known here.

use std::sync::Arc;

use bytes::Bytes;
use fraiseql_engine::{OperationKind, Statement, Variables};
use fraiseql_model::identity::Identity;
use fraiseql_model::response::{Code, GraphqlError};
use fraiseql_postgres::{Pool, PostgresError, Session};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::answer::{Answer, Refusal};
use crate::audit::Attribution;
use crate::fault::Faults;
use crate::generation::{Generation, KeptDocument};
use crate::observe::RequestKind;
use crate::params::Params;
use crate::prepared::Prepared;
use crate::record::Record;
use crate::replicas::{Replica, Replicas};
use crate::request_id::RequestId;
use crate::serving::Serving;
use crate::sqlstate::TIMEOUT;
use crate::timing::{Running, Stopwatch};
use crate::{admission, cache, limits, mutation, operations, query};

/// What a subscription is told that came as a request for one answer.
const NOT_LIVE: &str = "a subscription has many answers: send it over a WebSocket with the subprotocol \
                        graphql-transport-ws, or with the header Accept: text/event-stream";

/// What a caller is told who may not ask for the schema.
const NOT_INTROSPECTED: &str = "the schema is not told to this caller (graphql.introspection)";

/// Where a request came in, which decides what it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By GET: queries only.
    Get,
    /// By POST.
    Post,
}

/// A request that is planned and may run.
pub(crate) struct Job<'r> {
    pub(crate) serving: &'r Arc<Serving>,
    pub(crate) generation: Arc<Generation>,
    pub(crate) document: Arc<KeptDocument>,
    pub(crate) operation: Option<&'r str>,
    pub(crate) variables: Variables,
    pub(crate) faults: Faults,
    pub(crate) deadline: Instant,
    /// What the database is told of the caller, as JSON, when it is told.
    claims: Option<Bytes>,
    /// What is written down of a mutation, if it is.
    pub(crate) attribution: Option<Attribution>,
    stopwatch: Option<Arc<Stopwatch>>,
    /// The replica that a query is read from first.
    pub(crate) replica: Option<&'r Replica>,
}

/// Answers a request. `record` learns what it was.
pub(crate) async fn answer(
    serving: &Arc<Serving>,
    params: Params<'_>,
    way: Way,
    deadline: Instant,
    record: &mut Record,
) -> Answer {
    match prepare(serving, &params, way, deadline, record) {
        Ok((mut job, prepared)) => match (&serving.cache, prepared) {
            // What is kept must not be older than the changes that were told: from the primary.
            (Some(cache), Prepared::Query(query)) if query.statement.is_some() => {
                cache::answer(cache, &job, query, &mut record.asked).await
            }
            (_, Prepared::Query(query)) => {
                let replicas = serving.replicas.as_ref().filter(|_| query.statement.is_some());
                job.replica = replicas.and_then(|replicas| replicas.choose(record.origin.read_after));
                run(&job, Prepared::Query(query)).await
            }
            (_, prepared @ Prepared::Mutation(_)) => {
                let answer = run(&job, prepared).await;
                if serving.replicas.is_some() {
                    // Also for what failed: it may have been written nevertheless.
                    record.origin.read_after = Some(Replicas::after_write(&serving.pool, deadline).await);
                    record.wrote = true;
                }
                answer
            }
        },
        Err(answer) => answer,
    }
}

/// Runs a planned request.
pub(crate) async fn run(job: &Job<'_>, prepared: Prepared) -> Answer {
    match prepared {
        Prepared::Mutation(plan) => {
            let Some(cache) = &job.serving.cache else { return mutation::run(job, &plan).await };
            let writing = cache.writing(job, &plan).await;
            let answer = mutation::run(job, &plan).await;
            // Before the client hears of it.
            drop(writing);
            answer
        }
        Prepared::Query(query) => {
            // Dropping the future gives the session back, which cancels what it was running.
            match tokio::time::timeout_at(job.deadline, query::run(job, query)).await {
                Ok(answer) => answer,
                Err(_elapsed) => Answer::refused(Refusal::Timeout, GraphqlError::new(Code::Timeout, TIMEOUT)),
            }
        }
    }
}

fn prepare<'r>(
    serving: &'r Arc<Serving>,
    params: &'r Params<'_>,
    way: Way,
    deadline: Instant,
    record: &mut Record,
) -> Result<(Job<'r>, Prepared), Answer> {
    let request_id = record.request_id.clone();
    let (job, prepared) = prepare_for(serving, params, request_id, deadline, |kind, document| {
        record.counts = document.counts.clone();
        let persisted_name = || Some(record.counts.as_ref()?.name.clone());
        let own_name = || document.document.operation_name(None).map(str::to_owned);
        record.operation = params.operation.clone().or_else(persisted_name).or_else(own_name);
        record.kind = RequestKind::from(kind);
        if way == Way::Get && kind != OperationKind::Query {
            return Err(Answer::NotByGet);
        }
        if kind == OperationKind::Subscription {
            let error = GraphqlError::new(Code::OperationResolution, NOT_LIVE);
            return Err(Answer::refused(Refusal::Request, error));
        }
        Ok(())
    })?;
    if let Some(client) = &record.client {
        client.count(serving.usage.asked(&job.generation.schema, &job.document), job.operation);
    }
    Ok((job, prepared))
}

/// Plans a request whose kind of operation `accept` lets through.
pub(crate) fn prepare_for<'r>(
    serving: &'r Arc<Serving>,
    params: &'r Params<'_>,
    request_id: RequestId,
    deadline: Instant,
    accept: impl FnOnce(OperationKind, &KeptDocument) -> Result<(), Answer>,
) -> Result<(Job<'r>, Prepared), Answer> {
    let refused = |errors| Answer::Refused(Refusal::Request, errors);
    let generation = serving
        .generation
        .load_full()
        .for_caller(&params.identity)
        .map_err(|error| refused(vec![GraphqlError::new(Code::Internal, error.to_string())]))?;
    let operation = params.operation.as_deref();
    let document = operations::resolve(serving, &generation, params).map_err(refused)?;
    let kind = document.document.operation(operation).map_err(|error| refused(vec![error]))?;
    accept(kind, &document)?;
    let may_introspect = || serving.tuning().policy.introspection.admits(&params.identity);
    if document.document.introspects() && document.counts.is_none() && !may_introspect() {
        return Err(refused(vec![GraphqlError::new(Code::ValidationFailed, NOT_INTROSPECTED)]));
    }
    serving.life.mode.admit(kind)?;
    let variables = limits::coerce(serving, &generation, &document, params, &request_id).map_err(refused)?;
    let prepared = generation.plan(&document, operation, &variables, &serving.metrics).map_err(refused)?;
    let faults = Faults::new(request_id, Arc::clone(&serving.observer), serving.tuning().detailed_errors);
    let claims = serving.identities.session_claims.then(|| claims(&params.identity));
    let audited = kind == OperationKind::Mutation && serving.audit.is_on();
    let attribution = audited.then(|| Attribution::of(serving, params, &faults, (&generation, &document)));
    let job = Job {
        serving,
        generation,
        document,
        operation,
        variables,
        faults,
        deadline,
        claims,
        attribution,
        stopwatch: params.stopwatch.clone(),
        replica: None,
    };
    Ok((job, prepared))
}

impl Job<'_> {
    /// Begins to time a statement, where somebody wants to know.
    pub(crate) fn timed(&self, statement: &Statement) -> Option<Running> {
        Some(self.stopwatch.as_ref()?.statement(statement))
    }

    /// Returns what the database is told of the caller.
    pub(crate) fn claims(&self) -> Option<&Bytes> {
        self.claims.as_ref()
    }

    /// Returns a session, or what to answer when there is none in time.
    pub(crate) async fn session(&self) -> Result<Session, Answer> {
        self.session_of(&self.serving.pool).await.map_err(|error| match error {
            // Counted and not logged: there are the more of these the less time there is.
            PostgresError::Overload(overload) => {
                Answer::refused(Refusal::Overload, admission::refusal(overload, self.serving.pool.queue()))
            }
            PostgresError::Timeout => {
                self.serving.metrics.acquire_timeouts.increment();
                self.unavailable(&error)
            }
            _ => self.unavailable(&error),
        })
    }

    /// Returns a session with one server.
    pub(crate) async fn session_of(&self, pool: &Pool) -> Result<Session, PostgresError> {
        let started = std::time::Instant::now();
        let admitted = self.serving.metrics.admission.admit(pool, self.deadline).await;
        self.stopwatch.iter().for_each(|watch| watch.waited(started));
        let mut session = admitted?;
        if let Some(claims) = &self.claims {
            session.announce(claims.clone());
        }
        Ok(session)
    }

    /// Returns the answer of a request that could not run at all.
    pub(crate) fn unavailable(&self, error: &PostgresError) -> Answer {
        Answer::refused(Refusal::Unavailable, self.faults.translate(error, None))
    }
}

/// The claims of the token, and over them what was made of it: `sub`, `roles` and `scopes`.
fn claims(caller: &Identity) -> Bytes {
    let mut told = caller.claims.clone();
    told.remove("sub");
    told.extend(caller.subject.as_ref().map(|subject| ("sub".to_owned(), json!(subject))));
    told.insert("roles".to_owned(), json!(caller.roles));
    told.insert("scopes".to_owned(), json!(caller.scopes));
    Bytes::from(Value::Object(told).to_string())
}
