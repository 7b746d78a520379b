//! Statements that read and write rows.

use std::collections::BTreeSet;

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::unknown;
use crate::act::{Act, Rows, TableWrite, WriteKind};
use crate::expression;
use crate::lock_mode::LockMode;
use crate::tree::{all, child, inner, name, name_in, names_in, text};

/// Returns what a statement on rows does; `None` when it is about something else.
pub(super) fn acts(node: &SyntaxNode) -> Option<Vec<Act>> {
    Some(match node.kind() {
        K::INSERT => write(node, WriteKind::Insert, K::RELATION_NAME_REF),
        K::UPDATE => write(node, WriteKind::Update, K::RELATION_NAME),
        K::DELETE => write(node, WriteKind::Delete, K::RELATION_NAME),
        K::MERGE => write(node, WriteKind::Merge, K::TABLE_RELATION_NAME),
        K::COPY => match child(node, K::COPY_TABLE).and_then(|table| name_in(&table, K::TABLE_NAME_REF)) {
            Some(table) if child(node, K::COPY_FROM).is_some() => vec![Act::Write(TableWrite {
                table,
                kind: WriteKind::Copy,
                reads: Vec::new(),
                calls: Vec::new(),
                sets: Vec::new(),
                rows: Rows::Condition,
            })],
            Some(table) => vec![Act::Read { relations: vec![table], locks_rows: false, calls: Vec::new() }],
            None => read(node),
        },
        K::SELECT | K::PAREN_SELECT | K::COMPOUND_SELECT | K::VALUES | K::TABLE => {
            if modifies(node) {
                unknown("it writes within WITH")
            } else {
                read(node)
            }
        }
        K::LOCK => {
            let mode = child(node, K::LOCK_MODE_CLAUSE).and_then(|clause| clause.children().next());
            let mode = mode.map_or(LockMode::AccessExclusive, |mode| mode_of(mode.kind()));
            vec![Act::LockTable { tables: names_in(node, K::RELATION_NAME_REF), mode }]
        }
        _ => return None,
    })
}

fn mode_of(kind: K) -> LockMode {
    match kind {
        K::ACCESS_SHARE => LockMode::AccessShare,
        K::ROW_SHARE => LockMode::RowShare,
        K::ROW_EXCLUSIVE => LockMode::RowExclusive,
        K::SHARE_UPDATE_EXCLUSIVE => LockMode::ShareUpdateExclusive,
        K::SHARE => LockMode::Share,
        K::SHARE_ROW_EXCLUSIVE => LockMode::ShareRowExclusive,
        K::EXCLUSIVE => LockMode::Exclusive,
        _ => LockMode::AccessExclusive,
    }
}

fn modifies(node: &SyntaxNode) -> bool {
    node.descendants().any(|below| matches!(below.kind(), K::INSERT | K::UPDATE | K::DELETE | K::MERGE))
}

fn read(node: &SyntaxNode) -> Vec<Act> {
    let locks_rows = inner(node, K::LOCKING_CLAUSE).is_some();
    vec![Act::Read { relations: relations(node), locks_rows, calls: expression::calls(node) }]
}

fn write(node: &SyntaxNode, kind: WriteKind, target: K) -> Vec<Act> {
    if let Some(with) = child(node, K::WITH_CLAUSE)
        && modifies(&with)
    {
        return unknown("it writes within WITH");
    }
    let Some(table) = child(node, target).map(|target| name(&target)) else {
        return unknown("it names no table");
    };
    let table = table.strip_prefix("only ").map_or(table.clone(), str::to_owned);
    vec![Act::Write(TableWrite {
        reads: relations(node),
        calls: expression::calls(node),
        sets: child(node, K::SET_CLAUSE).map_or_else(Vec::new, |set| names_in(&set, K::COLUMN_TARGET)),
        rows: rows(node),
        table,
        kind,
    })]
}

/// Returns the relations that a query reads, without its own WITH names.
pub(super) fn relations(node: &SyntaxNode) -> Vec<String> {
    let own: BTreeSet<String> = names_in(node, K::CTE_NAME).into_iter().collect();
    let mut found: Vec<String> = all(node, K::RELATION_FROM_ITEM)
        .iter()
        .filter_map(|item| name_in(item, K::RELATION_NAME_REF))
        .filter(|name| !own.contains(name))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Returns the relations of which a query uses the row as a value: `to_jsonb(t)`, `t`, `t.*` in a call.
pub(super) fn whole_rows(node: &SyntaxNode) -> Vec<String> {
    let mut found = BTreeSet::new();
    for item in all(node, K::RELATION_FROM_ITEM) {
        let Some(relation) = name_in(&item, K::RELATION_NAME_REF) else { continue };
        let alias = name_in(&item, K::TABLE_ALIAS);
        let last = relation.rsplit('.').next().unwrap_or(&relation).to_owned();
        let known = alias.unwrap_or(last);
        let used = all(node, K::NAME_REF).iter().any(|word| {
            name(word) == known
                && word.parent().is_some_and(|parent| match parent.kind() {
                    // t.column is a column; t.* within a call is the row.
                    K::FIELD_EXPR => {
                        text(&parent).ends_with('*')
                            && parent.parent().is_some_and(|above| above.kind() != K::TARGET)
                    }
                    _ => true,
                })
        });
        if used {
            found.insert(relation);
        }
    }
    found.into_iter().collect()
}

/// Tells how WHERE chooses rows, looking at what is joined by AND on the outside.
fn rows(node: &SyntaxNode) -> Rows {
    let Some(condition) = child(node, K::WHERE_CLAUSE).and_then(|clause| clause.children().next()) else {
        return Rows::Every;
    };
    let mut parts = Vec::new();
    conjuncts(&condition, &mut parts);
    let column = |part: &SyntaxNode| {
        let first = part.children().next()?;
        matches!(first.kind(), K::NAME_REF | K::FIELD_EXPR).then(|| {
            let path = text(&first);
            name_of_last(&path)
        })
    };
    let parameters = |part: &SyntaxNode| text(part).contains('$');
    for part in &parts {
        let written = text(part);
        if part.kind() == K::BETWEEN_EXPR
            && written.contains("$1")
            && written.contains("$2")
            && let Some(column) = column(part)
        {
            return Rows::Batch { column };
        }
    }
    let bounds: Vec<String> = parts.iter().filter(|part| parameters(part)).filter_map(column).collect();
    if bounds.len() == 2 && bounds[0] == bounds[1] {
        return Rows::Batch { column: bounds[0].clone() };
    }
    let few = |part: &SyntaxNode| {
        let written = text(part).to_lowercase();
        let right = part.children().nth(1);
        let constant = right.is_some_and(|right| match right.kind() {
            K::LITERAL => true,
            K::TUPLE_EXPR => right.children().all(|value| value.kind() == K::LITERAL),
            _ => false,
        });
        part.kind() == K::BIN_EXPR
            && constant
            && (written.contains('=') || written.contains(" in "))
            && !written.contains("!=")
            && !written.contains(">=")
            && !written.contains("<=")
            && !written.contains(" not ")
    };
    let columns: Vec<String> = parts.iter().filter(|part| few(part)).filter_map(column).collect();
    if columns.is_empty() { Rows::Condition } else { Rows::Equals { columns } }
}

fn name_of_last(path: &str) -> String {
    path.rsplit('.').next().unwrap_or(path).trim_matches('"').to_lowercase()
}

fn conjuncts(node: &SyntaxNode, parts: &mut Vec<SyntaxNode>) {
    let joined =
        node.kind() == K::BIN_EXPR && node.children_with_tokens().any(|element| element.kind() == K::AND_KW);
    if joined || node.kind() == K::PAREN_EXPR {
        for side in node.children() {
            conjuncts(&side, parts);
        }
    } else {
        parts.push(node.clone());
    }
}
