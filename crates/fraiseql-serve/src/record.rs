//! What is known of one request, counted and told once when it ends, however it ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fraiseql_model::identity::Identity;
use fraiseql_model::response::{Code, GraphqlError};
use hyper::{Method, Uri};

use crate::cache::Asked;
use crate::metrics::OperationCounts;
use crate::observe::{Event, FinishedRequest, RequestKind};
use crate::params::Origin;
use crate::request_id::RequestId;
use crate::serving::Serving;
use crate::timing::Stopwatch;
use crate::usage::Client;

/// The status of a request whose client went away before it was answered; no client sees it.
const CLIENT_LEFT: u16 = 499;
/// The status of a request whose handler panicked; `route` answers it.
const FAULT_OF_OURS: u16 = 500;

/// One request that is counted.
pub(crate) struct Record {
    serving: Arc<Serving>,
    started: Instant,
    pub(crate) request_id: RequestId,
    method: Method,
    uri: Uri,
    pub(crate) kind: RequestKind,
    pub(crate) operation: Option<String>,
    /// Whose usage is counted; `None` when none is.
    pub(crate) client: Option<Arc<Client>>,
    codes: Vec<Code>,
    /// How many of the codes belong to earlier requests of a batch.
    codes_before: usize,
    pub(crate) rows: u64,
    /// Where a persisted operation is counted.
    pub(crate) counts: Option<Arc<OperationCounts>>,
    /// Who asks.
    pub(crate) caller: Option<Arc<Identity>>,
    pub(crate) origin: Origin,
    pub(crate) stopwatch: Arc<Stopwatch>,
    /// It wrote, and its client is to read after that.
    pub(crate) wrote: bool,
    /// The part that caching has in it.
    pub(crate) asked: Asked,
    /// The proxy in front wants to know how many faults the answer has.
    pub(crate) reporting: bool,
    finished: bool,
}

impl Record {
    /// Begins to record a request.
    pub(crate) fn new(serving: &Arc<Serving>, request_id: RequestId, method: Method, uri: Uri) -> Self {
        Self {
            serving: Arc::clone(serving),
            started: Instant::now(),
            request_id,
            method,
            uri,
            kind: RequestKind::Page,
            operation: None,
            client: None,
            codes: Vec::new(),
            codes_before: 0,
            rows: 0,
            counts: None,
            caller: None,
            origin: Origin::default(),
            stopwatch: Arc::default(),
            wrote: false,
            asked: Asked::default(),
            reporting: false,
            finished: false,
        }
    }

    /// Notes the errors of the answer.
    pub(crate) fn errors(&mut self, errors: &[GraphqlError]) {
        for error in errors {
            self.serving.metrics.graphql_error(error.extensions.code);
            error.extensions.limit.into_iter().for_each(|limit| self.serving.metrics.limit_refused(limit));
            self.codes.push(error.extensions.code);
        }
    }

    /// Returns how many faults to report; `None` when nobody wants to know, or there are none.
    pub(crate) fn reported(&self) -> Option<usize> {
        let faults = self.codes.iter().filter(|code| code.is_fault()).count();
        (self.reporting && faults > 0).then_some(faults)
    }

    /// Notes an error that comes too late for the answer.
    pub(crate) fn error(&mut self, code: Code) {
        self.serving.metrics.graphql_error(code);
        self.codes.push(code);
    }

    /// Begins one request of a batch.
    pub(crate) fn begin_entry(&mut self) {
        self.codes_before = self.codes.len();
        (self.kind, self.operation, self.counts) = (RequestKind::Invalid, None, None);
    }

    /// Counts one request of a batch.
    pub(crate) fn end_entry(&mut self, duration: Duration) {
        self.serving.metrics.graphql_request(self.kind);
        if let Some(counts) = self.counts.take() {
            counts.count(duration, self.codes.len() > self.codes_before);
        }
    }

    /// Ends a request that was answered with that status and so many bytes.
    pub(crate) fn finish(mut self, status: u16, bytes: u64) {
        self.end(status, bytes, false);
    }

    /// Ends a request whose answer was cut off after so many bytes.
    pub(crate) fn abort(mut self, status: u16, bytes: u64) {
        self.serving.metrics.aborted.increment();
        self.end(status, bytes, true);
    }

    fn end(&mut self, status: u16, bytes: u64, aborted: bool) {
        self.finished = true;
        let duration = self.started.elapsed();
        self.serving.metrics.request(status, duration);
        self.serving.metrics.graphql_request(self.kind);
        if let Some(counts) = &self.counts {
            counts.count(duration, !self.codes.is_empty() || aborted || status == CLIENT_LEFT);
        }
        self.serving.observer.observe(&Event::RequestFinished(&FinishedRequest {
            request_id: self.request_id.as_str(),
            method: self.method.as_str(),
            path: self.uri.path(),
            kind: self.kind,
            operation: self.operation.as_deref(),
            status,
            duration,
            codes: &self.codes,
            rows: self.rows,
            bytes,
            aborted,
            caller: self.caller.as_ref().and_then(|caller| caller.subject.as_deref()),
            address: self.origin.address,
            trace: self.origin.trace.as_deref(),
            client: self.origin.client.as_ref().and_then(|name| name.to_str().ok()),
            started: self.started,
            times: &self.stopwatch.take(),
        }));
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        if std::thread::panicking() {
            self.error(Code::Internal);
            self.end(FAULT_OF_OURS, 0, false);
        } else {
            self.end(CLIENT_LEFT, 0, false);
        }
    }
}
