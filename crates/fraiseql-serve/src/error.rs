//! Why a server cannot start. Failures while serving are answers or events, not errors.

use std::io;
use std::net::SocketAddr;

use fraiseql_engine::LoadError;
use fraiseql_model::errors::{self, ErrorCode};

use crate::holder::PortHolder;
use fraiseql_net::TlsFault;

/// Why a server did not come to serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Somebody else listens there.
    #[error("listen on {address}: the port is taken")]
    PortTaken {
        /// The address asked for.
        address: SocketAddr,
        /// Who has it, if that could be found out.
        holder: Option<PortHolder>,
    },
    /// The address cannot be bound for another reason.
    #[error("listen on {address}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// An issuer or the introspection has a URL that cannot be asked.
    #[error("know callers: {reason}")]
    Identity {
        /// Which, and why.
        reason: String,
    },
    /// The socket that was handed over is none that listens.
    #[error("listen on the socket that was handed over")]
    Adopt {
        /// What the system said.
        source: io::Error,
    },
    /// Certificate or key cannot be used.
    #[error("speak TLS")]
    Tls(#[from] TlsFault),
    /// The artifact contradicts itself.
    #[error("load the artifact")]
    Load(#[from] LoadError),
    /// The system has no threads for it.
    #[error("start the threads that serve")]
    Workers(#[source] io::Error),
}

impl ServeError {
    /// Returns the code with the page that explains it.
    pub fn code(&self) -> &'static ErrorCode {
        match self {
            Self::PortTaken { .. } => &errors::NET_PORT_TAKEN,
            Self::Bind { .. } => &errors::NET_BIND,
            Self::Identity { .. } => &errors::CFG_BAD_VALUE,
            Self::Adopt { .. } => &errors::NET_ACTIVATION,
            Self::Tls(_) => &errors::NET_TLS,
            Self::Load(_) | Self::Workers(_) => &errors::RUN_INTERNAL,
        }
    }

    /// Returns what the user can do.
    pub fn hint(&self) -> String {
        match self {
            Self::PortTaken { address, holder: Some(PortHolder { pid, name }) } => format!(
                "process {pid} ({name}) listens on port {}: stop it, or choose another port with --port",
                address.port()
            ),
            Self::PortTaken { .. } => {
                "stop the process that listens there, or choose another port with --port".to_owned()
            }
            Self::Bind { source, address } if source.kind() == io::ErrorKind::PermissionDenied => format!(
                "port {} needs a privilege that this user lacks: choose one above 1023 with --port",
                address.port()
            ),
            Self::Bind { .. } => {
                "server.address must be an address of this machine, for example 127.0.0.1 or 0.0.0.0"
                    .to_owned()
            }
            Self::Identity { .. } => {
                "write identity.issuers and identity.introspection_url as https://login.example/realms/shop"
                    .to_owned()
            }
            Self::Adopt { .. } => {
                "the first socket of LISTEN_FDS must be a stream socket of TCP that listens".to_owned()
            }
            Self::Tls(fault) => fault.hint(),
            Self::Load(_) => "compile the schema again; if that does not help, report a bug".to_owned(),
            Self::Workers(_) => {
                "raise the limits of threads and open files (ulimit -u, ulimit -n), or set server.threads lower"
                    .to_owned()
            }
        }
    }
}
