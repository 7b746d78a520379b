//! One distinct query with subscribers: asked again when it may have changed, told when it has.

use std::sync::Arc;

use bytes::Bytes;
use fraiseql_engine::reads;
use fraiseql_model::response::GraphqlError;
use fraiseql_postgres::{Trace, trace};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::answer::{Refusal, errors_json};
use crate::generation::Generation;
use crate::live::hub::State;
use crate::live::requests::{self, Whole};
use crate::params::Params;
use crate::pipeline::{self, Job};
use crate::prepared::Prepared;
use crate::serving::Serving;

/// A query that is watched.
pub(crate) struct Watched {
    number: u64,
    params: Arc<Params<'static>>,
    states: watch::Sender<State>,
    stale: Arc<Notify>,
    /// What of the newest answer is compared.
    essence: Option<Bytes>,
    traced: Option<Traced>,
}

/// What a query was found to read, and of which schema and source of changes that is true.
struct Traced {
    generation: Arc<Generation>,
    epoch: u64,
    trace: Arc<Trace>,
}

/// What follows an attempt to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Wait for a change.
    Wait,
    /// Try again soon: the database did not answer.
    Retry,
    /// Nothing more can come.
    End,
}

impl Watched {
    /// Returns a query that was not asked yet.
    pub(crate) fn new(
        number: u64,
        params: Params<'static>,
        states: watch::Sender<State>,
        stale: Arc<Notify>,
    ) -> Self {
        Self { number, params: Arc::new(params), states, stale, essence: None, traced: None }
    }
}

/// Watches a query for as long as somebody subscribes to it.
pub(crate) async fn run(serving: Arc<Serving>, mut watched: Watched) {
    let hub = &serving.live.hub;
    let states = watched.states.clone();
    loop {
        let round = tokio::select! {
            step = watched.round(&serving) => Some(step),
            () = states.closed() => None,
        };
        match round {
            Some(Step::End) => return hub.end(watched.number),
            Some(Step::Wait | Step::Retry) => {}
            None if hub.retire(watched.number) => return,
            // Somebody came in the very moment: the answer that was given up is asked for again.
            None => {}
        }
    }
}

impl Watched {
    /// Answers once, then waits until it is time to answer again.
    async fn round(&mut self, serving: &Arc<Serving>) -> Step {
        let started = Instant::now();
        let step = self.answer(serving).await;
        if step == Step::End {
            return step;
        }
        let options = &serving.live.options;
        // A query that takes long is asked at most half of the time.
        let pause = options.debounce.max(started.elapsed());
        tokio::time::sleep(pause).await;
        let untold = step == Step::Retry || !self.is_told(serving);
        tokio::select! {
            () = self.stale.notified() => {}
            () = tokio::time::sleep(options.poll_interval.saturating_sub(pause)), if untold => {}
        }
        step
    }

    /// True when whoever reads changes now will tell every change of what this query reads.
    fn is_told(&self, serving: &Serving) -> bool {
        let status = serving.live.freshness.status();
        self.traced
            .as_ref()
            .is_some_and(|traced| traced.epoch == status.epoch && status.covers(&traced.trace))
    }

    async fn answer(&mut self, serving: &Arc<Serving>) -> Step {
        let live = &serving.live;
        let Ok(_permit) = live.hub.permits.acquire().await else { return Step::Retry };
        let deadline = Instant::now() + serving.tuning().request_timeout;
        let request_id = serving.request_ids.generate();
        let params = Arc::clone(&self.params);
        let whole = match pipeline::prepare_for(serving, &params, request_id, deadline, |_kind, _document| {
            Ok(())
        }) {
            Ok((job, prepared)) => {
                // Before the query runs, so that no change falls between the two.
                self.trace(&job, &prepared).await;
                live.tally.runs.increment();
                requests::whole(&job, pipeline::run(&job, prepared).await, live.options.result_bytes).await
            }
            Err(answer) => requests::refused(answer),
        };
        self.publish(serving, whole)
    }

    fn publish(&mut self, serving: &Serving, whole: Whole) -> Step {
        let first = self.essence.is_none();
        match whole {
            Whole::Response { json, essence } => self.show(serving, json, essence),
            Whole::Refused(Refusal::Unavailable | Refusal::Timeout, _) if !first => return Step::Retry,
            Whole::Refused(Refusal::Internal, errors) if !first => {
                let json = Bytes::from(errors_json(&errors));
                let essence = Bytes::from(errors_json(&without_log_ids(errors)));
                self.show(serving, json, essence);
            }
            // The first answer, or a schema in which the subscription has no meaning any more.
            Whole::Refused(_, errors) => {
                self.states.send_replace(State::Ended(Arc::new(errors)));
                return Step::End;
            }
        }
        Step::Wait
    }

    fn show(&mut self, serving: &Serving, json: Bytes, essence: Bytes) {
        if self.essence.as_ref() == Some(&essence) {
            return serving.live.tally.suppressed.increment();
        }
        self.essence = Some(essence);
        self.states.send_replace(State::Answered(json));
    }

    /// Finds out which tables the query reads, unless that is known.
    async fn trace(&mut self, job: &Job<'_>, prepared: &Prepared) {
        let live = &job.serving.live;
        let epoch = live.freshness.status().epoch;
        let known = self.traced.as_ref();
        if known.is_some_and(|known| known.epoch == epoch && Arc::ptr_eq(&known.generation, &job.generation))
        {
            return;
        }
        self.traced = match find(job, prepared).await {
            Some(trace) => {
                live.hub.reads(self.number, trace.tables.keys().map(ToString::to_string).collect());
                Some(Traced { generation: Arc::clone(&job.generation), epoch, trace })
            }
            // It is polled until the catalog can be read.
            None => None,
        };
    }
}

fn without_log_ids(mut errors: Vec<GraphqlError>) -> Vec<GraphqlError> {
    errors.iter_mut().for_each(|error| error.extensions.log_id = None);
    errors
}

/// Returns the tables behind a plan; `None` when the database does not tell.
async fn find(job: &Job<'_>, prepared: &Prepared) -> Option<Arc<Trace>> {
    let hub = &job.serving.live.hub;
    let Prepared::Query(query) = prepared else { return None };
    let Some(statement) = &query.statement else { return Some(Arc::new(Trace::default())) };
    let reads = reads(&job.generation.schema, statement);
    if let Some(known) = hub.trace(&reads) {
        return Some(known);
    }
    let Ok(mut session) = job.serving.pool.acquire(job.deadline).await else { return None };
    let Ok(found) = trace(&mut session, &reads.relations, &reads.functions).await else { return None };
    let found = Arc::new(found);
    hub.keep_trace(reads, Arc::clone(&found));
    Some(found)
}
