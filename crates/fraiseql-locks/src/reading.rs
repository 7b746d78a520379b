//! The syntax tree becomes acts. A kind of statement that nobody listed here is unknown.

mod alter_table;
mod definitions;
mod queries;

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use crate::act::{Act, NewIndex};
use crate::lock_mode::LockMode;
use crate::script::Step;
use crate::tree::{child, children, has, inner, name, name_in, names_in, text, word};

/// Returns what the statement does, at least one step.
pub(crate) fn steps(node: &SyntaxNode, written: &str) -> Vec<Step> {
    if node.kind() == K::ALTER_TABLE {
        return alter_table::steps(node, written);
    }
    acts(node).into_iter().map(|act| Step { act, text: written.to_owned() }).collect()
}

fn acts(node: &SyntaxNode) -> Vec<Act> {
    if let Some(acts) = queries::acts(node) {
        return acts;
    }
    if let Some(acts) = definitions::acts(node) {
        return acts;
    }
    let meta = |kind: K, lock: LockMode| {
        names_in(node, kind).into_iter().take(1).map(|relation| Act::Meta { relation, lock }).collect()
    };
    match node.kind() {
        K::CREATE_INDEX => vec![index(node)],
        K::DROP_INDEX => {
            let concurrently = word(node, K::CONCURRENTLY_KW);
            let names = names_in(node, K::INDEX_REF);
            names.into_iter().map(|name| Act::DropIndex { name, concurrently }).collect()
        }
        K::REINDEX => reindex(node),
        K::ALTER_INDEX => alter_index(node),
        K::DROP_TABLE => {
            let cascade = has(node, K::CASCADE);
            let tables = names_in(node, K::TABLE_NAME_REF);
            tables.into_iter().map(|table| Act::DropTable { table, cascade }).collect()
        }
        K::TRUNCATE => {
            let cascade = has(node, K::CASCADE);
            let tables = names_in(node, K::TABLE_NAME_REF);
            tables.into_iter().map(|table| Act::Truncate { table, cascade }).collect()
        }
        K::VACUUM => vacuum(node),
        K::CLUSTER => whole(node, names_in(node, K::TABLE_NAME_REF), "CLUSTER"),
        K::ANALYZE => {
            // It reads a sample, however large the table is.
            beside(names_in(node, K::TABLE_NAME_REF))
        }
        K::CREATE_TRIGGER => meta(K::RELATION_NAME_REF, LockMode::ShareRowExclusive),
        K::DROP_TRIGGER | K::ALTER_TRIGGER | K::DROP_RULE | K::ALTER_RULE | K::CREATE_RULE => {
            meta(K::RELATION_NAME_REF, LockMode::AccessExclusive)
        }
        K::CREATE_POLICY | K::ALTER_POLICY | K::DROP_POLICY => {
            meta(K::TABLE_NAME_REF, LockMode::AccessExclusive)
        }
        K::REFRESH => match name_in(node, K::VIEW_REF) {
            Some(view) => vec![Act::Refresh { view, concurrently: word(node, K::CONCURRENTLY_KW) }],
            None => unknown("it names no view"),
        },
        K::CREATE_PUBLICATION | K::ALTER_PUBLICATION => beside(names_in(node, K::TABLE_NAME_REF)),
        K::CREATE_STATISTICS => {
            let table = name_in(node, K::RELATION_NAME_REF).or_else(|| name_in(node, K::TABLE_NAME_REF));
            beside(table.into_iter().collect())
        }
        K::GRANT | K::REVOKE => {
            let mut relations = names_in(node, K::RELATION_NAME_REF);
            relations.extend(names_in(node, K::TABLE_NAME_REF));
            vec![Act::Grant { relations }]
        }
        K::COMMENT_ON => comment(node),
        K::BEGIN => vec![Act::Begin],
        K::COMMIT_TRANSACTION | K::ROLLBACK_TRANSACTION => vec![Act::End],
        K::ROLLBACK_TO_SAVEPOINT => vec![Act::Nothing],
        K::EXPLAIN => match node.children().filter_map(|below| queries::acts(&below)).next() {
            Some(acts) => acts,
            None => unknown("it explains a statement that is not known"),
        },
        kind => other(node, kind),
    }
}

/// Statements that touch no table that was there, unless they cascade.
fn other(node: &SyntaxNode, kind: K) -> Vec<Act> {
    match kind {
        K::CREATE_FUNCTION
        | K::CREATE_PROCEDURE
        | K::CREATE_AGGREGATE
        | K::CREATE_SCHEMA
        | K::CREATE_EXTENSION
        | K::CREATE_ROLE
        | K::CREATE_USER
        | K::CREATE_CAST
        | K::CREATE_COLLATION
        | K::CREATE_OPERATOR
        | K::SET
        | K::RESET
        | K::SHOW
        | K::SAVEPOINT_CREATE
        | K::RELEASE_SAVEPOINT
        | K::NOTIFY
        | K::LISTEN
        | K::UNLISTEN
        | K::CHECKPOINT
        | K::DISCARD
        | K::ALTER_ROLE
        | K::ALTER_FUNCTION
        | K::ALTER_PROCEDURE
        | K::ALTER_ROUTINE
        | K::ALTER_DEFAULT_PRIVILEGES => {
            // A schema may hold statements of its own.
            if kind == K::CREATE_SCHEMA
                && node.children().any(|below| inner(&below, K::TABLE_ARG_LIST).is_some())
            {
                return unknown("it creates a schema with tables in it: write them on their own");
            }
            vec![Act::Nothing]
        }
        K::DROP_FUNCTION
        | K::DROP_PROCEDURE
        | K::DROP_TYPE
        | K::DROP_DOMAIN
        | K::DROP_EXTENSION
        | K::DROP_SCHEMA
        | K::DROP_SEQUENCE
        | K::DROP_AGGREGATE
        | K::DROP_PUBLICATION
        | K::DROP_STATISTICS
        | K::DROP_ROLE => {
            if has(node, K::CASCADE) {
                unknown("it cascades to whatever depends on it")
            } else {
                vec![Act::Nothing]
            }
        }
        K::DO => unknown("a DO block can run anything"),
        K::CALL => unknown("a procedure can run anything"),
        K::EXECUTE => unknown("a prepared statement can be anything"),
        K::ALTER_EXTENSION => unknown("the scripts of an extension can change its tables"),
        _ => unknown("its locks are not known"),
    }
}

pub(super) fn unknown(why: &str) -> Vec<Act> {
    vec![Act::Unknown { why: why.to_owned() }]
}

pub(super) fn or_nothing(acts: Vec<Act>) -> Vec<Act> {
    if acts.is_empty() { vec![Act::Nothing] } else { acts }
}

/// Changes the catalog while readers and writers go on.
fn beside(relations: Vec<String>) -> Vec<Act> {
    let lock = LockMode::ShareUpdateExclusive;
    or_nothing(relations.into_iter().map(|relation| Act::Meta { relation, lock }).collect())
}

fn whole(node: &SyntaxNode, tables: Vec<String>, what: &'static str) -> Vec<Act> {
    if tables.is_empty() {
        return unknown(&format!("{} without a table is for every table", text(node)));
    }
    let lock = LockMode::AccessExclusive;
    tables.into_iter().map(|relation| Act::Rewrite { relation, lock, what }).collect()
}

fn vacuum(node: &SyntaxNode) -> Vec<Act> {
    let tables = names_in(node, K::TABLE_NAME_REF);
    let list = child(node, K::VACUUM_OPTION_LIST);
    let full = word(node, K::FULL_KW) || list.is_some_and(|list| text(&list).to_lowercase().contains("full"));
    if full {
        return whole(node, tables, "VACUUM FULL");
    }
    let lock = LockMode::ShareUpdateExclusive;
    or_nothing(tables.into_iter().map(|relation| Act::Scan { relation, lock }).collect())
}

fn index(node: &SyntaxNode) -> Act {
    let target = child(node, K::TABLE_RELATION_NAME);
    let Some(table) = target.as_ref().and_then(|target| name_in(target, K::TABLE_NAME_REF)) else {
        return Act::Unknown { why: "it names no table".to_owned() };
    };
    let items = child(node, K::PARTITION_ITEM_LIST).map(|list| children(&list, K::PARTITION_ITEM));
    let plain = |item: &SyntaxNode| {
        let column = child(item, K::NAME_REF)?;
        (item.children().count() == 1).then(|| name(&column))
    };
    let columns: Option<Vec<String>> = items.and_then(|items| items.iter().map(plain).collect());
    Act::CreateIndex(NewIndex {
        name: child(node, K::INDEX).map(|index| name(&index)),
        table,
        concurrently: word(node, K::CONCURRENTLY_KW),
        unique: word(node, K::UNIQUE_KW),
        if_not_exists: has(node, K::IF_NOT_EXISTS),
        only: target.is_some_and(|target| word(&target, K::ONLY_KW)),
        columns: columns.filter(|_| !has(node, K::WHERE_CLAUSE)),
    })
}

fn reindex(node: &SyntaxNode) -> Vec<Act> {
    let concurrently = node.descendants_with_tokens().any(|below| below.kind() == K::CONCURRENTLY_KW);
    if let Some(target) = child(node, K::REINDEX_TARGET_INDEX)
        && let Some(name) = name_in(&target, K::INDEX_REF)
    {
        return vec![Act::ReindexIndex { name, concurrently }];
    }
    if let Some(target) = child(node, K::REINDEX_TARGET_TABLE)
        && let Some(table) = name_in(&target, K::TABLE_NAME_REF)
    {
        return vec![Act::ReindexTable { table, concurrently }];
    }
    unknown("it builds the indexes of many tables")
}

fn alter_index(node: &SyntaxNode) -> Vec<Act> {
    let Some(index) = name_in(node, K::INDEX_REF) else { return unknown("it names no index") };
    if has(node, K::INDEX_RENAME_TO) {
        return vec![Act::RenameIndex { name: index }];
    }
    if has(node, K::SET_OPTIONS) || has(node, K::RESET_OPTIONS) || has(node, K::ALTER_SET_STATISTICS) {
        return vec![Act::Meta { relation: index, lock: LockMode::ShareUpdateExclusive }];
    }
    if has(node, K::SET_TABLESPACE) {
        let lock = LockMode::AccessExclusive;
        return vec![Act::Rewrite { relation: index, lock, what: "SET TABLESPACE" }];
    }
    unknown("its locks are not known")
}

fn comment(node: &SyntaxNode) -> Vec<Act> {
    let lock = LockMode::ShareUpdateExclusive;
    let relation = if let Some(table) = child(node, K::OBJECT_TABLE) {
        name_in(&table, K::TABLE_NAME_REF)
    } else if let Some(view) = child(node, K::OBJECT_VIEW) {
        name_in(&view, K::VIEW_REF)
    } else if let Some(column) = child(node, K::OBJECT_COLUMN) {
        let path = name(&column);
        path.rsplit_once('.').map(|(table, _)| table.to_owned())
    } else {
        None
    };
    or_nothing(relation.map(|relation| Act::Meta { relation, lock }).into_iter().collect())
}
