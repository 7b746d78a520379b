//! What defines something: tables, columns, constraints, views, types, domains.

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use super::{or_nothing, queries, unknown};
use crate::act::{Act, ColumnDef, Constraint, ConstraintKind, NewTable, NewView};
use crate::expression;
use crate::lock_mode::LockMode;
use crate::tree::{all, child, has, inner, name, name_in, names_in, text, word};

/// Returns what the statement defines; `None` when it defines nothing of these.
pub(super) fn acts(node: &SyntaxNode) -> Option<Vec<Act>> {
    Some(match node.kind() {
        K::CREATE_TABLE | K::CREATE_TABLE_AS => vec![table(node)],
        K::CREATE_VIEW | K::CREATE_MATERIALIZED_VIEW => vec![view(node)],
        K::DROP_VIEW | K::DROP_MATERIALIZED_VIEW => {
            let cascade = has(node, K::CASCADE);
            names_in(node, K::VIEW_REF).into_iter().map(|name| Act::DropView { name, cascade }).collect()
        }
        K::ALTER_VIEW | K::ALTER_MATERIALIZED_VIEW => alter_view(node),
        K::CREATE_TYPE => match name_in(node, K::TYPE_NAME) {
            Some(name) if has(node, K::ENUM_TYPE) => vec![Act::CreateEnum { name }],
            _ => vec![Act::Nothing],
        },
        K::CREATE_DOMAIN => match name_in(node, K::DOMAIN) {
            Some(name) => {
                let constrained = has(node, K::CHECK_CONSTRAINT) || has(node, K::NOT_NULL_CONSTRAINT);
                vec![Act::CreateDomain { name, constrained }]
            }
            None => unknown("it names no domain"),
        },
        K::ALTER_DOMAIN => alter_domain(node),
        K::ALTER_TYPE => alter_type(node),
        K::CREATE_SEQUENCE => vec![Act::Nothing],
        K::ALTER_SEQUENCE => match name_in(node, K::SEQUENCE_REF) {
            Some(relation) if has(node, K::OWNER_TO) || has(node, K::SEQUENCE_RENAME_TO) => {
                vec![Act::Meta { relation, lock: LockMode::AccessExclusive }]
            }
            Some(relation) => vec![Act::Meta { relation, lock: LockMode::ShareRowExclusive }],
            None => unknown("it names no sequence"),
        },
        _ => return None,
    })
}

fn alter_view(node: &SyntaxNode) -> Vec<Act> {
    let Some(relation) = name_in(node, K::VIEW_REF) else { return unknown("it names no view") };
    if let Some(to) = child(node, K::VIEW_RENAME_TO).and_then(|rename| name_in(&rename, K::VIEW)) {
        return vec![Act::RenameRelation { relation, to }];
    }
    vec![Act::Meta { relation, lock: LockMode::AccessExclusive }]
}

fn alter_domain(node: &SyntaxNode) -> Vec<Act> {
    let Some(domain) = name_in(node, K::DOMAIN_REF) else { return unknown("it names no domain") };
    if let Some(added) = child(node, K::ADD_CONSTRAINT) {
        let scans = inner(&added, K::NOT_VALID).is_none();
        return vec![Act::DomainCheck { domain, scans, what: "ADD CONSTRAINT" }];
    }
    if has(node, K::SET_NOT_NULL) {
        return vec![Act::DomainCheck { domain, scans: true, what: "SET NOT NULL" }];
    }
    if has(node, K::VALIDATE_CONSTRAINT) {
        return vec![Act::DomainCheck { domain, scans: true, what: "VALIDATE CONSTRAINT" }];
    }
    vec![Act::Nothing]
}

fn alter_type(node: &SyntaxNode) -> Vec<Act> {
    let Some(name) = name_in(node, K::TYPE_NAME_REF) else { return unknown("it names no type") };
    if has(node, K::ADD_VALUE) {
        return vec![Act::AddEnumValue { name }];
    }
    if has(node, K::ALTER_TYPE_ATTRIBUTE_ACTION_LIST) || has(node, K::RENAME_ATTRIBUTE) {
        return unknown("it changes a composite type, and with it every table that uses it");
    }
    or_nothing(Vec::new())
}

fn table(node: &SyntaxNode) -> Act {
    let Some(name) = name_in(node, K::TABLE_NAME) else {
        return Act::Unknown { why: "it names no table".to_owned() };
    };
    let list = child(node, K::TABLE_ARG_LIST);
    let parts: Vec<SyntaxNode> = list.iter().flat_map(SyntaxNode::children).collect();
    let columns: Vec<ColumnDef> =
        parts.iter().filter(|part| part.kind() == K::COLUMN).filter_map(column).collect();
    let mut reads: Vec<String> = parts
        .iter()
        .filter(|part| part.kind() == K::LIKE_CLAUSE)
        .filter_map(|like| name_in(like, K::RELATION_NAME_REF))
        .collect();
    let mut calls = Vec::new();
    if node.kind() == K::CREATE_TABLE_AS {
        reads.extend(queries::relations(node));
        calls = expression::calls(node);
    }
    let inherits = child(node, K::INHERITS).map_or_else(Vec::new, |list| names_in(&list, K::TABLE_NAME_REF));
    let partition_of = child(node, K::PARTITION_OF).and_then(|of| name_in(&of, K::TABLE_NAME_REF));
    Act::CreateTable(NewTable {
        name,
        columns,
        constraints: parts.iter().filter_map(|part| constraint(part, None)).collect(),
        inherits,
        partition_of,
        partitioned: has(node, K::PARTITION_BY),
        reads,
        calls,
        fills: node.kind() == K::CREATE_TABLE_AS,
    })
}

/// Reads a column of CREATE TABLE or ADD COLUMN.
pub(super) fn column(node: &SyntaxNode) -> Option<ColumnDef> {
    let named = child(node, K::COLUMN_NAME)?;
    let column = name(&named);
    let default = child(node, K::DEFAULT_CONSTRAINT)
        .and_then(|clause| clause.children().find(|below| below.kind() != K::CONSTRAINT_NAME_CLAUSE))
        .map(|value| expression::read(&value));
    let generated = child(node, K::GENERATED_CONSTRAINT);
    let constraints: Vec<Constraint> =
        node.children().filter_map(|below| constraint(&below, Some(&column))).collect();
    let primary = has(node, K::PRIMARY_KEY_CONSTRAINT);
    Some(ColumnDef {
        kind: type_text(node),
        not_null: has(node, K::NOT_NULL_CONSTRAINT) || primary,
        default,
        identity: generated
            .as_ref()
            .is_some_and(|generated| inner(generated, K::GENERATED_IDENTITY).is_some()),
        stored: generated.as_ref().is_some_and(|generated| {
            inner(generated, K::GENERATED_STORED).is_some()
                && inner(generated, K::VIRTUAL).is_none()
                && inner(generated, K::STORED).is_some()
        }),
        constraints: constraints
            .into_iter()
            .filter(|constraint| !matches!(constraint.kind, ConstraintKind::NotNull { .. }))
            .collect(),
        bare: format!("{} {}", text(&named), written_type(node)),
        name: column,
    })
}

/// Returns the type of a column, lower case.
pub(super) fn type_text(node: &SyntaxNode) -> String {
    written_type(node).to_lowercase()
}

fn written_type(node: &SyntaxNode) -> String {
    node.children().find(|below| is_type(below.kind())).map_or(String::new(), |kind| text(&kind))
}

fn is_type(kind: K) -> bool {
    matches!(
        kind,
        K::ARRAY_TYPE
            | K::PATH_TYPE
            | K::VARCHAR_TYPE
            | K::CHARACTER_TYPE
            | K::BIT_TYPE
            | K::BIT_VARYING_TYPE
            | K::DOUBLE_TYPE
            | K::TIME_TYPE
            | K::TIMESTAMP_TYPE
            | K::INTERVAL_TYPE
            | K::PERCENT_TYPE
    )
}

/// Reads a constraint; `column` is the one that it stands behind, if any.
pub(super) fn constraint(node: &SyntaxNode, column: Option<&str>) -> Option<Constraint> {
    let columns = |kind: K| -> Vec<String> {
        match (child(node, kind).or_else(|| inner(node, kind)), column) {
            (Some(list), _) => names_in(&list, K::COLUMN_NAME_REF),
            (None, Some(column)) => vec![column.to_owned()],
            (None, None) => Vec::new(),
        }
    };
    let using = inner(node, K::USING_INDEX_NAME).or_else(|| inner(node, K::USING_INDEX));
    let index = using.and_then(|using| name_in(&using, K::INDEX_REF));
    let kind = match node.kind() {
        K::CHECK_CONSTRAINT => {
            let inside = node.children().find(|below| {
                !matches!(
                    below.kind(),
                    K::CONSTRAINT_NAME_CLAUSE | K::NOT_VALID | K::NO_INHERIT | K::NOT_ENFORCED
                )
            })?;
            ConstraintKind::Check { expression: text(&inside) }
        }
        K::FOREIGN_KEY_CONSTRAINT | K::REFERENCES_CONSTRAINT => ConstraintKind::ForeignKey {
            columns: columns(K::FOREIGN_KEY_COLUMN_LIST),
            to: name_in(node, K::TABLE_NAME_REF)?,
        },
        kind @ (K::UNIQUE_CONSTRAINT | K::PRIMARY_KEY_CONSTRAINT) => {
            let primary = kind == K::PRIMARY_KEY_CONSTRAINT;
            match index {
                Some(index) => ConstraintKind::UsingIndex { index, primary },
                None if primary => {
                    ConstraintKind::PrimaryKey { columns: columns(K::CONSTRAINT_COLUMN_REF_LIST) }
                }
                None => ConstraintKind::Unique { columns: columns(K::CONSTRAINT_COLUMN_REF_LIST) },
            }
        }
        K::EXCLUDE_CONSTRAINT => ConstraintKind::Exclude,
        K::NOT_NULL_CONSTRAINT => ConstraintKind::NotNull {
            column: name_in(node, K::COLUMN_NAME_REF).or_else(|| column.map(str::to_owned))?,
        },
        _ => return None,
    };
    let name_clause = child(node, K::CONSTRAINT_NAME_CLAUSE);
    let mut body = text(node);
    if let Some(clause) = &name_clause {
        body = body.strip_prefix(&text(clause)).unwrap_or(&body).trim().to_owned();
    }
    let not_valid = inner(node, K::NOT_VALID);
    if let Some(clause) = &not_valid {
        body = body.replace(&text(clause), "").trim().to_owned();
    }
    Some(Constraint {
        name: name_clause.and_then(|clause| name_in(&clause, K::CONSTRAINT_NAME)),
        kind,
        not_valid: not_valid.is_some() || inner(node, K::NOT_ENFORCED).is_some(),
        body,
    })
}

fn view(node: &SyntaxNode) -> Act {
    let Some(named) = child(node, K::VIEW) else {
        return Act::Unknown { why: "it names no view".to_owned() };
    };
    let mut words: Vec<String> = all(node, K::NAME_REF).iter().map(name).collect();
    words.sort();
    words.dedup();
    Act::CreateView(NewView {
        name: name(&named),
        reads: queries::relations(node),
        whole_rows: queries::whole_rows(node),
        words,
        materialized: node.kind() == K::CREATE_MATERIALIZED_VIEW,
        replaces: has(node, K::OR_REPLACE) || word(node, K::REPLACE_KW),
    })
}
