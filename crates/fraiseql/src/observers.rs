//! Everybody who is told what a server does: the log, the log of slow operations, the exporter of spans.

use fraiseql_serve::{Event, Observe};

use crate::log::Log;
use crate::slow::SlowSink;
use crate::spans::SpanSink;

/// The observers of one server.
pub(crate) struct Observers {
    pub(crate) log: Log,
    pub(crate) slow: Option<SlowSink>,
    pub(crate) spans: Option<SpanSink>,
}

impl Observe for Observers {
    fn observe(&self, event: &Event<'_>) {
        self.log.observe(event);
        let Event::RequestFinished(request) = event else { return };
        if let Some(slow) = &self.slow {
            slow.take(request);
        }
        if let Some(spans) = &self.spans {
            spans.take(request);
        }
    }
}
