//! Nested inserts: which fields of an insert are rows of their own, and which way keys flow.
//!
//! A field nests when its target asks for inserts itself, so the same privileges are checked.

use std::collections::{BTreeMap, BTreeSet};

use fraiseql_model::artifact::{ColumnPair, Nesting, Reference, WriteRules};
use fraiseql_model::catalog::Relation;

use crate::analysis::Analysis;
use crate::database::{Database, Writing};
use crate::draft::same_columns;
use crate::object::{Binding, BoundObject};
use crate::write::{InsertField, Writes};

/// A field of an insert that is rows of another type.
#[derive(Clone, Debug)]
pub(crate) struct Nested<'a> {
    pub(crate) field: &'a str,
    pub(crate) target: &'a str,
    pub(crate) many: bool,
    /// True when the nested row is inserted before the row that it stands in.
    first: bool,
    on: Vec<ColumnPair>,
}

impl Nested<'_> {
    /// Returns the field of the insert's input.
    pub(crate) fn sdl(&self) -> String {
        let list = if self.many { "List" } else { "" };
        format!("{}: {}Nested{list}Input", self.field, self.target)
    }
}

/// Returns the fields of `object` through which an insert can insert related rows.
pub(crate) fn nested<'a>(
    object: &BoundObject<'a>,
    objects: &[BoundObject<'a>],
    database: &Database<'_>,
) -> Vec<Nested<'a>> {
    if !asks_for_insert(object) {
        return Vec::new();
    }
    let field = |field: &crate::object::BoundField<'a>| {
        let (reference, many) = match &field.binding {
            Binding::ToOne(reference) => (reference, false),
            Binding::ToMany(reference) => (reference, true),
            Binding::Column(_)
            | Binding::Document(_)
            | Binding::Computed(_)
            | Binding::Polymorphic(_)
            | Binding::GlobalId => return None,
        };
        let target = objects.iter().find(|target| target.name == reference.target)?;
        let first = !many && (refers(object, target, reference) || leads_to_key(object, target, reference));
        let writable = reference.on.iter().all(|pair| match first {
            true => is_writable(object.relation, &pair.local, database),
            false => is_writable(target.relation, &pair.remote, database),
        });
        (asks_for_insert(target) && writable).then(|| Nested {
            field: field.name,
            target: target.name,
            many,
            first,
            on: reference.on.clone(),
        })
    };
    object.fields.iter().filter_map(field).collect()
}

/// Returns the columns of the row itself that nested rows can give.
pub(crate) fn given<'n>(nested: &'n [Nested<'_>]) -> impl Iterator<Item = &'n str> {
    let first = nested.iter().filter(|nested| nested.first);
    first.flat_map(|nested| nested.on.iter().map(|pair| pair.local.as_str()))
}

/// Returns the columns that nested rows take from the rows around them, with the types of the nested.
pub(crate) fn taken<'n>(all: &'n [Vec<Nested<'_>>]) -> BTreeSet<(&'n str, &'n str)> {
    let after = all.iter().flatten().filter(|nested| !nested.first);
    after.flat_map(|nested| nested.on.iter().map(|pair| (nested.target, pair.remote.as_str()))).collect()
}

/// Returns what the engine must know to write, by object type.
pub(crate) fn rules(analysis: &Analysis<'_, '_>) -> BTreeMap<String, WriteRules> {
    let rules = analysis.writes.iter().map(|writes| {
        let nested = writes.nested.iter().map(|nested| {
            let (many, first, on) = (nested.many, nested.first, nested.on.clone());
            (nested.field.to_owned(), Nesting { target: nested.target.to_owned(), many, first, on })
        });
        let conflicts = if writes.upsert { writes.conflicts.clone() } else { BTreeMap::new() };
        let inserts = writes.insert || writes.upsert;
        let required = if inserts { required(analysis, writes) } else { BTreeMap::new() };
        let version = writes.version.map(str::to_owned);
        let presets = writes.presets.clone();
        let rules = WriteRules { nested: nested.collect(), required, conflicts, version, presets };
        (writes.object.name.to_owned(), rules)
    });
    rules.filter(|(_, rules)| *rules != WriteRules::default()).collect()
}

fn required(analysis: &Analysis<'_, '_>, writes: &Writes<'_, '_>) -> BTreeMap<String, Vec<String>> {
    let relation = writes.object.relation;
    let field = |column: &str| writes.inserted.iter().find(|field| field.column.column.name == *column);
    let insisted = |field: &InsertField<'_, '_>| field.required && !field.relaxed;
    let columns = analysis.database.required(relation).into_iter();
    let preset = |column: &String| writes.presets.iter().any(|preset| preset.column == *column);
    let columns = columns.filter(|column| !preset(column));
    let columns = columns.filter(|column| !field(column).as_ref().is_some_and(|field| insisted(field)));
    let ways = |column: &str| {
        let own = field(column).map(|field| field.name.to_owned());
        let gives = |nested: &&Nested<'_>| nested.first && nested.on.iter().any(|pair| pair.local == column);
        let nested = writes.nested.iter().filter(gives).map(|nested| nested.field.to_owned());
        own.into_iter().chain(nested).collect::<Vec<_>>()
    };
    columns.map(|column| (column.clone(), ways(&column))).collect()
}

fn asks_for_insert(object: &BoundObject<'_>) -> bool {
    object.draft.applied.get("write").is_some_and(|usage| usage.flag("insert"))
}

fn is_writable(relation: &Relation, column: &str, database: &Database<'_>) -> bool {
    let column = relation.column(column);
    column.is_some_and(|column| database.writing(relation, column) != Writing::Never)
}

/// Returns true when a foreign key of `object` leads to the target over these columns.
fn refers(object: &BoundObject<'_>, target: &BoundObject<'_>, reference: &Reference) -> bool {
    object.relation.foreign_keys.iter().any(|key| {
        let pairs = || key.columns.iter().zip(&key.target_columns);
        key.target == target.relation.name
            && key.columns.len() == reference.on.len()
            && reference.on.iter().all(|on| pairs().any(|(from, to)| *from == on.local && *to == on.remote))
    })
}

/// Returns true when, with no foreign key to tell, the reference leads to the target's key.
fn leads_to_key(object: &BoundObject<'_>, target: &BoundObject<'_>, reference: &Reference) -> bool {
    let turn = |pair: &ColumnPair| ColumnPair { local: pair.remote.clone(), remote: pair.local.clone() };
    let reversed = Reference { on: reference.on.iter().map(turn).collect(), ..reference.clone() };
    let remote: Vec<&str> = reference.on.iter().map(|pair| pair.remote.as_str()).collect();
    !refers(target, object, &reversed) && same_columns(&remote, &target.draft.key)
}
