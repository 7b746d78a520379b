//! What is known of a database without asking it: DDL that was read, folded statement by statement.

use std::collections::{BTreeMap, BTreeSet};

use crate::act::{Act, ColumnDef, Constraint, ConstraintKind, NewIndex, NewTable, NewView};

/// The relations that DDL has told of. A relation that is not here is not known, which is not the
/// same as not there.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownSchema {
    pub(crate) tables: BTreeMap<String, KnownTable>,
    pub(crate) views: BTreeMap<String, NewView>,
    pub(crate) indexes: BTreeMap<String, NewIndex>,
    pub(crate) enums: BTreeSet<String>,
    /// Domains, and whether they check anything.
    pub(crate) domains: BTreeMap<String, bool>,
}

/// A table.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownTable {
    pub(crate) columns: BTreeMap<String, ColumnDef>,
    pub(crate) constraints: BTreeMap<String, Constraint>,
    pub(crate) parents: Vec<String>,
    pub(crate) partition_of: Option<String>,
    pub(crate) partitioned: bool,
    /// Made by the file that is being read: nobody uses it yet.
    pub(crate) fresh: bool,
}

impl KnownSchema {
    /// Says that what was made so far is in use.
    pub(crate) fn settle(&mut self) {
        for table in self.tables.values_mut() {
            table.fresh = false;
        }
    }

    /// Returns true for a table that the same file made.
    pub(crate) fn fresh(&self, table: &str) -> bool {
        self.tables.get(table).is_some_and(|table| table.fresh)
    }

    /// Returns true for a table whose parts hold its rows.
    pub(crate) fn partitioned(&self, table: &str) -> bool {
        self.tables.get(table).is_some_and(|table| table.partitioned)
    }

    /// Returns every partition and child below a table, at any depth.
    pub(crate) fn below(&self, table: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut open = vec![table.to_owned()];
        while let Some(parent) = open.pop() {
            for (name, known) in &self.tables {
                let child = known.partition_of.as_deref() == Some(&parent) || known.parents.contains(&parent);
                if child && !found.contains(name) {
                    found.push(name.clone());
                    open.push(name.clone());
                }
            }
        }
        found
    }

    /// Returns the tables whose foreign keys lead to a table.
    pub(crate) fn referencing(&self, table: &str) -> Vec<String> {
        let leads = |known: &KnownTable| {
            known.constraints.values().any(
                |constraint| matches!(&constraint.kind, ConstraintKind::ForeignKey { to, .. } if to == table),
            )
        };
        let all = self.tables.iter().filter(|(name, known)| *name != table && leads(known));
        all.map(|(name, _)| name.clone()).collect()
    }

    /// Returns the tables that a table's foreign keys lead to.
    pub(crate) fn referenced(&self, table: &str) -> Vec<String> {
        let known = self.tables.get(table);
        let constraints = known.into_iter().flat_map(|known| known.constraints.values());
        constraints
            .filter_map(|constraint| match &constraint.kind {
                ConstraintKind::ForeignKey { to, .. } if to != table => Some(to.clone()),
                _ => None,
            })
            .collect()
    }

    /// Returns the views that read a relation.
    pub(crate) fn views_over(&self, relation: &str) -> Vec<&NewView> {
        self.views.values().filter(|view| view.reads.iter().any(|read| read == relation)).collect()
    }

    /// Returns a constraint of a table.
    pub(crate) fn constraint(&self, table: &str, name: &str) -> Option<&Constraint> {
        self.tables.get(table)?.constraints.get(name)
    }

    /// Returns the columns of a key of the table: of its primary key, else of a unique one.
    pub(crate) fn key(&self, table: &str) -> Option<&[String]> {
        let constraints = &self.tables.get(table)?.constraints;
        let primary = constraints.values().find_map(|constraint| match &constraint.kind {
            ConstraintKind::PrimaryKey { columns } => Some(columns.as_slice()),
            _ => None,
        });
        primary.or_else(|| {
            constraints.values().find_map(|constraint| match &constraint.kind {
                ConstraintKind::Unique { columns } => Some(columns.as_slice()),
                _ => None,
            })
        })
    }

    /// Returns true when no row of the column can be NULL, as far as PostgreSQL can prove by itself.
    pub(crate) fn proven_not_null(&self, table: &str, column: &str) -> bool {
        let Some(known) = self.tables.get(table) else { return false };
        if known.columns.get(column).is_some_and(|column| column.not_null) {
            return true;
        }
        known.constraints.values().filter(|constraint| !constraint.not_valid).any(|constraint| {
            match &constraint.kind {
                ConstraintKind::Check { expression } => is_not_null(expression, column),
                ConstraintKind::NotNull { column: other } => other == column,
                ConstraintKind::PrimaryKey { columns } => columns.iter().any(|other| other == column),
                _ => false,
            }
        })
    }

    /// Takes in what an act leaves behind.
    pub(crate) fn fold(&mut self, act: &Act) {
        match act {
            Act::CreateTable(table) => self.create(table),
            Act::CreateIndex(index) => {
                if let Some(name) = &index.name {
                    self.indexes.entry(name.clone()).or_insert_with(|| index.clone());
                }
            }
            Act::CreateView(view) => {
                self.views.insert(view.name.clone(), view.clone());
            }
            Act::DropView { name, .. } => drop(self.views.remove(name)),
            Act::DropIndex { name, .. } => drop(self.indexes.remove(name)),
            Act::DropTable { table, .. } => {
                self.tables.remove(table);
                self.indexes.retain(|_, index| index.table != *table);
            }
            Act::RenameRelation { relation, to } => self.rename(relation, to),
            Act::CreateEnum { name } => drop(self.enums.insert(name.clone())),
            Act::CreateDomain { name, constrained } => drop(self.domains.insert(name.clone(), *constrained)),
            Act::DomainCheck { domain, .. } => drop(self.domains.insert(domain.clone(), true)),
            act => {
                if let Some(table) = act.relation().and_then(|name| self.tables.get_mut(name)) {
                    fold_into(table, act, &self.indexes);
                }
            }
        }
        if let Act::AttachPartition { table, part, .. } = act
            && let Some(known) = self.tables.get_mut(part)
        {
            known.partition_of = Some(table.clone());
        }
        if let Act::DetachPartition { part, .. } = act
            && let Some(known) = self.tables.get_mut(part)
        {
            known.partition_of = None;
        }
    }

    fn create(&mut self, new: &NewTable) {
        if self.tables.contains_key(&new.name) {
            return;
        }
        let mut table = KnownTable {
            parents: new.inherits.clone(),
            partition_of: new.partition_of.clone(),
            partitioned: new.partitioned,
            fresh: true,
            ..KnownTable::default()
        };
        for parent in new.inherits.iter().chain(&new.partition_of) {
            if let Some(parent) = self.tables.get(parent) {
                table.columns.extend(parent.columns.clone());
            }
        }
        let last = new.name.rsplit('.').next().unwrap_or(&new.name).to_owned();
        for column in &new.columns {
            for constraint in &column.constraints {
                add(&mut table, &last, constraint);
            }
            table.columns.insert(column.name.clone(), column.clone());
        }
        for constraint in &new.constraints {
            add(&mut table, &last, constraint);
        }
        self.tables.insert(new.name.clone(), table);
    }

    fn rename(&mut self, relation: &str, to: &str) {
        if let Some(table) = self.tables.remove(relation) {
            self.tables.insert(to.to_owned(), table);
        }
        if let Some(view) = self.views.remove(relation) {
            self.views.insert(to.to_owned(), NewView { name: to.to_owned(), ..view });
        }
        for index in self.indexes.values_mut().filter(|index| index.table == relation) {
            to.clone_into(&mut index.table);
        }
    }
}

fn fold_into(table: &mut KnownTable, act: &Act, indexes: &BTreeMap<String, NewIndex>) {
    match act {
        Act::AddColumn { table: name, column } => {
            if table.columns.contains_key(&column.name) {
                return;
            }
            for constraint in &column.constraints {
                add(table, name, constraint);
            }
            table.columns.insert(column.name.clone(), column.clone());
        }
        Act::DropColumn { column, .. } => drop(table.columns.remove(column)),
        Act::ColumnType { column, to, .. } => {
            if let Some(column) = table.columns.get_mut(column) {
                to.clone_into(&mut column.kind);
            }
        }
        Act::SetNotNull { column, .. } | Act::DropNotNull { column, .. } => {
            if let Some(column) = table.columns.get_mut(column) {
                column.not_null = matches!(act, Act::SetNotNull { .. });
            }
        }
        Act::RenameColumn { from, to, .. } => {
            if let Some(column) = table.columns.remove(from) {
                table.columns.insert(to.clone(), ColumnDef { name: to.clone(), ..column });
            }
        }
        Act::AddConstraint { table: name, constraint } => {
            let mut constraint = constraint.clone();
            if let ConstraintKind::UsingIndex { index, primary } = &constraint.kind
                && let Some(columns) = indexes.get(index).and_then(|index| index.columns.clone())
            {
                let named = index.clone();
                constraint.name = constraint.name.or(Some(named));
                constraint.kind = if *primary {
                    ConstraintKind::PrimaryKey { columns }
                } else {
                    ConstraintKind::Unique { columns }
                };
            }
            add(table, name, &constraint);
        }
        Act::DropConstraint { name, .. } => drop(table.constraints.remove(name)),
        Act::Validate { name, .. } => {
            if let Some(constraint) = table.constraints.get_mut(name) {
                constraint.not_valid = false;
            }
        }
        _ => {}
    }
}

fn add(table: &mut KnownTable, table_name: &str, constraint: &Constraint) {
    let name = constraint.name.clone().unwrap_or_else(|| constraint_name(table_name, constraint));
    table.constraints.insert(name, constraint.clone());
}

/// Returns the name that PostgreSQL gives to a constraint without one.
pub(crate) fn constraint_name(table: &str, constraint: &Constraint) -> String {
    let table = table.rsplit('.').next().unwrap_or(table);
    match &constraint.kind {
        ConstraintKind::Check { .. } => format!("{table}_check"),
        ConstraintKind::ForeignKey { columns, .. } => format!("{table}_{}_fkey", columns.join("_")),
        ConstraintKind::Unique { columns } => format!("{table}_{}_key", columns.join("_")),
        ConstraintKind::PrimaryKey { .. } => format!("{table}_pkey"),
        ConstraintKind::UsingIndex { index, .. } => index.clone(),
        ConstraintKind::Exclude => format!("{table}_excl"),
        ConstraintKind::NotNull { column } => format!("{table}_{column}_not_null"),
    }
}

fn is_not_null(expression: &str, column: &str) -> bool {
    let plain = expression.replace(['(', ')', '"'], "").to_lowercase();
    plain.trim() == format!("{} is not null", column.to_lowercase())
}
