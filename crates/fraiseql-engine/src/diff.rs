//! What changed between two public schemas, and whom it may break. Pure: schemas in, changes out.
//!
//! The rules and the names of the kinds are those of graphql-js (`findSchemaChanges`), compared with
//! it by `conformance/diff`; the kinds that it does not know are marked in [`ChangeKind`].

mod affected;
mod definitions;
mod fields;
mod kind;

use apollo_compiler::Schema as GraphqlSchema;

pub use affected::affected;
pub use kind::{ChangeKind, ChangeSeverity};

/// A schema as its clients see it: any SDL, not only ours.
#[derive(Debug)]
pub struct PublicSchema {
    pub(crate) graphql: GraphqlSchema,
}

/// SDL that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("read the schema: {reason} at line {line}, column {column}")]
pub struct SdlError {
    /// What the parser met.
    pub reason: String,
    /// Line, from 1; 0 when it is not known.
    pub line: usize,
    /// Column, from 1; 0 when it is not known.
    pub column: usize,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// What was done.
    pub kind: ChangeKind,
    /// Where: a schema coordinate such as `Type.field(argument:)` or `@directive`.
    pub path: String,
    /// What was there: a type, a default, a member; `None` where there was nothing to say.
    pub old: Option<String>,
    /// What is there now.
    pub new: Option<String>,
}

impl PublicSchema {
    /// Reads SDL. Directives that nobody defined are no error: they are none of a client's business.
    pub fn parse(sdl: &str) -> Result<Self, SdlError> {
        match GraphqlSchema::parse(sdl, "schema.graphql") {
            Ok(graphql) => Ok(Self { graphql }),
            Err(invalid) => {
                let first = invalid.errors.iter().next().map(|error| error.unstable_to_json_compat());
                let reason =
                    first.as_ref().map_or("it is not SDL", |error| error.message.as_str()).to_owned();
                let place = first.as_ref().and_then(|error| error.locations.first());
                let (line, column) = place.map_or((0, 0), |place| (place.line, place.column));
                Err(SdlError { reason, line, column })
            }
        }
    }

    /// Returns every field of every object type as `Type.field`, sorted.
    pub fn coordinates(&self) -> Vec<String> {
        affected::coordinates(&self.graphql)
    }
}

/// Returns every change from `old` to `new`: breaking ones first, then by place.
pub fn diff(old: &PublicSchema, new: &PublicSchema) -> Vec<Change> {
    let mut changes = definitions::changes(&old.graphql, &new.graphql);
    changes.sort_by(|left, right| {
        let key = |change: &Change| (change.kind.severity(), change.path.clone(), change.kind);
        key(left).cmp(&key(right)).then_with(|| left.cmp(right))
    });
    changes
}

impl Change {
    pub(crate) fn new(kind: ChangeKind, path: impl Into<String>) -> Self {
        Self { kind, path: path.into(), old: None, new: None }
    }

    pub(crate) fn was(mut self, old: impl ToString) -> Self {
        self.old = Some(old.to_string());
        self
    }

    pub(crate) fn is(mut self, new: impl ToString) -> Self {
        self.new = Some(new.to_string());
        self
    }

    /// Returns the change in words: a lower-case fragment.
    pub fn message(&self) -> String {
        kind::message(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(old: &str, new: &str, expected: &[&str]) {
        let [old, new] =
            [old, new].map(|sdl| PublicSchema::parse(&format!("type Query {{ q: Int }} {sdl}")).unwrap());
        let changes = diff(&old, &new);
        let shown: Vec<String> = changes
            .iter()
            .map(|change| {
                format!("{}: {}: {}", change.kind.severity().as_str(), change.path, change.message())
            })
            .collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn breaking_changes_come_first() {
        check(
            "type A { a: Int b: Int } enum E { X }",
            "type A { b: String c: Int } enum E { X Y }",
            &[
                "breaking: A.a: the field is gone",
                "breaking: A.b: its type was Int and is String",
                "dangerous: E.Y: the enum value is new: a client may meet what it does not know",
                "safe: A.c: the field is new",
            ],
        );
    }

    #[test]
    fn what_graphql_js_passes_over_is_told() {
        check(
            "schema { query: Query mutation: M } type M { m: Int } input I { a: Int }",
            "schema { query: Query } type M { m: Int @deprecated(reason: \"old\") } input I @oneOf { a: Int }",
            &[
                "breaking: I: exactly one field must be given now (@oneOf)",
                "breaking: mutation: M is no root type any more",
                "safe: M.m: it is deprecated: old",
            ],
        );
    }

    #[test]
    fn what_is_no_sdl_is_refused_with_its_place() {
        let error = PublicSchema::parse("type A {\n  a Int }").unwrap_err();
        assert_eq!((error.line, error.column > 0), (2, true), "{error}");
    }
}
