//! Effects of ALTER TABLE on columns and constraints.

use super::column_type::{self, TypeChange};
use super::{Context, Effect};
use crate::act::{Act, ColumnDef, Constraint, ConstraintKind};
use crate::lock_mode::LockMode::{AccessExclusive, RowShare, ShareRowExclusive, ShareUpdateExclusive};
use crate::schema::KnownSchema;
use crate::server_version::ServerVersion;

pub(super) fn add(effect: &mut Effect, act: &Act, context: &Context<'_>) {
    match act {
        Act::AddColumn { table, column } => add_column(effect, table, column, context),
        Act::DropColumn { table, column, cascade } => {
            lock_all(effect, table, context);
            for constraint in foreign_keys(table, column, context) {
                effect.lock(&constraint, AccessExclusive);
            }
            if *cascade {
                for view in context.schema.views_over(table) {
                    effect.lock(&view.name, AccessExclusive);
                }
            }
        }
        Act::ColumnDefault { table, .. }
        | Act::DropNotNull { table, .. }
        | Act::RenameColumn { table, .. } => {
            lock_all(effect, table, context);
        }
        Act::ColumnType { .. } => change_type(effect, act, context),
        Act::SetNotNull { table, column } => {
            lock_all(effect, table, context);
            // Versions before 12 look at every row, whatever is known.
            if !(context.from(12) && context.schema.proven_not_null(table, column)) {
                scan_all(effect, table, context);
            }
        }
        Act::AddConstraint { table, constraint } => add_constraint(effect, table, constraint, context),
        Act::DropConstraint { table, name } => {
            lock_all(effect, table, context);
            if let Some(ConstraintKind::ForeignKey { to, .. }) =
                context.schema.constraint(table, name).map(|constraint| &constraint.kind)
            {
                effect.lock(to, AccessExclusive);
            }
        }
        Act::Validate { table, name } => {
            for each in context.with_below(table) {
                effect.lock(&each, ShareUpdateExclusive);
                effect.scan(&each);
            }
            if let Some(ConstraintKind::ForeignKey { to, .. }) =
                context.schema.constraint(table, name).map(|constraint| &constraint.kind)
            {
                effect.lock(to, RowShare);
                effect.scan(to);
            }
        }
        _ => {}
    }
}

fn lock_all(effect: &mut Effect, table: &str, context: &Context<'_>) {
    for each in context.with_below(table) {
        effect.lock(&each, AccessExclusive);
    }
}

/// A partitioned table has no rows of its own; what PostgreSQL scans are its parts.
fn scan_all(effect: &mut Effect, table: &str, context: &Context<'_>) {
    for each in context.with_below(table) {
        if !context.schema.partitioned(&each) || context.schema.below(&each).is_empty() {
            effect.scan(&each);
        }
    }
}

fn rewrite_all(effect: &mut Effect, table: &str, context: &Context<'_>) {
    for each in context.with_below(table) {
        if !context.schema.partitioned(&each) || context.schema.below(&each).is_empty() {
            effect.rewrite(&each);
        }
    }
}

/// Returns the other tables of the foreign keys that a column is part of.
fn foreign_keys(table: &str, column: &str, context: &Context<'_>) -> Vec<String> {
    let Some(known) = context.schema.tables.get(table) else { return Vec::new() };
    let mut others: Vec<String> = known
        .constraints
        .values()
        .filter_map(|constraint| match &constraint.kind {
            ConstraintKind::ForeignKey { columns, to } if columns.iter().any(|each| each == column) => {
                Some(to.clone())
            }
            _ => None,
        })
        .collect();
    let is_key = context.schema.key(table).is_some_and(|key| key.iter().any(|each| each == column));
    if is_key {
        others.extend(context.schema.referencing(table));
    }
    others
}

/// Why ADD COLUMN writes the table anew; `None` when it does not.
pub(crate) fn rewrite_cause(
    column: &ColumnDef,
    schema: &KnownSchema,
    version: ServerVersion,
) -> Option<&'static str> {
    if column.stored {
        return Some("a stored generated column is computed for every row");
    }
    if column.identity || column_type::is_serial(&column.kind) {
        return Some("each row takes a number of its own from the sequence");
    }
    if let Some(default) = column.default.as_ref().filter(|default| !default.null) {
        if default.volatile {
            return Some("the default can differ from row to row, or nobody knows whether it does");
        }
        if version.major() < 11 {
            return Some("before PostgreSQL 11 every default is written into every row");
        }
    }
    match column_type::constrained(&column.kind, schema) {
        Some(false) => None,
        Some(true) => Some("the domain's constraint is checked for every row, by writing it anew"),
        None => Some("the type is not known, and may be a domain with a constraint"),
    }
}

fn add_column(effect: &mut Effect, table: &str, column: &ColumnDef, context: &Context<'_>) {
    lock_all(effect, table, context);
    if rewrite_cause(column, context.schema, context.version).is_some() {
        rewrite_all(effect, table, context);
    }
    let default = column.default.as_ref().is_some_and(|default| !default.null);
    for constraint in &column.constraints {
        match &constraint.kind {
            ConstraintKind::ForeignKey { to, .. } => {
                effect.lock(to, ShareRowExclusive);
                if default {
                    scan_all(effect, table, context);
                    effect.scan(to);
                }
            }
            _ => scan_all(effect, table, context),
        }
    }
    let filled = default || column.identity || column.stored || column_type::is_serial(&column.kind);
    if column.not_null && !filled {
        scan_all(effect, table, context);
    }
}

fn add_constraint(effect: &mut Effect, table: &str, constraint: &Constraint, context: &Context<'_>) {
    match &constraint.kind {
        ConstraintKind::ForeignKey { to, .. } => {
            for each in context.with_below(table) {
                effect.lock(&each, ShareRowExclusive);
            }
            for each in context.with_below(to) {
                effect.lock(&each, ShareRowExclusive);
            }
            // A table that this file made has next to nothing to look up in the other one.
            if !constraint.not_valid && !context.schema.fresh(table) {
                scan_all(effect, table, context);
                effect.scan(to);
            }
        }
        ConstraintKind::UsingIndex { index, primary } => {
            effect.lock(table, AccessExclusive);
            let columns = context.schema.indexes.get(index).and_then(|index| index.columns.as_ref());
            let proven = columns.is_some_and(|columns| {
                columns.iter().all(|column| context.schema.proven_not_null(table, column))
            });
            if *primary && !proven {
                scan_all(effect, table, context);
            }
        }
        ConstraintKind::NotNull { column } => {
            lock_all(effect, table, context);
            if !constraint.not_valid && !context.schema.proven_not_null(table, column) {
                scan_all(effect, table, context);
            }
        }
        _ => {
            lock_all(effect, table, context);
            if !constraint.not_valid {
                scan_all(effect, table, context);
            }
        }
    }
}

fn change_type(effect: &mut Effect, act: &Act, context: &Context<'_>) {
    let Act::ColumnType { table, column, to, using, collated } = act else { return };
    lock_all(effect, table, context);
    let others = foreign_keys(table, column, context);
    for other in &others {
        effect.lock(other, AccessExclusive);
    }
    let known = context.schema.tables.get(table);
    let from = known.and_then(|known| known.columns.get(column)).map(|column| column.kind.as_str());
    let plain = using.as_ref().is_none_or(|using| column_type::is_plain_cast(using, column));
    let change = match from {
        Some(from) if plain => column_type::change(from, to, context.schema),
        _ => TypeChange::Rewrite,
    };
    match change {
        TypeChange::Rewrite => {
            rewrite_all(effect, table, context);
            others.iter().for_each(|other| effect.scan(other));
        }
        TypeChange::Meta if *collated => rewrite_all(effect, table, context),
        TypeChange::Meta => {}
    }
    // Conditions on the column are made anew, and looked at again for every row.
    let checked = known.is_some_and(|known| {
        known.constraints.values().any(|constraint| match &constraint.kind {
            ConstraintKind::Check { expression } => mentions(expression, column),
            _ => false,
        })
    });
    if checked {
        scan_all(effect, table, context);
    }
    let generated = known.is_some_and(|known| known.columns.values().any(|other| other.stored));
    if generated {
        rewrite_all(effect, table, context);
    }
}

fn mentions(expression: &str, column: &str) -> bool {
    let word = |c: char| !(c.is_alphanumeric() || c == '_');
    expression.to_lowercase().split(word).any(|part| part == column)
}
