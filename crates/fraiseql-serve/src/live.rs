//! Subscriptions: live queries over WebSockets (graphql-transport-ws) and server-sent events.
//!
//! `socket` and `event_stream` bring a client in, `session` speaks the protocol, `hub` lets all who
//! ask the same share one `watched` query, and `feed` learns what has changed in the database.

pub(crate) mod event_stream;
mod feed;
mod hub;
mod options;
mod protocol;
mod requests;
pub(crate) mod session;
pub(crate) mod socket;
mod tally;
mod watched;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub(crate) use feed::run as feed;
pub use options::{SubscriptionOptions, SubscriptionSource};

use crate::exposition::Exposition;
use crate::live::feed::{Freshness, Status};
use crate::live::hub::Hub;
use crate::live::tally::Tally;

/// What subscriptions of one server share.
pub(crate) struct Live {
    pub(crate) options: SubscriptionOptions,
    hub: Hub,
    freshness: Freshness,
    tally: Tally,
    /// Ends the subscriptions that are not within a WebSocket, which has its own signal.
    draining: CancellationToken,
}

impl Live {
    /// Returns the state of a server without subscriptions, on a pool of that size.
    pub(crate) fn new(options: SubscriptionOptions, pool_size: usize) -> Self {
        Self {
            options,
            hub: Hub::new(pool_size),
            freshness: Freshness::default(),
            tally: Tally::default(),
            draining: CancellationToken::new(),
        }
    }

    /// Returns where changes come from now, and of which tables.
    pub(crate) fn status(&self) -> Arc<Status> {
        self.freshness.status()
    }

    /// Another schema is served: every subscription is planned and answered again.
    pub(crate) fn reloaded(&self) {
        self.hub.changed_everything();
    }

    /// Ends all subscriptions.
    pub(crate) fn drain(&self) {
        self.draining.cancel();
    }

    /// Adds the numbers of subscriptions to a page of metrics.
    pub(crate) fn render(&self, page: &mut Exposition) {
        self.tally.render(page, self.hub.len(), self.freshness.source());
    }
}
