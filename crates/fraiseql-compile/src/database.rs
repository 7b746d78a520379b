//! The catalog, indexed: relations, types and functions by name, keys of views, origins of columns.
//!
//! Every answer is independent of the order of the catalog's lists.

use std::collections::{BTreeMap, BTreeSet};

use fraiseql_model::catalog::{
    Catalog, Column, Function, Generated, Nullability, QualifiedName, Relation, RelationKind, SqlType,
    SqlTypeKind, TypeRef,
};

use crate::scalar::{Class, Comparison};

/// How many domains may stand on each other; PostgreSQL has no cycle, a damaged snapshot could.
const DOMAINS_MAX: usize = 64;

/// The catalog with its indexes.
#[derive(Debug)]
pub(crate) struct Database<'c> {
    relations: BTreeMap<&'c QualifiedName, &'c Relation>,
    by_name: BTreeMap<&'c str, Vec<&'c QualifiedName>>,
    types: BTreeMap<&'c QualifiedName, &'c SqlType>,
    functions: BTreeMap<&'c str, Vec<&'c Function>>,
    referencing: BTreeMap<&'c QualifiedName, BTreeSet<&'c QualifiedName>>,
}

/// What is found under a name that may lack its schema.
#[derive(Debug)]
pub(crate) enum Found<'c, T> {
    One(T),
    Several(Vec<&'c QualifiedName>),
    None,
}

/// What the values of a column, parameter or result are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) class: Class,
    /// The element's type, ready for a cast.
    pub(crate) sql: String,
    pub(crate) list: bool,
    /// True when it is a domain and the cast goes to its base.
    pub(crate) domain: bool,
    /// Every user-defined type that was met on the way.
    pub(crate) met: Vec<QualifiedName>,
}

impl<'c> Database<'c> {
    pub(crate) fn new(catalog: &'c Catalog) -> Self {
        let mut by_name: BTreeMap<&str, Vec<&QualifiedName>> = BTreeMap::new();
        let mut referencing: BTreeMap<&QualifiedName, BTreeSet<&QualifiedName>> = BTreeMap::new();
        for relation in &catalog.relations {
            by_name.entry(&relation.name.name).or_default().push(&relation.name);
            for key in &relation.foreign_keys {
                referencing.entry(&key.target).or_default().insert(&relation.name);
            }
        }
        by_name.values_mut().for_each(|names| names.sort());
        let mut functions: BTreeMap<&str, Vec<&Function>> = BTreeMap::new();
        for function in &catalog.functions {
            functions.entry(&function.name.name).or_default().push(function);
        }
        for overloads in functions.values_mut() {
            overloads.sort_by_cached_key(|function| (function.name.clone(), signature(function)));
        }
        Self {
            relations: catalog.relations.iter().map(|relation| (&relation.name, relation)).collect(),
            by_name,
            types: catalog.types.iter().map(|sql_type| (&sql_type.name, sql_type)).collect(),
            functions,
            referencing,
        }
    }

    pub(crate) fn relation(&self, name: &QualifiedName) -> Option<&'c Relation> {
        self.relations.get(name).copied()
    }

    /// Returns the relation of that name: in the schema given, else in `public`, else in the only one.
    pub(crate) fn find_relation(&self, name: &str, schema: Option<&str>) -> Found<'c, &'c Relation> {
        let found = self.by_name.get(name).map_or(&[][..], Vec::as_slice);
        match one_of(found, |candidate| candidate, schema) {
            Found::One(name) => self.relation(name).map_or(Found::None, Found::One),
            Found::Several(names) => Found::Several(names),
            Found::None => Found::None,
        }
    }

    /// Returns every relation in the order of their names.
    pub(crate) fn relations(&self) -> impl Iterator<Item = &'c Relation> {
        self.relations.values().copied()
    }

    /// Returns the relations with a foreign key to `target`, in the order of their names.
    pub(crate) fn referencing(&self, target: &QualifiedName) -> impl Iterator<Item = &'c Relation> {
        let names = self.referencing.get(target).into_iter().flatten();
        names.filter_map(|name| self.relation(name))
    }

    pub(crate) fn sql_type(&self, name: &QualifiedName) -> Option<&'c SqlType> {
        self.types.get(name).copied()
    }

    /// Returns every enum with its labels, in the order of their names.
    pub(crate) fn enums(&self) -> impl Iterator<Item = (&'c QualifiedName, &'c [String])> {
        self.types.values().filter_map(|sql_type| match &sql_type.kind {
            SqlTypeKind::Enum { labels } => Some((&sql_type.name, labels.as_slice())),
            _ => None,
        })
    }

    /// Returns the enum of that name, as [`Self::find_relation`] does.
    pub(crate) fn find_enum(&self, name: &str, schema: Option<&str>) -> Found<'c, &'c QualifiedName> {
        let found: Vec<&QualifiedName> =
            self.enums().map(|(found, _)| found).filter(|found| found.name == name).collect();
        one_of(&found, |candidate| candidate, schema)
    }

    /// Returns the overloads of the functions of that name, all of one schema.
    pub(crate) fn find_functions(&self, name: &str, schema: Option<&str>) -> Found<'c, Vec<&'c Function>> {
        let all = self.functions.get(name).map_or(&[][..], Vec::as_slice);
        let names: BTreeSet<&QualifiedName> = all.iter().map(|function| &function.name).collect();
        let names: Vec<&QualifiedName> = names.into_iter().collect();
        match one_of(&names, |candidate| candidate, schema) {
            Found::One(name) => {
                Found::One(all.iter().filter(|function| function.name == *name).copied().collect())
            }
            Found::Several(names) => Found::Several(names),
            Found::None => Found::None,
        }
    }

    /// Returns the names of all functions, for hints.
    pub(crate) fn function_names(&self) -> impl Iterator<Item = &'c str> {
        self.functions.keys().copied()
    }

    /// Returns the names of all relations, for hints.
    pub(crate) fn relation_names(&self) -> impl Iterator<Item = &'c str> {
        self.by_name.keys().copied()
    }

    /// Returns what the values of a type are; `None` for arrays of arrays, which only domains can make.
    pub(crate) fn element(&self, type_ref: &TypeRef) -> Option<Element> {
        let mut name = &type_ref.name;
        let mut list = type_ref.array;
        let mut met = Vec::new();
        let mut domain = false;
        // PostgreSQL has no operators for an array of a domain and an array of its base.
        let mut cast: Option<&QualifiedName> = list.then_some(name);
        for _ in 0..DOMAINS_MAX {
            let class = match self.types.get(name).map(|sql_type| &sql_type.kind) {
                Some(SqlTypeKind::Domain { base, .. }) => {
                    met.push(name.clone());
                    if base.array && list {
                        return None;
                    }
                    domain = true;
                    list |= base.array;
                    name = &base.name;
                    if base.array {
                        cast = Some(name);
                    }
                    continue;
                }
                Some(SqlTypeKind::Enum { .. }) => Class::Enum(name.clone()),
                Some(SqlTypeKind::Composite { .. }) => Class::Composite,
                Some(SqlTypeKind::Range { .. }) => match Class::of_name(name) {
                    Class::Opaque(_) => Class::Opaque(Comparison::Equal),
                    known => known,
                },
                None => Class::of_name(name),
            };
            if name.schema != "pg_catalog" {
                met.push(name.clone());
            }
            let sql = cast.unwrap_or(name).sql();
            return Some(Element { class, sql, list, domain, met });
        }
        None
    }

    /// Returns the unique keys of a relation by their columns, the primary key first; a simple
    /// updatable view has those of its table.
    pub(crate) fn keys(&self, relation: &Relation) -> Vec<UniqueKey> {
        let own: Vec<UniqueKey> = relation
            .keys()
            .map(|key| UniqueKey {
                columns: key.columns.clone(),
                primary: relation.primary_key.as_ref() == Some(key),
            })
            .filter(|key| key.columns.iter().all(|column| relation.column(column).is_some()))
            .collect();
        if !own.is_empty() || relation.kind != RelationKind::View || !relation.updatable {
            return own;
        }
        let origins: BTreeSet<&QualifiedName> =
            relation.columns.iter().filter_map(|column| Some(&column.origin.as_ref()?.relation)).collect();
        let mut origins = origins.into_iter();
        let (Some(table), None) = (origins.next().and_then(|name| self.relation(name)), origins.next())
        else {
            return Vec::new();
        };
        let through = |key: &UniqueKey| {
            let columns = key.columns.iter().map(|base| {
                let of_base =
                    |column: &&Column| column.origin.as_ref().is_some_and(|origin| origin.column == *base);
                relation.columns.iter().find(of_base).map(|column| column.name.clone())
            });
            let columns = columns.collect::<Option<Vec<_>>>()?;
            Some(UniqueKey { columns, primary: key.primary })
        };
        match table.kind {
            RelationKind::View => Vec::new(),
            _ => self.keys(table).iter().filter_map(through).collect(),
        }
    }

    /// Returns how a column of a relation is written.
    pub(crate) fn writing(&self, relation: &Relation, column: &Column) -> Writing {
        if relation.kind != RelationKind::View {
            return own_writing(column);
        }
        let Some(origin) = &column.origin else { return Writing::Never };
        let table = self.relation(&origin.relation);
        // Of a table that is not in the catalog no default is known: PostgreSQL decides.
        table.and_then(|table| table.column(&origin.column)).map_or(Writing::Optional, own_writing)
    }

    /// Returns the columns that every insert must give, by their names in the relation; those of the
    /// table below a view that the view does not show, by their names in the table.
    pub(crate) fn required(&self, relation: &Relation) -> Vec<String> {
        let is_required = |column: &&Column| own_writing(column) == Writing::Required;
        if relation.kind != RelationKind::View {
            return relation.columns.iter().filter(is_required).map(|column| column.name.clone()).collect();
        }
        let tables: BTreeSet<&QualifiedName> =
            relation.columns.iter().filter_map(|column| Some(&column.origin.as_ref()?.relation)).collect();
        let mut required = Vec::new();
        for table in tables.into_iter().filter_map(|name| self.relation(name)) {
            for base in table.columns.iter().filter(is_required) {
                let shown = relation.columns.iter().find(|column| {
                    let origin = column.origin.as_ref();
                    origin.is_some_and(|origin| origin.relation == table.name && origin.column == base.name)
                });
                required.push(shown.unwrap_or(base).name.clone());
            }
        }
        required
    }
}

fn own_writing(column: &Column) -> Writing {
    match column.generated {
        Generated::Expression | Generated::IdentityAlways => Writing::Never,
        Generated::IdentityByDefault => Writing::Optional,
        Generated::No if column.nullability != Nullability::Nullable && !column.has_default => {
            Writing::Required
        }
        Generated::No => Writing::Optional,
    }
}

/// A unique key, by columns of the relation it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UniqueKey {
    pub(crate) columns: Vec<String>,
    pub(crate) primary: bool,
}

/// Whether an INSERT gives a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    /// Computed by the database.
    Never,
    /// NOT NULL without a default.
    Required,
    /// Has a default, or may be NULL.
    Optional,
}

/// Returns the types of a function's parameters, as SQL.
pub(crate) fn signature(function: &Function) -> String {
    let types: Vec<String> = function.parameters.iter().map(|parameter| parameter.sql_type.sql()).collect();
    types.join(", ")
}

fn one_of<'c, T: Copy>(
    candidates: &[T],
    name: impl Fn(T) -> &'c QualifiedName,
    schema: Option<&str>,
) -> Found<'c, T> {
    let in_schema =
        |schema: &str| candidates.iter().copied().find(|candidate| name(*candidate).schema == schema);
    if let Some(schema) = schema {
        return in_schema(schema).map_or(Found::None, Found::One);
    }
    match (in_schema("public"), candidates) {
        (Some(candidate), _) => Found::One(candidate),
        (None, [candidate]) => Found::One(*candidate),
        (None, []) => Found::None,
        (None, several) => Found::Several(several.iter().map(|candidate| name(*candidate)).collect()),
    }
}
