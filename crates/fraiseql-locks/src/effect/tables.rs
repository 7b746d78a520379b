//! Effects on whole relations: create, drop, attach, read, write.

use super::{Context, EVERYTHING, Effect};
use crate::act::{Act, ConstraintKind, NewTable, TableWrite, WriteKind};
use crate::expression;
use crate::lock_mode::LockMode::{
    self, AccessExclusive, AccessShare, Exclusive, RowExclusive, RowShare, Share, ShareRowExclusive,
    ShareUpdateExclusive,
};

pub(super) fn add(effect: &mut Effect, act: &Act, context: &Context<'_>) {
    match act {
        Act::Meta { relation, lock } => effect.lock(relation, *lock),
        Act::Rewrite { relation, lock, .. } => {
            effect.lock(relation, *lock);
            effect.rewrite(relation);
        }
        Act::Scan { relation, lock } => {
            effect.lock(relation, *lock);
            effect.scan(relation);
        }
        Act::RenameRelation { relation, .. } => effect.lock(relation, AccessExclusive),
        Act::AttachPartition { table, part, bounds } => attach(effect, table, part, bounds, context),
        Act::DetachPartition { table, part, concurrently } => {
            effect.lock(table, if *concurrently { ShareUpdateExclusive } else { AccessExclusive });
            // Before 14 the part itself was locked less than it deserves.
            effect.lock(part, if context.from(14) { AccessExclusive } else { ShareUpdateExclusive });
        }
        Act::Grant { relations } => {
            for relation in relations.iter().filter(|_| context.from(18)) {
                effect.lock(relation, AccessShare);
            }
        }
        Act::Inherit { table, parent, begins } => {
            effect.lock(table, AccessExclusive);
            effect.lock(parent, if *begins { ShareUpdateExclusive } else { AccessShare });
        }
        Act::CreateTable(table) => create(effect, table, context),
        Act::DropTable { table, cascade } => drop_table(effect, table, *cascade, context),
        Act::Truncate { table, cascade } => {
            for each in context.with_below(table) {
                effect.lock(&each, AccessExclusive);
                effect.rewrite(&each);
            }
            if *cascade {
                for other in context.schema.referencing(table) {
                    effect.lock(&other, AccessExclusive);
                    effect.rewrite(&other);
                }
            }
        }
        Act::CreateView(_) | Act::DropView { .. } | Act::Refresh { .. } => views(effect, act, context),
        Act::Write(write) => write_rows(effect, write, context),
        Act::Read { relations, locks_rows, calls } => {
            for relation in relations {
                effect.lock(relation, if *locks_rows { RowShare } else { AccessShare });
            }
            opaque_calls(effect, calls);
        }
        Act::LockTable { tables, mode } => {
            for table in tables.iter().flat_map(|table| context.with_below(table)) {
                effect.lock(&table, *mode);
            }
        }
        Act::DomainCheck { domain, scans: true, .. } => domain_check(effect, domain, context),
        _ => {}
    }
}

fn views(effect: &mut Effect, act: &Act, context: &Context<'_>) {
    match act {
        Act::CreateView(view) => {
            for read in &view.reads {
                effect.lock(read, AccessShare);
            }
            if view.replaces && context.schema.views.contains_key(&view.name) {
                effect.lock(&view.name, AccessExclusive);
            }
        }
        Act::DropView { name, cascade } => {
            effect.lock(name, AccessExclusive);
            if *cascade {
                for view in context.schema.views_over(name) {
                    effect.lock(&view.name, AccessExclusive);
                }
            }
        }
        Act::Refresh { view, concurrently } => {
            effect.lock(view, if *concurrently { Exclusive } else { AccessExclusive });
            effect.rewrite(view);
            for read in context.schema.views.get(view).into_iter().flat_map(|view| &view.reads) {
                effect.lock(read, AccessShare);
                effect.scan(read);
            }
        }
        _ => {}
    }
}

fn opaque_calls(effect: &mut Effect, calls: &[String]) {
    if let Some(call) = expression::opaque(calls).first() {
        effect.cannot_tell(format!("nobody can tell what the function {call} does"));
    }
}

fn attach(effect: &mut Effect, table: &str, part: &str, bounds: &str, context: &Context<'_>) {
    effect.lock(table, if context.from(12) { ShareUpdateExclusive } else { AccessExclusive });
    for each in context.with_below(part) {
        effect.lock(&each, AccessExclusive);
    }
    if bounds.eq_ignore_ascii_case("default") || !attach_is_proven(part, bounds, context) {
        effect.scan(part);
    }
    for sibling in context.schema.below(table) {
        let is_default = sibling.ends_with("_default");
        if is_default && sibling != part {
            effect.lock(&sibling, AccessExclusive);
            effect.scan(&sibling);
        }
    }
}

/// Only the form that `fraiseql migrate lint` proposes is taken as proof: `c >= a AND c < b`, with
/// the column NOT NULL.
fn attach_is_proven(part: &str, bounds: &str, context: &Context<'_>) -> bool {
    let Some((from, to)) = range(bounds) else { return false };
    let Some(known) = context.schema.tables.get(part) else { return false };
    known.constraints.values().filter(|constraint| !constraint.not_valid).any(|constraint| {
        let ConstraintKind::Check { expression } = &constraint.kind else { return false };
        let plain = expression.replace(['(', ')'], "");
        let Some((low, high)) = plain.split_once(" AND ") else { return false };
        let (Some((column, low)), Some((other, high))) = (low.split_once(">="), high.split_once('<')) else {
            return false;
        };
        let column = column.trim();
        column == other.trim()
            && low.trim() == from
            && high.trim() == to
            && context.schema.proven_not_null(part, column)
    })
}

/// Reads `FOR VALUES FROM (a) TO (b)` with one value on each side.
fn range(bounds: &str) -> Option<(&str, &str)> {
    let (_, rest) = bounds.split_once('(')?;
    let (from, rest) = rest.split_once(')')?;
    let (_, rest) = rest.split_once('(')?;
    let (to, _) = rest.split_once(')')?;
    (!from.contains(',') && !to.contains(',')).then_some((from.trim(), to.trim()))
}

fn create(effect: &mut Effect, table: &NewTable, context: &Context<'_>) {
    let constraints =
        table.constraints.iter().chain(table.columns.iter().flat_map(|column| &column.constraints));
    for constraint in constraints {
        if let ConstraintKind::ForeignKey { to, .. } = &constraint.kind
            && *to != table.name
        {
            effect.lock(to, ShareRowExclusive);
        }
    }
    for parent in &table.inherits {
        effect.lock(parent, ShareUpdateExclusive);
    }
    if let Some(parent) = &table.partition_of {
        effect.lock(parent, AccessExclusive);
        for sibling in context.schema.below(parent).iter().filter(|sibling| sibling.ends_with("_default")) {
            effect.lock(sibling, AccessExclusive);
            effect.scan(sibling);
        }
        // A foreign key of the parent comes along.
        for other in context.schema.referenced(parent) {
            effect.lock(&other, ShareRowExclusive);
        }
    }
    for read in &table.reads {
        effect.lock(read, AccessShare);
        if table.fills {
            effect.scan(read);
        }
    }
    opaque_calls(effect, &table.calls);
}

fn drop_table(effect: &mut Effect, table: &str, cascade: bool, context: &Context<'_>) {
    for each in context.with_below(table) {
        effect.lock(&each, AccessExclusive);
    }
    for other in context.schema.referenced(table) {
        effect.lock(&other, AccessExclusive);
    }
    let parents = context.schema.tables.get(table).map(|known| (&known.partition_of, &known.parents));
    if let Some((partition_of, parents)) = parents {
        for parent in partition_of.iter().chain(parents) {
            effect.lock(parent, AccessExclusive);
        }
    }
    if cascade {
        for other in context.schema.referencing(table) {
            effect.lock(&other, AccessExclusive);
        }
        for view in context.schema.views_over(table) {
            effect.lock(&view.name, AccessExclusive);
        }
    }
}

fn write_rows(effect: &mut Effect, write: &TableWrite, context: &Context<'_>) {
    for each in context.with_below(&write.table) {
        effect.lock(&each, RowExclusive);
    }
    for read in &write.reads {
        effect.lock(read, AccessShare);
    }
    for (other, lock) in keys_looked_at(write, context) {
        effect.lock(&other, lock);
    }
    opaque_calls(effect, &write.calls);
}

/// Foreign keys look into other tables: a new value into the one it leads to, a row that goes into
/// those that lead to it.
fn keys_looked_at(write: &TableWrite, context: &Context<'_>) -> Vec<(String, LockMode)> {
    let mut looked = Vec::new();
    for (name, known) in &context.schema.tables {
        for constraint in known.constraints.values() {
            let ConstraintKind::ForeignKey { columns, to } = &constraint.kind else { continue };
            let sets = || columns.iter().any(|column| write.sets.contains(column));
            if *name == write.table
                && write.kind != WriteKind::Delete
                && (write.kind != WriteKind::Update || sets())
            {
                looked.push((to.clone(), RowShare));
            }
            if *to == write.table && matches!(write.kind, WriteKind::Delete | WriteKind::Merge) {
                let body = constraint.body.to_uppercase();
                let writes =
                    ["ON DELETE CASCADE", "ON DELETE SET"].iter().any(|action| body.contains(action));
                looked.push((name.clone(), if writes { RowExclusive } else { RowShare }));
            }
        }
    }
    looked
}

/// Every table with a column of the domain is locked against writes and read.
fn domain_check(effect: &mut Effect, domain: &str, context: &Context<'_>) {
    let mut found = false;
    for (name, table) in &context.schema.tables {
        if table.columns.values().any(|column| column.kind == domain) {
            effect.lock(name, Share);
            effect.scan(name);
            found = true;
        }
    }
    if !found && !context.schema.domains.contains_key(domain) {
        effect.cannot_tell("the tables that use the domain are not known");
        effect.lock(EVERYTHING, Share);
    }
}
