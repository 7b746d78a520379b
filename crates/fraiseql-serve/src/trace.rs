//! The trace that a request belongs to: W3C Trace Context, `traceparent`.

use hyper::header::{HeaderMap, HeaderName};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Version, trace, span and flags with the dashes between them.
const FORM: [usize; 4] = [2, 32, 16, 2];

/// A trace and the span in it that asked us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub parent_id: String,
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
        (fits && whole && means_something)
            .then(|| Self { trace_id: (*trace).to_owned(), parent_id: (*parent).to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(values: &[&str], expected: Option<(&str, &str)>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, HeaderValue::from_str(value).unwrap());
        }
        let got = TraceContext::of_headers(&headers);
        assert_eq!(got.as_ref().map(|got| (&*got.trace_id, &*got.parent_id)), expected, "{values:?}");
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
        check(&["", "x"], None);
        check(&[], None);
    }
}
