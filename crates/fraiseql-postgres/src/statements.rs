//! The statements that one connection has prepared: bounded, least recently used goes first.

use std::collections::HashMap;
use std::sync::Arc;

use fraiseql_model::digest::sha256_hex;

const STATEMENTS_MAX: usize = 256;
/// Hexadecimal digits of a digest in a name; PostgreSQL cuts names at 63 bytes.
const DIGEST_DIGITS: usize = 40;

/// Names of prepared statements by their text.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    naming: Naming,
    known: HashMap<Arc<str>, Prepared>,
    clock: u64,
}

/// How statements are called on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Naming {
    /// By a number: the server is ours alone.
    #[default]
    Number,
    /// By a digest of the text, so that whoever has a statement of that name has the same.
    Digest,
    /// Not at all: each is parsed again every time.
    Unnamed,
}

#[derive(Debug)]
struct Prepared {
    name: Arc<str>,
    used: u64,
}

/// What has to be sent before a statement can be bound.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lookup {
    /// The statement's name.
    pub(crate) name: Arc<str>,
    /// True when it must be parsed first.
    pub(crate) new: bool,
    /// One to close for it.
    pub(crate) evicted: Option<Arc<str>>,
}

impl Statements {
    pub(crate) fn new(naming: Naming) -> Self {
        Self { naming, ..Self::default() }
    }

    /// Finds or enters a statement.
    pub(crate) fn look_up(&mut self, sql: &str) -> Lookup {
        self.clock += 1;
        if let Some(prepared) = self.known.get_mut(sql) {
            prepared.used = self.clock;
            return Lookup { name: Arc::clone(&prepared.name), new: false, evicted: None };
        }
        let name: Arc<str> = match self.naming {
            Naming::Unnamed => return Lookup { name: Arc::from(""), new: true, evicted: None },
            Naming::Number => Arc::from(format!("fq{}", self.clock)),
            Naming::Digest => Arc::from(format!("fq{}", &sha256_hex(sql.as_bytes())[..DIGEST_DIGITS])),
        };
        let evicted = if self.known.len() >= STATEMENTS_MAX { self.evict() } else { None };
        self.known.insert(Arc::from(sql), Prepared { name: Arc::clone(&name), used: self.clock });
        Lookup { name, new: true, evicted }
    }

    /// Forgets a statement, and returns its name if it was known.
    pub(crate) fn forget(&mut self, sql: &str) -> Option<Arc<str>> {
        self.known.remove(sql).map(|prepared| prepared.name)
    }

    fn evict(&mut self) -> Option<Arc<str>> {
        let oldest = self.known.iter().min_by_key(|(_, prepared)| prepared.used)?.0.clone();
        self.known.remove(&oldest).map(|prepared| prepared.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut statements = Statements::default();
        let first = statements.look_up("select 0").name;
        let second = statements.look_up("select 1").name;
        for index in 2..STATEMENTS_MAX {
            statements.look_up(&format!("select {index}"));
        }
        assert_eq!(statements.look_up("select 0"), Lookup { name: first, new: false, evicted: None });
        assert_eq!(statements.look_up("one more").evicted, Some(second));
        assert!(statements.look_up("select 1").new);
    }

    #[test]
    fn a_name_by_digest_says_the_same_to_everybody() {
        let mut one = Statements::new(Naming::Digest);
        let mut other = Statements::new(Naming::Digest);
        other.look_up("select 1");
        assert_eq!(one.look_up("select 2").name, other.look_up("select 2").name);
        assert_ne!(one.look_up("select 1").name, one.look_up("select 2").name);
        assert!(!one.look_up("select 2").new);
    }

    #[test]
    fn without_a_name_nothing_is_kept() {
        let mut statements = Statements::new(Naming::Unnamed);
        for _ in 0..2 {
            assert_eq!(
                statements.look_up("select 1"),
                Lookup { name: Arc::from(""), new: true, evicted: None }
            );
        }
        assert_eq!(statements.forget("select 1"), None);
    }
}
