//! Reads some answers along, to find out whether instances tell the truth about their errors.
//!
//! An instance counts the internal errors of an answer itself, in a header. One whose count does not
//! fit what is in the answer is not believed any more: from then on all of its answers are read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fraiseql_model::response::Code;
use hyper::HeaderMap;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::Value;

use crate::backend::BackendSlot;
use crate::counts::ArmCounter;

/// Every so many-th answer of an instance that is believed is read along.
const SAMPLE_EVERY: u64 = 16;
/// Longer answers are not read.
const BYTES_MAX: usize = 256 << 10;

/// An answer that is read along. What it finds is counted when it is dropped.
#[derive(Debug)]
pub(crate) struct Sample {
    kept: Vec<u8>,
    fits: bool,
    told: u64,
    counter: Arc<ArmCounter>,
    slot: Arc<BackendSlot>,
}

/// Returns true when the answer to the request with that number is to be read along.
pub(crate) fn is_sampled(slot: &BackendSlot, number: u64) -> bool {
    number.is_multiple_of(SAMPLE_EVERY) || slot.disbelieved.load(Ordering::Relaxed)
}

impl Sample {
    /// Begins to read an answer whose head tells of `told` errors; `None` when it is nothing to read.
    pub(crate) fn begin(
        headers: &HeaderMap,
        told: u64,
        counter: &Arc<ArmCounter>,
        slot: &Arc<BackendSlot>,
    ) -> Option<Box<Self>> {
        let kind = headers.get(CONTENT_TYPE)?.to_str().unwrap_or("");
        let is_json =
            kind.starts_with("application/json") || kind.starts_with("application/graphql-response");
        let is_plain = !headers.contains_key(CONTENT_ENCODING);
        (is_json && is_plain).then(|| {
            let (counter, slot) = (Arc::clone(counter), Arc::clone(slot));
            Box::new(Self { kept: Vec::new(), fits: true, told, counter, slot })
        })
    }

    /// Takes a piece of the body.
    pub(crate) fn see(&mut self, piece: &[u8]) {
        if self.fits && self.kept.len() + piece.len() <= BYTES_MAX {
            self.kept.extend_from_slice(piece);
        } else {
            (self.fits, self.kept) = (false, Vec::new());
        }
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        let Some(found) = faults(&self.kept).filter(|_| self.fits) else { return };
        if (found == 0) == (self.told == 0) {
            return;
        }
        self.slot.disbelieved.store(true, Ordering::Relaxed);
        self.counter.correct(found > 0);
    }
}

/// Returns how many errors of an answer are no fault of the client; `None` when it is not a whole answer.
fn faults(body: &[u8]) -> Option<usize> {
    // Cut off by a client that has left, or not GraphQL: nothing that anybody could be blamed for.
    let answer: Value = match serde_json::from_slice(body) {
        Ok(answer) => answer,
        Err(_not_whole) => return None,
    };
    let answers = answer.as_array().map_or(std::slice::from_ref(&answer), Vec::as_slice);
    let errors = answers.iter().filter_map(|answer| answer["errors"].as_array()).flatten();
    let is_fault = |error: &&Value| {
        let code = error["extensions"]["code"].as_str().unwrap_or("");
        Code::ALL.iter().any(|known| known.is_fault() && known.as_str() == code)
    };
    Some(errors.filter(is_fault).count())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;
    use crate::counts::Counts;

    #[track_caller]
    fn check(body: &str, told: u64, expected: (bool, u64)) {
        let counts = Counts::default();
        let arm = counts.of("blue");
        arm.count(
            crate::counts::RequestEnd::Answered { status: 200, graphql_errors: told },
            Default::default(),
        );
        let slot = Arc::new(BackendSlot::new("b", "127.0.0.1:1".parse().unwrap()));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut sample = Sample::begin(&headers, told, &arm, &slot).unwrap();
        let (head, tail) = body.as_bytes().split_at(body.len() / 2);
        sample.see(head);
        sample.see(tail);
        drop(sample);
        let seen = (slot.disbelieved.load(Ordering::Relaxed), counts.snapshot()[0].graphql_failed);
        assert_eq!(seen, expected, "{body}");
    }

    const FAULT: &str =
        r#"{"data":null,"errors":[{"message":"m","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}"#;

    #[test]
    fn who_does_not_tell_its_errors_is_not_believed_any_more() {
        check(r#"{"data":{"a":1}}"#, 0, (false, 0));
        check(FAULT, 1, (false, 1));
        check(FAULT, 0, (true, 1));
        check(&format!("[{{\"data\":{{}}}},{FAULT}]"), 0, (true, 1));
        // The client's own fault is none of the release's.
        check(r#"{"errors":[{"message":"m","extensions":{"code":"BAD_USER_INPUT"}}]}"#, 0, (false, 0));
        // What was blamed on it without reason stays counted: nothing advances on doubt.
        check(r#"{"data":{"a":1}}"#, 1, (true, 1));
    }

    #[test]
    fn what_cannot_be_read_blames_nobody() {
        check(&FAULT[..30], 0, (false, 0));
        check("", 0, (false, 0));
        let long = format!("{}{}", FAULT, " ".repeat(BYTES_MAX));
        check(&long, 0, (false, 0));
    }

    #[test]
    fn an_instance_that_is_not_believed_is_always_read() {
        let slot = BackendSlot::new("b", "127.0.0.1:1".parse().unwrap());
        assert_eq!((0..160).filter(|number| is_sampled(&slot, *number)).count(), 10);
        slot.disbelieved.store(true, Ordering::Relaxed);
        assert!((0..160).all(|number| is_sampled(&slot, number)));
    }
}
