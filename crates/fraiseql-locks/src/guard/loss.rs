//! What a statement takes away from those who use the database, or newly asks of them.

use crate::act::{Act, ColumnDef, Constraint, ConstraintKind};
use crate::guard::words::{self, Word};
use crate::script::Step;

/// One such thing. Names are as written: without `public`, maybe without a schema.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Loss {
    /// A column is not there any more under its name.
    Column { table: String, column: String, renamed: bool },
    /// A relation is not there any more under its name.
    Relation { name: String, renamed: bool },
    /// Rows are not seen any more, or not by everybody.
    Rows { table: String, why: &'static str },
    /// A column must have a value.
    NotNull { table: String, column: String },
    /// A column may have none.
    MaybeNull { table: String, column: String },
    /// What is left out is NULL from now on.
    Default { table: String, column: String },
    /// Nobody may give a value.
    Generated { table: String, column: String },
    /// A column has another type.
    Type { table: String, column: String, to: String },
    /// Not every row can be written any more; `columns` decide, every column where it is `None`.
    Check { table: String, columns: Option<Vec<String>>, what: &'static str },
    /// Others refer to its rows: their key stays, and so do they unless `deletes`.
    Referenced { table: String, deletes: bool },
    /// A unique key is gone: by the name of its constraint or index.
    Key { table: Option<String>, name: String },
    /// A function is not there any more under its name.
    Function { name: String },
    /// A function has another body: the text of the statement.
    Body { name: String, text: String },
    /// A view has another query.
    View { name: String, reads: Vec<String>, whole_rows: Vec<String>, words: Vec<String> },
    /// A type is not there any more under its name.
    TypeName { name: String },
    /// A label of an enum is not there any more.
    LabelGone { name: String, label: String },
    /// A label of an enum is new.
    LabelNew { name: String, label: String },
    /// Values of a domain are checked.
    Domain { name: String },
    /// Nobody can tell.
    Unknown { why: String },
}

/// Returns what one step takes away.
pub(super) fn losses(step: &Step) -> Vec<Loss> {
    match &step.act {
        Act::AddColumn { table, column } => added(table, column),
        Act::DropColumn { table, column, .. } => {
            one(Loss::Column { table: table.clone(), column: column.clone(), renamed: false })
        }
        Act::RenameColumn { table, from, .. } => {
            one(Loss::Column { table: table.clone(), column: from.clone(), renamed: true })
        }
        Act::RenameRelation { relation, .. } => one(Loss::Relation { name: relation.clone(), renamed: true }),
        Act::DropTable { table: name, .. } | Act::DropView { name, .. } => {
            one(Loss::Relation { name: name.clone(), renamed: false })
        }
        Act::Truncate { table, .. } => rows(table, "its rows are gone"),
        Act::DetachPartition { table, .. } => rows(table, "the rows of the partition are not in it any more"),
        Act::Inherit { parent, begins: false, .. } => {
            rows(parent, "the rows of the child are not in it any more")
        }
        Act::SetNotNull { table, column } => {
            one(Loss::NotNull { table: table.clone(), column: column.clone() })
        }
        Act::DropNotNull { table, column } => {
            one(Loss::MaybeNull { table: table.clone(), column: column.clone() })
        }
        Act::ColumnType { table, column, to, .. } => {
            one(Loss::Type { table: table.clone(), column: column.clone(), to: to.clone() })
        }
        Act::ColumnDefault { table, column } if words::ends_with(&step.text, &["drop", "default"]) => {
            one(Loss::Default { table: table.clone(), column: column.clone() })
        }
        Act::AddConstraint { table, constraint } => constrained(table, constraint),
        Act::DropConstraint { table, name } => {
            if let Some(column) = not_null_of(table, name) {
                return one(Loss::MaybeNull { table: table.clone(), column });
            }
            one(Loss::Key { table: Some(table.clone()), name: name.clone() })
        }
        Act::DropIndex { name, .. } => one(Loss::Key { table: None, name: name.clone() }),
        Act::CreateIndex(index) if index.unique => one(Loss::Check {
            table: index.table.clone(),
            columns: index.columns.clone(),
            what: "a unique index",
        }),
        Act::CreateView(view) => one(Loss::View {
            name: view.name.clone(),
            reads: view.reads.clone(),
            whole_rows: view.whole_rows.clone(),
            words: view.words.clone(),
        }),
        Act::DomainCheck { domain, .. } => one(Loss::Domain { name: domain.clone() }),
        Act::Unknown { why } => {
            of_type(&step.text).unwrap_or_else(|| one(Loss::Unknown { why: why.clone() }))
        }
        Act::Meta { relation, .. } => of_relation(relation, &step.text),
        Act::Grant { relations } => granted(relations, &step.text),
        Act::AddEnumValue { .. } | Act::Nothing => of_words(&step.text),
        _ => Vec::new(),
    }
}

fn one(loss: Loss) -> Vec<Loss> {
    vec![loss]
}

/// Returns the column of a NOT NULL constraint that has the name PostgreSQL 18 gives.
fn not_null_of(table: &str, name: &str) -> Option<String> {
    let table = table.rsplit('.').next().unwrap_or(table);
    name.strip_prefix(table)?.strip_prefix('_')?.strip_suffix("_not_null").map(str::to_owned)
}

fn rows(table: &str, why: &'static str) -> Vec<Loss> {
    one(Loss::Rows { table: table.to_owned(), why })
}

fn added(table: &str, column: &ColumnDef) -> Vec<Loss> {
    let filled = column.identity || column.stored || column.kind.ends_with("serial");
    let given = column.default.as_ref().is_some_and(|default| !default.null);
    let mut losses = Vec::new();
    if column.not_null && !filled && !given {
        losses.push(Loss::NotNull { table: table.to_owned(), column: column.name.clone() });
    }
    // Without a default it is NULL in every row of a release that does not know it, which a UNIQUE,
    // a foreign key and most CHECKs let pass.
    for constraint in &column.constraints {
        let text = constraint.body.to_lowercase();
        if given {
            // Each row that leaves it out has the same value.
            losses.push(Loss::Check { table: table.to_owned(), columns: None, what: "the new column" });
        } else if text.contains("is not null") {
            losses.extend(constrained(table, constraint));
        }
    }
    losses
}

fn constrained(table: &str, constraint: &Constraint) -> Vec<Loss> {
    let check = |columns: Option<Vec<String>>, what| Loss::Check { table: table.to_owned(), columns, what };
    let not_null = |column: &String| Loss::NotNull { table: table.to_owned(), column: column.clone() };
    match &constraint.kind {
        ConstraintKind::Check { expression } => match words::is_not_null(expression) {
            Some(column) => one(not_null(&column)),
            None => one(check(None, "a CHECK")),
        },
        ConstraintKind::ForeignKey { columns, to } => {
            let body = constraint.body.to_lowercase();
            let deletes = body.contains("on delete cascade") || body.contains("on delete set");
            let referenced = Loss::Referenced { table: to.clone(), deletes };
            vec![check(Some(columns.clone()), "a foreign key"), referenced]
        }
        ConstraintKind::Unique { columns } => one(check(Some(columns.clone()), "a unique key")),
        ConstraintKind::PrimaryKey { columns } => {
            let mut losses: Vec<Loss> = columns.iter().map(not_null).collect();
            losses.push(check(Some(columns.clone()), "a primary key"));
            losses
        }
        // The index has kept the rows apart since it was made; a primary key asks for values besides.
        ConstraintKind::UsingIndex { primary: false, .. } => Vec::new(),
        ConstraintKind::UsingIndex { .. } => one(check(None, "a primary key")),
        ConstraintKind::Exclude => one(check(None, "an exclusion constraint")),
        ConstraintKind::NotNull { column } => one(not_null(column)),
    }
}

/// ALTER TABLE, ALTER VIEW, policies, triggers and rules: what the model of locks knows as one.
fn of_relation(relation: &str, text: &str) -> Vec<Loss> {
    let found = words::read(text);
    let is = |at: usize, word: &str| found.get(at).is_some_and(|found| found.is(word));
    let has = |sequence: &[&str]| words::find(&found, sequence);
    let table = relation.to_owned();
    if is(1, "policy") || has(&["enable", "row"]).is_some() || has(&["force", "row"]).is_some() {
        return rows(relation, "its row security hides rows, or refuses them");
    }
    if is(1, "rule") || has(&["enable", "rule"]).is_some() || has(&["disable", "rule"]).is_some() {
        return rows(relation, "its rules say what is read and written");
    }
    let creates_trigger = is(0, "create") && has(&["trigger"]).is_some();
    if creates_trigger
        || has(&["enable", "trigger"]).is_some()
        || has(&["enable", "always", "trigger"]).is_some()
    {
        return one(Loss::Check { table, columns: None, what: "a trigger" });
    }
    if has(&["set", "schema"]).is_some() || (is(1, "sequence") && has(&["rename", "to"]).is_some()) {
        return one(Loss::Relation { name: table, renamed: true });
    }
    if has(&["owner", "to"]).is_some() {
        return rows(relation, "the rights of its owner go to somebody else");
    }
    if let Some(at) = has(&["rename", "column"]).or_else(|| is(1, "view").then(|| has(&["rename"])).flatten())
    {
        let skip = if found.get(at + 1).is_some_and(|word| word.is("column")) { 2 } else { 1 };
        let column = found.get(at + skip).map(Word::name).unwrap_or_default();
        return one(Loss::Column { table, column, renamed: true });
    }
    let column = || {
        // The first ALTER is that of ALTER TABLE itself.
        let second = || words::find(found.get(1..).unwrap_or_default(), &["alter"]).map(|at| at + 2);
        let at = has(&["alter", "column"]).map(|at| at + 2).or_else(second);
        at.and_then(|at| found.get(at)).map(Word::name).unwrap_or_default()
    };
    if has(&["drop", "identity"]).is_some() || has(&["drop", "expression"]).is_some() {
        return one(Loss::Default { table, column: column() });
    }
    if has(&["generated", "always"]).is_some() {
        return one(Loss::Generated { table, column: column() });
    }
    if is(1, "view") && has(&["drop", "default"]).is_some() {
        return one(Loss::Default { table, column: column() });
    }
    Vec::new()
}

fn granted(relations: &[String], text: &str) -> Vec<Loss> {
    if !words::read(text).first().is_some_and(|word| word.is("revoke")) {
        return Vec::new();
    }
    if relations.is_empty() {
        return one(Loss::Unknown { why: "it takes rights away".to_owned() });
    }
    let revoked =
        |relation: &String| Loss::Rows { table: relation.clone(), why: "rights on it are taken away" };
    relations.iter().map(revoked).collect()
}

/// Statements that touch no table: functions, types, extensions.
fn of_words(text: &str) -> Vec<Loss> {
    let found = words::read(text);
    let is = |at: usize, word: &str| found.get(at).is_some_and(|found| found.is(word));
    let routine = is(1, "function") || is(1, "procedure") || is(1, "routine") || is(1, "aggregate");
    if is(0, "drop") {
        if routine {
            return words::listed(&found, 2).into_iter().map(|name| Loss::Function { name }).collect();
        }
        if is(1, "type") || is(1, "domain") {
            return words::listed(&found, 2).into_iter().map(|name| Loss::TypeName { name }).collect();
        }
        if is(1, "sequence") {
            let gone = |name| Loss::Relation { name, renamed: false };
            return words::listed(&found, 2).into_iter().map(gone).collect();
        }
        if is(1, "extension") || is(1, "role") || is(1, "user") {
            return one(Loss::Unknown { why: "what it held can be in use without a trace".to_owned() });
        }
        return Vec::new();
    }
    if is(0, "alter") && routine {
        let renamed =
            words::find(&found, &["rename", "to"]).or_else(|| words::find(&found, &["set", "schema"]));
        let names = words::listed(&found, 2).into_iter().take(1);
        return match renamed {
            Some(_) => names.map(|name| Loss::Function { name }).collect(),
            None => Vec::new(),
        };
    }
    if is(0, "create") {
        let or_replace = if is(1, "or") { 3 } else { 1 };
        if is(or_replace, "function") || is(or_replace, "procedure") {
            let names = words::listed(&found, or_replace + 1).into_iter().take(1);
            return names.map(|name| Loss::Body { name, text: text.to_owned() }).collect();
        }
    }
    of_type(text).unwrap_or_default()
}

/// ALTER TYPE and ALTER DOMAIN; `None` when it is neither.
fn of_type(text: &str) -> Option<Vec<Loss>> {
    let found = words::read(text);
    let is = |at: usize, word: &str| found.get(at).is_some_and(|found| found.is(word));
    if !is(0, "alter") || !(is(1, "type") || is(1, "domain")) {
        return None;
    }
    let name = words::listed(&found, 2).into_iter().next()?;
    let label = |at: usize| found.get(at).map(Word::name).unwrap_or_default();
    if let Some(at) = words::find(&found, &["add", "value"]) {
        let skip = if is(at + 2, "if") { 5 } else { 2 };
        return Some(one(Loss::LabelNew { name, label: label(at + skip) }));
    }
    if let Some(at) = words::find(&found, &["rename", "value"]) {
        let gone = Loss::LabelGone { name: name.clone(), label: label(at + 2) };
        return Some(vec![gone, Loss::LabelNew { name, label: label(at + 4) }]);
    }
    let moved = words::find(&found, &["rename", "to"]).or_else(|| words::find(&found, &["set", "schema"]));
    let attributes = words::find(&found, &["attribute"]);
    match (moved, attributes) {
        (None, None) => Some(Vec::new()),
        _ => Some(one(Loss::TypeName { name })),
    }
}
