//! Bodies: reading a request's within limits, and the forms of a response's.
//!
//! A streamed response that ends without [`Chunk::End`] is an error to hyper, which cuts the
//! connection: a client never takes half a list for a whole one.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::mpsc;

use crate::compress::Encoded;

/// Reads a whole request body of at most `limit` bytes, all of it within `time`.
pub(crate) async fn read(body: Incoming, limit: usize, time: Duration) -> Result<Bytes, ReadError> {
    let limit_bytes = u64::try_from(limit).unwrap_or(u64::MAX);
    if body.size_hint().lower() > limit_bytes {
        return Err(ReadError::TooLarge);
    }
    match tokio::time::timeout(time, read_frames(body, limit)).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(ReadError::TooSlow),
    }
}

/// Why a request body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// Over the limit.
    TooLarge,
    /// It did not come in time.
    TooSlow,
    /// The connection ended within it, or it was not HTTP.
    Broken,
}

async fn read_frames(mut body: Incoming, limit: usize) -> Result<Bytes, ReadError> {
    // Most bodies are one frame, which is kept as it came.
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_broken| ReadError::Broken)?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + joined.len() + data.len() > limit {
            return Err(ReadError::TooLarge);
        }
        if first.is_empty() && joined.is_empty() {
            first = data;
            continue;
        }
        if joined.is_empty() {
            joined.extend_from_slice(&std::mem::take(&mut first));
        }
        joined.extend_from_slice(&data);
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

/// A part of a streamed response.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// The next bytes.
    Data(Bytes),
    /// The response is complete.
    End,
}

/// The body of a response.
#[derive(Debug)]
pub(crate) enum Reply {
    /// In one piece, or nothing.
    Whole(Option<Bytes>),
    /// In pieces that are all there, with the sum of their lengths.
    Pieces(VecDeque<Bytes>, u64),
    /// As it comes.
    Stream(mpsc::Receiver<Chunk>),
    /// Compressed as it is sent.
    Encoded(Box<Encoded>),
}

impl Reply {
    /// Returns a body in one piece.
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }

    /// Returns no body.
    pub(crate) fn empty() -> Self {
        Self::Whole(None)
    }

    /// Returns a body of several pieces.
    pub(crate) fn pieces(pieces: VecDeque<Bytes>) -> Self {
        let length = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self::Pieces(pieces, length)
    }

    /// Returns all bytes in one piece of their own, or the body as it was when they are more than
    /// `limit` or on their way.
    pub(crate) fn joined(self, limit: usize) -> Result<Bytes, Self> {
        let fits = |length: u64| usize::try_from(length).is_ok_and(|length| length <= limit);
        match self {
            Self::Whole(Some(bytes)) if fits(bytes.len() as u64) => Ok(Bytes::copy_from_slice(&bytes)),
            Self::Pieces(pieces, length) if fits(length) => {
                let mut joined = Vec::with_capacity(pieces.iter().map(Bytes::len).sum());
                pieces.iter().for_each(|piece| joined.extend_from_slice(piece));
                Ok(Bytes::from(joined))
            }
            other => Err(other),
        }
    }

    /// Returns its bytes, where they are known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.size_hint().exact()
    }
}

/// The response could not be finished after its first bytes were sent.
#[derive(Debug, thiserror::Error)]
#[error("finish a response that was being streamed")]
pub(crate) struct Aborted;

impl Body for Reply {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let next = match self.get_mut() {
            Self::Whole(bytes) => bytes.take(),
            Self::Pieces(pieces, left) => {
                let piece = pieces.pop_front();
                *left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
                piece
            }
            Self::Encoded(encoded) => return encoded.poll_next(context).map_ok(Frame::data),
            Self::Stream(chunks) => match ready!(chunks.poll_recv(context)) {
                Some(Chunk::Data(bytes)) => Some(bytes),
                Some(Chunk::End) => None,
                None => return Poll::Ready(Some(Err(Aborted))),
            },
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Pieces(pieces, _) => pieces.is_empty(),
            Self::Stream(_) => false,
            Self::Encoded(encoded) => encoded.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Pieces(_, left) => SizeHint::with_exact(*left),
            Self::Stream(_) | Self::Encoded(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn collect(reply: Reply) -> Result<Bytes, Aborted> {
        reply.collect().await.map(http_body_util::Collected::to_bytes)
    }

    #[tokio::test]
    async fn a_stream_ends_only_when_it_says_so() {
        let (sender, receiver) = mpsc::channel(4);
        sender.try_send(Chunk::Data(Bytes::from_static(b"[1"))).unwrap();
        sender.try_send(Chunk::Data(Bytes::from_static(b",2]"))).unwrap();
        sender.try_send(Chunk::End).unwrap();
        drop(sender);
        assert_eq!(&collect(Reply::Stream(receiver)).await.unwrap()[..], b"[1,2]");

        let (sender, receiver) = mpsc::channel(4);
        sender.try_send(Chunk::Data(Bytes::from_static(b"[1"))).unwrap();
        drop(sender);
        assert!(collect(Reply::Stream(receiver)).await.is_err(), "half a list is an error");
    }

    #[tokio::test]
    async fn pieces_have_a_length_and_come_in_order() {
        let pieces: VecDeque<Bytes> = ["a", "", "bc"].into_iter().map(Bytes::from).collect();
        let reply = Reply::pieces(pieces);
        assert_eq!(reply.bytes(), Some(3));
        assert_eq!(&collect(reply).await.unwrap()[..], b"abc");
        assert_eq!(Reply::empty().bytes(), Some(0));
        assert!(Reply::empty().is_end_stream());
    }
}
