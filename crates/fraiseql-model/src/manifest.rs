//! What one compiled schema reads and writes: the ground on which a later change of the
//! database is called safe or refused.
//!
//! Complete for everything that the engine's SQL can touch. What a function's body does is
//! not in here; the function is, by signature.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Uses of the database by one artifact. Relations, types and functions are named `schema.name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Relations that are read.
    pub reads: BTreeMap<String, Read>,
    /// Relations that are written.
    pub writes: BTreeMap<String, Write>,
    /// Types whose values are decoded into GraphQL or encoded from it.
    pub types: BTreeMap<String, DecodedType>,
    /// Functions that are called.
    pub functions: BTreeMap<String, CalledFunction>,
}

/// How a relation is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// Each column and what reads it: `Artist.name`, or `Artist.albums` for a join.
    pub columns: BTreeMap<String, BTreeSet<String>>,
    /// The column types that the compiled SQL relies on, as SQL.
    pub column_types: BTreeMap<String, String>,
    /// Columns that the schema promises never to be null.
    pub non_null: BTreeSet<String>,
    /// True when whole rows are read, so that any change of columns shows.
    pub whole_row: bool,
}

/// How a relation is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// Inserts, if any.
    pub insert: Option<Insert>,
    /// Columns that an update may set.
    pub update: BTreeSet<String>,
    /// True when rows are deleted.
    pub delete: bool,
    /// Unique keys that an upsert names, as column lists.
    pub conflict_keys: BTreeSet<Vec<String>>,
}

/// Columns of an INSERT.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Insert {
    /// Columns that every insert gives.
    pub required: BTreeSet<String>,
    /// Columns that an insert may leave to their default or NULL.
    pub optional: BTreeSet<String>,
    /// Columns that no insert ever gives: a later NOT NULL without default breaks this release.
    pub omitted: BTreeSet<String>,
}

/// A type that the schema decodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecodedType {
    /// The GraphQL type it becomes.
    pub graphql: String,
    /// For an enum: the labels that this release can decode.
    pub labels_read: BTreeSet<String>,
    /// For an enum: the labels that this release can write.
    pub labels_written: BTreeSet<String>,
}

/// A function that the schema calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalledFunction {
    /// The types of the arguments that it is called with, as SQL, by parameter name.
    pub arguments: BTreeMap<String, String>,
    /// What it returns, as SQL.
    pub returns: String,
    /// The root fields that call it.
    pub used_by: BTreeSet<String>,
}
