//! What happens in the proxy, told to whoever writes it down.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fraiseql_model::traffic::{GenerationOrigin, Stamp};
use fraiseql_net::CertificateNews;

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProxyEvent<'e> {
    /// Clients may come.
    Listening {
        /// Where.
        address: SocketAddr,
        /// By TLS.
        secure: bool,
    },
    /// Other weights hold from now on.
    Applied {
        /// Their stamp.
        stamp: Stamp,
        /// Who made them.
        origin: GenerationOrigin,
        /// Each release with its share in percent.
        shares: &'e str,
    },
    /// An instance gets no more requests, or gets them again.
    HealthChanged {
        /// The instance.
        backend: &'e str,
        /// Whether it is ready.
        ready: bool,
        /// Why, when it is not.
        reason: &'e str,
    },
    /// A request that no instance answered.
    Unanswered {
        /// The release that it was for.
        release: &'e str,
        /// What the client was told.
        status: u16,
        /// Why.
        reason: &'e str,
    },
    /// A request was answered.
    Answered {
        /// The release that answered.
        release: &'e str,
        /// The instance that answered.
        backend: &'e str,
        /// The method.
        method: &'e str,
        /// The path, without the query.
        path: &'e str,
        /// The status.
        status: u16,
        /// The client, or the proxy in front of us.
        peer: IpAddr,
        /// The identifier that the instance has given to the request.
        request_id: Option<&'e str>,
        /// Until the head of the answer.
        duration: Duration,
    },
    /// A connection could not be accepted.
    AcceptFailed {
        /// Why.
        error: &'e std::io::Error,
    },
    /// Something became of the certificate.
    Certificate {
        /// What.
        news: CertificateNews<'e>,
    },
    /// What was counted, or what holds, could not be written down.
    NotWritten {
        /// Why.
        error: &'e dyn std::error::Error,
    },
    /// No more connections are accepted; those that are open may finish.
    Draining {
        /// How many there are.
        connections: usize,
    },
}

/// Is told what happens.
pub trait ProxyObserver: Send + Sync {
    /// Takes an event; must not block.
    fn observe(&self, event: &ProxyEvent<'_>);
}
