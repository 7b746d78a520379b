//! Interfaces with a relation of their own: a column tells the type of each row.
//!
//! Its object types have no relation of their own (single table), or one that shares the key of the
//! interface's (joined). Either way a type is bound as if to a view of just its rows.

use std::collections::{BTreeMap, BTreeSet};

use fraiseql_model::artifact::ColumnPair;
use fraiseql_model::catalog::{Column, ColumnOrigin, Key, Privileges, Relation, RelationKind, SqlTypeKind};
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;

use crate::database::{Database, UniqueKey};
use crate::document::Authored;
use crate::draft::{Draft, same_columns, unknown_column};
use crate::family::{Families, Family};
use crate::findings::{Findings, Place};
use crate::reference::candidates;
use crate::scalar::Class;

/// What is known of an interface with a relation.
#[derive(Debug)]
pub(crate) struct Inheritance<'d, 'c> {
    pub(crate) base: &'c Relation,
    pub(crate) discriminator: String,
    pub(crate) members: BTreeMap<&'d str, Heir<'c>>,
}

/// An object type whose rows are those of an interface's relation with one value.
#[derive(Debug)]
pub(crate) struct Heir<'c> {
    pub(crate) own: &'c Relation,
    pub(crate) value: String,
    /// Columns of its own relation and of the interface's; empty for a single table.
    pub(crate) join: Vec<ColumnPair>,
}

/// Returns every interface with a relation, by name.
pub(crate) fn read<'d, 'c>(
    findings: &mut Findings,
    families: &Families<'d>,
    drafts: &[Draft<'d, 'c>],
    database: &Database<'c>,
) -> BTreeMap<&'d str, Inheritance<'d, 'c>> {
    let find = |name: &str| drafts.iter().find(|draft| draft.object.name == name);
    let mut found = BTreeMap::new();
    for family in families.iter().filter(|family| family.has_relation()) {
        let Some(draft) = find(family.name) else { continue };
        let Some(base) = draft.relation else { continue };
        let Some(discriminator) = discriminator(findings, draft, family, base) else { continue };
        let mut members = BTreeMap::new();
        let mut values = BTreeSet::new();
        for member in family.members.iter().filter_map(|name| find(name)) {
            let Some((value, place)) = variant(findings, member, family, discriminator) else { continue };
            check_value(findings, database, discriminator, value, place);
            if !values.insert(value) {
                let message = format!("two types of {} have the value \"{value}\"", family.name);
                findings.add(place, Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message));
            }
            let own = member.relation.unwrap_or(base);
            let join = if own.name == base.name { Some(Vec::new()) } else { join(database, own, base) };
            let Some(join) = join else {
                findings.add(member.object.place, no_join(own, base));
                continue;
            };
            members.insert(member.object.name, Heir { own, value: value.to_owned(), join });
        }
        let discriminator = discriminator.name.clone();
        found.insert(family.name, Inheritance { base, discriminator, members });
    }
    found
}

/// Adds that a type has two relations that tell its rows, or an interface a discriminator and none.
pub(crate) fn check(findings: &mut Findings, families: &Families<'_>, authored: &Authored<'_>) {
    for object in &authored.objects {
        let bases: Vec<&str> = families.bases(object).map(|family| family.name).collect();
        if let [first, second, ..] = bases.as_slice() {
            let message = format!("{} implements {first} and {second}, each with a relation", object.name);
            let error = Diagnostic::error(&errors::SDL_UNSUPPORTED, message)
                .why("one relation and one column tell which rows are of a type")
                .hint(format!("take @relation and @discriminator from {first} or from {second}"));
            findings.add(object.place, error);
        }
    }
    for family in families.iter().filter(|family| family.has_relation() && family.members.is_empty()) {
        findings.add(family.place, family.empty("it"));
    }
    for family in families.iter().filter(|family| !family.has_relation()) {
        let directives = family.interface.map_or(&[][..], |interface| interface.directives.as_slice());
        if let Some(directive) = directives.iter().find(|directive| directive.name == "discriminator") {
            let message = format!("interface {} has a discriminator and no relation", family.name);
            let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message)
                .hint("say which relation has the column: @relation(name: \"...\")");
            findings.add(directive.location(), error);
        }
    }
}

/// Adds that a discriminator of this type cannot have the value.
pub(crate) fn check_value(
    findings: &mut Findings,
    database: &Database<'_>,
    column: &Column,
    value: &str,
    place: Place,
) {
    let class = database.element(&column.sql_type).map(|element| element.class);
    if let Some(Class::Int | Class::BigInt) = class
        && value.parse::<i64>().is_err()
    {
        let message = format!("\"{value}\" is no whole number, as the column {} has them", column.name);
        let error = Diagnostic::error(&errors::SDL_TYPE_MISMATCH, message);
        findings.add(place, error.hint("write the number in quotes: @variant(value: \"1\")"));
    }
    let kind = database.sql_type(&column.sql_type.name).map(|sql_type| &sql_type.kind);
    if let Some(SqlTypeKind::Enum { labels }) = kind
        && !labels.iter().any(|label| label == value)
    {
        let message = format!("\"{value}\" is no label of {}", column.sql_type.name);
        let error = Diagnostic::error(&errors::SDL_ENUM_MISMATCH, message)
            .why(format!("the column {} is of that enum, and tells the type", column.name))
            .hint(format!("write one of its labels: @variant(value: \"{}\")", labels.join("\", \"")));
        findings.add(place, error);
    }
}

impl Inheritance<'_, '_> {
    /// Returns the rows of the interface as a relation.
    pub(crate) fn base_rows(&self, database: &Database<'_>) -> Relation {
        view_of(database, self.base, None)
    }
}

impl Heir<'_> {
    /// Returns the rows of the type as a relation.
    pub(crate) fn rows(&self, database: &Database<'_>, base: &Relation) -> Relation {
        view_of(database, self.own, (!self.join.is_empty()).then_some(base))
    }
}

fn view_of(database: &Database<'_>, own: &Relation, base: Option<&Relation>) -> Relation {
    let mut columns: Vec<Column> = own.columns.iter().map(|column| passed(own, column)).collect();
    let mut keys = database.keys(own);
    if let Some(base) = base {
        let more = base.columns.iter().filter(|column| own.column(&column.name).is_none());
        columns.extend(more.map(|column| passed(base, column)));
        let of_base = database.keys(base).into_iter().map(|key| UniqueKey { primary: false, ..key });
        keys.extend(of_base.filter(|key| key.columns.iter().all(|name| own.column(name).is_none())));
    }
    let named = |key: &UniqueKey| Key { name: key.columns.join("_"), columns: key.columns.clone() };
    Relation {
        name: own.name.clone(),
        kind: RelationKind::View,
        comment: None,
        columns,
        primary_key: keys.iter().find(|key| key.primary).map(named),
        unique_keys: keys.iter().filter(|key| !key.primary).map(named).collect(),
        foreign_keys: Vec::new(),
        indexes: Vec::new(),
        privileges: Privileges::default(),
        updatable: false,
    }
}

fn passed(relation: &Relation, column: &Column) -> Column {
    let own = || ColumnOrigin { relation: relation.name.clone(), column: column.name.clone() };
    Column { origin: Some(column.origin.clone().unwrap_or_else(own)), ..column.clone() }
}

fn discriminator<'c>(
    findings: &mut Findings,
    draft: &Draft<'_, 'c>,
    family: &Family<'_>,
    base: &'c Relation,
) -> Option<&'c Column> {
    let Some(usage) = draft.applied.get("discriminator") else {
        if !draft.object.directives.iter().any(|directive| directive.name == "discriminator") {
            let message = format!("interface {} does not say which column tells the type", family.name);
            let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message)
                .hint("add @discriminator(column: \"...\"), and @variant(value: \"...\") to each type");
            findings.add(family.place, error);
        }
        return None;
    };
    let name = usage.text("column")?;
    let column = base.column(name);
    if column.is_none() {
        findings.add(usage.place_of("column"), unknown_column(base, name));
    }
    column
}

fn variant<'d>(
    findings: &mut Findings,
    member: &Draft<'d, '_>,
    family: &Family<'_>,
    discriminator: &Column,
) -> Option<(&'d str, Place)> {
    let usage = member.applied.get("variant");
    if let Some(usage) = usage {
        return Some((usage.text("value")?, usage.place));
    }
    let message = format!("{} does not say which rows of {} it is", member.object.name, family.name);
    let guess = crate::casing::snake_case(member.object.name);
    let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message)
        .why(format!("the column {} tells the type of a row", discriminator.name))
        .hint(format!("add @variant(value: \"{guess}\")"));
    findings.add(member.object.place, error);
    None
}

/// Returns the columns that tie a sub-table to the table of the interface.
fn join(database: &Database<'_>, own: &Relation, base: &Relation) -> Option<Vec<ColumnPair>> {
    let keys = database.keys(base);
    let covers = |on: &[ColumnPair]| {
        let remote: Vec<&str> = on.iter().map(|pair| pair.remote.as_str()).collect();
        let local: Vec<&str> = on.iter().map(|pair| pair.local.as_str()).collect();
        keys.iter().any(|key| same_columns(&key.columns, &remote))
            && database.keys(own).iter().any(|key| same_columns(&key.columns, &local))
    };
    let all = candidates(database, own, base);
    if let Some(found) = all.iter().find(|candidate| candidate.forward && covers(&candidate.on)) {
        return Some(found.on.clone());
    }
    let key = keys.first()?;
    let same = |name: &String| ColumnPair { local: name.clone(), remote: name.clone() };
    let on: Vec<ColumnPair> = key.columns.iter().map(same).collect();
    let there = on.iter().all(|pair| own.column(&pair.local).is_some());
    (there && covers(&on)).then_some(on)
}

fn no_join(own: &Relation, base: &Relation) -> Diagnostic {
    let message = format!("{} does not share the key of {}", own.name, base.name);
    Diagnostic::error(&errors::SDL_NO_REFERENCE, message)
        .why("the rows of the type are found by the key of the interface's relation")
        .hint("make its primary key a foreign key to it")
}
