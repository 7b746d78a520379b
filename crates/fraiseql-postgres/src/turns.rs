//! Who gets which connection next. Pure but for waking the one whose turn it is.
//!
//! A connection is cheapest for the runtime that its socket is registered with, its home: nobody
//! else has to be woken. So idle connections are kept by home, and one that is given back goes to
//! somebody who waits at its home first, and from time to time to whoever waits longest anywhere.
//! The limit is one for all homes.

use std::collections::VecDeque;

use tokio::sync::oneshot;

/// How often in a row a home may serve its own while others wait.
const OWN_IN_A_ROW_MAX: usize = 16;

/// What a pool has, and who waits for it.
///
/// While anybody waits nothing is idle and nothing more may be opened.
#[derive(Debug)]
pub(crate) struct Turns<C> {
    size: usize,
    /// Connections that exist or are being opened.
    open: usize,
    closed: bool,
    homes: Vec<Home<C>>,
    tickets: u64,
}

#[derive(Debug)]
struct Home<C> {
    /// The one used last is at the end.
    idle: Vec<C>,
    waiting: VecDeque<Waiting<C>>,
    own_in_a_row: usize,
}

#[derive(Debug)]
struct Waiting<C> {
    ticket: u64,
    sender: oneshot::Sender<Turn<C>>,
}

/// What somebody gets whose turn it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn<C> {
    /// A connection, maybe of another home.
    Connection(C),
    /// Leave to open one.
    Opening,
}

/// The answer to somebody who wants a connection.
#[derive(Debug)]
pub(crate) enum Asked<C> {
    Now(Turn<C>),
    /// Nothing is free: [`Turns::line_up`] waits for a turn.
    NothingFree,
    Closed,
}

impl<C> Turns<C> {
    /// Makes the turns of a pool of at most `size` connections.
    pub(crate) fn new(size: usize) -> Self {
        Self { size: size.max(1), open: 0, closed: false, homes: Vec::new(), tickets: 0 }
    }

    /// Asks for a connection at a home: an idle one of its own, else a new one while there may be
    /// more, else an idle one of another home.
    pub(crate) fn ask(&mut self, home: usize) -> Asked<C> {
        if self.closed {
            return Asked::Closed;
        }
        if let Some(connection) = self.home(home).idle.pop() {
            return Asked::Now(Turn::Connection(connection));
        }
        if self.open < self.size {
            self.open += 1;
            return Asked::Now(Turn::Opening);
        }
        let richest = self.homes.iter_mut().max_by_key(|other| other.idle.len());
        match richest.and_then(|other| other.idle.pop()) {
            Some(connection) => Asked::Now(Turn::Connection(connection)),
            None => Asked::NothingFree,
        }
    }

    /// Takes the last place at a home's queue, right after [`Asked::NothingFree`]. Who stops waiting
    /// hands the turn back that came meanwhile.
    pub(crate) fn line_up(&mut self, home: usize) -> oneshot::Receiver<Turn<C>> {
        let (sender, receiver) = oneshot::channel();
        self.tickets += 1;
        let waiting = Waiting { ticket: self.tickets, sender };
        self.home(home).waiting.push_back(waiting);
        receiver
    }

    /// Takes a connection back that is at rest; returns it when the pool is closed.
    pub(crate) fn give_back(&mut self, home: usize, connection: C) -> Option<C> {
        if self.closed {
            self.open -= 1;
            return Some(connection);
        }
        if let Some(Turn::Connection(connection)) = self.pass_on(home, Turn::Connection(connection)) {
            self.home(home).idle.push(connection);
        }
        None
    }

    /// Notes that a connection is gone, or could not be opened: another may take its place.
    pub(crate) fn lost(&mut self, home: usize) {
        if self.closed || self.pass_on(home, Turn::Opening).is_some() {
            self.open -= 1;
        }
    }

    /// Takes everything that is idle out. Nobody waits while something is idle.
    pub(crate) fn take_idle(&mut self) -> Vec<C> {
        let idle: Vec<C> = self.homes.iter_mut().flat_map(|home| std::mem::take(&mut home.idle)).collect();
        self.open -= idle.len();
        idle
    }

    /// Closes: nobody gets a turn any more. Returns what is idle.
    pub(crate) fn close(&mut self) -> Vec<C> {
        self.closed = true;
        let homes = std::mem::take(&mut self.homes);
        // Dropping their senders tells those who wait.
        let idle: Vec<C> = homes.into_iter().flat_map(|home| home.idle).collect();
        self.open -= idle.len();
        idle
    }

    /// Returns how many connections exist or are being opened, and how many of them are idle.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.open, self.homes.iter().map(|home| home.idle.len()).sum())
    }

    fn home(&mut self, home: usize) -> &mut Home<C> {
        while self.homes.len() <= home {
            self.homes.push(Home { idle: Vec::new(), waiting: VecDeque::new(), own_in_a_row: 0 });
        }
        &mut self.homes[home]
    }

    /// Hands a turn to who is next; returns it when nobody waits.
    fn pass_on(&mut self, home: usize, turn: Turn<C>) -> Option<Turn<C>> {
        let mut turn = turn;
        while let Some(next) = self.next(home) {
            match next.sender.send(turn) {
                Ok(()) => return None,
                // Gave up waiting.
                Err(back) => turn = back,
            }
        }
        Some(turn)
    }

    fn next(&mut self, home: usize) -> Option<Waiting<C>> {
        let oldest = |(index, home): (usize, &Home<C>)| Some((home.waiting.front()?.ticket, index));
        let (_, longest) = self.homes.iter().enumerate().filter_map(oldest).min()?;
        let own = self.home(home);
        if longest != home && own.own_in_a_row < OWN_IN_A_ROW_MAX && !own.waiting.is_empty() {
            own.own_in_a_row += 1;
            return own.waiting.pop_front();
        }
        own.own_in_a_row = 0;
        self.homes[longest].waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(turns: &mut Turns<&'static str>, home: usize) -> Turn<&'static str> {
        match turns.ask(home) {
            Asked::Now(turn) => turn,
            other => panic!("{other:?}"),
        }
    }

    fn later(turns: &mut Turns<&'static str>, home: usize) -> oneshot::Receiver<Turn<&'static str>> {
        assert!(matches!(turns.ask(home), Asked::NothingFree));
        turns.line_up(home)
    }

    #[test]
    fn a_home_uses_its_own_then_opens_then_takes_from_others() {
        let mut turns = Turns::new(2);
        assert_eq!(now(&mut turns, 0), Turn::Opening);
        assert_eq!(turns.give_back(0, "a"), None);
        assert_eq!(now(&mut turns, 1), Turn::Opening);
        assert_eq!(turns.give_back(1, "b"), None);
        assert_eq!(turns.counts(), (2, 2));
        assert_eq!(now(&mut turns, 1), Turn::Connection("b"));
        assert_eq!(now(&mut turns, 1), Turn::Connection("a"));
        let mut waits = later(&mut turns, 1);
        turns.lost(0);
        assert_eq!(waits.try_recv(), Ok(Turn::Opening));
        assert_eq!(turns.counts(), (2, 0));
    }

    #[test]
    fn who_waits_at_home_is_first_and_who_waits_elsewhere_is_not_forgotten() {
        let mut turns = Turns::new(1);
        assert_eq!(now(&mut turns, 0), Turn::Opening);
        let mut stranger = later(&mut turns, 1);
        for _ in 0..OWN_IN_A_ROW_MAX {
            let mut own = later(&mut turns, 0);
            assert_eq!(turns.give_back(0, "a"), None);
            assert_eq!(own.try_recv(), Ok(Turn::Connection("a")));
            assert!(stranger.try_recv().is_err());
        }
        let mut own = later(&mut turns, 0);
        assert_eq!(turns.give_back(0, "a"), None);
        assert_eq!(stranger.try_recv(), Ok(Turn::Connection("a")));
        assert_eq!(turns.give_back(1, "a"), None);
        assert_eq!(own.try_recv(), Ok(Turn::Connection("a")));
    }

    #[test]
    fn who_gave_up_is_passed_over() {
        let mut turns = Turns::new(1);
        assert_eq!(now(&mut turns, 0), Turn::Opening);
        drop(later(&mut turns, 0));
        let mut patient = later(&mut turns, 0);
        assert_eq!(turns.give_back(0, "a"), None);
        assert_eq!(patient.try_recv(), Ok(Turn::Connection("a")));
        turns.lost(0);
        assert_eq!(turns.counts(), (0, 0));
    }

    #[test]
    fn after_the_close_nobody_gets_anything() {
        let mut turns = Turns::new(2);
        assert_eq!(now(&mut turns, 0), Turn::Opening);
        assert_eq!(now(&mut turns, 0), Turn::Opening);
        assert_eq!(turns.give_back(0, "a"), None);
        assert_eq!(turns.close(), ["a"]);
        assert!(matches!(turns.ask(0), Asked::Closed));
        assert_eq!(turns.give_back(0, "b"), Some("b"));
        assert_eq!(turns.counts(), (0, 0));
    }
}
