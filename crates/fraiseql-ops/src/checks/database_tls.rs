//! Nobody can stand between this machine and the database.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "database-tls",
    list: CheckList::Security,
    title: "TLS to the database, verified, or a local socket",
    why: "whoever stands between could be the database, and reads every row",
    help: "add sslmode=verify-full and sslrootcert=FILE to the connection string",
    mild: true,
};

/// The way to the database.
#[derive(Clone, Copy, Debug)]
pub struct DatabaseWay {
    /// The server is on this machine.
    pub local: bool,
    /// The server says that the connection is encrypted.
    pub encrypted: bool,
    /// The server's certificate is checked.
    pub verified: bool,
}

/// Fails on the way over a network without a checked certificate.
pub fn database_tls(way: &Looked<DatabaseWay>) -> CheckFinding {
    judged(way, |way| match way {
        DatabaseWay { local: true, .. } => pass("the database is on this machine"),
        DatabaseWay { encrypted: true, verified: true, .. } => pass("encrypted, its certificate is checked"),
        DatabaseWay { encrypted: true, .. } => fail("encrypted, but nobody checks with whom"),
        DatabaseWay { .. } => fail("not encrypted"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(local: bool, encrypted: bool, verified: bool, expected: &str) {
        assert_eq!(database_tls(&Ok(DatabaseWay { local, encrypted, verified })).to_string(), expected);
    }

    #[test]
    fn an_open_way_fails() {
        check(true, false, false, "pass: the database is on this machine");
        check(false, true, true, "pass: encrypted, its certificate is checked");
        check(false, true, false, "fail: encrypted, but nobody checks with whom");
        check(false, false, false, "fail: not encrypted");
    }
}
