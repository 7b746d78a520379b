//! A plan made ready for framing: the bytes around the values are laid out once, not per request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use fraiseql_engine::{FieldValue, MutationPlan, MutationStep, Plan, QueryPlan, ResponseField, Statement};

use crate::body::Reply;

/// Responses of fewer bytes are copied into one piece; larger ones are sent in pieces or streamed.
pub(crate) const WHOLE_BYTES: usize = 64 << 10;

/// Bytes that a list's buffer begins with, at least.
pub(crate) const BUFFER_BYTES: usize = 2 << 10;

/// SQL NULL in a response.
pub(crate) const NULL: Bytes = Bytes::from_static(b"null");

/// What a kept plan takes besides what is counted.
const PLAN_BYTES: u64 = 1_024;
const PARAM_BYTES: u64 = 96;
/// The number of the next plan, of whatever schema.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// A plan, ready to run many times.
#[derive(Clone, Debug)]
pub(crate) enum Prepared {
    /// A query.
    Query(Arc<PreparedQuery>),
    /// A mutation.
    Mutation(Arc<MutationPlan>),
}

/// A query with the frame of its response.
#[derive(Debug)]
pub(crate) struct PreparedQuery {
    /// Stands for the plan in the keys of answers; never used twice.
    pub(crate) number: u64,
    /// `None` when the response is known already.
    pub(crate) statement: Option<Statement>,
    /// The response, from its first byte to its last.
    pub(crate) pieces: Vec<Piece>,
    /// True when the statement's rows are the elements of a list.
    pub(crate) streams: bool,
    /// The length of the last list that fitted into one buffer.
    last_bytes: AtomicUsize,
}

/// A part of a response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// These bytes.
    Text(Bytes),
    /// That column of the only row.
    Column(usize),
    /// All rows, with commas between.
    Rows,
}

impl Prepared {
    /// Prepares a plan.
    pub(crate) fn new(plan: Plan) -> Self {
        match plan {
            Plan::Query(plan) => Self::Query(Arc::new(PreparedQuery::new(plan))),
            Plan::Mutation(plan) => Self::Mutation(Arc::new(plan)),
        }
    }

    /// Returns about how many bytes it takes in a cache.
    pub(crate) fn bytes(&self) -> u64 {
        let statement =
            |statement: &Statement| statement.sql.len() as u64 + statement.params.len() as u64 * PARAM_BYTES;
        PLAN_BYTES
            + match self {
                Self::Query(query) => {
                    let text = query.pieces.iter().map(|piece| match piece {
                        Piece::Text(text) => text.len() as u64,
                        Piece::Column(_) | Piece::Rows => 0,
                    });
                    text.sum::<u64>() + query.statement.as_ref().map_or(0, statement)
                }
                Self::Mutation(plan) => plan
                    .fields
                    .iter()
                    .map(|step| match step {
                        MutationStep::Static { value, .. } => value.len() as u64,
                        MutationStep::Write(write) => write.statements.iter().map(statement).sum(),
                    })
                    .sum(),
            }
    }
}

impl PreparedQuery {
    fn new(plan: QueryPlan) -> Self {
        let mut pieces = Vec::new();
        let mut text = BytesMut::from(&b"{\"data\":{"[..]);
        let mut streams = false;
        for (index, ResponseField { key, value }) in plan.fields.into_iter().enumerate() {
            if index > 0 {
                text.extend_from_slice(b",");
            }
            write_key(&mut text, &key);
            match value {
                FieldValue::Static(json) => text.extend_from_slice(&json),
                FieldValue::Column(column) => {
                    pieces.push(Piece::Text(text.split().freeze()));
                    pieces.push(Piece::Column(column));
                }
                FieldValue::Rows => {
                    text.extend_from_slice(b"[");
                    pieces.push(Piece::Text(text.split().freeze()));
                    pieces.push(Piece::Rows);
                    text.extend_from_slice(b"]");
                    streams = true;
                }
            }
        }
        text.extend_from_slice(b"}}");
        pieces.push(Piece::Text(text.freeze()));
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        Self { number, statement: plan.statement, pieces, streams, last_bytes: AtomicUsize::new(0) }
    }

    /// Returns how large a list's buffer should be: as large as the last one, and some more.
    pub(crate) fn usual_bytes(&self) -> usize {
        self.last_bytes.load(Ordering::Relaxed) + BUFFER_BYTES
    }

    /// Notes how long a list was that fitted into one buffer.
    pub(crate) fn note_bytes(&self, bytes: usize) {
        self.last_bytes.store(bytes.min(WHOLE_BYTES), Ordering::Relaxed);
    }

    /// Returns the response for the only row of the statement; `column` gives SQL NULL as `None`.
    pub(crate) fn frame(&self, column: impl Fn(usize) -> Option<Bytes>) -> Reply {
        if let [Piece::Text(text)] = self.pieces.as_slice() {
            return Reply::whole(text.clone());
        }
        let part = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Column(index) => column(*index).unwrap_or(NULL),
            // Of a list without rows nothing stands between the brackets.
            Piece::Rows => Bytes::new(),
        };
        let length = self.pieces.iter().map(|piece| part(piece).len()).sum();
        if length >= WHOLE_BYTES {
            return Reply::pieces(self.pieces.iter().map(part).collect());
        }
        let mut whole = BytesMut::with_capacity(length);
        self.pieces.iter().for_each(|piece| whole.extend_from_slice(&part(piece)));
        Reply::whole(whole)
    }
}

/// Writes `"key":`.
pub(crate) fn write_key(text: &mut BytesMut, key: &str) {
    // A GraphQL name needs no escapes.
    text.extend_from_slice(b"\"");
    text.extend_from_slice(key.as_bytes());
    text.extend_from_slice(b"\":");
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn query(fields: Vec<(&str, FieldValue)>) -> PreparedQuery {
        let fields =
            fields.into_iter().map(|(key, value)| ResponseField { key: key.to_owned(), value }).collect();
        PreparedQuery::new(QueryPlan { fields, statement: None })
    }

    async fn text(reply: Reply) -> String {
        let bytes = reply.collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn values_are_framed_without_being_read() {
        let fields = vec![
            ("__typename", FieldValue::Static(Bytes::from_static(b"\"Query\""))),
            ("a", FieldValue::Column(1)),
            ("b", FieldValue::Column(0)),
        ];
        let reply = query(fields).frame(|column| (column == 1).then(|| Bytes::from_static(b"{\"x\":1}")));
        assert_eq!(text(reply).await, r#"{"data":{"__typename":"Query","a":{"x":1},"b":null}}"#);
    }

    #[tokio::test]
    async fn large_values_are_not_copied() {
        let large = Bytes::from(vec![b' '; WHOLE_BYTES]);
        let address = large.as_ptr();
        let reply = query(vec![("a", FieldValue::Column(0))]).frame(|_| Some(large.clone()));
        let Reply::Pieces(pieces, _) = &reply else { panic!("{reply:?}") };
        assert_eq!(pieces[1].as_ptr(), address);
        assert_eq!(reply.bytes(), Some(WHOLE_BYTES as u64 + 15));
    }

    #[test]
    fn a_list_stands_between_brackets() {
        let query = query(vec![
            ("a", FieldValue::Static(Bytes::from_static(b"1"))),
            ("b", FieldValue::Rows),
            ("c", FieldValue::Static(Bytes::from_static(b"2"))),
        ]);
        let piece = |text: &'static str| Piece::Text(Bytes::from_static(text.as_bytes()));
        assert_eq!(query.pieces, [piece(r#"{"data":{"a":1,"b":["#), Piece::Rows, piece(r#"],"c":2}}"#)]);
        assert!(query.streams);
    }
}
