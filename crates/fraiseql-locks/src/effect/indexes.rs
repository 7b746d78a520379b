//! Effects on indexes. An index is named by itself; its table is looked up.

use super::{Context, Effect};
use crate::act::Act;
use crate::lock_mode::LockMode::{self, AccessExclusive, Share, ShareUpdateExclusive};

pub(super) fn add(effect: &mut Effect, act: &Act, context: &Context<'_>) {
    match act {
        Act::CreateIndex(index) => {
            let lock = if index.concurrently { ShareUpdateExclusive } else { Share };
            let all = if index.only { vec![index.table.clone()] } else { context.with_below(&index.table) };
            for table in all {
                if table != index.table && !context.schema.partitioned(&index.table) {
                    continue;
                }
                effect.lock(&table, lock);
                if !context.schema.partitioned(&table) {
                    effect.scan(&table);
                }
            }
        }
        Act::DropIndex { name, concurrently } => {
            let lock = if *concurrently { ShareUpdateExclusive } else { AccessExclusive };
            on_index(effect, name, lock, lock, context);
        }
        Act::ReindexIndex { name, concurrently } => {
            let (index, table) = if *concurrently {
                (ShareUpdateExclusive, ShareUpdateExclusive)
            } else {
                (AccessExclusive, Share)
            };
            if let Some(table) = on_index(effect, name, index, table, context) {
                effect.scan(&table);
            }
            effect.rewrite(name);
        }
        Act::ReindexTable { table, concurrently } => {
            effect.lock(table, if *concurrently { ShareUpdateExclusive } else { Share });
            effect.scan(table);
            for (name, _) in context.schema.indexes.iter().filter(|(_, index)| index.table == *table) {
                effect.lock(name, if *concurrently { ShareUpdateExclusive } else { AccessExclusive });
                effect.rewrite(name);
            }
        }
        Act::RenameIndex { name } => {
            effect.lock(name, if context.from(12) { ShareUpdateExclusive } else { AccessExclusive });
        }
        _ => {}
    }
}

/// Locks an index and its table, and returns the table. An index that is not known may be on any.
fn on_index(
    effect: &mut Effect,
    name: &str,
    index: LockMode,
    table: LockMode,
    context: &Context<'_>,
) -> Option<String> {
    effect.lock(name, index);
    let known = table_of(name, context);
    if let Some(known) = &known {
        effect.lock(known, table);
    }
    known
}

fn table_of(index: &str, context: &Context<'_>) -> Option<String> {
    if let Some(known) = context.schema.indexes.get(index) {
        return Some(known.table.clone());
    }
    // Constraints have indexes of the same name.
    let with = context.schema.tables.iter().find(|(_, table)| table.constraints.contains_key(index));
    with.map(|(name, _)| name.clone())
}
