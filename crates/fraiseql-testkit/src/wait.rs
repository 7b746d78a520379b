//! Waiting for a condition, with a limit: never a sleep and a hope.

use std::time::Duration;

/// Asks `condition` again and again until it holds.
///
/// # Panics
/// When it does not hold within `limit`.
#[track_caller]
pub fn wait_until<F, W>(limit: Duration, mut condition: F) -> impl Future<Output = ()>
where
    F: FnMut() -> W,
    W: Future<Output = bool>,
{
    let caller = std::panic::Location::caller();
    async move {
        let deadline = tokio::time::Instant::now() + limit;
        while !condition().await {
            assert!(
                tokio::time::Instant::now() < deadline,
                "{caller}: the condition did not hold in {limit:?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
