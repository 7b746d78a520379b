//! Everybody who is told what the server does, and the tasks behind them.

use std::sync::Arc;

use fraiseql_model::settings::Settings;
use fraiseql_postgres::Pooler;
use fraiseql_serve::Gauge;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::pooler;
use crate::database::Access;
use crate::failure::Failure;
use crate::log::Log;
use crate::observers::Observers;
use crate::spans::SpanSink;
use crate::{slow, spans};

/// The tasks behind the observers of one server.
pub(super) struct Observing {
    exporting: JoinSet<()>,
    /// Ends with this: a plan that comes too late is not worth waiting for.
    _explaining: JoinSet<()>,
    spans: Option<SpanSink>,
}

impl Observing {
    /// Makes the observers that the settings ask for, and begins their work.
    pub(super) async fn begin(
        settings: &Settings,
        access: &Access,
        ended: &CancellationToken,
        log: &Log,
    ) -> Result<(Arc<Observers>, Self), Failure> {
        let (mut exporting, mut explaining) = (JoinSet::new(), JoinSet::new());
        let slow = slow::pair(settings.duration("log.slow_operation_ms")).map(|(sink, receiver)| {
            let reachable = access.direct().is_some() || pooler(settings) == Pooler::None;
            let target = access.for_control();
            explaining.spawn(slow::run(receiver, move || reachable.then(&target), log.clone()));
            sink
        });
        let spans = spans::pair(settings, log).await?.map(|(sink, exporter)| {
            exporting.spawn(exporter.run(ended.clone()));
            sink
        });
        let observers = Observers { log: log.clone(), slow, spans: spans.clone() };
        Ok((Arc::new(observers), Self { exporting, _explaining: explaining, spans }))
    }

    /// Returns what gives the metrics.
    pub(super) fn gauges(&self) -> impl Fn() -> Vec<Gauge> + Send + Sync + 'static {
        let spans = self.spans.clone();
        move || spans.as_ref().map(SpanSink::gauges).unwrap_or_default()
    }

    /// Waits until what is left was sent, or given up.
    pub(super) async fn finish(mut self) {
        while self.exporting.join_next().await.is_some() {}
    }
}
