//! What the operator decides about subscriptions.

use std::time::Duration;

/// Limits and intervals of subscriptions.
#[derive(Clone, Debug)]
pub struct SubscriptionOptions {
    /// Where changes come from.
    pub source: SubscriptionSource,
    /// How often a subscription is asked again whose changes nobody tells.
    pub poll_interval: Duration,
    /// How often decoding and outbox are read.
    pub read_interval: Duration,
    /// The least time between two answers of one subscription.
    pub debounce: Duration,
    /// Operations at a time on one WebSocket.
    pub per_connection: usize,
    /// Subscriptions at a time of the server.
    pub total: usize,
    /// Bytes of one message of a client.
    pub message_bytes: usize,
    /// Bytes of one answer of a subscription.
    pub result_bytes: usize,
    /// Answers that wait for one client to read; behind them only the newest is kept.
    pub buffer_results: usize,
    /// How long a client may leave an answer unread before it is cut off.
    pub send_timeout: Duration,
    /// How long a client may take to say `connection_init`.
    pub init_timeout: Duration,
    /// Origins of other sites whose pages may open WebSockets; `*` is any.
    pub origins: Vec<String>,
}

/// Where changes come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubscriptionSource {
    /// The best that the database allows.
    #[default]
    Auto,
    /// Logical decoding through a temporary slot.
    Decoding,
    /// A table that triggers write to.
    Outbox,
    /// Nowhere: every subscription is asked again and again.
    Polling,
}

impl SubscriptionSource {
    /// Returns the word for it in settings, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Decoding => "decoding",
            Self::Outbox => "outbox",
            Self::Polling => "polling",
        }
    }
}

impl Default for SubscriptionOptions {
    fn default() -> Self {
        Self {
            source: SubscriptionSource::Auto,
            poll_interval: Duration::from_millis(1_000),
            read_interval: Duration::from_millis(100),
            debounce: Duration::from_millis(100),
            per_connection: 100,
            total: 10_000,
            message_bytes: 1 << 20,
            result_bytes: 4 << 20,
            buffer_results: 8,
            send_timeout: Duration::from_secs(10),
            init_timeout: Duration::from_secs(3),
            origins: Vec::new(),
        }
    }
}
