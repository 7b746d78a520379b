//! Holds a pool's sessions read-only, and knows when the last one that may write is home.
//!
//! PostgreSQL does the holding: each batch of a held session begins with a statement that makes its
//! transaction read-only. It costs no round trip, leaves nothing behind in the connection, and
//! works behind a pooler, which gives every transaction another one.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::session::Query;

/// Makes the transaction that it runs in read-only: section "SET TRANSACTION" of PostgreSQL's manual.
const HOLD: Query<'static> =
    Query { sql: "SELECT pg_catalog.set_config('transaction_read_only', 'on', true)", params: &[] };

/// How many statements [`hold`] puts before a batch.
pub(crate) const HOLDING: usize = 1;

/// Returns a batch that PostgreSQL holds read-only.
pub(crate) fn hold<'b>(batch: &[Query<'b>]) -> Cow<'b, [Query<'b>]> {
    let mut held = Vec::with_capacity(HOLDING + batch.len());
    held.push(HOLD);
    held.extend_from_slice(batch);
    Cow::Owned(held)
}

/// Whether sessions may write.
#[derive(Debug, Default)]
pub(crate) struct WriteGate {
    closed: AtomicBool,
    writing: AtomicUsize,
    left: Notify,
}

/// What a session may do, for as long as it lives.
#[derive(Debug)]
pub(crate) enum Pass {
    /// It may write; the gate counts it.
    Write(#[expect(dead_code, reason = "held for its drop")] Writer),
    /// It is held.
    Read,
}

/// Counts a session that may write out of the gate when it is gone.
#[derive(Debug)]
pub(crate) struct Writer(Arc<WriteGate>);

impl WriteGate {
    /// Lets a session in.
    pub(crate) fn enter(self: &Arc<Self>) -> Pass {
        // Counted before the gate is looked at: whoever closes it sees the count or is seen.
        self.writing.fetch_add(1, Ordering::SeqCst);
        let writer = Writer(Arc::clone(self));
        if self.closed.load(Ordering::SeqCst) { Pass::Read } else { Pass::Write(writer) }
    }

    /// From now on sessions are let in to read only, or to write again.
    pub(crate) fn close(&self, closed: bool) {
        self.closed.store(closed, Ordering::SeqCst);
    }

    /// Returns how many sessions may write.
    pub(crate) fn writing(&self) -> usize {
        self.writing.load(Ordering::SeqCst)
    }

    /// Waits until no session may write.
    pub(crate) async fn empty(&self) {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            if self.writing() == 0 {
                return;
            }
            left.await;
        }
    }
}

impl Pass {
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self, Self::Read)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.0.writing.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.left.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_gate_is_empty_when_the_last_writer_is_gone() {
        let gate = Arc::new(WriteGate::default());
        let writer = gate.enter();
        assert!(!writer.is_read_only());
        gate.close(true);
        assert!(gate.enter().is_read_only());
        assert_eq!(gate.writing(), 1, "a reader is not counted");
        let mut empty = Box::pin(gate.empty());
        assert!(futures_poll(empty.as_mut()).is_pending());
        drop(writer);
        empty.await;
        gate.close(false);
        assert!(!gate.enter().is_read_only());
    }

    fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }
}
