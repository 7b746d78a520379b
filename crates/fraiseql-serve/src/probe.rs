//! Asks the database for a sign of life, again and again, so that health is told from memory.

use std::sync::Arc;
use std::time::Duration;

use fraiseql_postgres::PostgresError;

use crate::fault::chain;
use crate::observe::Event;
use crate::serving::Serving;

/// Between the end of one probe and the beginning of the next. Together with [`TIMEOUT`] under two
/// seconds, the time within which readiness follows the database.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a probe may take, a new connection included.
const TIMEOUT: Duration = Duration::from_millis(1_000);

/// Probes for ever; to be dropped when the server ends.
pub(crate) async fn run(serving: Arc<Serving>) {
    loop {
        match serving.pool.probe(TIMEOUT).await {
            Ok(latency) => {
                if serving.health.connected(latency) {
                    serving.observer.observe(&Event::DatabaseReturned { latency });
                }
            }
            Err(error) => lost(&serving, &error),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn lost(serving: &Serving, error: &PostgresError) {
    if serving.health.lost() {
        serving.observer.observe(&Event::DatabaseLost { reason: chain(error) });
    }
}
