//! Compression of answers: which coding a client wants, and the bytes in it.
//!
//! A long list is compressed as it flows and flushed after each piece, so that a client gets rows
//! as early as without. Levels are low on purpose: `docs/design/0012-compression.md` has figures.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use flate2::write::GzEncoder;
use hyper::body::Body;
use hyper::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, VARY,
};
use hyper::{Response, StatusCode};

use crate::body::{Aborted, Reply};
use crate::cache::Kept;
use crate::media::media_range;

/// Smaller answers are sent as they are: they fit into one packet.
const BYTES_MIN: u64 = 1_400;
/// What is compressed between two looks at other requests.
const STEP_BYTES: usize = 64 << 10;
/// Answers up to this size are compressed in one step and have a length.
const WHOLE_BYTES_MAX: u64 = 128 << 10;

const ZSTD_LEVEL: i32 = 1;
const BROTLI_LEVEL: u32 = 1;
const BROTLI_WINDOW_BITS: u32 = 18;
const GZIP_LEVEL: u32 = 2;

/// A coding of RFC 9110, section 8.4.1, in the order in which we like them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Zstd,
    Gzip,
    Brotli,
}

impl Coding {
    pub(crate) const ALL: [Self; 3] = [Self::Zstd, Self::Gzip, Self::Brotli];

    fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// Returns the coding that a client wants most; `None` when it wants none of ours.
pub(crate) fn negotiate(headers: &HeaderMap) -> Option<Coding> {
    let mut weights = [None; Coding::ALL.len()];
    let (mut others, mut identity) = (None, None);
    for value in headers.get_all(ACCEPT_ENCODING) {
        // What is not text names no coding of ours.
        for range in value.to_str().unwrap_or("").split(',') {
            let (name, weight) = media_range(range);
            let known = Coding::ALL.iter().position(|coding| name.eq_ignore_ascii_case(coding.name()));
            match (known, name) {
                (Some(index), _) => weights[index] = Some(weight),
                (None, "*") => others = Some(weight),
                (None, name) if name.eq_ignore_ascii_case("identity") => identity = Some(weight),
                _ => {}
            }
        }
    }
    let weight = |index: usize| weights[index].or(others).unwrap_or(0);
    // The first of several equal ones: `max_by_key` would take the last.
    let best = (0..weights.len()).rev().max_by_key(|index| weight(*index))?;
    let wanted = weight(best) > 0 && weight(best) >= identity.unwrap_or(0);
    wanted.then(|| Coding::ALL[best])
}

/// Compresses an answer where that pays.
pub(crate) fn apply(mut response: Response<Reply>, coding: Option<Coding>) -> Response<Reply> {
    if !is_text(response.headers()) || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    response.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
    let length = response.body().bytes();
    let small = length.is_some_and(|length| length < BYTES_MIN);
    let bodiless = matches!(response.status(), StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT);
    let Some(coding) = coding.filter(|_| !small && !bodiless) else { return response };
    let Ok(encoder) = Encoder::new(coding) else { return response };
    let (mut head, reply) = response.into_parts();
    let kept = head.extensions.remove::<Arc<Kept>>();
    let reply = match reply {
        Reply::Whole(Some(bytes)) if kept.is_some() => {
            match kept.and_then(|kept| kept.coded(coding, |bytes| smaller(encoder, bytes))) {
                Some(compressed) => Reply::whole(compressed),
                None => return Response::from_parts(head, Reply::whole(bytes)),
            }
        }
        Reply::Whole(Some(bytes)) if length.is_some_and(|length| length <= WHOLE_BYTES_MAX) => {
            match encoder.whole(&bytes) {
                Ok(compressed) if compressed.len() < bytes.len() => Reply::whole(compressed),
                // Bytes that do not shrink are sent as they are.
                _ => return Response::from_parts(head, Reply::whole(bytes)),
            }
        }
        reply => {
            Reply::Encoded(Box::new(Encoded { inner: reply, encoder: Some(encoder), waiting: Bytes::new() }))
        }
    };
    head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, reply)
}

/// Returns bytes compressed; `None` when they do not shrink.
fn smaller(encoder: Encoder, bytes: &Bytes) -> Option<Bytes> {
    match encoder.whole(bytes) {
        Ok(compressed) if compressed.len() < bytes.len() => Some(Bytes::from(compressed)),
        _ => None,
    }
}

fn is_text(headers: &HeaderMap) -> bool {
    let content = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let name = content.split(';').next().unwrap_or("").trim();
    name.ends_with("json")
        || matches!(
            name,
            "text/html" | "text/css" | "text/javascript" | "application/javascript" | "image/svg+xml"
        )
}

/// A body that is compressed while it is sent.
#[derive(Debug)]
pub(crate) struct Encoded {
    inner: Reply,
    /// `None` behind the end.
    encoder: Option<Encoder>,
    waiting: Bytes,
}

impl Encoded {
    /// Returns the next compressed bytes; `None` at the end.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        loop {
            let Some(encoder) = &mut self.encoder else { return Poll::Ready(None) };
            if self.waiting.is_empty() {
                match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                    Some(Ok(frame)) => self.waiting = frame.into_data().unwrap_or_default(),
                    Some(Err(aborted)) => return Poll::Ready(Some(Err(aborted))),
                    None => {
                        let last = self.encoder.take().map(Encoder::finish);
                        return Poll::Ready(
                            last.map(|last| last.map(Bytes::from).map_err(|_failed| Aborted)),
                        );
                    }
                }
                continue;
            }
            let step = self.waiting.split_to(self.waiting.len().min(STEP_BYTES));
            match encoder.piece(&step, self.waiting.is_empty()) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Poll::Ready(Some(Ok(Bytes::from(bytes)))),
                Err(_failed) => return Poll::Ready(Some(Err(Aborted))),
            }
        }
    }

    /// Returns true behind the end.
    pub(crate) fn is_over(&self) -> bool {
        self.encoder.is_none()
    }
}

enum Encoder {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    fn new(coding: Coding) -> io::Result<Self> {
        let out = Vec::new();
        Ok(match coding {
            Coding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(out, ZSTD_LEVEL)?),
            Coding::Brotli => {
                let writer = brotli::CompressorWriter::new(out, STEP_BYTES, BROTLI_LEVEL, BROTLI_WINDOW_BITS);
                Self::Brotli(Box::new(writer))
            }
            Coding::Gzip => Self::Gzip(GzEncoder::new(out, flate2::Compression::new(GZIP_LEVEL))),
        })
    }

    fn whole(mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = self.piece(bytes, false)?;
        out.extend_from_slice(&self.finish()?);
        Ok(out)
    }

    /// Takes bytes in and returns what has come out; after a flush that is all of it.
    fn piece(&mut self, bytes: &[u8], flush: bool) -> io::Result<Vec<u8>> {
        fn write(writer: &mut impl Write, bytes: &[u8], flush: bool) -> io::Result<()> {
            writer.write_all(bytes)?;
            if flush { writer.flush() } else { Ok(()) }
        }
        match self {
            Self::Zstd(encoder) => {
                write(encoder, bytes, flush)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Brotli(encoder) => {
                write(encoder, bytes, flush)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Gzip(encoder) => {
                write(encoder, bytes, flush)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Gzip(encoder) => encoder.finish(),
        }
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoder")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[track_caller]
    fn check(accept: &'static str, expected: Option<Coding>) {
        let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(accept))]);
        assert_eq!(negotiate(&headers), expected, "{accept}");
    }

    #[test]
    fn the_client_chooses_and_we_break_ties() {
        assert_eq!(negotiate(&HeaderMap::new()), None);
        check("", None);
        check("gzip", Some(Coding::Gzip));
        check("gzip, deflate, br, zstd", Some(Coding::Zstd));
        check("br, deflate, GZIP", Some(Coding::Gzip));
        check("gzip;q=0.9, deflate, BR", Some(Coding::Brotli));
        check("gzip;q=1.0, br;q=0.5, *;q=0", Some(Coding::Gzip));
        check("*", Some(Coding::Zstd));
        check("*;q=0.5, zstd;q=0", Some(Coding::Gzip));
        check("gzip;q=0", None);
        check("identity, gzip;q=0.5", None);
        check("identity;q=0, gzip;q=0.001", Some(Coding::Gzip));
        check("deflate, compress", None);
    }

    /// Returns what a client reads.
    fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match coding {
            Coding::Zstd => zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut out).unwrap(),
            Coding::Brotli => brotli::Decompressor::new(bytes, 4_096).read_to_end(&mut out).unwrap(),
            Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap(),
        };
        out
    }

    #[test]
    fn every_coding_gives_the_bytes_back() {
        let text = b"{\"id\":1,\"name\":\"Ada\"},".repeat(5_000);
        for coding in Coding::ALL {
            let whole = Encoder::new(coding).unwrap().whole(&text).unwrap();
            assert!(whole.len() < text.len() / 10, "{coding:?}: {}", whole.len());
            assert_eq!(decoded(coding, &whole), text, "{coding:?}");
        }
    }

    #[test]
    fn after_a_flush_nothing_is_held_back() {
        for coding in Coding::ALL {
            let mut encoder = Encoder::new(coding).unwrap();
            let mut sent = encoder.piece(b"{\"data\":[1,2", true).unwrap();
            assert!(!sent.is_empty(), "{coding:?}");
            let mut seen = [0; 12];
            match coding {
                Coding::Zstd => {
                    zstd::stream::read::Decoder::new(&*sent).unwrap().read_exact(&mut seen).unwrap()
                }
                Coding::Brotli => brotli::Decompressor::new(&*sent, 4_096).read_exact(&mut seen).unwrap(),
                Coding::Gzip => flate2::read::GzDecoder::new(&*sent).read_exact(&mut seen).unwrap(),
            }
            assert_eq!(&seen, b"{\"data\":[1,2", "{coding:?}");
            sent.extend(encoder.piece(b",3]}", false).unwrap());
            sent.extend(encoder.finish().unwrap());
            assert_eq!(decoded(coding, &sent), b"{\"data\":[1,2,3]}", "{coding:?}");
        }
    }
}
