//! What a database contains, as far as a GraphQL schema can be made of it.
//!
//! Filled by `fraiseql-postgres` from a live server, or read back from a saved
//! snapshot (`catalog.json`) when there is no server. Everything is sorted by name,
//! so the same database gives the same bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The format written today. Readers refuse any other.
pub const CATALOG_FORMAT: u32 = 1;

/// The readable part of one database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    /// [`CATALOG_FORMAT`] at the time of writing.
    pub format: u32,
    /// `server_version_num`, for example 150018 or 100023.
    pub server_version: u32,
    /// The name of the database.
    pub database: String,
    /// Tables, views, materialised views, partitioned and foreign tables; partitions themselves are left out.
    pub relations: Vec<Relation>,
    /// Enums, domains, composite types and ranges that a column, argument or result uses.
    pub types: Vec<SqlType>,
    /// Functions outside of system schemas and extensions.
    pub functions: Vec<Function>,
    /// What exists and is not above, and why.
    pub left_out: Vec<LeftOut>,
}

impl Catalog {
    /// Returns the relation of that name.
    pub fn relation(&self, name: &QualifiedName) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.name == *name)
    }

    /// Returns the enum, domain, composite type or range of that name.
    pub fn sql_type(&self, name: &QualifiedName) -> Option<&SqlType> {
        self.types.iter().find(|sql_type| sql_type.name == *name)
    }
}

/// A name inside a schema, as the catalog spells it (unquoted).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualifiedName {
    /// The PostgreSQL schema, for example `public`.
    pub schema: String,
    /// The name within it.
    pub name: String,
}

impl QualifiedName {
    /// Makes a name from its two parts.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }

    /// Returns the name as SQL: both parts quoted, quotes doubled.
    pub fn sql(&self) -> String {
        format!(
            "{}.{}",
            crate::names::quote_identifier(&self.schema),
            crate::names::quote_identifier(&self.name)
        )
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// A table or anything that can be read like one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relation {
    /// Schema and name.
    pub name: QualifiedName,
    /// Table, view and so on.
    pub kind: RelationKind,
    /// `COMMENT ON`.
    pub comment: Option<String>,
    /// Columns that the reading role may select, in the table's order.
    pub columns: Vec<Column>,
    /// The primary key.
    pub primary_key: Option<Key>,
    /// Other unique keys: not partial, not over expressions, immediate. Sorted by name.
    pub unique_keys: Vec<Key>,
    /// Foreign keys of this relation. Sorted by name.
    pub foreign_keys: Vec<ForeignKey>,
    /// The column lists of all valid, non-partial B-tree indexes, in index order; expressions end a list.
    pub indexes: Vec<Vec<String>>,
    /// What the reading role may do.
    pub privileges: Privileges,
    /// True when rows can be inserted, updated and deleted (a table, or a simple updatable view).
    pub updatable: bool,
}

impl Relation {
    /// Returns the column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Returns the primary key, if any, then the other unique keys.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.primary_key.iter().chain(self.unique_keys.iter())
    }
}

/// What sort of relation it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    /// An ordinary table.
    Table,
    /// The parent of partitions.
    PartitionedTable,
    /// A view.
    View,
    /// A materialised view.
    MaterializedView,
    /// A table of a foreign server.
    ForeignTable,
}

/// What the role that read the catalog may do with a relation as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Privileges {
    /// INSERT on the relation or on some column.
    pub insert: bool,
    /// UPDATE on the relation or on some column.
    pub update: bool,
    /// DELETE on the relation.
    pub delete: bool,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The name, unquoted.
    pub name: String,
    /// The declared type.
    pub sql_type: TypeRef,
    /// Whether NULL can come out of it.
    pub nullability: Nullability,
    /// True for a DEFAULT, a serial or an identity.
    pub has_default: bool,
    /// Who computes the value.
    pub generated: Generated,
    /// `COMMENT ON COLUMN`.
    pub comment: Option<String>,
    /// For a view's column that passes a column of a table through unchanged: that column.
    pub origin: Option<ColumnOrigin>,
}

/// What the catalog can prove about NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nullability {
    /// NULL can come, or nothing is known.
    Nullable,
    /// A NOT NULL constraint, or a domain with one.
    NotNull,
    /// A view's column, traced to a NOT NULL column over inner joins only.
    Traced,
}

/// Who computes a column's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Generated {
    /// The client, or the default.
    No,
    /// `GENERATED ALWAYS AS (expression)`: never written.
    Expression,
    /// `GENERATED ALWAYS AS IDENTITY`: never written.
    IdentityAlways,
    /// `GENERATED BY DEFAULT AS IDENTITY`: may be written.
    IdentityByDefault,
}

/// Where a view's column comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnOrigin {
    /// The table.
    pub relation: QualifiedName,
    /// Its column.
    pub column: String,
}

/// A reference to a type, with the array brackets taken off.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeRef {
    /// The element's type for an array, else the type. Built-in types are in `pg_catalog` (`int4`, `varchar`, ...).
    pub name: QualifiedName,
    /// True for an array of any number of dimensions.
    pub array: bool,
}

impl TypeRef {
    /// Returns the type as SQL, ready for a cast.
    pub fn sql(&self) -> String {
        let brackets = if self.array { "[]" } else { "" };
        format!("{}{brackets}", self.name.sql())
    }
}

/// A type that a user defined (or a built-in range).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlType {
    /// Schema and name.
    pub name: QualifiedName,
    /// `COMMENT ON TYPE`.
    pub comment: Option<String>,
    /// What it is.
    pub kind: SqlTypeKind,
}

/// What a user-defined type is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SqlTypeKind {
    /// An enum, with its labels in order.
    Enum {
        /// Labels, in their sort order.
        labels: Vec<String>,
    },
    /// A domain.
    Domain {
        /// The type below it, which may be a domain again.
        base: TypeRef,
        /// True when the domain itself is NOT NULL.
        not_null: bool,
    },
    /// A free-standing composite type.
    Composite {
        /// Its attributes, in order.
        attributes: Vec<Attribute>,
    },
    /// A range or multirange.
    Range {
        /// The type of its bounds.
        subtype: TypeRef,
    },
}

/// An attribute of a composite type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// The name, unquoted.
    pub name: String,
    /// Its type.
    pub sql_type: TypeRef,
}

/// A unique key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The constraint's or index's name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignKey {
    /// The constraint's name.
    pub name: String,
    /// The referencing columns, in order.
    pub columns: Vec<String>,
    /// The relation referred to.
    pub target: QualifiedName,
    /// The columns referred to, in the order of `columns`.
    pub target_columns: Vec<String>,
    /// False for NOT VALID: rows without a counterpart may exist.
    pub validated: bool,
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    /// Schema and name. Overloads are separate entries.
    pub name: QualifiedName,
    /// `COMMENT ON FUNCTION`.
    pub comment: Option<String>,
    /// IN and INOUT parameters, in order.
    pub parameters: Vec<Parameter>,
    /// What comes back.
    pub returns: FunctionResult,
    /// What it may do.
    pub volatility: Volatility,
    /// True when a NULL argument gives NULL without a call.
    pub strict: bool,
}

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// The name; empty when the function gave none.
    pub name: String,
    /// Its type.
    pub sql_type: TypeRef,
    /// True when it may be left out.
    pub has_default: bool,
    /// True for the VARIADIC one.
    pub variadic: bool,
}

/// The result of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FunctionResult {
    /// `void`.
    Void,
    /// A scalar, enum, domain, array or free-standing composite value.
    Value {
        /// Its type.
        sql_type: TypeRef,
        /// True for SETOF.
        set: bool,
    },
    /// A row of a relation.
    Row {
        /// The relation.
        relation: QualifiedName,
        /// True for SETOF.
        set: bool,
    },
    /// `RETURNS TABLE (...)` or OUT parameters.
    Table {
        /// Its columns, in order.
        columns: Vec<Attribute>,
        /// True for SETOF or TABLE.
        set: bool,
    },
    /// A trigger, an event trigger, a polymorphic or an internal type: not callable from here.
    Other,
}

impl FunctionResult {
    /// Returns it as SQL.
    pub fn sql(&self) -> String {
        let setof = |set: bool| if set { "SETOF " } else { "" };
        match self {
            Self::Void => "void".to_owned(),
            Self::Value { sql_type, set } => format!("{}{}", setof(*set), sql_type.sql()),
            Self::Row { relation, set } => format!("{}{}", setof(*set), relation.sql()),
            Self::Table { columns, .. } => {
                let columns: Vec<String> = columns
                    .iter()
                    .map(|column| {
                        let name = crate::names::quote_identifier(&column.name);
                        format!("{name} {}", column.sql_type.sql())
                    })
                    .collect();
                format!("TABLE ({})", columns.join(", "))
            }
            Self::Other => "other".to_owned(),
        }
    }
}

/// A function's promise about side effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Volatility {
    /// Same result for ever.
    Immutable,
    /// Same result within a statement; no writes.
    Stable,
    /// May write.
    Volatile,
}

/// Something that exists and was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// What, for example `table secret.payroll` or `column public.user.password`.
    pub what: String,
    /// Why, and what to do about it.
    pub why: String,
}
