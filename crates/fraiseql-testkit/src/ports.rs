//! Ports for servers that cannot choose one by themselves.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that systems give to connections on their own: nobody takes one between two starts.
const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// Returns a port of this machine that nobody listens on, and that no other caller in this process gets.
///
/// # Panics
/// When all of them are taken.
pub fn free_port() -> u16 {
    // Other processes begin elsewhere.
    let begin = u16::try_from(std::process::id().wrapping_mul(389) % u32::from(COUNT)).expect("below COUNT");
    let mut candidates = (0..COUNT).map(|_| {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        FIRST + (begin + step) % COUNT
    });
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    candidates.find(free).expect("a port is free")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_the_same_port_or_one_that_is_taken() {
        let (one, other) = (free_port(), free_port());
        assert_ne!(one, other);
        let listener = TcpListener::bind(("127.0.0.1", other)).unwrap();
        NEXT.fetch_sub(1, Ordering::Relaxed);
        assert_ne!(free_port(), listener.local_addr().unwrap().port());
    }
}
