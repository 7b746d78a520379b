//! Threads that each drive a runtime of their own and serve the connections that they are handed.
//!
//! A request and its database connection stay on one thread, so that nobody else has to be woken for
//! them. Nothing is stolen between threads: who accepts hands a connection to the thread with the fewest.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The threads of a server. Dropping them ends what runs on them.
#[derive(Debug)]
pub(crate) struct Workers {
    workers: Vec<Worker>,
    threads: Vec<JoinHandle<()>>,
    stop: DropGuard,
}

#[derive(Debug)]
struct Worker {
    handle: Handle,
    connections: Arc<AtomicUsize>,
}

/// A connection's place on a thread, counted for as long as it lives.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) handle: Handle,
    connections: Arc<AtomicUsize>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts `count` threads; with none, connections are served by the caller's runtime.
    ///
    /// Fails when the system has no thread or no epoll instance for them.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let (mut workers, mut threads) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for number in 1..=count {
            let (sender, receiver) = mpsc::sync_channel(1);
            let stopped = stop.clone();
            let name = format!("fraiseql-serve-{number}");
            threads.push(std::thread::Builder::new().name(name).spawn(move || {
                let runtime = match Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(sender.send(Err(error))),
                };
                fraiseql_postgres::enter_runtime(number);
                if sender.send(Ok(runtime.handle().clone())).is_ok() {
                    runtime.block_on(stopped.cancelled());
                }
            })?);
            let died = || io::Error::other("a thread of the server ended before it began");
            let handle = receiver.recv().map_err(|_| died())??;
            workers.push(Worker { handle, connections: Arc::default() });
        }
        Ok(Self { workers, threads, stop: stop.drop_guard() })
    }

    /// Returns a place on the thread with the fewest connections.
    ///
    /// Must be called within a runtime, which is the one that serves where there are no threads.
    pub(crate) fn seat(&self) -> Seat {
        let least = self.workers.iter().min_by_key(|worker| worker.connections.load(Ordering::Relaxed));
        let (handle, connections) = match least {
            Some(worker) => (worker.handle.clone(), Arc::clone(&worker.connections)),
            None => (Handle::current(), Arc::default()),
        };
        connections.fetch_add(1, Ordering::Relaxed);
        Seat { handle, connections }
    }

    /// Ends the threads, and what still runs on them, and waits for that.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        let threads = self.threads;
        let joining = tokio::task::spawn_blocking(|| {
            for thread in threads {
                // A panic of a task is caught by its runtime: there is nothing to be told here.
                drop(thread.join());
            }
        });
        drop(joining.await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_go_to_the_thread_with_the_fewest() {
        let workers = Workers::start(2).unwrap();
        let seats: Vec<Seat> = (0..5).map(|_| workers.seat()).collect();
        let counts = || {
            let loads = workers.workers.iter().map(|worker| worker.connections.load(Ordering::Relaxed));
            loads.collect::<Vec<_>>()
        };
        assert_eq!(counts(), [3, 2]);
        let name = seats[0].handle.spawn(async { std::thread::current().name().map(str::to_owned) });
        assert_eq!(name.await.unwrap().as_deref(), Some("fraiseql-serve-1"));
        drop(seats);
        assert_eq!(counts(), [0, 0]);
        workers.stop().await;
    }

    #[tokio::test]
    async fn without_threads_the_caller_serves() {
        let workers = Workers::start(0).unwrap();
        assert_eq!(workers.seat().handle.id(), Handle::current().id());
        workers.stop().await;
    }
}
