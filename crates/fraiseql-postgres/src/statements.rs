//! The statements that one connection has prepared: bounded, least recently used goes first.

use std::collections::HashMap;
use std::sync::Arc;

const STATEMENTS_MAX: usize = 256;

/// Names of prepared statements by their text.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    known: HashMap<Arc<str>, Prepared>,
    clock: u64,
}

#[derive(Debug)]
struct Prepared {
    number: u64,
    used: u64,
}

/// What has to be sent before a statement can be bound.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lookup {
    /// The number in the statement's name.
    pub(crate) number: u64,
    /// True when it must be parsed first.
    pub(crate) new: bool,
    /// One to close for it.
    pub(crate) evicted: Option<u64>,
}

/// Returns the name of a statement on the wire.
pub(crate) fn name(number: u64) -> String {
    format!("fq{number}")
}

impl Statements {
    /// Finds or enters a statement.
    pub(crate) fn look_up(&mut self, sql: &str) -> Lookup {
        self.clock += 1;
        if let Some(prepared) = self.known.get_mut(sql) {
            prepared.used = self.clock;
            return Lookup { number: prepared.number, new: false, evicted: None };
        }
        let evicted = if self.known.len() >= STATEMENTS_MAX { self.evict() } else { None };
        let number = self.clock;
        self.known.insert(Arc::from(sql), Prepared { number, used: self.clock });
        Lookup { number, new: true, evicted }
    }

    /// Forgets a statement, and returns its number if it was known.
    pub(crate) fn forget(&mut self, sql: &str) -> Option<u64> {
        self.known.remove(sql).map(|prepared| prepared.number)
    }

    fn evict(&mut self) -> Option<u64> {
        let oldest = self.known.iter().min_by_key(|(_, prepared)| prepared.used)?.0.clone();
        self.known.remove(&oldest).map(|prepared| prepared.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut statements = Statements::default();
        let first = statements.look_up("select 0").number;
        let second = statements.look_up("select 1").number;
        for index in 2..STATEMENTS_MAX {
            statements.look_up(&format!("select {index}"));
        }
        assert_eq!(statements.look_up("select 0"), Lookup { number: first, new: false, evicted: None });
        assert_eq!(statements.look_up("one more").evicted, Some(second));
        assert!(statements.look_up("select 1").new);
    }
}
