//! Outcomes of mutations in artifacts: a success or one of several errors for users.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::artifact::ValueType;

/// How a function's record becomes a member of a union.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// True when the function returns a JSON value, false for a row.
    pub json: bool,
    /// What decides.
    pub choice: OutcomeChoice,
    /// The members, in the order of the union.
    pub members: Vec<OutcomeMember>,
    /// Whether the field is `!`.
    pub non_null: bool,
}

/// What decides which member a record is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeChoice {
    /// The text under this key is a member's tag.
    Tag(String),
    /// `succeeded`: true is the first member, false the one that `status_detail` or `error_class` names,
    /// else the last.
    Succeeded,
}

/// A member of such a union.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeMember {
    /// The object type.
    pub name: String,
    /// What a record calls it.
    pub tags: Vec<String>,
    /// What each field reads, by GraphQL name.
    pub fields: BTreeMap<String, OutcomeField>,
}

/// What a field of such a member reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeField {
    /// A value of the record.
    Value {
        /// The keys that lead to it.
        path: Vec<String>,
        /// How it travels.
        value: ValueType,
        /// Whether the field is `!`.
        non_null: bool,
    },
    /// The row of another object type whose key stands in the record.
    Row {
        /// The keys that lead to an object with the key's columns, or to the only column's value.
        path: Vec<String>,
        /// Where the only column of the key stands when nothing is at `path`.
        id: Option<String>,
        /// The object type.
        target: String,
        /// Whether the field is `!`.
        non_null: bool,
    },
}
