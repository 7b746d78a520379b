//! A target in libpq's own words: PostgreSQL's client programs read them from their environment, where
//! other users of the machine do not see them, as they would see arguments.

use tokio_postgres::config::Host;

use crate::target::Target;
use crate::tls::TlsMode;

impl Target {
    /// Returns the environment variables with which a client program connects as we do. The password
    /// is among them: they are for a child process and for nobody's eyes.
    pub fn libpq_environment(&self) -> Vec<(&'static str, String)> {
        let mode = match self.tls.mode {
            TlsMode::Disable => "disable",
            TlsMode::Prefer => "prefer",
            TlsMode::Require => "require",
            TlsMode::VerifyCa => "verify-ca",
            TlsMode::VerifyFull => "verify-full",
        };
        let host = match self.config.get_hosts().first() {
            Some(Host::Unix(path)) => path.display().to_string(),
            Some(Host::Tcp(name)) => name.clone(),
            None => self.host(),
        };
        let mut words = vec![
            ("PGHOST", host),
            ("PGPORT", self.port().to_string()),
            ("PGUSER", self.user().to_owned()),
            ("PGDATABASE", self.database().to_owned()),
            ("PGSSLMODE", mode.to_owned()),
            ("PGAPPNAME", "fraiseql backup".to_owned()),
        ];
        if let Some(password) = self.config.get_password() {
            words.push(("PGPASSWORD", String::from_utf8_lossy(password).into_owned()));
        }
        let files = [
            ("PGSSLROOTCERT", &self.tls.root_certificate),
            ("PGSSLCERT", &self.tls.certificate),
            ("PGSSLKEY", &self.tls.key),
        ];
        let files = files.into_iter().filter_map(|(name, path)| Some((name, path.as_ref()?)));
        words.extend(files.map(|(name, path)| (name, path.display().to_string())));
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_becomes_variables() {
        let text =
            "postgres://deploy:s3cret@db.example:6000/shop?sslmode=verify-full&sslrootcert=/etc/ca.pem";
        let words = Target::parse(text).unwrap().libpq_environment();
        let word = |name: &str| words.iter().find(|word| word.0 == name).map(|word| word.1.as_str());
        assert_eq!((word("PGHOST"), word("PGPORT")), (Some("db.example"), Some("6000")));
        assert_eq!((word("PGUSER"), word("PGPASSWORD")), (Some("deploy"), Some("s3cret")));
        assert_eq!((word("PGSSLMODE"), word("PGSSLROOTCERT")), (Some("verify-full"), Some("/etc/ca.pem")));
        assert_eq!(word("PGSSLKEY"), None);
    }

    #[test]
    fn a_socket_is_a_host() {
        let words = Target::parse("postgres://postgres@/app?host=/run/x&sslmode=disable").unwrap();
        let words = words.libpq_environment();
        assert!(words.contains(&("PGHOST", "/run/x".to_owned())), "{words:?}");
        assert!(!words.iter().any(|word| word.0 == "PGPASSWORD"));
    }
}
