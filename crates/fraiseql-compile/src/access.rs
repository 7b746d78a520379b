//! `@auth` and `@authWrite`: who may use, and who may write, a type or a field, and which rows.

use std::collections::{BTreeMap, BTreeSet};

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, FieldDefinition, Value};
use fraiseql_model::access::{Access, AccessRule, Guard};
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;
use fraiseql_model::row_rule::{RowCondition, RowGrant, RowGuard};

use crate::analysis::Analysis;
use crate::document::AuthoredObject;
use crate::findings::{Findings, suggesting};
use crate::object::BoundObject;
use crate::row_rule::{Reader, named_rules};

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
    let rules = named_rules(findings, &authored.schema);
    for object in authored.objects.iter().chain(&authored.outcome_members) {
        let writes = analysis.writes.iter().any(|writes| writes.object.name == object.name);
        let on_write = object.directives.iter().find(|found| found.name == "authWrite");
        if let (Some(directive), false) = (on_write, writes) {
            let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, "@authWrite says nothing here")
                .why(format!("no writes are generated for {}", object.name))
                .hint("add @write(...), or take @authWrite away");
            findings.add(directive.location(), error);
        }
        if chooses_rows(object) {
            let guard = row_guard(findings, analysis, &mut access, &rules, object);
            access.rows.extend(guard.map(|guard| (object.name.to_owned(), guard)));
        } else {
            let guard = guard(findings, &mut access, object.directives.iter().copied());
            if guard != Guard::default() {
                access.types.insert(object.name.to_owned(), guard);
            }
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
    inherit(findings, &mut access, &authored.schema);
    if !access.is_empty() {
        generated(&mut access, analysis);
    }
    access
}

fn fields(findings: &mut Findings, access: &mut Access, object: &AuthoredObject<'_>) {
    for field in &object.fields {
        for directive in field.directives.iter().filter(|directive| says_rows(directive)) {
            let message =
                format!("\"rows\" and \"rule\" stand on types, not on {}.{}", object.name, field.name);
            findings.add(directive.location(), Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message));
        }
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
            asks_for_nothing(findings, directive);
        }
        *place = Some(access.place(rule));
    }
    guard
}

fn asks_for_nothing(findings: &mut Findings, directive: &Node<Directive>) {
    let message = format!("@{} asks for nothing", directive.name);
    let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message)
        .hint(format!("say for whom: @{}(roles: [\"editor\"])", directive.name));
    findings.add(directive.location(), error);
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

fn is_guard(directive: &Directive) -> bool {
    directive.name == "auth" || directive.name == "authWrite"
}

fn says_rows(directive: &Directive) -> bool {
    is_guard(directive)
        && directive.arguments.iter().any(|argument| argument.name == "rows" || argument.name == "rule")
}

/// True when it matters which of several directives a caller has, or which rows they give.
fn chooses_rows(object: &AuthoredObject<'_>) -> bool {
    let times = |name: &str| object.directives.iter().filter(|found| found.name == name).count();
    times("auth") > 1 || times("authWrite") > 1 || object.directives.iter().any(|found| says_rows(found))
}

fn row_guard(
    findings: &mut Findings,
    analysis: &Analysis<'_, '_>,
    access: &mut Access,
    rules: &BTreeMap<&str, &Node<Value>>,
    object: &AuthoredObject<'_>,
) -> Option<RowGuard> {
    let mut guard = RowGuard::default();
    let bound = analysis.by_name.get(object.name).copied();
    for directive in object.directives.iter().copied().filter(|directive| is_guard(directive)) {
        let rows = match rows_of(findings, rules, directive) {
            Ok(None) => None,
            Ok(Some(value)) => Some(condition(findings, analysis, bound, directive, value)?),
            Err(()) => return None,
        };
        let rule = rule(directive);
        if rule == AccessRule::default() && rows.is_none() {
            asks_for_nothing(findings, directive);
        }
        let rule = (rule != AccessRule::default()).then(|| access.place(rule));
        let grants = if directive.name == "auth" { &mut guard.read } else { &mut guard.write };
        grants.push(RowGrant { rule, rows });
    }
    Some(guard)
}

/// Returns what a directive says of rows; an error that was told of.
fn rows_of<'v>(
    findings: &mut Findings,
    rules: &BTreeMap<&str, &'v Node<Value>>,
    directive: &'v Node<Directive>,
) -> Result<Option<&'v Node<Value>>, ()> {
    let argument = |name: &str| directive.arguments.iter().find(|argument| argument.name == name);
    let (rows, rule) = (argument("rows"), argument("rule"));
    let Some(rule) = rule else { return Ok(rows.map(|argument| &argument.value)) };
    let name = rule.value.as_str().unwrap_or_default();
    let error = match (rows, rules.get(name)) {
        (None, Some(found)) => return Ok(Some(*found)),
        (Some(_), _) => {
            Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, "\"rows\" and \"rule\" stand together")
                .hint("say the rows once; several @auth are joined by \"or\"")
        }
        (None, None) => {
            let message = format!("there is no row rule \"{name}\"");
            let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message)
                .why(format!("extend schema @rowRule(name: \"{name}\", rows: {{...}}) would make it"));
            suggesting(error, name, rules.keys().copied())
        }
    };
    findings.add(rule.value.location(), error);
    Err(())
}

fn condition<'a>(
    findings: &mut Findings,
    analysis: &Analysis<'_, 'a>,
    bound: Option<&BoundObject<'a>>,
    directive: &Node<Directive>,
    value: &Node<Value>,
) -> Option<RowCondition> {
    match bound.filter(|object| !object.draft.restricted && !object.draft.rows) {
        Some(object) => Reader { analysis, findings }.condition(object, value),
        None => {
            let message = "rows can be chosen of types with a @relation of their own";
            let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message)
                .why("types that a discriminator tells apart share their rows, others have none")
                .hint("use row-level security: identity.session_claims = true");
            findings.add(directive.location(), error);
            None
        }
    }
}

/// Who has a role has what is for the roles that it inherits.
fn inherit(findings: &mut Findings, access: &mut Access, directives: &[&Node<Directive>]) {
    let mut heirs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for directive in directives.iter().filter(|directive| directive.name == "role") {
        let argument = |name: &str| directive.arguments.iter().find(|argument| argument.name == name);
        let name = argument("name").and_then(|argument| argument.value.as_str());
        let (Some(name), Some(inherits)) = (name, argument("inherits")) else { continue };
        for below in texts(&inherits.value) {
            if below == name {
                let message = format!("role \"{name}\" inherits itself");
                let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message);
                findings.add(directive.location(), error);
            }
            heirs.entry(below).or_default().insert(name.to_owned());
        }
    }
    for rule in &mut access.rules {
        let mut waiting: Vec<String> = rule.roles.iter().cloned().collect();
        while let Some(role) = waiting.pop() {
            let more = heirs.get(&role).into_iter().flatten();
            waiting.extend(more.filter(|heir| rule.roles.insert((*heir).clone())).cloned());
        }
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
