//! The trace that a request belongs to: W3C Trace Context, `traceparent`.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::header::{HeaderMap, HeaderName};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Version, trace, span and flags with the dashes between them.
const FORM: [usize; 4] = [2, 32, 16, 2];

/// A trace and the span in it that asked us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits; none when the trace begins here.
    pub parent_id: Option<String>,
    /// Whether spans of it are kept: whoever began it decides.
    pub sampled: bool,
}

/// Begins traces.
#[derive(Debug)]
pub(crate) struct TraceSource {
    /// Of 100 traces that begin here, so many are kept.
    percent: u8,
    random: RandomState,
    next: AtomicU64,
}

impl TraceSource {
    /// Makes a source of traces of which `percent` of 100 are kept.
    pub(crate) fn new(percent: u8) -> Self {
        Self { percent, random: RandomState::new(), next: AtomicU64::new(1) }
    }

    /// Begins a trace.
    pub(crate) fn begin(&self) -> TraceContext {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (high, low) = (self.random.hash_one((number, 1)), self.random.hash_one((number, 2)));
        let sampled = low % 100 < u64::from(self.percent);
        TraceContext { trace_id: format!("{high:016x}{:016x}", low | 1), parent_id: None, sampled }
    }
}

impl TraceContext {
    /// Returns the trace that the headers name; none when they name none, or not as section 3.2 of the
    /// recommendation wants it.
    pub(crate) fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).into_iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let parts: Vec<&str> = value.to_str().ok()?.split('-').collect();
        let is_hex = |part: &&str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
        let [version, trace, parent, ..] = parts.as_slice() else { return None };
        let fits = parts.iter().zip(FORM).all(|(part, length)| part.len() == length && is_hex(part));
        // A later version may have more behind what is known.
        let whole = parts.len() == FORM.len() || (parts.len() > FORM.len() && *version != "00");
        let means_something = *version != "ff" && !is_zero(trace) && !is_zero(parent);
        // The lowest bit of the last digit.
        let sampled = parts.get(3).and_then(|flags| flags.bytes().last());
        let sampled = sampled
            .is_some_and(|digit| matches!(digit, b'1' | b'3' | b'5' | b'7' | b'9' | b'b' | b'd' | b'f'));
        (fits && whole && means_something).then(|| Self {
            trace_id: (*trace).to_owned(),
            parent_id: Some((*parent).to_owned()),
            sampled,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hyper::header::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(values: &[&str], expected: Option<(&str, &str)>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, HeaderValue::from_str(value).unwrap());
        }
        let got = TraceContext::of_headers(&headers);
        assert_eq!(
            got.as_ref().map(|got| (&*got.trace_id, got.parent_id.as_deref().unwrap_or(""))),
            expected,
            "{values:?}"
        );
    }

    #[test]
    fn as_many_are_kept_as_asked_for() {
        let kept = |percent| {
            let source = TraceSource::new(percent);
            let begun: Vec<TraceContext> = (0..2_000).map(|_| source.begin()).collect();
            let ids: BTreeSet<&str> = begun.iter().map(|trace| &*trace.trace_id).collect();
            assert!(ids.len() == 2_000 && ids.iter().all(|id| id.len() == 32));
            begun.iter().filter(|trace| trace.sampled).count()
        };
        assert_eq!((kept(0), kept(100)), (0, 2_000));
        // Six standard deviations.
        assert!((100..300).contains(&kept(10)));
    }

    #[test]
    fn only_what_is_well_formed_is_taken() {
        let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        check(&[&format!("00-{trace}-{parent}-01")], Some((trace, parent)));
        check(&[&format!("cc-{trace}-{parent}-01-what-comes")], Some((trace, parent)));
        check(&[&format!("00-{trace}-{parent}-01-more")], None);
        check(&[&format!("ff-{trace}-{parent}-01")], None);
        check(&[&format!("00-{}-{parent}-01", trace.to_uppercase())], None);
        check(&[&format!("00-{}-{parent}-01", "0".repeat(32))], None);
        check(&[&format!("00-{trace}-{}-01", "0".repeat(16))], None);
        check(&[&format!("00-{trace}-{parent}")], None);
        check(&[&format!("00-{trace}-{parent}-01"), &format!("00-{trace}-{parent}-01")], None);
        let sampled = |flags: &str| {
            let mut headers = HeaderMap::new();
            headers
                .insert(TRACEPARENT, HeaderValue::try_from(format!("00-{trace}-{parent}-{flags}")).unwrap());
            TraceContext::of_headers(&headers).is_some_and(|trace| trace.sampled)
        };
        assert_eq!(["00", "01", "02", "03", "ff"].map(sampled), [false, true, false, true, true]);
        check(&["", "x"], None);
        check(&[], None);
    }
}
