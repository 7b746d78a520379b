//! What the artifact says of an input type that the author wrote.

use serde::{Deserialize, Serialize};

/// A field of an input type that the author wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputField {
    /// The attribute of a composite type, or the key of a JSON object, that it becomes.
    pub key: String,
    /// The named GraphQL type: a scalar, an enum, or an input type.
    pub graphql: String,
}
