//! `@auth` and `@authWrite`: who may use, and who may write, a type or a field.

use std::collections::BTreeSet;

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, FieldDefinition, Value};
use fraiseql_model::access::{Access, AccessRule, Guard};
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;

use crate::analysis::Analysis;
use crate::document::AuthoredObject;
use crate::findings::Findings;

/// Ends of the names of generated types whose members are called after fields.
const NAMED_AFTER_FIELDS: &[&str] = &[
    "Filter",
    "OrderBy",
    "Column",
    "Sum",
    "Average",
    "NumberFilter",
    "NumberOrderBy",
    "Extreme",
    "ExtremeFilter",
    "ExtremeOrderBy",
    "Key",
    "KeyOrderBy",
    "InsertInput",
    "SetInput",
];

/// Returns who may use what; what is wrong with it is in `findings`.
///
/// How directives are written was checked where the type they stand on was read.
pub(crate) fn read(findings: &mut Findings, analysis: &Analysis<'_, '_>) -> Access {
    let authored = analysis.authored;
    let mut access = Access::default();
    for interface in &authored.interfaces {
        refuse_on_fields(findings, interface);
    }
    for object in authored.objects.iter().chain(&authored.outcome_members) {
        let guard = guard(findings, &mut access, object.directives.iter().copied());
        let writes = analysis.writes.iter().any(|writes| writes.object.name == object.name);
        if guard.write.is_some() && !writes {
            let directive = object.directives.iter().find(|found| found.name == "authWrite");
            let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, "@authWrite says nothing here")
                .why(format!("no writes are generated for {}", object.name))
                .hint("add @write(...), or take @authWrite away");
            findings.add(directive.and_then(|found| found.location()), error);
        }
        if guard != Guard::default() {
            access.types.insert(object.name.to_owned(), guard);
        }
        fields(findings, &mut access, object);
    }
    for root in [&authored.query, &authored.mutation, &authored.subscription].into_iter().flatten() {
        fields(findings, &mut access, root);
        for field in &root.fields {
            if let Some(directive) = field.directives.get("authWrite") {
                let message = format!("@authWrite says nothing on {}.{}", root.name, field.name);
                let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message);
                findings.add(directive.location(), error.hint("use @auth"));
            }
        }
    }
    if !access.is_empty() {
        generated(&mut access, analysis);
    }
    access
}

fn fields(findings: &mut Findings, access: &mut Access, object: &AuthoredObject<'_>) {
    for field in &object.fields {
        let guard = guard(findings, access, field.directives.iter());
        if guard != Guard::default() {
            let guards = access.fields.entry(object.name.to_owned()).or_default();
            guards.insert(field.name.to_string(), guard);
        }
    }
}

fn guard<'d>(
    findings: &mut Findings,
    access: &mut Access,
    directives: impl Iterator<Item = &'d Node<Directive>>,
) -> Guard {
    let mut guard = Guard::default();
    for directive in directives {
        let place = match directive.name.as_str() {
            "auth" => &mut guard.usage,
            "authWrite" => &mut guard.write,
            _ => continue,
        };
        let rule = rule(directive);
        if rule == AccessRule::default() {
            let message = format!("@{} asks for nothing", directive.name);
            let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message)
                .hint(format!("say for whom: @{}(roles: [\"editor\"])", directive.name));
            findings.add(directive.location(), error);
        }
        *place = Some(access.place(rule));
    }
    guard
}

fn rule(directive: &Node<Directive>) -> AccessRule {
    let mut rule = AccessRule::default();
    for argument in &directive.arguments {
        match (argument.name.as_str(), &*argument.value) {
            ("roles", value) => rule.roles = texts(value),
            ("scopes", value) => rule.scopes = texts(value),
            ("signedIn", Value::Boolean(flag)) => rule.signed_in = *flag,
            _ => {}
        }
    }
    rule
}

fn texts(value: &Value) -> BTreeSet<String> {
    match value {
        Value::String(text) => BTreeSet::from([text.clone()]),
        Value::List(items) => items.iter().filter_map(|item| Some(item.as_str()?.to_owned())).collect(),
        _ => BTreeSet::new(),
    }
}

/// A field of an interface is guarded by those of its types.
fn refuse_on_fields(findings: &mut Findings, interface: &AuthoredObject<'_>) {
    let guarded = |field: &&Node<FieldDefinition>| {
        field.directives.iter().any(|found| found.name == "auth" || found.name == "authWrite")
    };
    for field in interface.fields.iter().copied().filter(guarded) {
        let message =
            format!("@auth cannot stand on {}.{}, a field of an interface", interface.name, field.name);
        let error = Diagnostic::error(&errors::SDL_UNKNOWN_DIRECTIVE, message)
            .why("whoever may not use the field of one of its types may not use it here")
            .hint("write it on the field of each type that it is meant for");
        findings.add(field.name.location(), error);
    }
}

fn generated(access: &mut Access, analysis: &Analysis<'_, '_>) {
    for object in analysis.objects.iter().chain(analysis.commons) {
        let names = NAMED_AFTER_FIELDS.iter().map(|suffix| format!("{}{suffix}", object.name));
        let names: BTreeSet<String> =
            names.filter(|name| !analysis.authored.names.contains_key(name.as_str())).collect();
        access.generated.insert(object.name.to_owned(), names);
    }
}
