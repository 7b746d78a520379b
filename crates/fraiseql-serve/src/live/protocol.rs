//! The messages of graphql-transport-ws, read and written. Pure: no socket, no state.

use bytes::{Bytes, BytesMut};
use fraiseql_model::response::GraphqlError;
use serde_json::{Map, Value};

use crate::identity::{Credential, Denial};
use crate::params::Params;

/// The subprotocol's name.
pub(crate) const PROTOCOL: &str = "graphql-transport-ws";

/// Why the server closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CloseReason {
    pub(crate) code: u16,
    pub(crate) text: &'static str,
}

/// The server ends.
pub(crate) const GOING_AWAY: CloseReason = CloseReason { code: 1001, text: "Going away" };
/// A message is larger than allowed.
pub(crate) const TOO_BIG: CloseReason = CloseReason { code: 1009, text: "Message too big" };
/// Not a message of the protocol.
pub(crate) const BAD_MESSAGE: CloseReason = CloseReason { code: 4400, text: "Invalid message received" };
/// An operation before `connection_init` was acknowledged, or nobody asks where somebody must.
pub(crate) const UNAUTHORIZED: CloseReason = CloseReason { code: 4401, text: "Unauthorized" };
/// The client offered other subprotocols only.
pub(crate) const NOT_ACCEPTABLE: CloseReason = CloseReason { code: 4406, text: "Subprotocol not acceptable" };
/// No `connection_init` in time.
pub(crate) const INIT_TIMEOUT: CloseReason =
    CloseReason { code: 4408, text: "Connection initialisation timeout" };
/// An operation under an id that is in use.
pub(crate) const DUPLICATE: CloseReason = CloseReason { code: 4409, text: "Subscriber already exists" };
/// A second `connection_init`.
pub(crate) const TOO_MANY_INITS: CloseReason =
    CloseReason { code: 4429, text: "Too many initialisation requests" };

/// Returns how a connection ends whose caller is not let in, or not any more. Clients take 4403 as a
/// reason to get a new token, and 1013 as one to come back.
pub(crate) fn denied(denial: Denial) -> CloseReason {
    let code = match denial {
        Denial::Required => UNAUTHORIZED.code,
        Denial::Provider => 1013,
        _ => 4403,
    };
    CloseReason { code, text: denial.code().code }
}

/// What a client says.
#[derive(Debug, PartialEq)]
pub(crate) enum ClientMessage {
    /// With what its payload brings to show who asks.
    Init {
        credential: Result<Option<Credential<'static>>, Denial>,
    },
    Ping {
        payload: Option<Box<str>>,
    },
    Pong,
    Subscribe {
        id: String,
        params: Box<Params<'static>>,
    },
    Complete {
        id: String,
    },
}

/// Reads a message; `None` when it is none of the protocol. Members that a type does not need may be there.
pub(crate) fn parse(text: &str) -> Option<ClientMessage> {
    let Ok(mut message) = serde_json::from_str::<Map<String, Value>>(text) else { return None };
    let id = match message.remove("id") {
        Some(Value::String(id)) if !id.is_empty() => Some(id),
        _ => None,
    };
    let payload = message.remove("payload").filter(|payload| !payload.is_null());
    let kind = message.get("type")?.as_str()?;
    match kind {
        "connection_init" => {
            let payload = payload.unwrap_or_else(|| Value::Object(Map::new()));
            let credential = Credential::of_payload(payload.as_object()?);
            let credential = credential.map(|found| found.map(Credential::into_owned));
            Some(ClientMessage::Init { credential })
        }
        "ping" => {
            let payload = payload.map(|payload| payload.to_string().into_boxed_str());
            Some(ClientMessage::Ping { payload })
        }
        "pong" => Some(ClientMessage::Pong),
        "subscribe" => {
            let payload = payload?.to_string();
            let Ok(params) = Params::from_body(payload.as_bytes()) else { return None };
            Some(ClientMessage::Subscribe { id: id?, params: Box::new(params.into_owned()) })
        }
        "complete" => Some(ClientMessage::Complete { id: id? }),
        _ => None,
    }
}

/// Returns `connection_ack`.
pub(crate) fn ack() -> Bytes {
    Bytes::from_static(b"{\"type\":\"connection_ack\"}")
}

/// Returns `pong`, with what came with the ping.
pub(crate) fn pong(payload: Option<&str>) -> Bytes {
    Bytes::from(match payload {
        Some(payload) => format!("{{\"type\":\"pong\",\"payload\":{payload}}}"),
        None => "{\"type\":\"pong\"}".to_owned(),
    })
}

/// Returns `next` with a response, which is JSON text.
pub(crate) fn next(id: &str, response: &[u8]) -> Bytes {
    message("next", id, Some(response))
}

/// Returns `error`: the operation did not run.
pub(crate) fn error(id: &str, errors: &[GraphqlError]) -> Bytes {
    let errors = serde_json::to_vec(errors).expect("errors have only string keys");
    message("error", id, Some(&errors))
}

/// Returns `complete`.
pub(crate) fn complete(id: &str) -> Bytes {
    message("complete", id, None)
}

fn message(kind: &str, id: &str, payload: Option<&[u8]>) -> Bytes {
    let id = Value::from(id).to_string();
    let mut text = BytesMut::with_capacity(payload.map_or(0, <[u8]>::len) + id.len() + 64);
    text.extend_from_slice(b"{\"id\":");
    text.extend_from_slice(id.as_bytes());
    text.extend_from_slice(b",\"type\":\"");
    text.extend_from_slice(kind.as_bytes());
    text.extend_from_slice(b"\"");
    if let Some(payload) = payload {
        text.extend_from_slice(b",\"payload\":");
        text.extend_from_slice(payload);
    }
    text.extend_from_slice(b"}");
    text.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = parse(text).map_or_else(|| "none".to_owned(), |message| format!("{message:?}"));
        assert!(found.starts_with(expected), "{found} instead of {expected}");
    }

    #[test]
    fn messages_are_read() {
        check(r#"{"type":"connection_init"}"#, "Init");
        check(r#"{"type":"connection_init","payload":{"token":1}}"#, "Init");
        check(r#"{"type":"connection_init","payload":null}"#, "Init");
        check(r#"{"type":"connection_init","payload":"no"}"#, "none");
        check(r#"{"type":"ping"}"#, "Ping { payload: None }");
        check(r#"{"type":"ping","payload":{"a":1}}"#, "Ping { payload: Some(\"{\\\"a\\\":1}\")");
        check(r#"{"type":"pong","payload":{}}"#, "Pong");
        check(r#"{"type":"complete","id":"1"}"#, "Complete { id: \"1\" }");
        check(r#"{"type":"complete"}"#, "none");
        check(r#"{"id":"a","type":"subscribe","payload":{"query":"{a}"}}"#, "Subscribe { id: \"a\"");
        check(r#"{"id":"","type":"subscribe","payload":{"query":"{a}"}}"#, "none");
        check(r#"{"id":"a","type":"subscribe","payload":{}}"#, "none");
        check(r#"{"id":"a","type":"subscribe"}"#, "none");
        check(r#"{"id":7,"type":"subscribe","payload":{"query":"{a}"}}"#, "none");
        check(r#"{"type":"start","id":"1","payload":{"query":"{a}"}}"#, "none");
        check("{", "none");
        check("[]", "none");
    }

    #[test]
    fn an_id_cannot_break_out_of_its_message() {
        let text = next("a\",\"type\":\"x", b"{\"data\":1}");
        let parsed: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(parsed["id"], "a\",\"type\":\"x");
        assert_eq!(parsed["type"], "next");
        assert_eq!(&complete("1")[..], br#"{"id":"1","type":"complete"}"#);
        assert_eq!(&error("1", &[])[..], br#"{"id":"1","type":"error","payload":[]}"#);
        assert_eq!(&pong(Some("{\"a\":1}"))[..], br#"{"type":"pong","payload":{"a":1}}"#);
    }
}
