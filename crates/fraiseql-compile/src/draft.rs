//! Object types with their relation found and their directives read; their fields are not bound yet.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use apollo_compiler::Node;
use apollo_compiler::ast::FieldDefinition;
use fraiseql_model::catalog::{Column, Relation};
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;

use crate::casing::snake_case;
use crate::database::{Database, Found};
use crate::directive::{Applied, Site, Usage};
use crate::document::{Authored, AuthoredObject};
use crate::family::Families;
use crate::findings::{Findings, Place, listed, suggesting};
use crate::inherit::{self, Inheritance};

/// All object types of a document.
#[derive(Debug)]
pub(crate) struct Drafts<'d, 'c> {
    pub(crate) list: Vec<Draft<'d, 'c>>,
    by_name: BTreeMap<&'d str, usize>,
    /// The interfaces with a relation of their own, by name.
    pub(crate) inherited: BTreeMap<&'d str, Inheritance<'d, 'c>>,
}

/// One object type.
#[derive(Debug)]
pub(crate) struct Draft<'d, 'c> {
    pub(crate) object: &'d AuthoredObject<'d>,
    pub(crate) applied: Applied<'d>,
    /// `None` when it was not found, which is in the findings then.
    pub(crate) relation: Option<&'c Relation>,
    /// True when some field may read it from a JSON document.
    embedded: bool,
    /// True when only functions return its rows; `relation` stands for their columns then.
    pub(crate) rows: bool,
    pub(crate) fields: Vec<DraftField<'d>>,
    /// The columns that identify a row; empty when nothing does.
    pub(crate) key: Vec<String>,
    /// The columns of every unique key, the identity of rows first.
    pub(crate) keys: Vec<crate::database::UniqueKey>,
    /// True when its rows are those of a relation that a discriminator lets through.
    pub(crate) restricted: bool,
}

/// What a type without `@relation` may be instead.
#[derive(Clone, Copy, Default)]
struct Without<'c> {
    /// Its rows are some of those of an interface.
    inherits: bool,
    /// What stands for the relation of rows that only functions return.
    rows: Option<&'c Relation>,
    /// Some field may read it from a JSON document.
    embedded: bool,
}

/// A field and its directives.
#[derive(Debug)]
pub(crate) struct DraftField<'d> {
    pub(crate) definition: &'d Node<FieldDefinition>,
    pub(crate) applied: Applied<'d>,
}

impl<'d, 'c> Drafts<'d, 'c> {
    /// Reads object types and the interfaces that have a relation. Relations that the database does
    /// not have, the rows of one type in a relation of several, are made in `made`; `rows` stand for
    /// the relations of types that only functions return.
    pub(crate) fn read(
        findings: &mut Findings,
        authored: &'d Authored<'d>,
        database: &Database<'c>,
        families: &Families<'d>,
        (made, rows): (&'c OnceCell<Vec<Relation>>, &'c BTreeMap<&'d str, Relation>),
    ) -> Self {
        let embedded = crate::json::embedded(authored);
        let mut list: Vec<Draft<'d, 'c>> = Vec::new();
        for object in &authored.objects {
            let inherits = families.bases(object).next().is_some();
            // Rows of an interface or union are found in a relation.
            let shared = families.iter().any(|family| family.members.contains(&object.name));
            let rows = rows.get(object.name).filter(|_| !shared);
            let embedded = embedded.contains(object.name) && !shared;
            let without = Without { inherits, rows, embedded };
            list.push(Draft::read(findings, object, Site::Object, (database, without)));
        }
        for interface in &authored.interfaces {
            let bound = families.get(interface.name).is_some_and(|family| family.has_relation());
            if bound {
                let without = Without::default();
                list.push(Draft::read(findings, interface, Site::Interface, (database, without)));
            } else {
                Applied::read(findings, Site::Interface, interface.directives.iter().copied());
                read_fields(findings, interface);
            }
        }
        inherit::check(findings, families, authored);
        let inherited = inherit::read(findings, families, &list, database);
        restrict(&mut list, &inherited, database, made);
        for draft in &mut list {
            if let Some(relation) = draft.relation.filter(|_| !draft.rows) {
                draft.find_keys(findings, relation, database);
            }
        }
        let by_name = list.iter().enumerate().map(|(at, draft)| (draft.object.name, at)).collect();
        Self { list, by_name, inherited }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Draft<'d, 'c>> {
        self.by_name.get(name).map(|at| &self.list[*at])
    }
}

impl<'d, 'c> Draft<'d, 'c> {
    fn read(
        findings: &mut Findings,
        object: &'d AuthoredObject<'d>,
        site: Site,
        (database, without): (&Database<'c>, Without<'c>),
    ) -> Self {
        let Without { inherits, rows, embedded } = without;
        let applied = Applied::read(findings, site, object.directives.iter().copied());
        let fields = read_fields(findings, object);
        let relation = match applied.get("relation") {
            Some(usage) => relation(findings, usage, database),
            None if inherits || mentions(object, "relation") => None,
            None if rows.is_some() => rows,
            None if embedded => None,
            None => {
                findings.add(object.place, unbound(object, database));
                None
            }
        };
        let rows = rows.is_some() && applied.get("relation").is_none();
        let (key, keys) = (Vec::new(), Vec::new());
        Self { object, applied, relation, embedded, rows, fields, key, keys, restricted: false }
    }

    fn find_keys(&mut self, findings: &mut Findings, relation: &Relation, database: &Database<'_>) {
        self.keys = database.keys(relation);
        let given = self.applied.get("relation").and_then(|usage| Some((usage, usage.texts("key")?)));
        let Some((usage, given)) = given else {
            self.key = identity(relation, &self.keys);
            return;
        };
        let mut columns = Vec::new();
        for name in given {
            let Some(column) = relation.column(name) else {
                findings.add(usage.place_of("key"), unknown_column(relation, name));
                continue;
            };
            if !columns.contains(&column.name) {
                columns.push(column.name.clone());
            }
        }
        if columns.len() == given.len() {
            let same = |key: &crate::database::UniqueKey| same_columns(&key.columns, &columns);
            if !self.keys.iter().any(same) {
                let key =
                    crate::database::UniqueKey { columns: columns.clone(), primary: self.keys.is_empty() };
                self.keys.insert(0, key);
            }
            self.key = columns;
        }
    }

    /// Returns true for a type that has no relation because it is only read from JSON documents.
    pub(crate) fn is_document(&self) -> bool {
        self.embedded && !mentions(self.object, "relation")
    }

    /// Returns the name of the column that a field reads when it is a column field.
    pub(crate) fn column_name(field: &DraftField<'d>) -> String {
        let given = field.applied.get("column").and_then(|usage| usage.text("name"));
        given.map_or_else(|| snake_case(&field.definition.name), str::to_owned)
    }

    /// Returns the column that a field reads, if there is one of that name.
    pub(crate) fn column(&self, field: &DraftField<'d>) -> Option<&'c Column> {
        self.relation?.column(&Self::column_name(field))
    }
}

/// Gives the types of interfaces with a relation the relation that has just their rows.
fn restrict<'c>(
    list: &mut [Draft<'_, 'c>],
    inherited: &BTreeMap<&str, Inheritance<'_, 'c>>,
    database: &Database<'c>,
    made: &'c OnceCell<Vec<Relation>>,
) {
    let mut relations = Vec::new();
    let mut owners: Vec<&str> = Vec::new();
    for (name, inheritance) in inherited {
        relations.push(inheritance.base_rows(database));
        owners.push(name);
        for (name, heir) in &inheritance.members {
            relations.push(heir.rows(database, inheritance.base));
            owners.push(name);
        }
    }
    let relations = made.get_or_init(|| relations);
    for draft in list {
        if let Some(at) = owners.iter().position(|owner| *owner == draft.object.name) {
            draft.relation = relations.get(at);
            draft.restricted = true;
        }
    }
}

impl Usage<'_> {
    /// Returns the name and schema that a directive gives, as one text for messages.
    pub(crate) fn qualified(&self, name: &str) -> String {
        match self.text("schema") {
            Some(schema) => format!("{schema}.{name}"),
            None => name.to_owned(),
        }
    }
}

/// Returns true when both name the same columns in whatever order.
pub(crate) fn same_columns<L: AsRef<str>, R: AsRef<str>>(left: &[L], right: &[R]) -> bool {
    left.len() == right.len()
        && left.iter().all(|one| right.iter().any(|other| one.as_ref() == other.as_ref()))
}

/// Reads the directives of a type's fields.
pub(crate) fn read_fields<'d>(findings: &mut Findings, object: &AuthoredObject<'d>) -> Vec<DraftField<'d>> {
    let fields = object.fields.iter().map(|definition| DraftField {
        definition,
        applied: Applied::read(findings, Site::Field, &definition.directives.0),
    });
    fields.collect()
}

/// Returns the columns that a relation does not have, as a diagnostic with the nearest name.
pub(crate) fn unknown_column(relation: &Relation, name: &str) -> Diagnostic {
    let message = format!("{} has no column \"{name}\"", relation.name);
    let error = Diagnostic::error(&errors::SDL_UNKNOWN_COLUMN, message);
    suggesting(error, name, relation.columns.iter().map(|column| column.name.as_str()))
}

/// The primary key, else the first unique key without nullable columns.
pub(crate) fn identity(relation: &Relation, keys: &[crate::database::UniqueKey]) -> Vec<String> {
    let never_null = |name: &String| {
        relation
            .column(name)
            .is_some_and(|column| column.nullability != fraiseql_model::catalog::Nullability::Nullable)
    };
    let found = keys.iter().find(|key| key.primary || key.columns.iter().all(never_null));
    found.map_or_else(Vec::new, |key| key.columns.clone())
}

fn mentions(object: &AuthoredObject<'_>, directive: &str) -> bool {
    object.directives.iter().any(|found| found.name == directive)
}

fn relation<'c>(findings: &mut Findings, usage: &Usage<'_>, database: &Database<'c>) -> Option<&'c Relation> {
    let name = usage.text("name")?;
    let place: Place = usage.place_of("name");
    match database.find_relation(name, usage.text("schema")) {
        Found::One(relation) => Some(relation),
        Found::Several(names) => {
            let schemas: Vec<&str> = names.iter().map(|name| name.schema.as_str()).collect();
            let message = format!("relations named \"{name}\" are in the schemas {}", listed(&schemas));
            let hint = format!("say which: @relation(name: \"{name}\", schema: \"{}\")", schemas[0]);
            findings.add(place, Diagnostic::error(&errors::SDL_UNKNOWN_RELATION, message).hint(hint));
            None
        }
        Found::None => {
            let message = format!("the database has no table or view \"{}\"", usage.qualified(name));
            let error = Diagnostic::error(&errors::SDL_UNKNOWN_RELATION, message);
            findings.add(place, nearest_relation(error, name, usage.text("schema"), database));
            None
        }
    }
}

fn nearest_relation(
    error: Diagnostic,
    name: &str,
    schema: Option<&str>,
    database: &Database<'_>,
) -> Diagnostic {
    // The right name in the wrong schema is nearer than any other name.
    if schema.is_some()
        && let Found::One(relation) = database.find_relation(name, None)
    {
        return error.hint(format!("it is in the schema \"{}\"", relation.name.schema));
    }
    suggesting(error, name, database.relation_names())
}

fn unbound(object: &AuthoredObject<'_>, database: &Database<'_>) -> Diagnostic {
    let guess = snake_case(object.name);
    let known = fraiseql_model::names::nearest(&guess, database.relation_names());
    let message = format!("type {} does not say where its rows come from", object.name);
    let hint = format!("type {} @relation(name: \"{}\")", object.name, known.unwrap_or(&guess));
    Diagnostic::error(&errors::SDL_UNKNOWN_RELATION, message).hint(hint)
}
