//! What is worth knowing while serving, as one enum. Logs are readers of it; nothing here prints.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use fraiseql_engine::OperationKind;
use fraiseql_model::response::Code;

use crate::mode::Mode;
use crate::timing::Times;
use crate::trace::TraceContext;
use fraiseql_net::TlsFault;

/// Takes events. Called on the request path: must be quick and must not block.
pub trait Observe: Send + Sync {
    /// Takes one event.
    fn observe(&self, event: &Event<'_>);
}

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The server listens.
    Listening {
        /// Where.
        address: SocketAddr,
    },
    /// A request came to its end. Health and metrics requests are not told.
    RequestFinished(&'a FinishedRequest<'a>),
    /// PostgreSQL refused a statement, or went away while running it.
    SqlError(&'a SqlFault<'a>),
    /// A handler panicked: a fault of ours. Its client was answered, its connection goes on.
    Panicked {
        /// The client's id or one of ours; also the `logId` that the client was given.
        request_id: &'a str,
        /// What the panic said.
        message: &'a str,
    },
    /// The database does not answer the probe any more.
    DatabaseLost {
        /// Why, without secrets.
        reason: String,
    },
    /// The database answers the probe, for the first time or again.
    DatabaseReturned {
        /// How long the probe took.
        latency: Duration,
    },
    /// Another schema is served from now on; running requests finish with theirs.
    Reloaded {
        /// The digest of the new artifact.
        digest: &'a str,
    },
    /// From now on changes for subscriptions come from there.
    ChangeSource {
        /// `decoding`, `outbox` or `polling`.
        source: &'static str,
        /// What it costs and how late it is, in words.
        cost: String,
        /// Why it is none of the better ones, in words; empty when there is none better.
        because: String,
    },
    /// The source of changes for subscriptions failed; subscriptions are polled until it is back.
    ChangeSourceLost {
        /// `decoding` or `outbox`.
        source: &'static str,
        /// Why, without secrets.
        reason: String,
    },
    /// Queries are read from the replica, again or after it was not fit.
    ReplicaReturned {
        /// Host and port.
        replica: &'a str,
    },
    /// No query is read from the replica until it is fit.
    ReplicaLost {
        /// Host and port.
        replica: &'a str,
        /// Why, without secrets.
        reason: String,
    },
    /// Redis, where servers share answers, answers again or for the first time.
    SharedCacheReturned {
        /// How long the probe took.
        latency: Duration,
    },
    /// Redis does not answer; each server keeps answers for itself until it does.
    SharedCacheLost {
        /// Why, without secrets.
        reason: String,
    },
    /// Redis, where servers count together how often somebody asks, answers again.
    SharedRatesReturned,
    /// Redis does not answer; each server counts for itself until it does.
    SharedRatesLost {
        /// Why, without secrets.
        reason: String,
    },
    /// The keys of an issuer were read for the first time, or are others than before.
    IssuerKeys {
        /// Its name, as tokens have it.
        issuer: &'a str,
        /// How many there are.
        keys: usize,
    },
    /// The keys of an issuer cannot be read; those that were read are kept. Told once until they can.
    IssuerLost {
        /// Its name, as tokens have it.
        issuer: &'a str,
        /// Why, without secrets.
        reason: String,
    },
    /// API keys or opaque tokens cannot be looked up. Told once until they can.
    IdentityUnknown {
        /// Why, without secrets.
        reason: String,
    },
    /// Usage cannot be stored; it is kept in memory and tried again. Told once until it works again.
    UsageNotStored {
        /// Why, without secrets.
        reason: String,
    },
    /// The server ended with usage that nobody stored.
    UsageForgotten {
        /// How many pairs of a client and a field.
        rows: usize,
    },
    /// The service does something else from now on, and nothing of before still writes.
    ModeSwitched {
        /// What it did.
        from: Mode,
        /// What it does.
        to: Mode,
    },
    /// Handshakes use this certificate from now on.
    CertificateLoaded {
        /// Whole days until it ends.
        days_left: u64,
        /// True when that is soon.
        soon: bool,
    },
    /// New certificate files cannot be used; the old ones stay.
    CertificateRefused {
        /// Why.
        fault: &'a TlsFault,
    },
    /// The server was told to stop.
    Draining {
        /// Connections that were open then.
        connections: usize,
    },
    /// A document or its values passed a limit that only warns: told once for each text and limit.
    LimitPassed {
        /// The first request that did.
        request_id: &'a str,
        /// Its operation's name.
        operation: Option<&'a str>,
        /// The setting.
        setting: &'static str,
    },
    /// The server ended while tasks of it were running: a fault of ours.
    TasksLeft {
        /// How many.
        tasks: usize,
    },
    /// The server does not wait for running requests any more.
    Hastened,
    /// A connection could not be accepted; the server goes on after a moment.
    AcceptFailed {
        /// What the system said.
        error: &'a std::io::Error,
    },
}

/// A request at its end.
#[derive(Debug)]
pub struct FinishedRequest<'a> {
    /// The client's id or one of ours.
    pub request_id: &'a str,
    /// The HTTP method.
    pub method: &'a str,
    /// The path without the query string.
    pub path: &'a str,
    /// What kind of request it was.
    pub kind: RequestKind,
    /// The operation's name: the one that the client gave, or its own.
    pub operation: Option<&'a str>,
    /// The HTTP status; 499 when the client went away first.
    pub status: u16,
    /// From the last byte of its head to the last byte of its answer handed to the socket.
    pub duration: Duration,
    /// The codes of the errors in the answer.
    pub codes: &'a [Code],
    /// Rows that were read for it.
    pub rows: u64,
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// True when we cut the answer off after it had begun.
    pub aborted: bool,
    /// The subject of a known caller.
    pub caller: Option<&'a str>,
    /// Where it came from: the peer, or whom a trusted proxy names.
    pub address: Option<IpAddr>,
    /// The trace that it belongs to: the one that the client named, or a new one where spans are told.
    pub trace: Option<&'a TraceContext>,
    /// The name that the client gives itself.
    pub client: Option<&'a str>,
    /// When its head had been read.
    pub started: Instant,
    /// How long it waited for the database, and ran there.
    pub times: &'a Times,
}

/// What a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// A GraphQL query.
    Query,
    /// A GraphQL mutation.
    Mutation,
    /// A GraphQL subscription.
    Subscription,
    /// Several GraphQL requests in one; each of them is counted by its own kind.
    Batch,
    /// A GraphQL request that did not get as far as having a kind.
    Invalid,
    /// Not GraphQL: a page or an asset.
    Page,
}

impl From<OperationKind> for RequestKind {
    fn from(kind: OperationKind) -> Self {
        match kind {
            OperationKind::Query => Self::Query,
            OperationKind::Mutation => Self::Mutation,
            OperationKind::Subscription => Self::Subscription,
        }
    }
}

impl RequestKind {
    /// Every kind that is GraphQL.
    pub(crate) const GRAPHQL: [Self; 4] = [Self::Query, Self::Mutation, Self::Subscription, Self::Invalid];

    /// Returns it as one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Subscription => "subscription",
            Self::Batch => "batch",
            Self::Invalid => "invalid",
            Self::Page => "page",
        }
    }
}

/// What a client is not told about a failure in the database.
#[derive(Debug)]
pub struct SqlFault<'a> {
    /// The `logId` that the client was given.
    pub log_id: &'a str,
    /// The code that the client was given.
    pub code: Code,
    /// The root field, where it is known.
    pub field: Option<&'a str>,
    /// PostgreSQL's code; empty when the failure was not PostgreSQL's.
    pub sqlstate: &'a str,
    /// The message.
    pub message: &'a str,
    /// The detail, which may hold values.
    pub detail: Option<&'a str>,
    /// PostgreSQL's hint.
    pub hint: Option<&'a str>,
}
