//! The persisted operations of an artifact, parsed once when it is loaded.

use crate::document::Document;
use crate::limits::Limits;
use crate::schema::{LoadError, Schema};

/// Parses the artifact's persisted operations, in their order.
///
/// They are held to [`Limits::CEILING`] only: their author is the schema's. Fails when one does not
/// fit the schema, which only a faulty compiler can cause.
pub fn persisted_documents(schema: &Schema) -> Result<Vec<Document>, LoadError> {
    let parsed = schema.artifact.operations.iter().map(|operation| {
        Document::parse(schema, &operation.text, &Limits::CEILING).map_err(|errors| LoadError::Operation {
            name: operation.name.clone(),
            reason: errors.into_iter().next().map_or_else(String::new, |error| error.message),
        })
    });
    parsed.collect()
}
