//! `@json`: fields that are read from JSON documents, and object types that stand only there.

use std::collections::{BTreeMap, BTreeSet};

use fraiseql_model::artifact::{
    ColumnField, DOCUMENT_COLUMN, DocumentField, Encoding, Field, NonNull, ValueType,
};
use fraiseql_model::catalog::{Column, QualifiedName, Relation};
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;

use crate::casing::snake_case;
use crate::column::{Vocabulary, refuse_unknown};
use crate::database::Element;
use crate::directive::Usage;
use crate::document::Authored;
use crate::draft::{Draft, DraftField, Drafts, unknown_column};
use crate::findings::Findings;
use crate::object::{Binding, BoundObject};
use crate::scalar::{self, Class};
use crate::shape::Shape;

/// Returns the object types that some field may read from a document.
pub(crate) fn embedded<'d>(authored: &'d Authored<'d>) -> BTreeSet<&'d str> {
    let mut found: BTreeSet<&str> = BTreeSet::new();
    loop {
        let before = found.len();
        for object in authored.objects.iter().chain(&authored.interfaces) {
            let documented =
                object.directives.iter().any(|found| found.name == "json") || found.contains(object.name);
            for field in &object.fields {
                let elsewhere = field.directives.has("reference") || field.directives.has("function");
                if field.directives.has("json") || (documented && !elsewhere) {
                    found.insert(field.ty.inner_named_type().as_str());
                }
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// Where a field of a type with a relation is read.
pub(crate) enum Place<'a> {
    /// Not from a document.
    Elsewhere,
    /// From a document that cannot be found; why is in the findings.
    Nowhere,
    /// From the document in a column, under a key.
    Within { column: &'a Column, key: String },
}

/// Returns where a field is read; `object` tells whether it is of an object type.
pub(crate) fn place<'a>(
    findings: &mut Findings,
    draft: &Draft<'a, 'a>,
    field: &DraftField<'a>,
    object: bool,
) -> Place<'a> {
    let Some(relation) = draft.relation else { return Place::Elsewhere };
    if field.applied.get("json").is_none() && field.definition.directives.has("json") {
        return Place::Nowhere;
    }
    let own = field.applied.get("json");
    let whole = draft.applied.get("json");
    let elsewhere = field.applied.any_of(&["column", "reference"]).is_some();
    if own.is_none() && (elsewhere || (!object && draft.column(field).is_some())) {
        return Place::Elsewhere;
    }
    let Some(usage) = own.filter(|usage| usage.text("column").is_some()).or(whole).or(own) else {
        return Place::Elsewhere;
    };
    // That the type's own directive is at fault is told once, by its first field.
    let Some(column) = document_column(findings, relation, usage) else { return Place::Nowhere };
    let key = own.and_then(|usage| usage.text("key"));
    let key = key.map_or_else(|| snake_case(&field.definition.name), str::to_owned);
    Place::Within { column, key }
}

fn document_column<'a>(
    findings: &mut Findings,
    relation: &'a Relation,
    usage: &Usage<'_>,
) -> Option<&'a Column> {
    let Some(name) = usage.text("column") else {
        let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, "@json does not say which column")
            .hint("@json(column: \"data\"), here or on the type");
        findings.add(usage.place, error);
        return None;
    };
    let Some(column) = relation.column(name) else {
        findings.add(usage.place_of("column"), unknown_column(relation, name));
        return None;
    };
    let known = &column.sql_type.name;
    let is_json = known.schema == "pg_catalog" && matches!(known.name.as_str(), "json" | "jsonb");
    if !is_json || column.sql_type.array {
        let message = format!("{}.{name} is no JSON document", relation.name);
        findings.add(usage.place_of("column"), Diagnostic::error(&errors::SDL_TYPE_MISMATCH, message));
        return None;
    }
    Some(column)
}

/// Returns how a value within a document travels, by the type that the author gives it.
pub(crate) fn value(
    findings: &mut Findings,
    words: &Vocabulary<'_>,
    shape: &Shape<'_>,
) -> Option<(ValueType, Element, NonNull)> {
    let name = shape.name.as_str();
    let (class, sql) = match words.enums.get(name) {
        Some(bound) => {
            let binding = bound.binding.as_ref()?;
            (Class::Enum(binding.sql_type.clone()), binding.sql_type.sql())
        }
        None => match sql_name(name) {
            Some(sql) => {
                let sql = QualifiedName::new("pg_catalog", sql);
                (Class::of_name(&sql), sql.sql())
            }
            None if scalar::names().any(|known| known == name) => {
                let message = format!("{name} cannot be read from a document");
                findings.add(shape.name.location(), Diagnostic::error(&errors::SDL_UNSUPPORTED, message));
                return None;
            }
            None => {
                refuse_unknown(findings, words, shape.name);
                return None;
            }
        },
    };
    let encoding = match words.enums.get(name) {
        Some(bound) if bound.plain => Encoding::Plain,
        Some(_) => Encoding::Label,
        None => class.encoding(name)?,
    };
    let met = match &class {
        Class::Enum(name) if name.schema != "pg_catalog" => vec![name.clone()],
        _ => Vec::new(),
    };
    let value = ValueType { graphql: name.to_owned(), sql: sql.clone(), list: shape.list, encoding };
    let non_null = if shape.non_null { NonNull::Trusted } else { NonNull::Nullable };
    Some((value, Element { class, sql, list: shape.list, domain: false, met }, non_null))
}

fn sql_name(scalar: &str) -> Option<&'static str> {
    Some(match scalar {
        "Int" => "int4",
        "BigInt" => "int8",
        "Float" => "float8",
        "Decimal" => "numeric",
        "String" | "ID" => "text",
        "Boolean" => "bool",
        "UUID" => "uuid",
        "DateTime" => "timestamptz",
        "LocalDateTime" => "timestamp",
        "Date" => "date",
        "Time" => "time",
        "Interval" => "interval",
        "JSON" => "jsonb",
        _ => return None,
    })
}

/// Returns what the fields of every object type read that is read from documents.
pub(crate) fn documents<'a>(
    findings: &mut Findings,
    drafts: &'a Drafts<'a, 'a>,
    objects: &[BoundObject<'a>],
    words: &Vocabulary<'a>,
) -> BTreeMap<&'a str, BTreeMap<String, Field>> {
    let mut wanted: Vec<&str> = objects
        .iter()
        .flat_map(|object| &object.fields)
        .filter_map(|field| match &field.binding {
            Binding::Document(document) => Some(document.target.as_str()),
            _ => None,
        })
        .collect();
    let mut documents: BTreeMap<&str, BTreeMap<String, Field>> = BTreeMap::new();
    while let Some(name) = wanted.pop() {
        let Some(draft) = drafts.get(name).filter(|draft| !documents.contains_key(draft.object.name)) else {
            continue;
        };
        let mut fields = BTreeMap::new();
        for field in &draft.fields {
            let Some(read) = document_field(findings, drafts, words, draft, field) else { continue };
            fields.insert(field.definition.name.to_string(), read);
        }
        let targets = fields.values().filter_map(|field| match field {
            Field::Document(document) => drafts.get(&document.target).map(|draft| draft.object.name),
            _ => None,
        });
        wanted.extend(targets);
        documents.insert(draft.object.name, fields);
    }
    documents
}

fn document_field(
    findings: &mut Findings,
    drafts: &Drafts<'_, '_>,
    words: &Vocabulary<'_>,
    draft: &Draft<'_, '_>,
    field: &DraftField<'_>,
) -> Option<Field> {
    let definition = field.definition;
    let shape = Shape::of(&definition.ty)?;
    let owner = format!("{}.{}", draft.object.name, definition.name);
    if let Some((directive, place)) = field.applied.any_of(&["reference", "function"]) {
        let message = format!("{owner} has @{directive}, but {} is read from documents", draft.object.name);
        let error = Diagnostic::error(&errors::SDL_UNSUPPORTED, message)
            .why("within a document there are no rows to refer from")
            .hint("give the field that reads the document an object type of its own");
        findings.add(place, error);
        return None;
    }
    for argument in &definition.arguments {
        let message = format!("{owner} is read from a document and takes no arguments");
        findings.add(argument.location(), Diagnostic::error(&errors::SDL_ARGUMENT, message));
    }
    let own = field.applied.get("json").and_then(|usage| usage.text("key"));
    let column = field.applied.get("column").and_then(|usage| usage.text("name"));
    let key = own.or(column).map_or_else(|| snake_case(&definition.name), str::to_owned);
    let column = DOCUMENT_COLUMN.to_owned();
    if words.families.get(shape.name).is_some() {
        refuse_unknown(findings, words, shape.name);
        return None;
    }
    if drafts.get(shape.name).is_some() {
        return Some(Field::Document(DocumentField {
            column,
            key,
            target: shape.name.to_string(),
            list: shape.list,
            non_null: if shape.non_null { NonNull::Trusted } else { NonNull::Nullable },
        }));
    }
    let (value, _, non_null) = value(findings, words, &shape)?;
    Some(Field::Column(ColumnField { column, value, non_null, key: Some(key) }))
}
