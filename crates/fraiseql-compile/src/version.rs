//! `@version`: the column by which a client says which state of a row it has seen.

use fraiseql_model::catalog::Nullability;
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;

use crate::database::{Database, Writing};
use crate::findings::Findings;
use crate::object::{Binding, BoundColumn, BoundField, BoundObject};
use crate::scalar::Class;

/// Returns the field with `@version`; why it cannot be one is in `findings`.
pub(crate) fn bind<'a>(
    findings: &mut Findings,
    object: &BoundObject<'a>,
    database: &Database<'_>,
) -> Option<&'a str> {
    let mut found = None;
    for field in &object.draft.fields {
        let Some(usage) = field.applied.get("version") else { continue };
        let name = field.definition.name.as_str();
        let refusal = match found {
            Some(other) => Some(
                Diagnostic::error(
                    &errors::SDL_DIRECTIVE_ARGUMENT,
                    format!("{}.{name} is a second @version beside {other}", object.name),
                )
                .why("a row has one version"),
            ),
            None => object
                .fields
                .iter()
                .find(|bound| bound.name == name)
                .and_then(|bound| refusal(object, bound, database)),
        };
        match refusal {
            Some(refusal) => findings.add(usage.place, refusal),
            None => found = Some(name),
        }
    }
    found
}

fn refusal(object: &BoundObject<'_>, field: &BoundField<'_>, database: &Database<'_>) -> Option<Diagnostic> {
    let owner = format!("{}.{}", object.name, field.name);
    let error = |what: &str| {
        Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, format!("{owner} cannot be a @version: {what}"))
    };
    let hint = format!("ALTER TABLE {} ADD version int NOT NULL DEFAULT 1", object.relation.name.sql());
    let Binding::Column(bound) = &field.binding else {
        return Some(error("it is no column"));
    };
    let usage = object.draft.applied.get("write");
    if !usage.is_some_and(|usage| usage.flag("update") || usage.flag("delete")) {
        let says = format!("@version on {owner} says nothing");
        let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, says)
            .why("it guards the generated updates and deletes, and the type asks for none");
        return Some(error.hint(format!("add @write(update: true) to {}", object.name)));
    }
    if !counts(bound) {
        return Some(error("it must be smallint, integer or bigint").hint(hint));
    }
    if bound.column.nullability == Nullability::Nullable {
        return Some(error("it may be NULL, which equals no version").hint(hint));
    }
    let written = database.writing(object.relation, bound.column);
    (written == Writing::Never).then(|| error("the database computes it").hint(hint))
}

fn counts(bound: &BoundColumn<'_>) -> bool {
    let element = &bound.element;
    !element.list && !element.domain && matches!(element.class, Class::Int | Class::BigInt)
}
