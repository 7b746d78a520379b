//! What the engine hands to whoever talks to the database: statements, and how to frame their rows.

use std::sync::Arc;

use bytes::Bytes;
use fraiseql_model::response::{Location, PathSegment};

use crate::input_document::InputNames;
use crate::shape::ResponseShape;

/// An operation, ready to run.
#[derive(Debug)]
pub enum Plan {
    /// One statement, one snapshot.
    Query(QueryPlan),
    /// One transaction for each root field, in order.
    Mutation(MutationPlan),
}

/// A query operation.
#[derive(Debug)]
pub struct QueryPlan {
    /// The fields of `data`, in response order.
    pub fields: Vec<ResponseField>,
    /// The statement; `None` when no field needs the database.
    pub statement: Option<Statement>,
}

/// One field of `data`.
#[derive(Debug)]
pub struct ResponseField {
    /// The response key (alias or name).
    pub key: String,
    /// Where its value comes from.
    pub value: FieldValue,
}

/// Where the value of a root field comes from.
#[derive(Debug)]
pub enum FieldValue {
    /// Known without the database: `__typename`, `__schema`, `__type`. JSON text.
    Static(Bytes),
    /// Column of that index in the statement's only row: JSON text, or SQL NULL for null.
    /// The statement may give no row at all: then the value is null.
    Column(usize),
    /// Every row of the statement is an element of the list, its only column the JSON text.
    /// Only when this is the one field that needs the database, so that long lists stream.
    Rows,
}

/// A mutation operation.
#[derive(Debug)]
pub struct MutationPlan {
    /// The root fields, in order. They run one after another; one that fails does not stop the next.
    pub fields: Vec<MutationStep>,
}

/// One root field of a mutation.
#[derive(Debug)]
pub enum MutationStep {
    /// Known without the database: `__typename`.
    Static {
        /// The response key.
        key: String,
        /// JSON text.
        value: Bytes,
    },
    /// Statements that run under one Sync, so in one implicit transaction and one round trip.
    Write(MutationWrite),
}

/// The statements of one root field of a mutation.
#[derive(Debug)]
pub struct MutationWrite {
    /// The response key.
    pub key: String,
    /// The field's name in the schema.
    pub field: String,
    /// True when the statements leave the keys of the rows in [`KEYS_SETTING`], as a JSON array.
    pub keyed: bool,
    /// In order; at most one row comes from the one at `result`, its only column the JSON text or
    /// NULL. No row is null.
    pub statements: Vec<Statement>,
    /// Index of the statement whose row is the field's value.
    pub result: usize,
    /// The field's place in the document, for errors.
    pub location: Option<Location>,
    /// The shape of its value, for the check of nulls after [`NULL_MARKER`] was met.
    pub shape: ResponseShape,
}

/// A statement with its parameters.
#[derive(Clone, Debug)]
pub struct Statement {
    /// SQL with `$1` and so on, every one cast to its type.
    pub sql: Arc<str>,
    /// Where each parameter's value comes from.
    pub params: Vec<Param>,
}

/// Where a parameter's value comes from.
#[derive(Clone, Debug)]
pub enum Param {
    /// Written in the document (or a default). Text format; `None` is NULL.
    Fixed(Option<Bytes>),
    /// A coerced variable, or a part of one.
    Variable {
        /// The variable's name, then keys and indexes into it.
        name: Arc<str>,
        /// Keys and indexes.
        path: Vec<PathSegment>,
        /// How the value is written for PostgreSQL.
        write: ParamFormat,
    },
    /// A coerced variable, or a part of one, of an input type that the author wrote.
    Input {
        /// The variable's name, then keys and indexes into it.
        name: Arc<str>,
        /// Keys and indexes.
        path: Vec<PathSegment>,
        /// The names of its fields in the database.
        input: InputNames,
    },
    /// A value within a cursor that is a variable, or a part of one.
    Cursor {
        /// The variable's name, then keys and indexes into it.
        name: Arc<str>,
        /// Keys and indexes.
        path: Vec<PathSegment>,
        /// The order that the cursor must belong to.
        order: Arc<str>,
        /// How many values the cursor must have.
        len: usize,
        /// Which of them.
        index: usize,
    },
    /// A claim of the caller's; NULL where there is none.
    Claim {
        /// The keys that lead to it.
        path: Arc<[String]>,
        /// Written as an array; a single value is a list of one.
        list: bool,
        /// True where the request cannot run without it.
        required: bool,
    },
}

/// How a GraphQL value is written as PostgreSQL text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamFormat {
    /// A scalar's text: strings as they are, numbers with their digits, `true`/`false`.
    Scalar,
    /// A whole number that must not be negative.
    Natural,
    /// A list of scalars as an array literal.
    Array,
    /// Any value as JSON text.
    Json,
    /// base64 text as bytea's hex form.
    Bytea,
    /// A list of base64 texts as an array literal of bytea's hex form.
    ByteaArray,
    /// A string as a LIKE pattern that finds it anywhere.
    Contains,
    /// A string as a LIKE pattern that finds it at the start.
    StartsWith,
    /// A string as a LIKE pattern that finds it at the end.
    EndsWith,
    /// The name of the type in a global id, or in each of a list.
    NodeType,
    /// A part of the key in a global id, from 0, or in each of a list.
    NodeKey(usize),
}

/// One root field of a query on its own, to find out which of several failed.
#[derive(Debug)]
pub struct SingleField {
    /// The response key.
    pub key: String,
    /// The field's place in the document.
    pub location: Option<Location>,
    /// At most one row, one column: the field's JSON text or NULL; no row is null. Nulls in `!` fields do not raise here.
    pub statement: Option<Statement>,
    /// The value when no statement is needed.
    pub fixed: Option<Bytes>,
    /// The shape of the value, to let nulls bubble as the specification says.
    pub shape: ResponseShape,
}

/// A message with this prefix in SQLSTATE 22P02 (invalid text representation) is the engine's own
/// guard: a field that the schema promises not to be null was null. The rest is `Type.field`.
pub const NULL_MARKER: &str = "fraiseql.null:";

/// A message with this prefix in SQLSTATE 22P02 says that a row has not the version that the client
/// expects. The rest is the object type's name.
pub const CONFLICT_MARKER: &str = "fraiseql.conflict:";

/// A message with this prefix in SQLSTATE 22P02 says that a row is none that the caller may write. The
/// rest is the object type's name.
pub const DENIED_MARKER: &str = "fraiseql.denied:";
