//! Certificate and key: from two files to what rustls takes, or to what is wrong with which file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use crate::tls::{TlsOptions, TlsVersion};

/// Larger files are no certificates.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The protocols that a client may choose from, the better one first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// A file cannot be read.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("find {wanted} in {}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        wanted: &'static str,
        /// What is wrong, in words.
        reason: String,
    },
    /// The key belongs to another certificate.
    #[error("use the key {} with the certificate {}: they do not belong together", key.display(), certificate.display())]
    Mismatch {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
    /// A new certificate has ended already.
    #[error("use the certificate {}: it has ended already", path.display())]
    Expired {
        /// The file.
        path: PathBuf,
    },
}

impl TlsFault {
    /// Returns what the user can do.
    pub fn hint(&self) -> String {
        match self {
            Self::Read { .. } => {
                "tls.certificate and tls.key must name files that the server's user may read".to_owned()
            }
            Self::Content { path, .. } => {
                format!(
                    "the file must be PEM; look at it with `openssl x509 -noout -text -in {}`",
                    path.display()
                )
            }
            Self::Mismatch { certificate, key } => format!(
                "these two must print the same: `openssl x509 -noout -pubkey -in {}` and `openssl pkey -pubout -in {}`",
                certificate.display(),
                key.display()
            ),
            Self::Expired { path } => {
                format!("renew it; `openssl x509 -noout -enddate -in {}` tells when it ended", path.display())
            }
        }
    }
}

/// The bytes of the files, to be compared. The key is in them: never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pair(..)")
    }
}

/// Reads the files.
pub(crate) fn read(options: &TlsOptions) -> Result<Pair, TlsFault> {
    let client_ca = options.client_ca.as_deref().map(bytes).transpose()?;
    Ok(Pair { certificate: bytes(&options.certificate)?, key: bytes(&options.key)?, client_ca })
}

fn bytes(path: &Path) -> Result<Vec<u8>, TlsFault> {
    let failed = |source| TlsFault::Read { path: path.to_owned(), source };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > FILE_BYTES_MAX {
        return Err(failed(io::Error::other("it is larger than 1 MiB")));
    }
    std::fs::read(path).map_err(failed)
}

/// Returns what handshakes use, and when the certificate ends, in seconds since 1970.
pub(crate) fn config(pair: &Pair, options: &TlsOptions) -> Result<(ServerConfig, u64), TlsFault> {
    let chain = certificates(&pair.certificate, &options.certificate)?;
    let not_after_s = not_after_s(&chain, &options.certificate)?;
    let key = key(&pair.key, &options.key)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions: &[_] = match options.min_version {
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let unusable = |path: &Path, wanted: &'static str, reason: String| TlsFault::Content {
        path: path.to_owned(),
        wanted,
        reason,
    };
    let certified = CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider);
    if let Err(error) = certified {
        return Err(match error {
            rustls::Error::InconsistentKeys(_) => {
                TlsFault::Mismatch { certificate: options.certificate.clone(), key: options.key.clone() }
            }
            other => unusable(&options.key, "a key that can sign", other.to_string()),
        });
    }
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| unusable(&options.certificate, "a version of TLS", error.to_string()))?;
    let builder = match (&pair.client_ca, &options.client_ca) {
        (Some(authorities), Some(path)) => {
            let roots = authorities_of(authorities, path)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| unusable(path, "authorities for clients", error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| unusable(&options.certificate, "a certificate", error.to_string()))?;
    config.alpn_protocols = PROTOCOLS.iter().map(|protocol| protocol.to_vec()).collect();
    Ok((config, not_after_s))
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let fault = |reason: String| TlsFault::Content { path: path.to_owned(), wanted: "a certificate", reason };
    let chain: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|error| fault(error.to_string()))?;
    if chain.is_empty() {
        return Err(fault("there is no BEGIN CERTIFICATE in it".to_owned()));
    }
    Ok(chain)
}

fn key(pem: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, TlsFault> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        let reason = match error {
            PemError::NoItemsFound => "there is no BEGIN PRIVATE KEY in it".to_owned(),
            other => other.to_string(),
        };
        TlsFault::Content { path: path.to_owned(), wanted: "a private key without a password", reason }
    })
}

fn authorities_of(pem: &[u8], path: &Path) -> Result<RootCertStore, TlsFault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, path)? {
        roots.add(certificate).map_err(|error| TlsFault::Content {
            path: path.to_owned(),
            wanted: "authorities for clients",
            reason: error.to_string(),
        })?;
    }
    Ok(roots)
}

fn not_after_s(chain: &[CertificateDer<'_>], path: &Path) -> Result<u64, TlsFault> {
    let fault = |reason: String| TlsFault::Content {
        path: path.to_owned(),
        wanted: "a certificate of X.509",
        reason,
    };
    let first = chain.first().ok_or_else(|| fault("there is none".to_owned()))?;
    let (_, parsed) = x509_parser::parse_x509_certificate(first).map_err(|error| fault(error.to_string()))?;
    Ok(u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0))
}
