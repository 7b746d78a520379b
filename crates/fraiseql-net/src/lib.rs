//! The beginning of a connection, for whoever listens: plain, or TLS with a certificate that may change.
//!
//! The server and the proxy share it. It must not know what is said on the connection.

mod files;
mod handshake;
mod tls;

pub use files::TlsFault;
pub use handshake::{ClientStream, accept};
pub use tls::{CertificateNews, HandshakeCounts, ListenerTls, TlsOptions, TlsVersion};
