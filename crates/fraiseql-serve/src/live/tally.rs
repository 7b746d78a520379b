//! The numbers of subscriptions.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::exposition::Exposition;
use crate::live::options::SubscriptionSource;
use crate::metrics::Counter;

/// Everything that is counted of subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    active: AtomicUsize,
    /// Answers that were asked of the database, the first of each included.
    pub(crate) runs: Counter,
    /// Answers that were the same as the one before.
    pub(crate) suppressed: Counter,
    /// Results that were handed to a client.
    pub(crate) sent: Counter,
    /// Clients that were cut off because they did not read.
    pub(crate) slow: Counter,
}

/// One subscription that is counted for as long as it lives.
pub(crate) struct Active<'t>(&'t Tally);

impl Tally {
    /// Counts a subscription in; `None` when there are `total` already.
    pub(crate) fn enter(&self, total: usize) -> Option<Active<'_>> {
        let add = |active: usize| (active < total).then_some(active + 1);
        let entered = self.active.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        entered.is_ok().then(|| Active(self))
    }

    /// Adds the numbers to a page.
    pub(crate) fn render(&self, page: &mut Exposition, queries: usize, source: SubscriptionSource) {
        let active = self.active.load(Ordering::Relaxed) as u64;
        page.gauge("fraiseql_subscriptions_active", "Subscriptions of clients.", active);
        page.gauge("fraiseql_subscription_queries", "Distinct queries behind them.", queries as u64);
        let counters = [
            ("fraiseql_subscription_runs_total", "Answers asked of the database.", &self.runs),
            (
                "fraiseql_subscription_results_suppressed_total",
                "Answers that were the same as before and not sent.",
                &self.suppressed,
            ),
            ("fraiseql_subscription_results_sent_total", "Results handed to clients.", &self.sent),
            (
                "fraiseql_subscription_slow_clients_total",
                "Clients cut off because they did not read.",
                &self.slow,
            ),
        ];
        for (name, help, counter) in counters {
            page.counter(name, help, counter.value());
        }
        let name = "fraiseql_subscription_source";
        page.head(name, "gauge", "1 for where changes come from now.");
        use SubscriptionSource::{Decoding, Outbox, Polling};
        for one in [Decoding, Outbox, Polling] {
            page.sample(name, &[("source", one.as_str())], u64::from(one == source));
        }
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_and_who_leaves_makes_room() {
        let tally = Tally::default();
        let first = tally.enter(2);
        let second = tally.enter(2);
        assert!(first.is_some() && second.is_some() && tally.enter(2).is_none());
        drop(first);
        assert!(tally.enter(2).is_some());
    }
}
