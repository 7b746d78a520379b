//! Input types that the author wrote: what their fields become, and whether a SQL type can take them.
//!
//! A value of an input type travels as one JSON document. Where the parameter is of a composite type,
//! PostgreSQL makes the composite of it, by the names of its attributes.

use std::collections::BTreeMap;

use apollo_compiler::Node;
use apollo_compiler::ast::{InputValueDefinition, Value};
use fraiseql_model::artifact::{Encoding, InputField, ValueType};
use fraiseql_model::catalog::{QualifiedName, SqlTypeKind, TypeRef};
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;

use crate::call::fits;
use crate::casing::snake_case;
use crate::column::{self, Side, Vocabulary, refuse_unknown, spelled};
use crate::database::{Database, Element};
use crate::directive::{Applied, Site};
use crate::document::{Authored, AuthoredInput};
use crate::findings::{Findings, Place, suggesting};
use crate::scalar::{self, Class};
use crate::shape::Shape;

/// The input types of a document.
#[derive(Debug, Default)]
pub(crate) struct Inputs<'d> {
    by_name: BTreeMap<&'d str, Input<'d>>,
}

/// One input type.
#[derive(Debug)]
pub(crate) struct Input<'d> {
    name: &'d str,
    one_of: bool,
    fields: Vec<Field<'d>>,
}

/// A field of an input type.
#[derive(Debug)]
struct Field<'d> {
    definition: &'d Node<InputValueDefinition>,
    /// The attribute of a composite type, or the key of a JSON object.
    key: String,
    key_place: Place,
}

/// An attribute of a composite type, or a column of a row type.
struct Slot<'c> {
    name: &'c str,
    sql_type: &'c TypeRef,
}

impl<'d> Inputs<'d> {
    /// Reads the input types and their directives.
    pub(crate) fn read(findings: &mut Findings, authored: &'d Authored<'d>) -> Self {
        let mut inputs = Self::default();
        for input in &authored.inputs {
            inputs.by_name.insert(input.name, Input::read(findings, input));
        }
        inputs
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Input<'d>> {
        self.by_name.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'d str> {
        self.by_name.keys().copied()
    }

    /// Checks what can be told of the types without their uses.
    pub(crate) fn check(&self, findings: &mut Findings, words: &Vocabulary<'_>) {
        for input in self.by_name.values() {
            let mut keys = BTreeMap::new();
            for field in &input.fields {
                input.check_field(findings, words, field);
                let name = field.definition.name.as_str();
                if keys.insert(field.key.as_str(), name).is_some_and(|other| other != name) {
                    let message = format!("two fields of {} become \"{}\"", input.name, field.key);
                    findings.add(field.key_place, Diagnostic::error(&errors::SDL_ARGUMENT, message));
                }
            }
        }
    }

    /// Returns what the engine has to know of them.
    pub(crate) fn bindings(&self) -> BTreeMap<String, BTreeMap<String, InputField>> {
        let binding = |field: &Field<'_>| {
            let graphql = field.definition.ty.inner_named_type().to_string();
            (field.definition.name.to_string(), InputField { key: field.key.clone(), graphql })
        };
        let inputs = self.by_name.iter();
        inputs.map(|(name, input)| ((*name).to_owned(), input.fields.iter().map(binding).collect())).collect()
    }

    /// Returns the named types of all fields.
    pub(crate) fn field_types(&self) -> impl Iterator<Item = &'d str> {
        let fields = self.by_name.values().flat_map(|input| &input.fields);
        fields.map(|field| field.definition.ty.inner_named_type().as_str())
    }
}

impl<'d> Input<'d> {
    fn read(findings: &mut Findings, input: &'d AuthoredInput<'d>) -> Self {
        let applied = Applied::read(findings, Site::Input, input.directives.iter().copied());
        let fields = input.fields.iter().map(|definition| {
            let applied = Applied::read(findings, Site::InputField, &definition.directives.0);
            let column = applied.get("column");
            let given = column.and_then(|usage| usage.text("name"));
            let key = given.map_or_else(|| snake_case(&definition.name), str::to_owned);
            let own = definition.name.location();
            Field { definition, key, key_place: column.map_or(own, |usage| usage.place_of("name")) }
        });
        Self { name: input.name, one_of: applied.get("oneOf").is_some(), fields: fields.collect() }
    }

    fn check_field(&self, findings: &mut Findings, words: &Vocabulary<'_>, field: &Field<'_>) {
        let definition = field.definition;
        let owner = format!("{}.{}", self.name, definition.name);
        let place = definition.name.location();
        let name = definition.ty.inner_named_type();
        let known = scalar::names().any(|scalar| scalar == name.as_str())
            || words.enums.contains_key(name.as_str())
            || words.inputs.get(name).is_some();
        if !known {
            refuse_unknown(findings, words, name);
            return;
        }
        if Shape::of(&definition.ty).is_none() {
            let message = format!("{owner} is a list of lists");
            findings.add(place, Diagnostic::error(&errors::SDL_UNSUPPORTED, message));
        }
        if let Some(default) = &definition.default_value
            && !fits(words, default, &definition.ty)
        {
            let message = format!("{default} is no {}", definition.ty);
            findings.add(default.location().or(place), Diagnostic::error(&errors::SDL_ARGUMENT, message));
        }
        if self.one_of && (definition.ty.is_non_null() || definition.default_value.is_some()) {
            let message = format!("{owner} is required or has a default, and {} is @oneOf", self.name);
            let error = Diagnostic::error(&errors::SDL_INVALID, message)
                .why("exactly one field of such an input is given, so each may be left out");
            let ty = definition.ty.inner_named_type();
            findings.add(place, error.hint(format!("write {}: {ty}", definition.name)));
        }
        let required = definition.ty.is_non_null() && definition.default_value.is_none();
        if required && definition.directives.has("deprecated") {
            let message = format!("{owner} is required and cannot be deprecated");
            let error = Diagnostic::error(&errors::SDL_INVALID, message);
            findings.add(place, error.why("nobody could leave it out"));
        }
    }

    /// Returns how values of this type travel to `side`, or adds why they cannot.
    pub(crate) fn value_type(
        &self,
        findings: &mut Findings,
        words: &Vocabulary<'_>,
        shape: &Shape<'_>,
        side: &Side<'_>,
        element: Element,
    ) -> Option<(ValueType, Element)> {
        let json = element.class == Class::Json;
        let slots = slots(words.database, side.sql_type);
        // One JSON document may be a list.
        let lists_fit = shape.list == element.list || (json && !element.list);
        if !lists_fit || !(json || slots.is_some()) {
            let message = format!(
                "{} is {}, but {} is {}",
                side.owner,
                shape.nullable(),
                side.source,
                spelled(side.sql_type)
            );
            let error = Diagnostic::error(&errors::SDL_TYPE_MISMATCH, message);
            findings.add(
                shape.name.location(),
                match (lists_fit, element.list) {
                    (false, true) => error.hint(format!("write [{}!]", shape.name)),
                    (false, false) => error.hint(format!("write {}", shape.name)),
                    _ => error.why("an input type becomes a composite type, a row, json or jsonb"),
                },
            );
            return None;
        }
        let fits = match slots.filter(|_| !json) {
            Some((name, slots)) => self.check_slots(findings, words, &name, &slots),
            None => true,
        };
        let (sql, list) = (element.sql.clone(), element.list);
        let value = ValueType { graphql: self.name.to_owned(), sql, list, encoding: Encoding::Plain };
        fits.then_some((value, element))
    }

    fn check_slots(
        &self,
        findings: &mut Findings,
        words: &Vocabulary<'_>,
        composite: &QualifiedName,
        slots: &[Slot<'_>],
    ) -> bool {
        let mut whole = true;
        for field in &self.fields {
            let place = field.definition.name.location();
            let Some(slot) = slots.iter().find(|slot| slot.name == field.key) else {
                let message = format!("{composite} has no attribute \"{}\"", field.key);
                let error = Diagnostic::error(&errors::SDL_UNKNOWN_COLUMN, message)
                    .why(format!("{} is given to it", self.name));
                let names = slots.iter().map(|slot| slot.name);
                findings.add(field.key_place, suggesting(error, &field.key, names));
                whole = false;
                continue;
            };
            let owner = format!("{}.{}", self.name, field.definition.name);
            let source = format!("attribute \"{}\" of {composite}", slot.name);
            let side = Side { owner: &owner, source: &source, sql_type: slot.sql_type, input: true };
            let Some(shape) = Shape::of(&field.definition.ty) else { return false };
            whole &= column::value_type(findings, words, &shape, &side).is_some();
            let can_be_null = !shape.non_null && !self.one_of;
            if can_be_null && never_null(words.database, slot.sql_type) {
                let message = format!("{source} is never null, but {owner} may be");
                let error = Diagnostic::error(&errors::SDL_ARGUMENT, message)
                    .why(format!("the domain {} is NOT NULL", spelled(slot.sql_type)));
                findings.add(place, error.hint(format!("write {}!", field.definition.ty)));
                whole = false;
            }
        }
        whole
    }

    /// Returns true when a default is a value of this type.
    pub(crate) fn accepts(&self, words: &Vocabulary<'_>, value: &Value) -> bool {
        let Value::Object(given) = value else { return false };
        let find = |name: &str| self.fields.iter().find(|field| field.definition.name == name);
        let known = given
            .iter()
            .all(|(name, value)| find(name).is_some_and(|field| fits(words, value, &field.definition.ty)));
        let is_given = |field: &Field<'_>| given.iter().any(|(name, _)| *name == field.definition.name);
        let optional = |field: &Field<'_>| {
            !field.definition.ty.is_non_null() || field.definition.default_value.is_some()
        };
        let one = !self.one_of || matches!(given.as_slice(), [(_, value)] if !value.is_null());
        known && one && self.fields.iter().all(|field| is_given(field) || optional(field))
    }

    /// Returns the types of all attributes that a value of this type fills, with what fills them.
    pub(crate) fn written(&self, words: &Vocabulary<'_>, sql_type: &TypeRef) -> Vec<(Element, String)> {
        let Some((_, slots)) = slots(words.database, sql_type) else { return Vec::new() };
        let mut written = Vec::new();
        for field in &self.fields {
            let Some(slot) = slots.iter().find(|slot| slot.name == field.key) else { continue };
            let graphql = field.definition.ty.inner_named_type();
            if let Some(input) = words.inputs.get(graphql) {
                written.extend(input.written(words, slot.sql_type));
            }
            written.extend(words.database.element(slot.sql_type).map(|found| (found, graphql.to_string())));
        }
        written
    }
}

/// Returns what a composite type or a row type consists of, domains taken off.
fn slots<'c>(database: &Database<'c>, sql_type: &TypeRef) -> Option<(QualifiedName, Vec<Slot<'c>>)> {
    let mut name = sql_type.name.clone();
    while let Some(SqlTypeKind::Domain { base, .. }) = database.sql_type(&name).map(|found| &found.kind) {
        if base.name == name {
            return None;
        }
        name = base.name.clone();
    }
    let slots = match database.sql_type(&name).map(|found| &found.kind) {
        Some(SqlTypeKind::Composite { attributes }) => {
            let slot = |found: &'c fraiseql_model::catalog::Attribute| Slot {
                name: &found.name,
                sql_type: &found.sql_type,
            };
            attributes.iter().map(slot).collect()
        }
        Some(_) => return None,
        None => {
            let columns = &database.relation(&name)?.columns;
            columns.iter().map(|column| Slot { name: &column.name, sql_type: &column.sql_type }).collect()
        }
    };
    Some((name, slots))
}

fn never_null(database: &Database<'_>, sql_type: &TypeRef) -> bool {
    let found = database.sql_type(&sql_type.name).filter(|_| !sql_type.array);
    matches!(found.map(|found| &found.kind), Some(SqlTypeKind::Domain { not_null: true, .. }))
}
