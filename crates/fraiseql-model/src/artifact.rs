//! `schema.compiled.json`: everything that `serve` needs to answer GraphQL, and nothing else.
//!
//! Written by `fraiseql-compile`, read by `fraiseql-engine`. Deterministic to the byte:
//! maps are sorted, and the digest is over the whole document with an empty digest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::artifact_format::{format_of, reason_without_position};
use crate::catalog::QualifiedName;
use crate::digest::json_sha256_hex;
pub use crate::input_field::InputField;
use crate::manifest::Manifest;
pub use crate::outcome::{Outcome, OutcomeChoice, OutcomeField, OutcomeMember};

/// The format written today. Readers refuse any other.
pub const ARTIFACT_FORMAT: u32 = 2;

/// A compiled schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// [`ARTIFACT_FORMAT`] at the time of writing. First, so that a reader can look at it alone.
    pub format: u32,
    /// SHA-256 of this document with this field empty, in hexadecimal.
    pub digest: String,
    /// The version of `fraiseql` that compiled it.
    pub compiler: String,
    /// The complete public schema in SDL: the user's types and everything generated for them.
    pub sdl: String,
    /// Object types that are bound to a relation, by GraphQL name.
    pub objects: BTreeMap<String, ObjectType>,
    /// Enum types that are bound to a PostgreSQL enum, by GraphQL name.
    pub enums: BTreeMap<String, EnumType>,
    /// Fields of the query type.
    pub query: BTreeMap<String, QueryField>,
    /// Fields of the mutation type.
    pub mutation: BTreeMap<String, MutationField>,
    /// What this schema reads and writes.
    pub manifest: Manifest,
    /// Interfaces and unions, by GraphQL name.
    #[serde(default)]
    pub abstracts: BTreeMap<String, AbstractType>,
    /// Object types that stand within JSON documents: what their fields read there, by GraphQL name.
    /// Their column is [`DOCUMENT_COLUMN`].
    #[serde(default)]
    pub documents: BTreeMap<String, BTreeMap<String, Field>>,
    /// Fields of the subscription type: queries that are answered again when their answer changes.
    /// Left out when there are none, so that artifacts without it keep their digest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub subscription: BTreeMap<String, QueryField>,
    /// What generated writes must know beyond the fields, by object type; absent where nothing is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub writes: BTreeMap<String, WriteRules>,
    /// Operations that clients may ask for by their id, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<PersistedOperation>,
    /// Input types that the author wrote: their fields, by GraphQL name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, BTreeMap<String, InputField>>,
    /// Who may use which part.
    #[serde(default, skip_serializing_if = "Access::is_empty")]
    pub access: Access,
}

/// An operation of the project's folder `operations`, checked against the schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersistedOperation {
    /// The operation's name, unique in the project.
    pub name: String,
    /// What it does.
    pub kind: PersistedKind,
    /// The file that holds it, relative to the project.
    pub file: String,
    /// SHA-256 of `text` in hexadecimal: what clients send as `documentId`, after `sha256:`.
    pub id: String,
    /// The document: the file to the byte, and behind it the fragments that it uses from other files.
    pub text: String,
}

/// What a persisted operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersistedKind {
    /// Reads.
    Query,
    /// Writes.
    Mutation,
    /// Reads again and again.
    Subscription,
}

impl PersistedKind {
    /// Returns it as one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Subscription => "subscription",
        }
    }
}

/// The name under which SQL has the document that a field of [`Artifact::documents`] reads.
pub const DOCUMENT_COLUMN: &str = "v";

/// Why bytes are not an artifact that this version can serve.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Not JSON, cut short, or not of this shape.
    #[error("read the artifact: {reason} at line {line}, column {column}")]
    Malformed {
        /// What the parser met.
        reason: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// Written by another version of the compiler.
    #[error("use an artifact of format {found}: this version reads format {ARTIFACT_FORMAT}")]
    Format {
        /// The format found.
        found: u64,
    },
    /// The content is not what was hashed.
    #[error("verify the artifact: its digest is {written}, its content has {computed}")]
    Digest {
        /// The digest in the file.
        written: String,
        /// The digest of the content.
        computed: String,
    },
}

impl Artifact {
    /// Returns the document's bytes, with the digest filled in.
    ///
    /// The same value always gives the same bytes.
    pub fn seal(mut self) -> (Self, Vec<u8>) {
        self.digest.clear();
        self.digest = self.content_digest();
        let mut bytes = serde_json::to_vec_pretty(&self).expect("an artifact has only string keys");
        bytes.push(b'\n');
        (self, bytes)
    }

    /// Reads what [`Artifact::seal`] wrote.
    ///
    /// The format is looked at before the rest, so that an artifact of another version is
    /// called that and not "malformed". Fails as [`ArtifactError`] says.
    pub fn open(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let malformed = |error: serde_json::Error| ArtifactError::Malformed {
            reason: reason_without_position(&error),
            line: error.line(),
            column: error.column(),
        };
        match format_of(bytes).map_err(malformed)? {
            Some(format) if format == u64::from(ARTIFACT_FORMAT) => {}
            Some(found) => return Err(ArtifactError::Format { found }),
            None => {
                let reason = "there is no \"format\"".to_owned();
                return Err(ArtifactError::Malformed { reason, line: 1, column: 1 });
            }
        }
        let mut artifact: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        let written = std::mem::take(&mut artifact.digest);
        let computed = artifact.content_digest();
        if computed == written {
            Ok(Self { digest: written, ..artifact })
        } else {
            Err(ArtifactError::Digest { written, computed })
        }
    }

    /// The digest of everything but the digest, which must be empty.
    fn content_digest(&self) -> String {
        json_sha256_hex(self)
    }
}

/// An object type and the relation that its rows come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectType {
    /// The relation.
    pub relation: QualifiedName,
    /// The columns that identify a row; empty when nothing does.
    pub key: Vec<String>,
    /// What each field reads, by GraphQL name.
    pub fields: BTreeMap<String, Field>,
    /// For rows that only functions return, `relation` being one of those: columns and their types as
    /// SQL. Empty for rows of a relation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<(String, String)>,
}

/// What a field of an object type reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// A column.
    Column(ColumnField),
    /// At most one row of another (or the same) relation.
    ToOne(Reference),
    /// Any number of rows of another (or the same) relation; takes where, orderBy, limit and offset.
    ToMany(Reference),
    /// Rows of the relations of several object types.
    Polymorphic(PolymorphicReference),
    /// The global id: the type's name and the key, opaque to clients.
    GlobalId,
    /// Another view of a list that is a field of the same type.
    Derived(Derived),
    /// What a function returns that takes the row as its first argument.
    Computed(FunctionCall),
    /// An object, or a list of them, within a JSON column.
    Document(DocumentField),
}

/// A field that is an object, or a list of objects, within a JSON document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentField {
    /// The column that has the document, of type json or jsonb.
    pub column: String,
    /// The key in the document.
    pub key: String,
    /// The object type, one of [`Artifact::documents`].
    pub target: String,
    /// True for a list.
    pub list: bool,
    /// Whether the field is `!`.
    pub non_null: NonNull,
}

/// A field that shows the rows of a list in another form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derived {
    /// The list, a field of the same type.
    pub list: String,
    /// What is shown.
    pub form: Form,
}

/// What a derived field shows of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Aggregates over all rows: `{ count sum { ... } ... }`; takes where.
    Aggregate,
    /// Aggregates over each group of rows; takes by, where, having, orderBy, limit and offset.
    Groups,
    /// Pages with cursors, as Relay has them; takes where, orderBy, first, after, last and before.
    Connection,
}

/// A field that is a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnField {
    /// The column's name, unquoted.
    pub column: String,
    /// How its values travel.
    pub value: ValueType,
    /// Whether the field is `!`, and on what ground.
    pub non_null: NonNull,
    /// The key of the value when the column is a JSON document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// How a SQL value becomes a GraphQL value and back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueType {
    /// The named GraphQL type: a scalar or an enum.
    pub graphql: String,
    /// The element's SQL type as SQL, ready for a cast: `"pg_catalog"."int4"`. No brackets.
    pub sql: String,
    /// True for an array; the GraphQL type is then a list of nullable elements.
    pub list: bool,
    /// How an element is written into JSON.
    pub encoding: Encoding,
}

/// How one SQL value is written into JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// As PostgreSQL's `to_json` writes it: boolean, int2, int4, text, uuid, timestamps, json, enums.
    Plain,
    /// As a string of its text form: int8, numeric, interval, ranges, and every type not named elsewhere.
    Text,
    /// float4 and float8: NaN and the infinities, which JSON lacks, become null.
    Float,
    /// bytea: base64 (RFC 4648, padded) in a string, without line breaks.
    Base64,
    /// An enum some of whose labels are not GraphQL names: mapped by [`EnumType::labels`].
    Label,
}

/// Whether a field is `!`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NonNull {
    /// The field is nullable.
    Nullable,
    /// The field is `!` and the catalog proves that no null can come.
    Proven,
    /// The field is `!` because the author said so: a null at run time is an error with a path.
    Trusted,
}

/// A relation between rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The GraphQL object type referred to.
    pub target: String,
    /// Which columns must be equal; at least one.
    pub on: Vec<ColumnPair>,
    /// For a to-one field: whether it is `!`. A to-many field is never null.
    pub non_null: NonNull,
}

/// An interface or a union.
///
/// An interface with a relation of its own is also in [`Artifact::objects`], under its name, for what
/// is read of that relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbstractType {
    /// The object types that it can be, in a fixed order.
    pub members: Vec<Member>,
    /// The column of the interface's own relation that tells the type; `None` when each object type
    /// has a relation of its own.
    pub discriminator: Option<String>,
}

/// One of the object types of an interface or union.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The object type.
    pub object: String,
    /// With a discriminator: its value for rows of this type.
    pub value: Option<String>,
    /// With a discriminator: the columns that tie a row of the type's own relation (local) to the
    /// interface's (remote); empty when the type has no relation of its own.
    pub join: Vec<ColumnPair>,
}

/// A relation between a row and rows of several object types.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolymorphicReference {
    /// The interface or union.
    pub target: String,
    /// True for any number of rows; the field then takes the arguments of a list.
    pub list: bool,
    /// The column, of the type that has the field, that tells the type of the row referred to.
    pub discriminator: Option<String>,
    /// For each object type of the target, in its order, how its rows are found.
    pub members: Vec<PolymorphicMember>,
    /// For one row: whether the field is `!`.
    pub non_null: NonNull,
}

/// How rows of one object type are referred to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolymorphicMember {
    /// With a discriminator: its value for this type.
    pub value: Option<String>,
    /// Which columns must be equal; at least one.
    pub on: Vec<ColumnPair>,
}

/// Two columns that must be equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnPair {
    /// The column of the type that has the field.
    pub local: String,
    /// The column of the type referred to.
    pub remote: String,
}

/// An enum type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnumType {
    /// The PostgreSQL enum.
    pub sql_type: QualifiedName,
    /// From GraphQL name to label.
    pub labels: BTreeMap<String, String>,
}

/// A field of the query type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryField {
    /// All rows; takes where, orderBy, limit and offset.
    List {
        /// The object type.
        object: String,
    },
    /// At most one row, by a unique key.
    Lookup {
        /// The object type.
        object: String,
        /// The arguments, all of them required; together a unique key.
        key: Vec<KeyArgument>,
    },
    /// What a function returns.
    Function(FunctionCall),
    /// `node(id: ID!): Node`, or `nodes(ids: [ID!]!): [Node]!`: rows by their global ids.
    Node {
        /// The interface.
        interface: String,
        /// The argument's name.
        argument: String,
        /// True for `nodes`.
        list: bool,
    },
    /// Another view of a list that is a field of the query type.
    Derived(Derived),
}

/// An argument that picks a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyArgument {
    /// The argument's name.
    pub argument: String,
    /// The field of the object type (a column) that must be equal to it.
    pub field: String,
}

/// A field of the mutation type.
///
/// Field names within inputs are those of the object type. The single forms return the
/// object or null; the bulk forms return `{ affectedRows returning { ... } }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MutationField {
    /// `insertX(object: XInsertInput!): X`
    InsertOne {
        /// The object type.
        object: String,
    },
    /// `insertXs(objects: [XInsertInput!]!): XMutationResult`
    InsertMany {
        /// The object type.
        object: String,
    },
    /// `updateX(key..., set: XSetInput!): X`
    UpdateOne {
        /// The object type.
        object: String,
        /// The arguments that pick the row.
        key: Vec<KeyArgument>,
    },
    /// `updateXs(where: XFilter!, set: XSetInput!): XMutationResult`
    UpdateMany {
        /// The object type.
        object: String,
    },
    /// `deleteX(key...): X`
    DeleteOne {
        /// The object type.
        object: String,
        /// The arguments that pick the row.
        key: Vec<KeyArgument>,
    },
    /// `deleteXs(where: XFilter!): XMutationResult`
    DeleteMany {
        /// The object type.
        object: String,
    },
    /// `upsertX(object: XInsertInput!, onConflict: XConflict!): X`
    UpsertOne {
        /// The object type.
        object: String,
        /// Values of `XConflict`: the columns of each unique key.
        conflicts: BTreeMap<String, Vec<String>>,
    },
    /// `upsertXs(objects: [XInsertInput!]!, onConflict: XConflict!): XMutationResult`
    UpsertMany {
        /// The object type.
        object: String,
        /// Values of `XConflict`: the columns of each unique key.
        conflicts: BTreeMap<String, Vec<String>>,
    },
    /// A function.
    Function(FunctionCall),
}

/// What generated writes of an object type know beyond its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteRules {
    /// Fields of `XInsertInput` that insert related rows.
    pub nested: BTreeMap<String, Nesting>,
    /// Columns that every insert must give and that the input does not mark `!`, with the fields
    /// (of columns and of rows) that can give them.
    pub required: BTreeMap<String, Vec<String>>,
    /// Values of `XConflict`, empty when there are no upserts: the columns of each unique key.
    pub conflicts: BTreeMap<String, Vec<String>>,
    /// The integer field that counts the updates of a row; updates and deletes by key compare it.
    pub version: Option<String>,
    /// Columns that are filled from the caller's claims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub presets: Vec<crate::row_rule::Preset>,
}

/// How a nested row is tied to the row that it stands in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nesting {
    /// The object type of the nested rows.
    pub target: String,
    /// True for a list of rows.
    pub many: bool,
    /// True when the nested row is inserted first and gives its columns, false when it takes them.
    pub first: bool,
    /// Which columns are equal afterwards.
    pub on: Vec<ColumnPair>,
}

/// A call of a SQL function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionCall {
    /// The function.
    pub function: QualifiedName,
    /// Its arguments. One that the client leaves out is left out of the call too (named notation).
    pub arguments: Vec<FunctionArgument>,
    /// What comes back.
    pub returns: FunctionReturn,
}

impl FunctionCall {
    /// Returns the object types whose rows come back.
    pub fn objects(&self) -> impl Iterator<Item = &str> {
        let object = match &self.returns {
            FunctionReturn::Object { object, .. } => Some(object.as_str()),
            FunctionReturn::Void | FunctionReturn::Value { .. } | FunctionReturn::Outcome(_) => None,
        };
        object.into_iter()
    }
}

/// An argument of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionArgument {
    /// The GraphQL argument's name.
    pub argument: String,
    /// The SQL parameter's name; empty means by position, and then none may be left out before it.
    pub parameter: String,
    /// How its value travels.
    pub value: ValueType,
    /// True for the VARIADIC parameter, which takes all of a list. It stands last.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub variadic: bool,
}

/// What a function's field returns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FunctionReturn {
    /// Nothing: the field is a Boolean that is true when the call succeeded.
    Void,
    /// A value, or a list of them for SETOF.
    Value {
        /// How it travels.
        value: ValueType,
        /// True for SETOF.
        set: bool,
        /// Whether the field (for SETOF: each element) is `!`.
        non_null: NonNull,
    },
    /// A row, or rows for SETOF, of the relation of an object type.
    Object {
        /// The object type.
        object: String,
        /// True for SETOF; in a query the field then takes where, orderBy, limit and offset.
        set: bool,
        /// For one row: whether the field is `!`.
        non_null: NonNull,
    },
    /// One record that says which member of a union it is; mutations only.
    Outcome(Outcome),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Artifact {
        Artifact {
            format: ARTIFACT_FORMAT,
            digest: String::new(),
            compiler: "0.1.0".to_owned(),
            sdl: "type Query { ok: Boolean }".to_owned(),
            objects: BTreeMap::new(),
            enums: BTreeMap::new(),
            query: BTreeMap::new(),
            mutation: BTreeMap::new(),
            manifest: Manifest::default(),
            abstracts: BTreeMap::new(),
            documents: BTreeMap::new(),
            subscription: BTreeMap::new(),
            writes: BTreeMap::new(),
            operations: Vec::new(),
            inputs: BTreeMap::new(),
            access: Default::default(),
        }
    }

    #[test]
    fn what_was_sealed_opens() {
        let (sealed, bytes) = empty().seal();
        assert_eq!(Artifact::open(&bytes).unwrap(), sealed);
        assert_eq!(empty().seal().1, bytes, "the same value gives the same bytes");
    }

    #[test]
    fn another_format_is_named_even_when_its_shape_is_unknown() {
        let error = Artifact::open(br#"{"format": 99, "novelty": true}"#).unwrap_err();
        assert!(matches!(error, ArtifactError::Format { found: 99 }), "{error}");
    }

    #[test]
    fn every_truncation_is_refused() {
        let (_, bytes) = empty().seal();
        for end in 0..bytes.len() - 1 {
            assert!(
                matches!(Artifact::open(&bytes[..end]), Err(ArtifactError::Malformed { .. })),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn an_edited_artifact_is_refused() {
        let (_, bytes) = empty().seal();
        let edited = String::from_utf8(bytes).unwrap().replace("ok: Boolean", "no: Boolean");
        assert!(matches!(Artifact::open(edited.as_bytes()), Err(ArtifactError::Digest { .. })));
    }
}
