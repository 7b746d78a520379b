//! Changes of fields, arguments and input fields, and what a type may become without anybody noticing.

use apollo_compiler::Node;
use apollo_compiler::ast::{InputValueDefinition, Type, Value};
use apollo_compiler::collections::IndexMap;
use apollo_compiler::schema::{Component, FieldDefinition, Name};

use super::definitions::compare;
use super::{Change, ChangeKind};

/// Adds the changes of the fields of an object type or an interface.
pub(super) fn object_fields(
    changes: &mut Vec<Change>,
    owner: &str,
    old: &IndexMap<Name, Component<FieldDefinition>>,
    new: &IndexMap<Name, Component<FieldDefinition>>,
) {
    let compared = compare(old.values(), new.values(), |one| one.name.as_str());
    for gone in compared.gone {
        let path = format!("{owner}.{}", gone.name);
        changes.push(Change::new(ChangeKind::FieldRemoved, path).was(&gone.ty));
    }
    for field in compared.new {
        changes.push(Change::new(ChangeKind::FieldAdded, format!("{owner}.{}", field.name)).is(&field.ty));
    }
    for (before, after) in compared.both {
        let path = format!("{owner}.{}", before.name);
        let added = (ChangeKind::RequiredArgAdded, ChangeKind::OptionalArgAdded);
        arguments(changes, &path, (&before.arguments, &after.arguments), added, ChangeKind::ArgRemoved);
        if before.ty != after.ty {
            let safe = is_safe_to_read(&before.ty, &after.ty);
            let kind = if safe { ChangeKind::FieldChangedKindSafe } else { ChangeKind::FieldChangedKind };
            changes.push(Change::new(kind, &path).was(&before.ty).is(&after.ty));
        }
        describe(changes, &path, before.description.as_deref(), after.description.as_deref());
        deprecation(changes, &path, &before.directives, &after.directives);
    }
}

/// Adds the changes of arguments; `added` names a new one that must, and one that need not be given.
pub(super) fn arguments(
    changes: &mut Vec<Change>,
    owner: &str,
    (old, new): (&[Node<InputValueDefinition>], &[Node<InputValueDefinition>]),
    added: (ChangeKind, ChangeKind),
    removed: ChangeKind,
) {
    let path = |argument: &str| format!("{owner}({argument}:)");
    let compared = compare(old.iter(), new.iter(), |one| one.name.as_str());
    for gone in compared.gone {
        changes.push(Change::new(removed, path(&gone.name)).was(&gone.ty));
    }
    for argument in compared.new {
        let kind = if is_required(argument) { added.0 } else { added.1 };
        changes.push(Change::new(kind, path(&argument.name)).is(&argument.ty));
    }
    for (before, after) in compared.both {
        input_value(changes, &path(&before.name), before, after, false);
    }
}

/// Adds the changes of an argument, or of the field of an input type.
pub(super) fn input_value(
    changes: &mut Vec<Change>,
    path: &str,
    old: &InputValueDefinition,
    new: &InputValueDefinition,
    is_field: bool,
) {
    let kind = |argument, field| if is_field { field } else { argument };
    let defaults = [old, new].map(|one| one.default_value.as_deref().map(sorted));
    if !is_safe_to_give(&old.ty, &new.ty) {
        let kind = kind(ChangeKind::ArgChangedKind, ChangeKind::FieldChangedKind);
        changes.push(Change::new(kind, path).was(&old.ty).is(&new.ty));
    } else if let [Some(before), after] = &defaults {
        if after.as_ref() != Some(before) {
            let kind = kind(ChangeKind::ArgDefaultValueChange, ChangeKind::InputFieldDefaultValueChange);
            let change = Change::new(kind, path).was(before);
            changes.push(match after {
                Some(after) => change.is(after),
                None => change,
            });
        }
    } else if let [None, Some(after)] = &defaults {
        let kind = kind(ChangeKind::ArgDefaultValueAdded, ChangeKind::InputFieldDefaultValueAdded);
        changes.push(Change::new(kind, path).is(after));
    } else if old.ty != new.ty {
        let kind = kind(ChangeKind::ArgChangedKindSafe, ChangeKind::FieldChangedKindSafe);
        changes.push(Change::new(kind, path).was(&old.ty).is(&new.ty));
    }
    describe(changes, path, old.description.as_deref(), new.description.as_deref());
    deprecation(changes, path, &old.directives, &new.directives);
}

/// Adds the change of a description.
pub(super) fn describe(changes: &mut Vec<Change>, path: &str, old: Option<&str>, new: Option<&str>) {
    if old == new {
        return;
    }
    let mut change = Change::new(ChangeKind::DescriptionChanged, path);
    (change.old, change.new) = (old.map(str::to_owned), new.map(str::to_owned));
    changes.push(change);
}

/// Adds the change of a deprecation.
pub(super) fn deprecation(
    changes: &mut Vec<Change>,
    path: &str,
    old: &apollo_compiler::ast::DirectiveList,
    new: &apollo_compiler::ast::DirectiveList,
) {
    let reason = |list: &apollo_compiler::ast::DirectiveList| {
        let reason = list.get("deprecated")?.specified_argument_by_name("reason");
        Some(reason.and_then(|reason| reason.as_str()).unwrap_or("No longer supported").to_owned())
    };
    match (reason(old), reason(new)) {
        (before, Some(after)) if before.as_ref() != Some(&after) => {
            changes.push(Change::new(ChangeKind::Deprecated, path).is(after));
        }
        (Some(before), None) => {
            changes.push(Change::new(ChangeKind::DeprecationRemoved, path).was(before));
        }
        _ => {}
    }
}

/// True when a client has to give it.
pub(super) fn is_required(value: &InputValueDefinition) -> bool {
    value.ty.is_non_null() && value.default_value.is_none()
}

/// True when whoever could read `old` can read `new`: the same, or never null where it could be.
fn is_safe_to_read(old: &Type, new: &Type) -> bool {
    match (old, new) {
        (Type::Named(old), Type::Named(new) | Type::NonNullNamed(new)) => old == new,
        (Type::NonNullNamed(old), Type::NonNullNamed(new)) => old == new,
        (Type::List(old), Type::List(new) | Type::NonNullList(new)) => is_safe_to_read(old, new),
        (Type::NonNullList(old), Type::NonNullList(new)) => is_safe_to_read(old, new),
        _ => false,
    }
}

/// True when whatever was given for `old` may be given for `new`: the same, or null where it could not be.
fn is_safe_to_give(old: &Type, new: &Type) -> bool {
    match (old, new) {
        (Type::Named(old), Type::Named(new)) => old == new,
        (Type::NonNullNamed(old), Type::Named(new) | Type::NonNullNamed(new)) => old == new,
        (Type::List(old), Type::List(new)) => is_safe_to_give(old, new),
        (Type::NonNullList(old), Type::List(new) | Type::NonNullList(new)) => is_safe_to_give(old, new),
        _ => false,
    }
}

/// Returns a default as text; the order in which an object's keys are written means nothing.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}: {}", sorted(value))).collect();
            fields.sort();
            format!("{{{}}}", fields.join(", "))
        }
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| sorted(item)).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}
