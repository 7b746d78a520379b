//! Interfaces and unions with their fragments of SQL made ready.
//!
//! An object type with a discriminator reads a subquery that lets only its rows through (and, for
//! joined inheritance, adds the columns of the base), so that whoever reads its relation need not know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fraiseql_model::artifact::{AbstractType, Artifact, ColumnPair, Member, ObjectType};
use fraiseql_model::names::{quote_identifier, quote_literal};

use crate::rows::Rows;
use crate::schema::{KeyColumn, LoadError, Object};

/// An interface or union.
#[derive(Debug)]
pub(crate) struct Abstract {
    /// The interface's own relation, with the column that tells the type.
    pub(crate) base: Option<Base>,
    /// The object types; an index is the number of a type.
    pub(crate) types: Vec<Variant>,
    /// The SQL types of the columns that carry keys between the halves of a statement.
    pub(crate) slots: Vec<String>,
}

/// A relation that has rows of every type.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) object: Arc<Object>,
    pub(crate) discriminator: String,
    /// For each slot the column of the base.
    pub(crate) keys: Vec<Option<String>>,
}

/// One of the object types of an interface or union.
#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) object: Arc<Object>,
    /// The discriminator's value.
    pub(crate) value: Option<String>,
    /// For each slot the column of its own relation that it carries, when there is no base.
    pub(crate) keys: Vec<Option<String>>,
    /// Finds its row again: slot and column.
    pub(crate) on: Vec<ColumnPair>,
}

/// Returns the name of the column that carries part of a key.
pub(crate) fn slot_name(slot: usize) -> String {
    format!("k{slot}")
}

/// Makes the object types that have a discriminator read only their own rows.
pub(crate) fn restrict(
    artifact: &Artifact,
    objects: &mut BTreeMap<String, Arc<Object>>,
) -> Result<(), LoadError> {
    for (name, found) in &artifact.abstracts {
        let Some(discriminator) = &found.discriminator else { continue };
        let base = &existing(objects, name, name)?.binding.clone();
        let values: Vec<String> =
            found.members.iter().filter_map(|member| member.value.as_deref()).map(quote_literal).collect();
        let is_one = format!("{} IN ({})", quote_identifier(discriminator), values.join(", "));
        replace(objects, name, rows(artifact, base, &is_one))?;
        for member in &found.members {
            let own = &existing(objects, name, &member.object)?.binding.clone();
            let sql = member_rows(artifact, base, own, discriminator, member);
            replace(objects, &member.object, sql)?;
        }
    }
    Ok(())
}

/// Returns an interface or union that is ready to plan with.
pub(crate) fn load(
    name: &str,
    found: &AbstractType,
    objects: &BTreeMap<String, Arc<Object>>,
) -> Result<Abstract, LoadError> {
    let mut slots = Slots::default();
    let mut types = Vec::with_capacity(found.members.len());
    if let Some(discriminator) = &found.discriminator {
        let object = existing(objects, name, name)?;
        let keys = slots.of(&object.key);
        for member in &found.members {
            let pairs = slots.pairs(&object.key, |column| {
                let joined = member.join.iter().find(|pair| pair.remote == column);
                joined.map_or_else(|| column.to_owned(), |pair| pair.local.clone())
            });
            types.push(Variant {
                object: existing(objects, name, &member.object)?,
                value: member.value.clone(),
                keys: Vec::new(),
                on: pairs,
            });
        }
        let base = Base { object, discriminator: discriminator.clone(), keys };
        return Ok(Abstract { base: Some(base), types, slots: slots.0 });
    }
    for member in &found.members {
        let object = existing(objects, name, &member.object)?;
        let keys = slots.of(&object.key);
        let on = slots.pairs(&object.key, str::to_owned);
        types.push(Variant { object, value: member.value.clone(), keys, on });
    }
    let width = slots.0.len();
    types.iter_mut().for_each(|one| one.keys.resize(width, None));
    Ok(Abstract { base: None, types, slots: slots.0 })
}

/// The columns that carry keys. Types whose keys are of one SQL type share them.
#[derive(Default)]
struct Slots(Vec<String>);

impl Slots {
    /// Returns the columns of a key by slot, with new slots where none fits.
    fn of(&mut self, key: &[KeyColumn]) -> Vec<Option<String>> {
        let mut taken: Vec<Option<String>> = vec![None; self.0.len()];
        for column in key {
            let free = |(slot, sql_type): (usize, &String)| {
                (*sql_type == column.sql_type && taken[slot].is_none()).then_some(slot)
            };
            let slot = self.0.iter().enumerate().find_map(free).unwrap_or_else(|| {
                self.0.push(column.sql_type.clone());
                taken.push(None);
                self.0.len() - 1
            });
            taken[slot] = Some(column.column.clone());
        }
        taken
    }

    fn pairs(&mut self, key: &[KeyColumn], remote: impl Fn(&str) -> String) -> Vec<ColumnPair> {
        let slots = self.of(key);
        let carried = slots.iter().enumerate().filter_map(|(slot, column)| Some((slot, column.as_ref()?)));
        carried.map(|(slot, column)| ColumnPair { local: slot_name(slot), remote: remote(column) }).collect()
    }
}

fn existing(
    objects: &BTreeMap<String, Arc<Object>>,
    owner: &str,
    name: &str,
) -> Result<Arc<Object>, LoadError> {
    let missing = || LoadError::Dangling { what: owner.to_owned(), missing: format!("type {name}") };
    objects.get(name).cloned().ok_or_else(missing)
}

fn replace(
    objects: &mut BTreeMap<String, Arc<Object>>,
    name: &str,
    relation: String,
) -> Result<(), LoadError> {
    let found = existing(objects, name, name)?;
    let key =
        found.key.iter().map(|key| KeyColumn { column: key.column.clone(), sql_type: key.sql_type.clone() });
    // The compiler refuses row rules on what is told from others by a discriminator.
    let rows = Rows::default();
    let object = Object {
        name: found.name.clone(),
        relation,
        rows,
        key: key.collect(),
        binding: found.binding.clone(),
    };
    objects.insert(name.to_owned(), Arc::new(object));
    Ok(())
}

fn member_rows(
    artifact: &Artifact,
    base: &ObjectType,
    own: &ObjectType,
    discriminator: &str,
    member: &Member,
) -> String {
    let column = quote_identifier(discriminator);
    let value = quote_literal(member.value.as_deref().unwrap_or(""));
    if member.join.is_empty() {
        return rows(artifact, own, &format!("{column} = {value}"));
    }
    let own_columns = columns(artifact, own);
    let listed = |alias: &str, columns: Vec<&str>| -> Vec<String> {
        columns.into_iter().map(|column| format!("{alias}.{}", quote_identifier(column))).collect()
    };
    let of_base = columns(artifact, base).into_iter().filter(|column| !own_columns.contains(column));
    let mut list = listed("\"0o\"", own_columns.iter().copied().collect());
    list.extend(listed("\"0b\"", of_base.collect()));
    let on: Vec<String> = member
        .join
        .iter()
        .map(|pair| {
            let (local, remote) = (quote_identifier(&pair.local), quote_identifier(&pair.remote));
            format!("\"0o\".{local} = \"0b\".{remote}")
        })
        .collect();
    format!(
        "(SELECT {} FROM {} AS \"0o\" JOIN {} AS \"0b\" ON {} WHERE \"0b\".{column} = {value})",
        list.join(", "),
        own.relation.sql(),
        base.relation.sql(),
        on.join(" AND ")
    )
}

fn rows(artifact: &Artifact, binding: &ObjectType, condition: &str) -> String {
    let list: Vec<String> = columns(artifact, binding).into_iter().map(quote_identifier).collect();
    format!("(SELECT {} FROM {} WHERE {condition})", list.join(", "), binding.relation.sql())
}

/// Every column of the relation that anything reads: naming no other needs no right on others.
fn columns<'a>(artifact: &'a Artifact, binding: &ObjectType) -> BTreeSet<&'a str> {
    let read = artifact.manifest.reads.get(&binding.relation.to_string());
    read.iter().flat_map(|read| read.columns.keys().map(String::as_str)).collect()
}
