//! Why traffic was not moved in HAProxy.

use std::io;
use std::path::PathBuf;

use fraiseql_model::errors::{self, ErrorCode};
use fraiseql_model::traffic::Stamp;
use fraiseql_model::traffic_driver::TrafficNeed;
use thiserror::Error;

/// Why traffic was not moved in HAProxy, or nothing is known of it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HaProxyError {
    /// A generation that contradicts itself.
    #[error("apply generation {stamp}: {reason}")]
    Contradiction {
        /// Its stamp.
        stamp: Stamp,
        /// What is wrong with it.
        reason: String,
    },
    /// A generation that is older than what holds.
    #[error("apply generation {stamp}: {highest} holds already")]
    Stale {
        /// Its stamp.
        stamp: Stamp,
        /// The stamp that holds.
        highest: Stamp,
    },
    /// HAProxy cannot do what the generation needs.
    #[error("apply generation {stamp} with HAProxy: it cannot do this: {}", words(.lacks))]
    Lacks {
        /// Its stamp.
        stamp: Stamp,
        /// What it would have to do.
        lacks: Vec<TrafficNeed>,
    },
    /// The backend has fewer places than there are instances.
    #[error("find places for {wanted} instances in the backend {backend}: it has {places}")]
    Places {
        /// The backend.
        backend: String,
        /// How many instances there are.
        wanted: usize,
        /// How many places it has.
        places: usize,
    },
    /// Nobody answers on the runtime socket.
    #[error("talk to HAProxy on {}", socket.display())]
    Socket {
        /// The socket.
        socket: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It answers something else than was asked for.
    #[error("move traffic in HAProxy: {reason}")]
    Refused {
        /// What it said, or what it has not done.
        reason: String,
    },
    /// What holds cannot be kept on the disk, or read from there.
    #[error("keep what holds in {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

fn words(needs: &[TrafficNeed]) -> String {
    needs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl HaProxyError {
    /// Returns the code for users.
    pub fn code(&self) -> &'static ErrorCode {
        match self {
            Self::Contradiction { .. } => &errors::PXY_CONTRADICTION,
            Self::Stale { .. } => &errors::PXY_STALE,
            Self::Lacks { .. } => &errors::PXY_DRIVER_LACKS,
            Self::Places { .. } | Self::Socket { .. } | Self::Refused { .. } => &errors::PXY_HAPROXY,
            Self::File { .. } => &errors::IO_WRITE,
        }
    }

    /// Returns what to do.
    pub fn hint(&self) -> String {
        match self {
            Self::Contradiction { .. } => "this is a fault of the control plane: keep its log".to_owned(),
            Self::Stale { .. } => "another agent has taken over: stop this one".to_owned(),
            Self::Lacks { .. } => {
                "use the built-in proxy, or a plan without it: `fraiseql deploy --strategy blue-green`"
                    .to_owned()
            }
            Self::Places { wanted, .. } => {
                format!("write `server-template fq 1-{wanted} 127.0.0.1:1 disabled check` in the backend")
            }
            Self::Socket { socket, .. } => {
                let socket = socket.display();
                format!("write `stats socket {socket} mode 600 level admin` in the section global of HAProxy")
            }
            Self::Refused { .. } => "look at it with `show servers state` on HAProxy's socket".to_owned(),
            Self::File { path, .. } => format!("check who owns {} and its permissions", path.display()),
        }
    }
}
