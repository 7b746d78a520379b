//! What a statement does, as plain data: the syntax tree ends here.
//!
//! A statement is one act, or several where ALTER TABLE has several actions.

use crate::lock_mode::LockMode;

/// One thing that a statement does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    AddColumn {
        table: String,
        column: ColumnDef,
    },
    DropColumn {
        table: String,
        column: String,
        cascade: bool,
    },
    ColumnType {
        table: String,
        column: String,
        to: String,
        using: Option<String>,
        collated: bool,
    },
    ColumnDefault {
        table: String,
        column: String,
    },
    SetNotNull {
        table: String,
        column: String,
    },
    DropNotNull {
        table: String,
        column: String,
    },
    AddConstraint {
        table: String,
        constraint: Constraint,
    },
    DropConstraint {
        table: String,
        name: String,
    },
    Validate {
        table: String,
        name: String,
    },
    RenameColumn {
        table: String,
        from: String,
        to: String,
    },
    RenameRelation {
        relation: String,
        to: String,
    },
    AttachPartition {
        table: String,
        part: String,
        bounds: String,
    },
    DetachPartition {
        table: String,
        part: String,
        concurrently: bool,
    },
    Inherit {
        table: String,
        parent: String,
        begins: bool,
    },
    /// Changes the catalog only, under a known lock on one relation.
    Meta {
        relation: String,
        lock: LockMode,
    },
    /// Writes the whole relation anew, under a known lock.
    Rewrite {
        relation: String,
        lock: LockMode,
        what: &'static str,
    },
    /// Reads the whole relation, under a known lock.
    Scan {
        relation: String,
        lock: LockMode,
    },
    CreateTable(NewTable),
    DropTable {
        table: String,
        cascade: bool,
    },
    Truncate {
        table: String,
        cascade: bool,
    },
    CreateIndex(NewIndex),
    DropIndex {
        name: String,
        concurrently: bool,
    },
    ReindexIndex {
        name: String,
        concurrently: bool,
    },
    ReindexTable {
        table: String,
        concurrently: bool,
    },
    RenameIndex {
        name: String,
    },
    CreateView(NewView),
    DropView {
        name: String,
        cascade: bool,
    },
    Refresh {
        view: String,
        concurrently: bool,
    },
    /// INSERT, UPDATE, DELETE, MERGE, COPY FROM.
    Write(TableWrite),
    /// SELECT and what is like it.
    Read {
        relations: Vec<String>,
        locks_rows: bool,
        calls: Vec<String>,
    },
    Grant {
        relations: Vec<String>,
    },
    LockTable {
        tables: Vec<String>,
        mode: LockMode,
    },
    AddEnumValue {
        name: String,
    },
    CreateEnum {
        name: String,
    },
    CreateDomain {
        name: String,
        constrained: bool,
    },
    DomainCheck {
        domain: String,
        scans: bool,
        what: &'static str,
    },
    Begin,
    /// Ends the transaction, one way or the other.
    End,
    /// Touches no table that was there.
    Nothing,
    /// Nobody can tell what it does.
    Unknown {
        why: String,
    },
}

/// A column as DDL defines it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ColumnDef {
    pub(crate) name: String,
    /// The type as written, one space for each gap, lower case.
    pub(crate) kind: String,
    pub(crate) not_null: bool,
    pub(crate) default: Option<Expression>,
    pub(crate) identity: bool,
    pub(crate) stored: bool,
    pub(crate) constraints: Vec<Constraint>,
    /// The definition as text without its constraints: name and type.
    pub(crate) bare: String,
}

/// An expression that PostgreSQL evaluates.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expression {
    pub(crate) text: String,
    /// False only when every part is known not to change from row to row.
    pub(crate) volatile: bool,
    /// The expression is NULL.
    pub(crate) null: bool,
}

/// A constraint on a table or a column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Constraint {
    pub(crate) name: Option<String>,
    pub(crate) kind: ConstraintKind,
    /// True when rows that are there are not looked at: NOT VALID, NOT ENFORCED.
    pub(crate) not_valid: bool,
    /// The definition as text, without the name and without NOT VALID.
    pub(crate) body: String,
}

/// Which constraint.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ConstraintKind {
    Check {
        expression: String,
    },
    ForeignKey {
        columns: Vec<String>,
        to: String,
    },
    Unique {
        columns: Vec<String>,
    },
    PrimaryKey {
        columns: Vec<String>,
    },
    /// UNIQUE or PRIMARY KEY over an index that is there.
    UsingIndex {
        index: String,
        primary: bool,
    },
    Exclude,
    NotNull {
        column: String,
    },
}

/// CREATE TABLE.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NewTable {
    pub(crate) name: String,
    pub(crate) columns: Vec<ColumnDef>,
    pub(crate) constraints: Vec<Constraint>,
    pub(crate) inherits: Vec<String>,
    pub(crate) partition_of: Option<String>,
    pub(crate) partitioned: bool,
    /// Tables whose definition is copied, or that a query reads.
    pub(crate) reads: Vec<String>,
    /// Functions that a query calls.
    pub(crate) calls: Vec<String>,
    /// A query fills it: CREATE TABLE AS.
    pub(crate) fills: bool,
}

/// CREATE INDEX.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewIndex {
    pub(crate) name: Option<String>,
    pub(crate) table: String,
    pub(crate) concurrently: bool,
    pub(crate) unique: bool,
    pub(crate) if_not_exists: bool,
    pub(crate) only: bool,
    /// The columns, when it is over plain columns and all rows.
    pub(crate) columns: Option<Vec<String>>,
}

/// CREATE VIEW and CREATE MATERIALIZED VIEW.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewView {
    pub(crate) name: String,
    pub(crate) reads: Vec<String>,
    /// Of those, the ones that are read as whole rows.
    pub(crate) whole_rows: Vec<String>,
    /// Every name that occurs in the query.
    pub(crate) words: Vec<String>,
    pub(crate) materialized: bool,
    pub(crate) replaces: bool,
}

/// A statement that writes rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TableWrite {
    pub(crate) table: String,
    pub(crate) kind: WriteKind,
    pub(crate) reads: Vec<String>,
    pub(crate) calls: Vec<String>,
    /// The columns that an UPDATE sets.
    pub(crate) sets: Vec<String>,
    /// How the rows are chosen, for UPDATE and DELETE.
    pub(crate) rows: Rows,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteKind {
    Insert,
    Update,
    Delete,
    Merge,
    Copy,
}

/// Which rows an UPDATE or DELETE is about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rows {
    /// There is no WHERE.
    Every,
    /// A column between two parameters.
    Batch { column: String },
    /// Each of these columns equals a constant, or is in a list of them.
    Equals { columns: Vec<String> },
    /// Some other condition: it may hold for any number of rows.
    Condition,
}

impl Act {
    /// Returns the relation that the act is mainly about.
    pub(crate) fn relation(&self) -> Option<&str> {
        match self {
            Self::AddColumn { table, .. }
            | Self::DropColumn { table, .. }
            | Self::ColumnType { table, .. }
            | Self::ColumnDefault { table, .. }
            | Self::SetNotNull { table, .. }
            | Self::DropNotNull { table, .. }
            | Self::AddConstraint { table, .. }
            | Self::DropConstraint { table, .. }
            | Self::Validate { table, .. }
            | Self::RenameColumn { table, .. }
            | Self::AttachPartition { table, .. }
            | Self::DetachPartition { table, .. }
            | Self::Inherit { table, .. }
            | Self::DropTable { table, .. }
            | Self::Truncate { table, .. }
            | Self::ReindexTable { table, .. } => Some(table),
            Self::RenameRelation { relation, .. }
            | Self::Meta { relation, .. }
            | Self::Rewrite { relation, .. }
            | Self::Scan { relation, .. } => Some(relation),
            Self::CreateIndex(index) => Some(&index.table),
            Self::Write(write) => Some(&write.table),
            Self::Refresh { view, .. } => Some(view),
            _ => None,
        }
    }
}
