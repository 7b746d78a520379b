//! Content negotiation as the GraphQL over HTTP draft has it: which type a body has, which the answer gets.

use hyper::HeaderMap;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};

/// The media type of a GraphQL response; it decides the status of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseType {
    /// `application/json`: 200 for every request that is well formed.
    Json,
    /// `application/graphql-response+json`: the status tells what happened.
    GraphqlResponse,
}

impl ResponseType {
    /// Returns the value of `Content-Type`.
    pub(crate) fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
        })
    }
}

/// Returns the type to answer with; `None` when the client accepts neither.
///
/// Without a preference it is `application/json`, which every client reads.
pub(crate) fn negotiate(headers: &HeaderMap) -> Option<ResponseType> {
    let mut json = Preference::default();
    let mut graphql = Preference::default();
    let mut asked = false;
    for value in headers.get_all(ACCEPT) {
        asked = true;
        // What is not text cannot name a type of ours.
        for range in value.to_str().unwrap_or("").split(',') {
            let (name, weight) = media_range(range);
            match name {
                name if name.eq_ignore_ascii_case("application/json") => json.learn(3, weight),
                name if name.eq_ignore_ascii_case("application/graphql-response+json") => {
                    graphql.learn(3, weight);
                }
                name if name.eq_ignore_ascii_case("application/*") => {
                    json.learn(2, weight);
                    graphql.learn(2, weight);
                }
                "*/*" => {
                    json.learn(1, weight);
                    graphql.learn(1, weight);
                }
                _ => {}
            }
        }
    }
    if !asked {
        return Some(ResponseType::Json);
    }
    let named = graphql.specificity == 3;
    if graphql.weight > json.weight || (named && graphql.weight == json.weight && graphql.weight > 0) {
        Some(ResponseType::GraphqlResponse)
    } else if json.weight > 0 {
        Some(ResponseType::Json)
    } else {
        None
    }
}

/// How much a type is wanted: section 12.5.1 of RFC 9110, the most specific range decides.
#[derive(Default)]
struct Preference {
    specificity: u8,
    /// Thousandths.
    weight: u16,
}

impl Preference {
    fn learn(&mut self, specificity: u8, weight: u16) {
        if specificity > self.specificity {
            *self = Self { specificity, weight };
        } else if specificity == self.specificity {
            self.weight = self.weight.max(weight);
        }
    }
}

/// Returns the name of a range and its weight in thousandths.
pub(crate) fn media_range(range: &str) -> (&str, u16) {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().unwrap_or("");
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    // A weight that is no number is taken for 1, as if it were not there.
    let weight = weight.and_then(thousandths).unwrap_or(1_000);
    (name, weight)
}

fn thousandths(weight: &str) -> Option<u16> {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digit = |index: usize| match fraction.as_bytes().get(index) {
        Some(digit) if digit.is_ascii_digit() => Some(u16::from(digit - b'0')),
        Some(_) => None,
        None => Some(0),
    };
    match whole {
        "0" if fraction.len() <= 3 => Some(digit(0)? * 100 + digit(1)? * 10 + digit(2)?),
        "1" => Some(1_000),
        _ => None,
    }
}

/// Returns true when the body is said to be JSON in UTF-8.
///
/// This is also what keeps other sites' forms out: a browser sends `application/json` across
/// origins only after asking, and nobody here says yes.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(CONTENT_TYPE).map(HeaderValue::to_str) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/json"));
    is_json
        && parts.all(|part| match part.split_once('=') {
            Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
                charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_accept(accept: &'static str, expected: Option<ResponseType>) {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
        assert_eq!(negotiate(&headers), expected, "{accept}");
    }

    #[test]
    fn accept_is_read_as_the_draft_says() {
        use ResponseType::{GraphqlResponse, Json};
        assert_eq!(negotiate(&HeaderMap::new()), Some(Json));
        check_accept("*/*", Some(Json));
        check_accept("application/*", Some(Json));
        check_accept("application/json", Some(Json));
        check_accept("application/graphql-response+json", Some(GraphqlResponse));
        check_accept("application/graphql-response+json, application/json;q=0.9", Some(GraphqlResponse));
        check_accept("application/json;q=0.9, application/graphql-response+json", Some(GraphqlResponse));
        check_accept("application/json, application/graphql-response+json;q=0.5", Some(Json));
        check_accept("application/json, application/graphql-response+json", Some(GraphqlResponse));
        check_accept("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", Some(Json));
        check_accept("application/json;q=0, */*", Some(GraphqlResponse));
        check_accept("Application/GraphQL-Response+JSON; charset=utf-8", Some(GraphqlResponse));
        check_accept("text/html", None);
        check_accept("*/*;q=0", None);
    }

    #[track_caller]
    fn check_content(content: &'static str, expected: bool) {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content))]);
        assert_eq!(is_json(&headers), expected, "{content}");
    }

    #[test]
    fn only_json_in_utf8_is_a_body() {
        check_content("application/json", true);
        check_content("Application/JSON ; Charset=\"UTF-8\"", true);
        check_content("application/json; charset=latin1", false);
        check_content("application/jsonp", false);
        check_content("text/plain", false);
        check_content("application/x-www-form-urlencoded", false);
        check_content("multipart/form-data; boundary=application/json", false);
        assert!(!is_json(&HeaderMap::new()));
    }
}
