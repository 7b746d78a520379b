//! Where a database is and how to get in. The password is never shown.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::error::PostgresError;
use crate::tls::{Tls, TlsMode};

/// Where Debian's servers have their socket, and where libpq looks when no host is named.
const SOCKETS: &str = "/var/run/postgresql";

/// A parsed connection string.
#[derive(Clone)]
pub struct Target {
    pub(crate) config: Config,
    pub(crate) tls: Tls,
    pub(crate) pooler: Pooler,
}

/// What stands between us and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing, or a pooler that keeps a server connection for as long as ours lives.
    None,
    /// A pooler that gives us another server connection for each transaction.
    Transaction,
}

impl Target {
    /// Parses a connection string as libpq reads it: a URL, or `key=value` words.
    ///
    /// Fails with [`PostgresError::Url`], which names what is wrong but never shows the string.
    pub fn parse(text: &str) -> Result<Self, PostgresError> {
        Self::parsed(text, |_| ())
    }

    /// Does as [`Target::parse`], with a password that is not in the string.
    pub fn parse_with_password(text: &str, password: &str) -> Result<Self, PostgresError> {
        Self::parsed(text, |config| {
            config.password(password);
        })
    }

    /// Does as [`Target::parse`], with a user and a password that are not in the string.
    pub fn parse_with_login(text: &str, user: &str, password: &str) -> Result<Self, PostgresError> {
        Self::parsed(text, |config| {
            config.user(user).password(password);
        })
    }

    fn parsed(text: &str, complete: impl FnOnce(&mut Config)) -> Result<Self, PostgresError> {
        if let Some((scheme, _)) = text.split_once("://")
            && !matches!(scheme, "postgres" | "postgresql")
        {
            let reason = "it does not begin with postgres://".to_owned();
            return Err(PostgresError::Url { reason });
        }
        let mut words = Vec::new();
        let stripped = take_tls_words(text, &mut words);
        let mut config = Config::from_str(&stripped)
            .map_err(|error| PostgresError::Url { reason: source_text(&error) })?;
        complete(&mut config);
        if config.get_hosts().is_empty() {
            let sockets = Path::new(SOCKETS);
            if sockets.is_dir() {
                config.host_path(sockets)
            } else {
                config.host("localhost")
            };
        }
        if config.get_user().is_none() {
            // As libpq does: a socket lets the account of that name in without a password.
            let account = own_account();
            config.user(account.ok_or_else(|| PostgresError::Url {
                reason: "there is no user name in it, and this process has none".to_owned(),
            })?);
        }
        let mut tls = Tls::new(match is_local(&config) {
            true => TlsMode::Prefer,
            // Whoever can stand between us and another machine could be the server otherwise.
            false => TlsMode::VerifyFull,
        });
        for (key, value) in words {
            match (key.as_str(), value.as_str()) {
                ("sslmode", "disable") => tls.mode = TlsMode::Disable,
                ("sslmode", "prefer" | "allow") => tls.mode = TlsMode::Prefer,
                ("sslmode", "require") => tls.mode = TlsMode::Require,
                ("sslmode", "verify-ca") => tls.mode = TlsMode::VerifyCa,
                ("sslmode", "verify-full") => tls.mode = TlsMode::VerifyFull,
                ("sslmode", _) => {
                    let reason =
                        "sslmode must be disable, prefer, require, verify-ca or verify-full".to_owned();
                    return Err(PostgresError::Url { reason });
                }
                ("sslcert", path) => tls.certificate = Some(PathBuf::from(path)),
                ("sslkey", path) => tls.key = Some(PathBuf::from(path)),
                (_, path) => tls.root_certificate = Some(PathBuf::from(path)),
            }
        }
        if tls.root_certificate.is_some() && tls.mode == TlsMode::Require {
            // As libpq does: a root certificate turns "require" into a check of the chain.
            tls.mode = TlsMode::VerifyCa;
        }
        Ok(Self { config, tls, pooler: Pooler::None })
    }

    /// Returns the first host, or the directory of the socket.
    pub fn host(&self) -> String {
        match self.config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".to_owned(),
        }
    }

    /// Returns the port of the first host.
    pub fn port(&self) -> u16 {
        self.config.get_ports().first().copied().unwrap_or(5432)
    }

    /// Returns whether the server is on this machine: a socket, or a loopback address.
    pub fn is_on_this_machine(&self) -> bool {
        is_local(&self.config)
    }

    /// Returns whether the server's certificate is checked.
    pub fn checks_certificate(&self) -> bool {
        matches!(self.tls.mode, TlsMode::VerifyCa | TlsMode::VerifyFull)
    }

    /// Returns the database's name; the user's name when none was given.
    pub fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or_else(|| self.user())
    }

    /// Returns the same server's other database of that name.
    #[must_use]
    pub fn in_database(&self, name: &str) -> Self {
        let mut other = self.clone();
        other.config.dbname(name);
        other
    }

    /// Returns the role.
    pub fn user(&self) -> &str {
        self.config.get_user().unwrap_or("")
    }

    /// Returns the same target, reached through what is said.
    pub fn through(mut self, pooler: Pooler) -> Self {
        self.pooler = pooler;
        self
    }

    /// Returns what stands between us and the server.
    pub fn pooler(&self) -> Pooler {
        self.pooler
    }

    /// Returns the same server with another database.
    pub fn with_database(&self, name: &str) -> Self {
        let mut target = self.clone();
        target.config.dbname(name);
        target
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}/{}", self.user(), self.host(), self.port(), self.database())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

/// Returns true when every host is this machine.
fn is_local(config: &Config) -> bool {
    let here = |address: &IpAddr| address.is_loopback();
    let by_name = config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|address| here(&address)),
    });
    let addresses = config.get_hostaddrs();
    if addresses.is_empty() { by_name } else { addresses.iter().all(here) }
}

fn source_text(error: &tokio_postgres::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// Takes what is about TLS out of the text: the parser below us does not know all of them.
fn take_tls_words(text: &str, words: &mut Vec<(String, String)>) -> String {
    let is_tls = |key: &str| matches!(key, "sslmode" | "sslrootcert" | "sslcert" | "sslkey");
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        let Some((base, query)) = text.split_once('?') else { return text.to_owned() };
        let mut kept = Vec::new();
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some((key, value)) if is_tls(key) => {
                    words.push((key.to_owned(), percent_decoded(value)));
                }
                _ => kept.push(pair),
            }
        }
        return if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    }
    let mut kept = Vec::new();
    for pair in quoted_words(text) {
        match pair.split_once('=') {
            Some((key, value)) if is_tls(key.trim()) => {
                words.push((key.trim().to_owned(), value.trim().trim_matches('\'').to_owned()));
            }
            _ => kept.push(pair),
        }
    }
    if words.is_empty() { text.to_owned() } else { kept.join(" ") }
}

/// Splits `key=value` words; a value in quotes may contain blanks.
fn quoted_words(text: &str) -> Vec<&str> {
    let (mut words, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (index, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\'' => quoted = !quoted,
            blank if blank.is_whitespace() && !quoted => {
                words.push(&text[start..index]);
                start = index + blank.len_utf8();
            }
            _ => {}
        }
    }
    words.push(&text[start..]);
    words.retain(|word| !word.is_empty());
    words
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, escape.map(|hex| u8::from_str_radix(hex, 16))) {
            (b'%', Some(Ok(byte))) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the name of the account that this process runs as.
fn own_account() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let uid = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_never_shown() {
        let target =
            Target::parse("postgres://app:hunter2@db.example:6543/shop?sslmode=verify-full").unwrap();
        assert_eq!(target.to_string(), "app@db.example:6543/shop");
        assert!(!format!("{target:?}").contains("hunter2"));
        assert_eq!(target.tls.mode, TlsMode::VerifyFull);
        let error = Target::parse("postgres://app:hunter2@db:notaport/shop").unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn without_a_user_it_is_the_account_of_the_process() {
        let account = std::process::Command::new("id").arg("-un").output().unwrap();
        let account = String::from_utf8(account.stdout).unwrap();
        let target = Target::parse("postgres:///shop?host=/run/pg").unwrap();
        assert_eq!(target.to_string(), format!("{}@/run/pg:5432/shop", account.trim()));
    }

    #[track_caller]
    fn check(url: &str, mode: TlsMode) {
        assert_eq!(Target::parse(url).unwrap().tls.mode, mode, "{url}");
    }

    #[test]
    fn another_machine_must_prove_who_it_is_unless_the_string_says_otherwise() {
        check("postgres://app@localhost/shop", TlsMode::Prefer);
        check("postgres://app@127.0.0.1/shop", TlsMode::Prefer);
        check("postgres://app@[::1]/shop", TlsMode::Prefer);
        check("host=/run/pg user=app", TlsMode::Prefer);
        check("postgres://app@db.example/shop", TlsMode::VerifyFull);
        check("postgres://app@10.0.0.7/shop", TlsMode::VerifyFull);
        check("postgres://app@localhost,db.example/shop", TlsMode::VerifyFull);
        check("host=db.example hostaddr=127.0.0.1 user=app", TlsMode::Prefer);
        check("postgres://app@db.example/shop?sslmode=disable", TlsMode::Disable);
        check("postgres://app@db.example/shop?sslmode=require", TlsMode::Require);
        check("postgres://app@db.example/shop?sslmode=require&sslrootcert=ca.pem", TlsMode::VerifyCa);
    }

    #[test]
    fn a_login_may_come_from_elsewhere() {
        let target = Target::parse_with_password("postgres://app@db/shop", "hunter2").unwrap();
        assert_eq!(target.config.get_password(), Some(b"hunter2".as_slice()));
        let target = Target::parse_with_login("postgres://old:older@db/shop", "v-app", "hunter2").unwrap();
        assert_eq!(
            (target.to_string().as_str(), target.config.get_password()),
            ("v-app@db:5432/shop", Some(b"hunter2".as_slice()))
        );
        assert!(Target::parse_with_login("postgres://db/shop", "v-app", "hunter2").is_ok());
        assert!(!format!("{target:?}").contains("hunter2"));
    }

    #[test]
    fn words_and_sockets_are_understood() {
        let target = Target::parse("host=/run/pg user=app dbname=shop sslmode=disable").unwrap();
        assert_eq!((target.host().as_str(), target.database()), ("/run/pg", "shop"));
        assert_eq!(target.tls.mode, TlsMode::Disable);
        let target = Target::parse("host=db user=app password='a b' sslmode=require dbname=shop").unwrap();
        assert_eq!(target.config.get_password(), Some(b"a b".as_slice()));
        let target = Target::parse("postgres:///shop?host=/run/pg&user=app&sslrootcert=%2Fca.pem").unwrap();
        assert_eq!(target.tls.root_certificate.as_deref(), Some(std::path::Path::new("/ca.pem")));
    }
}
