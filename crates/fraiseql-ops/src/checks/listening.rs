//! What only this machine needs listens on this machine only.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "listening",
    list: CheckList::Infrastructure,
    title: "nothing listens to everybody that need not",
    why: "whoever reaches the database's port can try passwords; the service is the only door that is meant",
    help: "set listen_addresses in postgresql.conf, bind in redis.conf, admin.address in fraiseql.toml to an address of the private network",
    mild: true,
};

use std::net::SocketAddr;

/// What listens on this machine, and what should not to everybody.
#[derive(Clone, Debug)]
pub struct ListeningFacts {
    /// Where something listens.
    pub sockets: Vec<SocketAddr>,
    /// Ports of this machine that are not for everybody, with what is behind them.
    pub guarded: Vec<(u16, &'static str)>,
}

/// Fails when a guarded port is open on all addresses.
pub fn listening(facts: &Looked<ListeningFacts>) -> CheckFinding {
    judged(facts, |facts| {
        let open: Vec<String> = facts
            .guarded
            .iter()
            .filter_map(|(port, what)| {
                let open = |socket: &&SocketAddr| socket.port() == *port && socket.ip().is_unspecified();
                facts.sockets.iter().find(open).map(|socket| format!("{what} listens on {socket}"))
            })
            .collect();
        if !open.is_empty() {
            return fail(open.join("; "));
        }
        let looked: Vec<String> =
            facts.guarded.iter().map(|(port, what)| format!("{what} ({port})")).collect();
        match looked.is_empty() {
            true => pass("neither database nor Redis nor the admin listener is on a port of this machine"),
            false => pass(format!("not on all addresses: {}", looked.join(", "))),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(socket: &str, expected: &str) {
        let guarded = vec![(5432, "the database")];
        let facts = ListeningFacts { sockets: vec![socket.parse().unwrap()], guarded };
        assert_eq!(listening(&Ok(facts)).to_string(), expected);
    }

    #[test]
    fn a_database_for_everybody_fails() {
        check("0.0.0.0:5432", "fail: the database listens on 0.0.0.0:5432");
        check("[::]:5432", "fail: the database listens on [::]:5432");
        check("127.0.0.1:5432", "pass: not on all addresses: the database (5432)");
        check("0.0.0.0:4000", "pass: not on all addresses: the database (5432)");
    }
}
