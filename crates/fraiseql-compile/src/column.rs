//! A field, argument or result meets a SQL type: does it fit, and how do its values travel?

use std::collections::{BTreeMap, BTreeSet};

use apollo_compiler::Name;
use fraiseql_model::artifact::{Encoding, NonNull, ValueType};
use fraiseql_model::catalog::{Nullability, QualifiedName, TypeRef};
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;
use fraiseql_model::names::nearest;

use crate::author_input::Inputs;
use crate::database::{Database, Element};
use crate::enumeration::{BoundEnum, is_text};
use crate::family::Families;
use crate::findings::{Findings, Place, listed};
use crate::outcome::Outcomes;
use crate::scalar::{self, Class};
use crate::shape::Shape;

/// What a GraphQL type is held against.
pub(crate) struct Side<'a> {
    /// The GraphQL side, for messages: `Album.title`.
    pub(crate) owner: &'a str,
    /// The SQL side, for messages: `column public.album.title`.
    pub(crate) source: &'a str,
    pub(crate) sql_type: &'a TypeRef,
    /// True for arguments, which may be narrower than their parameter.
    pub(crate) input: bool,
}

/// The known names of a schema.
pub(crate) struct Vocabulary<'a> {
    pub(crate) database: &'a Database<'a>,
    pub(crate) enums: &'a BTreeMap<&'a str, BoundEnum>,
    pub(crate) inputs: &'a Inputs<'a>,
    pub(crate) objects: Vec<&'a str>,
    pub(crate) outcomes: &'a Outcomes<'a>,
    pub(crate) families: &'a Families<'a>,
    /// Types that were refused where they stand.
    pub(crate) refused: &'a BTreeSet<&'a str>,
}

/// Returns how the values travel, or adds why they cannot.
pub(crate) fn value_type(
    findings: &mut Findings,
    words: &Vocabulary<'_>,
    shape: &Shape<'_>,
    side: &Side<'_>,
) -> Option<(ValueType, Element)> {
    let place = shape.name.location();
    let Some(mut element) = words.database.element(side.sql_type) else {
        let message = format!("{} is an array of arrays", side.source);
        findings.add(place, Diagnostic::error(&errors::SDL_UNSUPPORTED, message));
        return None;
    };
    let encoding = match words.enums.get(shape.name.as_str()) {
        Some(bound) => {
            // Why an enum is bound to nothing was told at the enum.
            let binding = bound.binding.as_ref()?;
            let text = is_text(&binding.sql_type) && element.class == Class::Text;
            let same = text || element.class == Class::Enum(binding.sql_type.clone());
            same.then_some(if bound.plain { Encoding::Plain } else { Encoding::Label })
        }
        None if scalar::names().any(|known| shape.name == known) => {
            let encoding = element.class.encoding(shape.name);
            let narrower = side.input && element.class.accepts(shape.name);
            encoding.or(narrower.then_some(Encoding::Plain))
        }
        None => match words.inputs.get(shape.name).filter(|_| side.input) {
            Some(input) => return input.value_type(findings, words, shape, side, element),
            None => {
                refuse_unknown(findings, words, shape.name);
                return None;
            }
        },
    };
    if encoding.is_none() || shape.list != element.list {
        findings.add(place, mismatch(words, shape, side, &element));
        return None;
    }
    let value = ValueType {
        graphql: shape.name.to_string(),
        sql: element.sql.clone(),
        list: element.list,
        encoding: encoding?,
    };
    // Of text that stands for an enum only its values are of interest.
    if words.enums.contains_key(shape.name.as_str()) && element.class == Class::Text {
        element.class = Class::Enum(QualifiedName::new("pg_catalog", "text"));
    }
    Some((value, element))
}

/// Returns on what ground an output is `!`, or adds that there is none.
pub(crate) fn non_null(
    findings: &mut Findings,
    shape: &Shape<'_>,
    side: &Side<'_>,
    nullability: Nullability,
    trusted: Place,
    place: Place,
) -> NonNull {
    if shape.list && shape.item_non_null {
        let message = format!("{} promises elements that are never null", side.owner);
        let error = Diagnostic::error(&errors::SDL_NULLABLE, message)
            .why("an element of a PostgreSQL array can be NULL, and no constraint forbids it")
            .hint(format!("write [{}]{}", shape.name, if shape.non_null { "!" } else { "" }));
        findings.add(place, error);
    }
    if trusted.is_some() && !shape.non_null {
        let message = format!("@neverNull says nothing, for {} may be null", side.owner);
        let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message);
        findings.add(trusted, error.hint(format!("write {}! or take @neverNull away", shape.nullable())));
    }
    match (shape.non_null, nullability) {
        (false, _) => NonNull::Nullable,
        (true, Nullability::NotNull | Nullability::Traced) => NonNull::Proven,
        (true, Nullability::Nullable) if trusted.is_some() => NonNull::Trusted,
        (true, Nullability::Nullable) => {
            let message = format!("{} is marked ! but {} can be null", side.owner, side.source);
            let error = Diagnostic::error(&errors::SDL_NULLABLE, message).hint(format!(
                "write {}, or add @neverNull if you know that no null comes",
                shape.nullable()
            ));
            findings.add(place, error);
            NonNull::Nullable
        }
    }
}

/// Adds that nobody defined a type, unless its definition was refused.
pub(crate) fn refuse_unknown(findings: &mut Findings, words: &Vocabulary<'_>, name: &Name) {
    if !words.refused.contains(name.as_str()) {
        findings.add(name.location(), unknown_type(words, name));
    }
}

fn unknown_type(words: &Vocabulary<'_>, name: &str) -> Diagnostic {
    if words.objects.contains(&name) {
        let message = format!("{name} is an object type, which cannot be an argument");
        return Diagnostic::error(&errors::SDL_ARGUMENT, message);
    }
    if words.inputs.get(name).is_some() {
        let message = format!("{name} is an input type, which cannot come back");
        let error = Diagnostic::error(&errors::SDL_TYPE_MISMATCH, message);
        return error.hint("define a type with the same fields");
    }
    if let Some(family) = words.families.get(name) {
        let what = if family.interface.is_some() { "an interface" } else { "a union" };
        let message = format!("{name} is {what}, whose rows are in relations and nowhere else");
        return Diagnostic::error(&errors::SDL_UNSUPPORTED, message);
    }
    let known: Vec<&str> = scalar::names()
        .map(|name| -> &str { name })
        .chain(words.objects.iter().copied())
        .chain(words.enums.keys().copied())
        .chain(words.inputs.names())
        .collect();
    let error = Diagnostic::error(&errors::SDL_UNKNOWN_TYPE, format!("there is no type {name}"));
    match nearest(name, known) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error,
    }
}

fn mismatch(words: &Vocabulary<'_>, shape: &Shape<'_>, side: &Side<'_>, element: &Element) -> Diagnostic {
    let written = shape.nullable();
    let message = format!("{} is {written}, but {} is {}", side.owner, side.source, spelled(side.sql_type));
    let mut fitting: Vec<String> = element.class.scalars().into_iter().map(str::to_owned).collect();
    if let Class::Enum(name) = &element.class {
        let of_enum = |(_, bound): &(&&str, &BoundEnum)| {
            bound.binding.as_ref().is_some_and(|binding| binding.sql_type == *name)
        };
        match words.enums.iter().find(of_enum) {
            Some((bound, _)) => fitting.insert(0, (*bound).to_owned()),
            None => fitting.push(format!("an enum with @enum(name: \"{}\")", name.name)),
        }
    }
    if element.list {
        fitting = fitting.iter().map(|one| format!("[{one}]")).collect();
    }
    let choices = match fitting.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => listed(&fitting),
    };
    let error = Diagnostic::error(&errors::SDL_TYPE_MISMATCH, message).hint(format!("write {choices}"));
    match (&element.class, shape.name.as_str()) {
        (Class::BigInt, "Int" | "Float") => {
            error.why("Int has 32 bits and a JSON number is rounded beyond 2^53; BigInt travels as a string")
        }
        (Class::Decimal, "Float") => error.why("Float would round; Decimal travels as a string"),
        _ => error,
    }
}

/// Returns a type as a person writes it: `varchar`, `shop.mood[]`.
pub(crate) fn spelled(sql_type: &TypeRef) -> String {
    let brackets = if sql_type.array { "[]" } else { "" };
    let name = &sql_type.name;
    match name.schema.as_str() {
        "pg_catalog" | "public" => format!("{}{brackets}", name.name),
        _ => format!("{name}{brackets}"),
    }
}
