//! Errors of this crate.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use fraiseql_model::errors::{self, ErrorCode};
use fraiseql_model::traffic::Stamp;
use fraiseql_net::TlsFault;
use thiserror::Error;

/// What went wrong.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The address cannot be listened on.
    #[error("listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file or socket stands in the way.
    #[error("{action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// With which path.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A generation that contradicts itself.
    #[error("apply generation {stamp}: {reason}")]
    Contradiction {
        /// Its stamp.
        stamp: Stamp,
        /// What is wrong with it.
        reason: String,
    },
    /// A generation that is older than what holds, or a lease for another one.
    #[error("apply generation {stamp}: {highest} holds already")]
    Stale {
        /// Its stamp.
        stamp: Stamp,
        /// The stamp that holds.
        highest: Stamp,
    },
    /// Certificate and key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// A rollback without a release to go back to.
    #[error("roll back: no earlier release is kept")]
    NothingBefore,
    /// What lies on the disk is damaged, in both copies.
    #[error("read {}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl ProxyError {
    /// Returns the code for users.
    pub fn code(&self) -> &'static ErrorCode {
        match self {
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                &errors::NET_PORT_TAKEN
            }
            Self::Listen { .. } => &errors::NET_BIND,
            Self::Tls(_) => &errors::NET_TLS,
            Self::File { .. } => &errors::IO_WRITE,
            Self::Contradiction { .. } => &errors::PXY_CONTRADICTION,
            Self::Stale { .. } => &errors::PXY_STALE,
            Self::NothingBefore => &errors::PXY_NOTHING_BEFORE,
            Self::Damaged { .. } => &errors::PXY_DAMAGED,
        }
    }

    /// Returns what to type.
    pub fn hint(&self) -> String {
        match self {
            Self::Listen { address, .. } => {
                format!(
                    "find who listens there with `ss -ltnp 'sport = :{}'`, or set proxy.port",
                    address.port()
                )
            }
            Self::Tls(fault) => fault.hint(),
            Self::File { path, .. } => format!("check who owns {} and its permissions", path.display()),
            Self::Contradiction { .. } => "this is a fault of the control plane: keep its log".to_owned(),
            Self::Stale { .. } => "another agent has taken over: stop this one".to_owned(),
            Self::NothingBefore => {
                "deploy the release that shall serve: `fraiseql deploy --release ID`".to_owned()
            }
            Self::Damaged { path, .. } => {
                format!("move {} away; the agent tells the proxy again what holds", path.display())
            }
        }
    }
}

/// Returns what makes an error of the operating system one of a file.
pub(crate) fn file<'p>(action: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> ProxyError + 'p {
    move |source| ProxyError::File { action, path: path.to_owned(), source }
}
