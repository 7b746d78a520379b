//! Lists: rows become the elements of a list as they come from the wire.
//!
//! The reader is one future that owns its session. While a list is short it runs within the
//! request; once it has outgrown one piece it moves into a task of its own that feeds the
//! response's body. Whichever of the two is dropped, the session goes back and its statement is
//! cancelled.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use fraiseql_postgres::{PostgresError, Query, Session};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::body::Chunk;
use crate::prepared::{BUFFER_BYTES, Piece, PreparedQuery, WHOLE_BYTES};
use crate::timing::Running;

/// How a reader ended. After a failure its session is of use to find out more.
pub(crate) type End = Result<Rest, Box<Failure>>;

/// A statement that failed, and the session that it ran on.
pub(crate) struct Failure {
    pub(crate) session: Session,
    pub(crate) error: PostgresError,
}

/// The end of a response.
#[derive(Debug)]
pub(crate) struct Rest {
    /// Its last bytes; for a short list, all of them.
    pub(crate) bytes: Bytes,
    /// The rows of the whole list.
    pub(crate) rows: u64,
}

/// A reader of a list.
pub(crate) struct Reading {
    future: Pin<Box<dyn Future<Output = End> + Send>>,
    slot: Slot,
    /// A piece that was taken out already.
    pub(crate) first: Bytes,
    /// Who wants a copy.
    copying: Option<Copying>,
}

/// A copy of a list while it is fed, for whoever wants it as a whole.
pub(crate) struct Copying {
    limit: usize,
    copied: Vec<u8>,
    keep: Box<dyn FnOnce(Bytes) + Send>,
}

impl Copying {
    /// Gives `keep` a list of at most `limit` bytes once it has come to its end.
    pub(crate) fn new(limit: usize, keep: Box<dyn FnOnce(Bytes) + Send>) -> Self {
        Self { limit, copied: Vec::new(), keep }
    }

    /// Takes a piece in; `None` when it is too much.
    fn add(mut self, piece: &[u8]) -> Option<Self> {
        if self.copied.len() + piece.len() > self.limit {
            return None;
        }
        self.copied.extend_from_slice(piece);
        Some(self)
    }

    fn finish(mut self) {
        self.copied.shrink_to_fit();
        (self.keep)(Bytes::from(self.copied));
    }
}

/// What a reader did first.
pub(crate) enum Beginning {
    /// It came to its end within one piece, or failed.
    Ended(End),
    /// There is more than one piece.
    Going(Reading),
}

/// Begins to read a list. Nothing was sent to the client when this returns.
pub(crate) async fn begin(
    session: Session,
    query: Arc<PreparedQuery>,
    params: Vec<Option<Bytes>>,
    running: Option<Running>,
) -> Beginning {
    let slot = Slot::default();
    let reader = read(session, query, params, slot.clone());
    let future = Box::pin(async move {
        let _timed = running;
        reader.await
    });
    let mut reading = Reading { future, slot, first: Bytes::new(), copying: None };
    match reading.next().await {
        Next::Piece(first) => Beginning::Going(Reading { first, ..reading }),
        Next::End(end) => Beginning::Ended(end),
    }
}

/// How a stream ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Everything was handed to the connection.
    Complete,
    /// The client is gone.
    Left,
    /// The client did not take the response in time.
    Late,
    /// The database failed.
    Failed(PostgresError),
}

/// Bytes and rows of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
}

impl Reading {
    /// The same, and somebody gets a copy.
    pub(crate) fn copied(self, copying: Copying) -> Self {
        Self { copying: Some(copying), ..self }
    }

    fn copy(&mut self, piece: &[u8]) {
        self.copying = self.copying.take().and_then(|copying| copying.add(piece));
    }

    async fn next(&mut self) -> Next {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        match self.future.as_mut().poll(context) {
            Poll::Ready(end) => Poll::Ready(Next::End(end)),
            Poll::Pending => self.slot.take().map_or(Poll::Pending, |piece| Poll::Ready(Next::Piece(piece))),
        }
    }

    /// Feeds `body` until the list ends, the client leaves or the deadline passes.
    ///
    /// A full channel holds the reader back, which holds PostgreSQL back.
    pub(crate) async fn feed(mut self, body: mpsc::Sender<Chunk>, deadline: Instant) -> (Outcome, Sent) {
        let mut sent = Sent::default();
        let feeding = async {
            let mut piece = std::mem::take(&mut self.first);
            loop {
                sent.bytes += piece.len() as u64;
                self.copy(&piece);
                if body.send(Chunk::Data(piece)).await.is_err() {
                    return Outcome::Left;
                }
                let next = tokio::select! {
                    next = self.next() => next,
                    () = body.closed() => return Outcome::Left,
                };
                piece = match next {
                    Next::Piece(piece) => piece,
                    Next::End(Err(failure)) => return Outcome::Failed(failure.error),
                    Next::End(Ok(rest)) => {
                        self.copy(&rest.bytes);
                        if let Some(copying) = self.copying.take() {
                            copying.finish();
                        }
                        (sent.bytes, sent.rows) = (sent.bytes + rest.bytes.len() as u64, rest.rows);
                        return finish(&body, rest.bytes).await;
                    }
                };
            }
        };
        let outcome = tokio::time::timeout_at(deadline, feeding).await;
        (outcome.unwrap_or(Outcome::Late), sent)
    }
}

async fn finish(body: &mpsc::Sender<Chunk>, rest: Bytes) -> Outcome {
    let last = body.send(Chunk::Data(rest)).await;
    let end = body.send(Chunk::End).await;
    if last.is_ok() && end.is_ok() { Outcome::Complete } else { Outcome::Left }
}

enum Next {
    Piece(Bytes),
    End(End),
}

/// Holds one piece on its way out of the reader. Both ends are in one task, so nobody is woken.
#[derive(Clone, Default)]
struct Slot(Arc<Mutex<Option<Bytes>>>);

impl Slot {
    fn take(&self) -> Option<Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Puts a piece and waits until it was taken.
    async fn hand_out(&self, piece: Bytes) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(piece);
        poll_fn(|_| if self.is_empty() { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

async fn read(
    mut session: Session,
    query: Arc<PreparedQuery>,
    params: Vec<Option<Bytes>>,
    slot: Slot,
) -> End {
    match read_list(&mut session, &query, &params, &slot).await {
        Ok(rest) => Ok(rest),
        Err(error) => Err(Box::new(Failure { session, error })),
    }
}

async fn read_list(
    session: &mut Session,
    query: &PreparedQuery,
    params: &[Option<Bytes>],
    slot: &Slot,
) -> Result<Rest, PostgresError> {
    let mut buffer = BytesMut::with_capacity(query.usual_bytes());
    let mut count = 0;
    let statement = query.statement.iter().map(|statement| Query { sql: &statement.sql, params });
    let batch: Vec<Query<'_>> = statement.collect();
    let mut rows = session.run(&batch).await?;
    for piece in &query.pieces {
        match piece {
            Piece::Text(text) => buffer.extend_from_slice(text),
            Piece::Column(_) => {}
            Piece::Rows => {
                while rows.append_next(b"null", if count > 0 { b"," } else { b"" }, &mut buffer).await? {
                    count += 1;
                    if buffer.len() >= WHOLE_BYTES {
                        slot.hand_out(buffer.split().freeze()).await;
                        buffer.reserve(WHOLE_BYTES + BUFFER_BYTES);
                    }
                }
            }
        }
    }
    query.note_bytes(buffer.len());
    Ok(Rest { bytes: buffer.freeze(), rows: count })
}
