//! Binds GraphQL enums to PostgreSQL enums, value by label.

use std::collections::{BTreeMap, BTreeSet};

use fraiseql_model::artifact::EnumType;
use fraiseql_model::catalog::{QualifiedName, SqlTypeKind};
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;

use crate::casing::snake_case;
use crate::database::{Database, Found};
use crate::directive::{Applied, Site, Usage};
use crate::document::{Authored, AuthoredEnum};
use crate::draft::Drafts;
use crate::findings::{Findings, listed, suggesting};
use crate::scalar::Class;
use crate::shape::Shape;

/// An enum and what it stands for.
#[derive(Debug)]
pub(crate) struct BoundEnum {
    /// `None` when that is unknown, which is in the findings then.
    pub(crate) binding: Option<EnumType>,
    /// True when every value's name is its label.
    pub(crate) plain: bool,
}

/// The type of enums whose labels stand in columns or documents of text.
const TEXT: (&str, &str) = ("pg_catalog", "text");

/// Returns true when an enum's labels are text, so that a value may have another.
pub(crate) fn is_text(sql_type: &QualifiedName) -> bool {
    (sql_type.schema.as_str(), sql_type.name.as_str()) == TEXT
}

/// Binds every enum of the document, by name.
pub(crate) fn bind<'d>(
    findings: &mut Findings,
    authored: &'d Authored<'d>,
    drafts: &Drafts<'d, '_>,
    database: &Database<'_>,
) -> BTreeMap<&'d str, BoundEnum> {
    let used = used_types(authored, drafts, database);
    let mut bound = BTreeMap::new();
    for definition in &authored.enums {
        let applied = Applied::read(findings, Site::Enum, definition.directives.iter().copied());
        let sql_type = match applied.get("enum") {
            Some(usage) => named(findings, usage, database),
            None => inferred(findings, definition, used.get(definition.name), database),
        };
        bound.insert(definition.name, bind_values(findings, definition, sql_type, database));
    }
    bound
}

/// Returns, for each enum, the PostgreSQL enums of the columns that use it.
fn used_types<'d>(
    authored: &'d Authored<'d>,
    drafts: &Drafts<'d, '_>,
    database: &Database<'_>,
) -> BTreeMap<&'d str, BTreeSet<QualifiedName>> {
    let enums: BTreeSet<&str> = authored.enums.iter().map(|definition| definition.name).collect();
    let mut used: BTreeMap<&str, BTreeSet<QualifiedName>> = BTreeMap::new();
    for draft in &drafts.list {
        for field in &draft.fields {
            let Some(shape) = Shape::of(&field.definition.ty) else { continue };
            if !enums.contains(shape.name.as_str()) {
                continue;
            }
            let element = draft.column(field).and_then(|column| database.element(&column.sql_type));
            if let Some(Class::Enum(name)) = element.map(|element| element.class) {
                used.entry(shape.name).or_default().insert(name);
            }
        }
    }
    used
}

fn named(findings: &mut Findings, usage: &Usage<'_>, database: &Database<'_>) -> Option<QualifiedName> {
    let name = usage.text("name")?;
    match database.find_enum(name, usage.text("schema")) {
        Found::None if name == TEXT.1 && usage.text("schema").is_none() => {
            Some(QualifiedName::new(TEXT.0, TEXT.1))
        }
        Found::One(found) => Some(found.clone()),
        Found::Several(names) => {
            let schemas: Vec<&str> = names.iter().map(|name| name.schema.as_str()).collect();
            let message = format!("enums named \"{name}\" are in the schemas {}", listed(&schemas));
            let hint = format!("say which: @enum(name: \"{name}\", schema: \"{}\")", schemas[0]);
            let error = Diagnostic::error(&errors::SDL_ENUM_MISMATCH, message).hint(hint);
            findings.add(usage.place_of("name"), error);
            None
        }
        Found::None => {
            let message = format!("the database has no enum \"{}\"", usage.qualified(name));
            let error = Diagnostic::error(&errors::SDL_ENUM_MISMATCH, message);
            let known = database.enums().map(|(found, _)| found.name.as_str());
            findings.add(usage.place_of("name"), suggesting(error, name, known));
            None
        }
    }
}

fn inferred(
    findings: &mut Findings,
    definition: &AuthoredEnum<'_>,
    used: Option<&BTreeSet<QualifiedName>>,
    database: &Database<'_>,
) -> Option<QualifiedName> {
    let used: Vec<&QualifiedName> = used.into_iter().flatten().collect();
    let guess = snake_case(definition.name);
    let mut namesakes = used.iter().filter(|name| name.name == guess);
    match (namesakes.next(), namesakes.next(), database.find_enum(&guess, None)) {
        (Some(one), None, _) => return Some((*one).clone()),
        (None, _, Found::One(found)) => return Some(found.clone()),
        _ => {}
    }
    match used.as_slice() {
        [one] => return Some((*one).clone()),
        [] => {}
        several => {
            let names: Vec<String> = several.iter().map(ToString::to_string).collect();
            let message = format!("the columns with {} are of the enums {}", definition.name, listed(&names));
            let error = Diagnostic::error(&errors::SDL_ENUM_MISMATCH, message)
                .why("one GraphQL enum stands for one PostgreSQL enum")
                .hint("declare one enum for each, with @enum(name: ...)");
            findings.add(definition.place, error);
            return None;
        }
    }
    let message = format!("enum {} stands for no enum of the database", definition.name);
    let known = database.enums().map(|(found, _)| found.name.as_str());
    let near = fraiseql_model::names::nearest(&guess, known).unwrap_or(&guess).to_owned();
    let error = Diagnostic::error(&errors::SDL_ENUM_MISMATCH, message)
        .why("no column of an enum type uses it, and its name is not that of one")
        .hint(format!("enum {} @enum(name: \"{near}\")", definition.name));
    findings.add(definition.place, error);
    None
}

fn bind_values(
    findings: &mut Findings,
    definition: &AuthoredEnum<'_>,
    sql_type: Option<QualifiedName>,
    database: &Database<'_>,
) -> BoundEnum {
    let known: Option<&[String]> =
        sql_type.as_ref().and_then(|name| match database.sql_type(name).map(|found| &found.kind) {
            Some(SqlTypeKind::Enum { labels }) => Some(labels.as_slice()),
            _ => None,
        });
    let mut labels = BTreeMap::new();
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for value in &definition.values {
        let applied = Applied::read(findings, Site::EnumValue, &value.directives.0);
        let usage = applied.get("label");
        let label = usage.and_then(|usage| usage.text("name")).unwrap_or(value.value.as_str());
        let place = usage.map_or_else(|| value.value.location(), |usage| usage.place_of("name"));
        if let Some(known) = known
            && !known.iter().any(|known| known == label)
        {
            let sql_type = sql_type.as_ref().map_or_else(String::new, ToString::to_string);
            let message = format!("{sql_type} has no label '{label}'");
            let error = Diagnostic::error(&errors::SDL_ENUM_MISMATCH, message);
            let near = fraiseql_model::names::nearest(label, known.iter().map(String::as_str));
            findings.add(
                place,
                match near {
                    Some(near) => error.hint(format!("{} @label(name: \"{near}\")", value.value)),
                    None => error,
                },
            );
        } else if let Some(other) = taken.insert(label, &value.value) {
            let message = format!("{other} and {} stand for the same label '{label}'", value.value);
            findings.add(place, Diagnostic::error(&errors::SDL_ENUM_MISMATCH, message));
        }
        labels.insert(value.value.to_string(), label.to_owned());
    }
    let missing: Vec<String> = known
        .unwrap_or(&[])
        .iter()
        .filter(|label| !taken.contains_key(label.as_str()) && !labels.values().any(|found| found == *label))
        .map(|label| format!("'{label}'"))
        .collect();
    if let (Some(sql_type), false) = (&sql_type, missing.is_empty()) {
        let message = format!("{} lacks {} of {sql_type}", definition.name, listed(&missing));
        let error = Diagnostic::error(&errors::SDL_ENUM_MISMATCH, message)
            .why("a row with such a label could not be shown");
        findings.add(definition.place, error);
    }
    // Of text any other value may come: only a mapping turns that into null.
    let text = sql_type.as_ref().is_some_and(is_text);
    let plain = !text && labels.iter().all(|(name, label)| name == label);
    let binding = sql_type.map(|sql_type| EnumType { sql_type, labels });
    BoundEnum { binding, plain }
}
