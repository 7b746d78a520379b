//! Asks the database for a sign of life, again and again, so that health is told from memory.

use std::sync::Arc;
use std::time::Duration;

use fraiseql_postgres::PostgresError;

use crate::fault::chain;
use crate::observe::Event;
use crate::serving::Serving;

/// Between the end of one probe and the beginning of the next. Readiness follows a database that refuses
/// us within it, and one that hangs within three seconds.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a probe may take, a new connection included.
const TIMEOUT: Duration = Duration::from_millis(1_000);
/// So many late probes in a row count as a database that is away. One alone is a moment of heavy work, and
/// all instances would leave their load balancer at once.
const LATE_MAX: u32 = 2;

/// Probes for ever; to be dropped when the server ends.
pub(crate) async fn run(serving: Arc<Serving>) {
    let mut late = 0;
    loop {
        match serving.pool.probe(TIMEOUT).await {
            Ok(latency) => {
                late = 0;
                if serving.health.connected(latency) {
                    serving.observer.observe(&Event::DatabaseReturned { latency });
                }
            }
            Err(PostgresError::Timeout) if late + 1 < LATE_MAX => late += 1,
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
