//! ALTER TABLE: one step for each action, with the statement that would do only that.

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::definitions::{column, constraint, type_text};
use crate::act::Act;
use crate::lock_mode::LockMode;
use crate::script::Step;
use crate::tree::{child, has, name, name_in, text};

/// Storage parameters that PostgreSQL changes without stopping anybody.
const GENTLE_OPTIONS: &[&str] =
    &["fillfactor", "autovacuum", "toast", "parallel_workers", "n_distinct", "log_autovacuum"];

/// Returns a step for each action.
pub(super) fn steps(node: &SyntaxNode, written: &str) -> Vec<Step> {
    let unknown =
        |why: &str| vec![Step { act: Act::Unknown { why: why.to_owned() }, text: written.to_owned() }];
    let Some(target) = child(node, K::TABLE_RELATION_NAME) else {
        return unknown("it moves every table of a tablespace");
    };
    let Some(table) = name_in(&target, K::TABLE_NAME_REF) else { return unknown("it names no table") };
    let head = format!("ALTER TABLE {}", text(&target));
    let actions =
        node.children().filter(|below| !matches!(below.kind(), K::TABLE_RELATION_NAME | K::IF_EXISTS));
    let steps: Vec<Step> = actions
        .map(|action| Step { act: act(&action, &table), text: format!("{head} {}", text(&action)) })
        .collect();
    if steps.is_empty() { unknown("it has no action") } else { steps }
}

fn act(action: &SyntaxNode, table: &str) -> Act {
    let table = table.to_owned();
    let unknown = |why: &str| Act::Unknown { why: why.to_owned() };
    match action.kind() {
        K::ADD_COLUMN => match column(action) {
            Some(column) => Act::AddColumn { table, column },
            None => unknown("the column cannot be read"),
        },
        K::DROP_COLUMN => match name_in(action, K::COLUMN_NAME_REF) {
            Some(column) => Act::DropColumn { table, column, cascade: has(action, K::CASCADE) },
            None => unknown("it names no column"),
        },
        K::ALTER_COLUMN => alter_column(action, table),
        K::ADD_CONSTRAINT => match action.children().find_map(|below| constraint(&below, None)) {
            Some(constraint) => Act::AddConstraint { table, constraint },
            None => unknown("the constraint cannot be read"),
        },
        K::DROP_CONSTRAINT => named(action, |name| Act::DropConstraint { table, name }),
        K::VALIDATE_CONSTRAINT => named(action, |name| Act::Validate { table, name }),
        K::RENAME_COLUMN => match (name_in(action, K::COLUMN_NAME_REF), name_in(action, K::COLUMN_NAME)) {
            (Some(from), Some(to)) => Act::RenameColumn { table, from, to },
            _ => unknown("it names no column"),
        },
        K::TABLE_RENAME_TO => match name_in(action, K::TABLE_NAME) {
            Some(to) => Act::RenameRelation { relation: table, to },
            None => unknown("it gives no name"),
        },
        K::ATTACH_PARTITION => match name_in(action, K::TABLE_NAME_REF) {
            Some(part) => {
                let bounds = action.children().nth(1).map_or(String::new(), |bounds| text(&bounds));
                Act::AttachPartition { table, part, bounds }
            }
            None => unknown("it names no partition"),
        },
        K::DETACH_PARTITION => match name_in(action, K::TABLE_NAME_REF) {
            Some(part) => {
                let concurrently = has(action, K::DETACH_CONCURRENTLY) || has(action, K::DETACH_FINALIZE);
                Act::DetachPartition { table, part, concurrently }
            }
            None => unknown("it names no partition"),
        },
        kind @ (K::INHERIT_TABLE | K::NO_INHERIT_TABLE) => match name_in(action, K::TABLE_NAME_REF) {
            Some(parent) => Act::Inherit { table, parent, begins: kind == K::INHERIT_TABLE },
            None => unknown("it names no parent"),
        },
        _ => catalog_only(action, table),
    }
}

/// Actions on the table as a whole.
fn catalog_only(action: &SyntaxNode, table: String) -> Act {
    let meta = |lock: LockMode| Act::Meta { relation: table.clone(), lock };
    let rewrite = |what| Act::Rewrite { relation: table.clone(), lock: LockMode::AccessExclusive, what };
    match action.kind() {
        K::ENABLE_TRIGGER | K::DISABLE_TRIGGER | K::ENABLE_REPLICA_TRIGGER | K::ENABLE_ALWAYS_TRIGGER => {
            meta(LockMode::ShareRowExclusive)
        }
        K::CLUSTER_ON | K::SET_WITHOUT_CLUSTER => meta(LockMode::ShareUpdateExclusive),
        K::SET_OPTIONS | K::RESET_OPTIONS => meta(options_lock(&text(action))),
        K::SET_LOGGED => rewrite("SET LOGGED"),
        K::SET_UNLOGGED => rewrite("SET UNLOGGED"),
        K::SET_TABLESPACE => rewrite("SET TABLESPACE"),
        K::SET_ACCESS_METHOD => rewrite("SET ACCESS METHOD"),
        K::SET_WITHOUT_OIDS => rewrite("SET WITHOUT OIDS"),
        K::OWNER_TO
        | K::SET_SCHEMA
        | K::REPLICA_IDENTITY
        | K::ENABLE_RLS
        | K::DISABLE_RLS
        | K::FORCE_RLS
        | K::NO_FORCE_RLS
        | K::ENABLE_RULE
        | K::DISABLE_RULE
        | K::ENABLE_REPLICA_RULE
        | K::ENABLE_ALWAYS_RULE
        | K::RENAME_CONSTRAINT
        | K::ALTER_CONSTRAINT
        | K::OF_TYPE
        | K::NOT_OF => meta(LockMode::AccessExclusive),
        _ => Act::Unknown { why: "its locks are not known".to_owned() },
    }
}

fn named(action: &SyntaxNode, make: impl FnOnce(String) -> Act) -> Act {
    match name_in(action, K::CONSTRAINT_NAME_REF) {
        Some(name) => make(name),
        None => Act::Unknown { why: "it names no constraint".to_owned() },
    }
}

fn alter_column(action: &SyntaxNode, table: String) -> Act {
    let Some(column) = child(action, K::COLUMN_NAME_REF).map(|node| name(&node)) else {
        return Act::Unknown { why: "it names no column".to_owned() };
    };
    let Some(option) = action.children().nth(1) else {
        return Act::Unknown { why: "it changes nothing that is known".to_owned() };
    };
    let meta = |lock: LockMode| Act::Meta { relation: table.clone(), lock };
    match option.kind() {
        K::SET_TYPE => {
            let using = child(&option, K::USING_EXPR).and_then(|using| using.children().next());
            let collated = has(&option, K::COLLATE);
            let to = type_text(&option);
            Act::ColumnType { table, column, to, using: using.map(|using| text(&using)), collated }
        }
        K::SET_NOT_NULL => Act::SetNotNull { table, column },
        K::DROP_NOT_NULL => Act::DropNotNull { table, column },
        K::SET_DEFAULT | K::DROP_DEFAULT => Act::ColumnDefault { table, column },
        K::SET_STATISTICS | K::ALTER_SET_STATISTICS => meta(LockMode::ShareUpdateExclusive),
        K::SET_OPTIONS | K::SET_OPTIONS_LIST | K::RESET_OPTIONS => meta(LockMode::ShareUpdateExclusive),
        K::SET_STORAGE
        | K::SET_COMPRESSION
        | K::DROP_IDENTITY
        | K::ADD_GENERATED
        | K::SET_GENERATED
        | K::SET_GENERATED_OPTIONS
        | K::SET_SEQUENCE_OPTION
        | K::RESTART
        | K::DROP_EXPRESSION => meta(LockMode::AccessExclusive),
        K::SET_EXPRESSION => {
            Act::Rewrite { relation: table, lock: LockMode::AccessExclusive, what: "SET EXPRESSION" }
        }
        _ => Act::Unknown { why: "its locks are not known".to_owned() },
    }
}

/// Only the parameters of the list are known to be gentle.
fn options_lock(written: &str) -> LockMode {
    let inside = written.split_once('(').map_or("", |(_, rest)| rest).trim_end_matches(')');
    let gentle = |option: &str| {
        let option = option.trim().to_lowercase();
        GENTLE_OPTIONS.iter().any(|known| option.starts_with(known))
    };
    if !inside.is_empty() && inside.split(',').all(gentle) {
        LockMode::ShareUpdateExclusive
    } else {
        LockMode::AccessExclusive
    }
}
