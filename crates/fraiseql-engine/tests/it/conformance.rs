//! What graphql-js, the reference implementation, says of a corpus, compared with what the engine says.
//!
//! The verdicts are written by `conformance/*.mjs` (`make conformance`); nothing here needs node.

mod documents;
mod hostile;
mod introspection;
mod variables;

use fraiseql_engine::Schema;
use serde_json::Value;

/// Returns a schema with nothing but types: for validation, coercion and introspection.
pub(crate) fn schema(sdl: &str) -> Schema {
    let mut artifact = crate::fixture::schema().artifact().clone();
    artifact.sdl = sdl.to_owned();
    artifact.objects.clear();
    artifact.query.clear();
    artifact.mutation.clear();
    Schema::load(artifact).expect("graphql-js takes the schema")
}

fn golden(json: &str) -> Value {
    serde_json::from_str(json).expect("the scripts write JSON")
}
