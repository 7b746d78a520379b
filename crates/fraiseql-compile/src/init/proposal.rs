//! What is proposed for each relation: a type, its fields, its root fields. Text comes later.

use std::collections::{BTreeMap, BTreeSet};

use fraiseql_model::artifact::ColumnPair;
use fraiseql_model::catalog::{Column, LeftOut, Nullability, QualifiedName, Relation, RelationKind};

use crate::casing::{camel_case, capitalised, snake_case, uncapitalised};
use crate::database::{Database, Element};
use crate::init::naming::{MemberNames, TypeNames, backward_names, forward_names};
use crate::object::is_searchable;
use crate::plural::plural_or_many;
use crate::reference::{Candidate, Wanted, candidates, fitting, is_proven};
use crate::scalar::Class;

/// Everything that is proposed.
#[derive(Debug)]
pub(crate) struct Proposal<'c> {
    pub(crate) objects: Vec<ProposedObject<'c>>,
    /// Enums in use, with their GraphQL names.
    pub(crate) enums: BTreeMap<&'c QualifiedName, String>,
    pub(crate) notes: Vec<LeftOut>,
}

/// One object type.
#[derive(Debug)]
pub(crate) struct ProposedObject<'c> {
    pub(crate) name: String,
    pub(crate) relation: &'c Relation,
    pub(crate) columns: Vec<ProposedColumn<'c>>,
    pub(crate) references: Vec<ProposedReference>,
    /// The name of the list root field.
    pub(crate) list: String,
    /// Root fields that find one row.
    pub(crate) lookups: Vec<Lookup>,
}

/// A field that is a column.
#[derive(Debug)]
pub(crate) struct ProposedColumn<'c> {
    pub(crate) field: String,
    pub(crate) column: &'c Column,
    element: Element,
    pub(crate) graphql: String,
}

/// A field that leads to rows of another type.
#[derive(Debug)]
pub(crate) struct ProposedReference {
    pub(crate) field: String,
    /// The type with its brackets and `!`.
    pub(crate) graphql: String,
    /// The columns, when the field does not tell by itself.
    pub(crate) explicit: Option<Vec<ColumnPair>>,
}

/// A root field that finds one row by a unique key.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) name: String,
    /// Arguments with their types.
    pub(crate) arguments: Vec<(String, String)>,
    primary: bool,
}

impl ProposedColumn<'_> {
    /// Returns the field's type as SDL.
    pub(crate) fn type_text(&self) -> String {
        let bang = if self.column.nullability == Nullability::Nullable { "" } else { "!" };
        if self.element.list {
            format!("[{}]{bang}", self.graphql)
        } else {
            format!("{}{bang}", self.graphql)
        }
    }

    /// Returns true when the column is not the field's name in snake case.
    pub(crate) fn is_renamed(&self) -> bool {
        snake_case(&self.field) != self.column.name
    }
}

impl<'c> Proposal<'c> {
    pub(crate) fn of(database: &Database<'c>) -> Self {
        let mut notes = Vec::new();
        let usable = usable(database, &mut notes);
        let mut names = TypeNames::new();
        let types = names.objects(usable.iter().map(|(relation, _)| &relation.name));
        let enums = used_enums(database, &usable);
        let enums = names.enums(enums.into_iter());
        let mut objects: Vec<ProposedObject<'_>> = usable
            .into_iter()
            .map(|(relation, columns)| {
                let mut members = MemberNames::default();
                let columns = name_columns(columns, &enums, &mut members);
                let linker = Linker { database, relation, types: &types };
                let references = linker.references(&mut members, &mut notes);
                ProposedObject {
                    name: types[&relation.name].clone(),
                    relation,
                    columns,
                    references,
                    list: String::new(),
                    lookups: Vec::new(),
                }
            })
            .collect();
        name_roots(database, &mut objects);
        Self { objects, enums, notes }
    }
}

/// Returns the relations with at least one column that has a place in GraphQL, and those columns.
fn usable<'c>(
    database: &Database<'c>,
    notes: &mut Vec<LeftOut>,
) -> Vec<(&'c Relation, Vec<(&'c Column, Element)>)> {
    let mut usable = Vec::new();
    for relation in database.relations() {
        let mut columns = Vec::new();
        for column in &relation.columns {
            match database.element(&column.sql_type) {
                Some(element) => columns.push((column, element)),
                None => notes.push(LeftOut {
                    what: format!("column {}.{}", relation.name, column.name),
                    why: "it is an array of arrays, by way of a domain".to_owned(),
                }),
            }
        }
        if columns.is_empty() {
            notes.push(LeftOut {
                what: format!("{} {}", kind(relation), relation.name),
                why: "it has no column that this role may read and GraphQL can show".to_owned(),
            });
        } else {
            usable.push((relation, columns));
        }
    }
    usable
}

fn kind(relation: &Relation) -> &'static str {
    match relation.kind {
        RelationKind::Table | RelationKind::PartitionedTable => "table",
        RelationKind::View => "view",
        RelationKind::MaterializedView => "materialised view",
        RelationKind::ForeignTable => "foreign table",
    }
}

fn used_enums<'c>(
    database: &Database<'c>,
    usable: &[(&'c Relation, Vec<(&'c Column, Element)>)],
) -> BTreeSet<&'c QualifiedName> {
    let used: BTreeSet<&QualifiedName> = usable
        .iter()
        .flat_map(|(_, columns)| columns)
        .filter_map(|(_, element)| match &element.class {
            Class::Enum(name) => Some(name),
            _ => None,
        })
        .collect();
    // An enum without labels has no place in GraphQL; its columns are Strings.
    let with_labels = database.enums().filter(|(_, labels)| !labels.is_empty());
    with_labels.map(|(name, _)| name).filter(|name| used.contains(name)).collect()
}

fn name_columns<'c>(
    columns: Vec<(&'c Column, Element)>,
    enums: &BTreeMap<&QualifiedName, String>,
    members: &mut MemberNames,
) -> Vec<ProposedColumn<'c>> {
    let propose = |(column, element): (&'c Column, Element)| {
        let graphql = match &element.class {
            Class::Enum(name) => enums.get(name).map_or("String", String::as_str),
            class => class.scalar().unwrap_or("String"),
        };
        ProposedColumn {
            field: members.take(&[camel_case(&column.name, "column")]),
            column,
            graphql: graphql.to_owned(),
            element,
        }
    };
    columns.into_iter().map(propose).collect()
}

struct Linker<'l, 'c> {
    database: &'l Database<'c>,
    relation: &'c Relation,
    types: &'l BTreeMap<&'c QualifiedName, String>,
}

impl<'c> Linker<'_, 'c> {
    fn references(&self, members: &mut MemberNames, notes: &mut Vec<LeftOut>) -> Vec<ProposedReference> {
        let mut references = Vec::new();
        let targets = self.targets(notes);
        for partner in &targets {
            let all = candidates(self.database, self.relation, partner);
            for candidate in all.iter().filter(|candidate| candidate.forward) {
                references.push(self.forward(members, partner, candidate, &all));
            }
        }
        // A table's references to every view of its rows would be noise; views lead to tables.
        if matches!(self.relation.kind, RelationKind::Table | RelationKind::PartitionedTable) {
            for partner in self.database.referencing(&self.relation.name) {
                if !self.types.contains_key(&partner.name) {
                    continue;
                }
                let all = candidates(self.database, self.relation, partner);
                for candidate in all.iter().filter(|candidate| !candidate.forward) {
                    references.push(self.backward(members, partner, candidate, &all));
                }
            }
        }
        references
    }

    /// Returns the relations that foreign keys lead to; those that are out of reach are noted.
    fn targets(&self, notes: &mut Vec<LeftOut>) -> Vec<&'c Relation> {
        let mut names: BTreeSet<&QualifiedName> = BTreeSet::new();
        for key in &self.relation.foreign_keys {
            if self.types.contains_key(&key.target) {
                names.insert(&key.target);
            } else {
                notes.push(LeftOut {
                    what: format!("foreign key {} of {}", key.name, self.relation.name),
                    why: format!("{} is not in this schema", key.target),
                });
            }
        }
        for origin in self.relation.columns.iter().filter_map(|column| column.origin.as_ref()) {
            let Some(table) = self.database.relation(&origin.relation) else { continue };
            let keys = table.foreign_keys.iter().filter(|key| key.columns.contains(&origin.column));
            names.extend(keys.map(|key| &key.target).filter(|target| self.types.contains_key(target)));
        }
        names.into_iter().filter_map(|name| self.database.relation(name)).collect()
    }

    fn forward(
        &self,
        members: &mut MemberNames,
        partner: &Relation,
        candidate: &Candidate,
        all: &[Candidate],
    ) -> ProposedReference {
        let target = &self.types[&partner.name];
        let columns: Vec<&str> = candidate.on.iter().map(|pair| pair.local.as_str()).collect();
        let key = self.relation.primary_key.as_ref();
        let own_key = key.is_some_and(|key| crate::draft::same_columns(&key.columns, &columns));
        let bang = if is_proven(candidate, self.relation, partner) { "!" } else { "" };
        ProposedReference {
            field: members.take(&forward_names(&columns, own_key, target)),
            graphql: format!("{target}{bang}"),
            explicit: explicit(candidate, all, Wanted::One),
        }
    }

    fn backward(
        &self,
        members: &mut MemberNames,
        partner: &Relation,
        candidate: &Candidate,
        all: &[Candidate],
    ) -> ProposedReference {
        let target = &self.types[&partner.name];
        let columns: Vec<&str> = candidate.on.iter().map(|pair| pair.remote.as_str()).collect();
        let only = all.iter().filter(|candidate| !candidate.forward).count() == 1;
        if candidate.single {
            return ProposedReference {
                field: members.take(&backward_names(&columns, only, target)),
                graphql: target.clone(),
                explicit: explicit(candidate, all, Wanted::One),
            };
        }
        ProposedReference {
            field: members.take(&backward_names(&columns, only, &plural_or_many(target))),
            graphql: format!("[{target}!]!"),
            explicit: explicit(candidate, all, Wanted::Many),
        }
    }
}

fn explicit(candidate: &Candidate, all: &[Candidate], wanted: Wanted) -> Option<Vec<ColumnPair>> {
    let alone = fitting(all, wanted).count() == 1;
    (!alone).then(|| candidate.on.clone())
}

/// Names the root fields: lists and primary keys first, other keys after them.
fn name_roots(database: &Database<'_>, objects: &mut [ProposedObject<'_>]) {
    let mut names = MemberNames::default();
    for object in objects.iter_mut() {
        let one = uncapitalised(&object.name);
        object.list = names.take(&[plural_or_many(&one), format!("{}List", uncapitalised(&object.name))]);
        object.lookups = lookups(database, object);
        for lookup in object.lookups.iter_mut().filter(|lookup| lookup.primary) {
            lookup.name = names.take(&[one.clone(), format!("{one}ByKey")]);
        }
    }
    for object in objects.iter_mut() {
        let one = uncapitalised(&object.name);
        for lookup in object.lookups.iter_mut().filter(|lookup| !lookup.primary) {
            let fields: Vec<String> = lookup
                .arguments
                .iter()
                .map(|(field, _)| capitalised(field.trim_start_matches('_')))
                .collect();
            lookup.name = names.take(&[format!("{one}By{}", fields.join("And"))]);
        }
    }
}

fn lookups(database: &Database<'_>, object: &ProposedObject<'_>) -> Vec<Lookup> {
    let mut found: Vec<Lookup> = Vec::new();
    let mut seen: Vec<Vec<String>> = Vec::new();
    for key in database.keys(object.relation) {
        let argument = |name: &String| {
            let column = object.columns.iter().find(|column| column.column.name == *name)?;
            is_searchable(&column.element).then(|| (column.field.clone(), format!("{}!", column.graphql)))
        };
        let Some(arguments) = key.columns.iter().map(argument).collect::<Option<Vec<_>>>() else { continue };
        if seen.iter().any(|known| crate::draft::same_columns(known, &key.columns)) {
            continue;
        }
        seen.push(key.columns);
        found.push(Lookup { name: String::new(), arguments, primary: key.primary });
    }
    found
}
