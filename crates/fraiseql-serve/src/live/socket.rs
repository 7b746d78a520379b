//! The way from an HTTP request to a WebSocket: RFC 6455, section 4.2. What is said on it is `session`'s business.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use fraiseql_model::response::{Code, GraphqlError};
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::body::Reply;
use crate::graphql::{refuse, refuse_caller, refuse_rate};
use crate::identity::{Caller, Credential, Denial};
use crate::live::protocol::PROTOCOL;
use crate::media::ResponseType;
use crate::observe::RequestKind;
use crate::record::Record;
use crate::serving::Serving;

/// Where a connection finds the WebSocket that it became; in the extensions of its requests.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<Socket>>>);

/// A WebSocket about to be.
pub(crate) struct Socket {
    pub(crate) upgrade: OnUpgrade,
    /// Whether the client offered the protocol that is spoken here.
    pub(crate) speaks: bool,
    /// What the headers brought to show who asks, and who that is.
    pub(crate) asker: Option<(Credential<'static>, Caller)>,
    /// Where it comes from.
    pub(crate) address: Option<IpAddr>,
}

impl Slot {
    /// Returns the WebSocket that the connection became, if it did.
    pub(crate) fn take(&self) -> Option<Socket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, socket: Socket) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
    }
}

/// True when a request asks for a WebSocket.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    has_word(headers, &UPGRADE, "websocket")
}

/// Answers a request that asks for a WebSocket.
pub(crate) async fn respond(
    serving: &Serving,
    mut request: Request<Incoming>,
    mut record: Record,
) -> Response<Reply> {
    record.kind = RequestKind::Page;
    let refuse = |record: Record, status: StatusCode, message: &str| {
        refuse(record, status, ResponseType::Json, &[GraphqlError::new(Code::BadRequest, message)])
    };
    let headers = request.headers();
    if !is_allowed(headers, &serving.live.options.origins) {
        let message = "pages of this origin may not open WebSockets: add it to subscriptions.origins";
        return refuse(record, StatusCode::FORBIDDEN, message);
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let well_formed = has_word(headers, &CONNECTION, "upgrade") && request.version() == Version::HTTP_11;
    let (Some(accept), true) = (key, well_formed) else {
        return refuse(record, StatusCode::BAD_REQUEST, "this is no WebSocket handshake of HTTP/1.1");
    };
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let mut response =
            refuse(record, StatusCode::UPGRADE_REQUIRED, "WebSockets of version 13 are spoken here");
        response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return response;
    }
    let address = record.origin.address;
    if let Err(overdraft) = serving.rates.charge_address(address, 1).await {
        return refuse_rate(record, ResponseType::Json, overdraft);
    }
    let speaks = has_word(headers, &SEC_WEBSOCKET_PROTOCOL, PROTOCOL);
    let asker = match asker(serving, headers).await {
        Ok(asker) => asker,
        Err(denial) => return refuse_caller(record, ResponseType::Json, denial),
    };
    let Some(slot) = request.extensions().get::<Slot>().cloned() else {
        return refuse(record, StatusCode::BAD_REQUEST, "this connection cannot become a WebSocket");
    };
    slot.put(Socket { upgrade: hyper::upgrade::on(&mut request), speaks, asker, address });
    let mut response = Response::new(Reply::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let accept = HeaderValue::try_from(accept).expect("base64 is a header value");
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if speaks {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    }
    record.finish(StatusCode::SWITCHING_PROTOCOLS.as_u16(), 0);
    response
}

/// Returns who asks by the headers. A browser cannot send them: then `connection_init` has to tell.
async fn asker(
    serving: &Serving,
    headers: &HeaderMap,
) -> Result<Option<(Credential<'static>, Caller)>, Denial> {
    if !serving.identities.is_on() {
        return Ok(None);
    }
    let Some(credential) =
        Credential::of_headers(headers).map_err(|denial| serving.identities.denied(denial))?
    else {
        return Ok(None);
    };
    let caller = serving.identities.authenticate(&serving.pool, Some(&credential)).await?;
    Ok(Some((credential.into_owned(), caller)))
}

/// Browsers let any page open a WebSocket anywhere, and say which page it was. Programs say nothing.
fn is_allowed(headers: &HeaderMap, origins: &[String]) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let own = origin.split_once("://").map(|(_, host)| host);
    (own.is_some() && own == host) || origins.iter().any(|allowed| allowed == "*" || allowed == origin)
}

fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(origin: Option<&'static str>, origins: &[&str], expected: bool) {
        let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("localhost:4000"))]);
        headers.extend(origin.map(|origin| (ORIGIN, HeaderValue::from_static(origin))));
        let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        assert_eq!(is_allowed(&headers, &origins), expected, "{origin:?} {origins:?}");
    }

    #[test]
    fn pages_of_other_sites_are_kept_out_unless_they_are_named() {
        check(None, &[], true);
        check(Some("http://localhost:4000"), &[], true);
        check(Some("https://evil.example"), &[], false);
        check(Some("null"), &[], false);
        check(Some("https://app.example"), &["https://app.example"], true);
        check(Some("https://app.example.evil"), &["https://app.example"], false);
        check(Some("https://evil.example"), &["*"], true);
    }
}
