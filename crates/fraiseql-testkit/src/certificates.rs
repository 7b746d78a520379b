//! Certificates for tests: an authority that signs what a test wants, good or ended.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// An authority that nobody knows unless a test says so.
#[derive(Debug)]
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, as PEM.
#[derive(Clone, Debug)]
pub struct Certified {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// Makes one.
    ///
    /// # Panics
    /// As everything here does, when something cannot be signed.
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("it signs itself").pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Returns its certificate as PEM.
    pub fn pem(&self) -> &str {
        &self.certificate
    }

    /// Returns a certificate for names of hosts or addresses.
    pub fn issue(&self, names: &[&str]) -> Certified {
        self.sign(names, names.first().copied().unwrap_or(""), |_| ())
    }

    /// Returns a certificate that has ended.
    pub fn issue_ended(&self, names: &[&str]) -> Certified {
        self.sign(names, "ended", |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2020, 2, 1);
        })
    }

    /// Returns a certificate for a client, by which a server knows it as `name`.
    pub fn issue_client(&self, name: &str) -> Certified {
        self.sign(&[], name, |_| ())
    }

    fn sign(
        &self,
        names: &[&str],
        common_name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Certified {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("legal names");
        params.distinguished_name.push(DnType::CommonName, common_name);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("it signs").pem();
        Certified { certificate, key: key.serialize_pem() }
    }
}

impl Certified {
    /// Writes certificate and key as `NAME.pem` and `NAME.key` into a folder, each in one step, the
    /// certificate first; returns where they are.
    pub fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        replace(&certificate, &self.certificate);
        replace(&key, &self.key);
        (certificate, key)
    }
}

/// Puts a file in the place of another in one step.
///
/// # Panics
/// When it cannot be written.
pub fn replace(path: &Path, content: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let new = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    // PostgreSQL takes no key that others may read.
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&new);
    file.and_then(|mut file| file.write_all(content.as_bytes())).expect("it can be written");
    std::fs::rename(&new, path).expect("it can be renamed");
}
