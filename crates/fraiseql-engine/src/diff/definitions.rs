//! Changes of types, directives and root types.

use apollo_compiler::Schema as GraphqlSchema;
use apollo_compiler::ast::DirectiveDefinition;
use apollo_compiler::schema::{EnumType, ExtendedType, InputObjectType, UnionType};

use super::fields::{arguments, deprecation, describe, input_value, is_required, object_fields};
use super::{Change, ChangeKind};

/// What stands under the same name in both, what is gone and what is new, in the order of the documents.
pub(super) struct Compared<'a, T> {
    pub(super) both: Vec<(&'a T, &'a T)>,
    pub(super) gone: Vec<&'a T>,
    pub(super) new: Vec<&'a T>,
}

/// Compares two lists by name.
pub(super) fn compare<'a, T, N: PartialEq + ?Sized + 'a>(
    old: impl Iterator<Item = &'a T> + Clone,
    new: impl Iterator<Item = &'a T> + Clone,
    name: impl Fn(&'a T) -> &'a N,
) -> Compared<'a, T> {
    let mut compared = Compared { both: Vec::new(), gone: Vec::new(), new: Vec::new() };
    for item in old.clone() {
        match new.clone().find(|other| name(other) == name(item)) {
            Some(other) => compared.both.push((item, other)),
            None => compared.gone.push(item),
        }
    }
    compared.new = new.filter(|item| !old.clone().any(|other| name(other) == name(item))).collect();
    compared
}

/// Returns every change, unsorted.
pub(super) fn changes(old: &GraphqlSchema, new: &GraphqlSchema) -> Vec<Change> {
    let mut changes = root_types(old, new);
    // The standard scalars and the introspection types are there whether anybody uses them or not.
    for (name, of_old) in old.types.iter().filter(|(_, one)| !one.is_built_in()) {
        match new.types.get(name).filter(|one| !one.is_built_in()) {
            Some(of_new) => type_changes(&mut changes, of_old, of_new),
            None => changes.push(Change::new(ChangeKind::TypeRemoved, name.as_str()).was(kind_name(of_old))),
        }
    }
    for (name, of_new) in new.types.iter().filter(|(_, one)| !one.is_built_in()) {
        if old.types.get(name).is_none_or(ExtendedType::is_built_in) {
            changes.push(Change::new(ChangeKind::TypeAdded, name.as_str()).is(kind_name(of_new)));
        }
    }
    directives(&mut changes, old, new);
    changes
}

fn root_types(old: &GraphqlSchema, new: &GraphqlSchema) -> Vec<Change> {
    let roots = |schema: &GraphqlSchema| {
        let definition = &schema.schema_definition;
        [
            ("query", definition.query.clone()),
            ("mutation", definition.mutation.clone()),
            ("subscription", definition.subscription.clone()),
        ]
    };
    let mut changes = Vec::new();
    for ((root, old), (_, new)) in roots(old).into_iter().zip(roots(new)) {
        match (old, new) {
            (Some(old), None) => {
                changes.push(Change::new(ChangeKind::RootTypeRemoved, root).was(old.as_str()))
            }
            (None, Some(new)) => changes.push(Change::new(ChangeKind::RootTypeAdded, root).is(new.as_str())),
            _ => {}
        }
    }
    changes
}

fn type_changes(changes: &mut Vec<Change>, old: &ExtendedType, new: &ExtendedType) {
    let name = old.name().as_str();
    describe(changes, name, old.description().map(|text| &**text), new.description().map(|text| &**text));
    match (old, new) {
        (ExtendedType::Enum(old), ExtendedType::Enum(new)) => enum_changes(changes, old, new),
        (ExtendedType::Union(old), ExtendedType::Union(new)) => union_changes(changes, old, new),
        (ExtendedType::InputObject(old), ExtendedType::InputObject(new)) => input_changes(changes, old, new),
        (ExtendedType::Object(old), ExtendedType::Object(new)) => {
            object_fields(changes, name, &old.fields, &new.fields);
            interfaces(changes, name, &old.implements_interfaces, &new.implements_interfaces);
        }
        (ExtendedType::Interface(old), ExtendedType::Interface(new)) => {
            object_fields(changes, name, &old.fields, &new.fields);
            interfaces(changes, name, &old.implements_interfaces, &new.implements_interfaces);
        }
        (ExtendedType::Scalar(_), ExtendedType::Scalar(_)) => {}
        _ => changes
            .push(Change::new(ChangeKind::TypeChangedKind, name).was(kind_name(old)).is(kind_name(new))),
    }
}

type Names = apollo_compiler::collections::IndexSet<apollo_compiler::schema::ComponentName>;

fn interfaces(changes: &mut Vec<Change>, name: &str, old: &Names, new: &Names) {
    let compared = compare(old.iter(), new.iter(), |one| one.as_str());
    for gone in compared.gone {
        changes.push(Change::new(ChangeKind::ImplementedInterfaceRemoved, name).was(gone.as_str()));
    }
    for new in compared.new {
        changes.push(Change::new(ChangeKind::ImplementedInterfaceAdded, name).is(new.as_str()));
    }
}

fn union_changes(changes: &mut Vec<Change>, old: &UnionType, new: &UnionType) {
    let compared = compare(old.members.iter(), new.members.iter(), |one| one.as_str());
    for gone in compared.gone {
        changes.push(Change::new(ChangeKind::TypeRemovedFromUnion, old.name.as_str()).was(gone.as_str()));
    }
    for member in compared.new {
        changes.push(Change::new(ChangeKind::TypeAddedToUnion, old.name.as_str()).is(member.as_str()));
    }
}

fn enum_changes(changes: &mut Vec<Change>, old: &EnumType, new: &EnumType) {
    let path = |value: &str| format!("{}.{value}", old.name);
    let compared = compare(old.values.values(), new.values.values(), |one| one.value.as_str());
    for gone in compared.gone {
        changes.push(Change::new(ChangeKind::ValueRemovedFromEnum, path(&gone.value)).was(&gone.value));
    }
    for value in compared.new {
        changes.push(Change::new(ChangeKind::ValueAddedToEnum, path(&value.value)).is(&value.value));
    }
    for (before, after) in compared.both {
        let path = path(&before.value);
        describe(changes, &path, before.description.as_deref(), after.description.as_deref());
        deprecation(changes, &path, &before.directives, &after.directives);
    }
}

fn input_changes(changes: &mut Vec<Change>, old: &InputObjectType, new: &InputObjectType) {
    let one_of = |input: &InputObjectType| input.directives.has("oneOf");
    match (one_of(old), one_of(new)) {
        (false, true) => changes.push(Change::new(ChangeKind::OneOfAdded, old.name.as_str())),
        (true, false) => changes.push(Change::new(ChangeKind::OneOfRemoved, old.name.as_str())),
        _ => {}
    }
    let path = |field: &str| format!("{}.{field}", old.name);
    let compared = compare(old.fields.values(), new.fields.values(), |one| one.name.as_str());
    for field in compared.new {
        let required = is_required(field);
        let kind =
            if required { ChangeKind::RequiredInputFieldAdded } else { ChangeKind::OptionalInputFieldAdded };
        changes.push(Change::new(kind, path(&field.name)).is(&field.ty));
    }
    for gone in compared.gone {
        changes.push(Change::new(ChangeKind::FieldRemoved, path(&gone.name)).was(&gone.ty));
    }
    for (before, after) in compared.both {
        input_value(changes, &path(&before.name), before, after, true);
    }
}

fn directives(changes: &mut Vec<Change>, old: &GraphqlSchema, new: &GraphqlSchema) {
    let ours = |schema: &GraphqlSchema| -> Vec<_> {
        let all = schema.directive_definitions.values();
        all.filter(|one| !one.is_built_in()).cloned().collect::<Vec<_>>()
    };
    let (old, new) = (ours(old), ours(new));
    let compared = compare(old.iter(), new.iter(), |one| one.name.as_str());
    for gone in compared.gone {
        changes.push(Change::new(ChangeKind::DirectiveRemoved, format!("@{}", gone.name)));
    }
    for added in compared.new {
        changes.push(Change::new(ChangeKind::DirectiveAdded, format!("@{}", added.name)));
    }
    for (before, after) in compared.both {
        directive(changes, before, after);
    }
}

fn directive(changes: &mut Vec<Change>, old: &DirectiveDefinition, new: &DirectiveDefinition) {
    let path = format!("@{}", old.name);
    let required = (ChangeKind::RequiredDirectiveArgAdded, ChangeKind::OptionalDirectiveArgAdded);
    arguments(changes, &path, (&old.arguments, &new.arguments), required, ChangeKind::DirectiveArgRemoved);
    match (old.repeatable, new.repeatable) {
        (true, false) => changes.push(Change::new(ChangeKind::DirectiveRepeatableRemoved, &path)),
        (false, true) => changes.push(Change::new(ChangeKind::DirectiveRepeatableAdded, &path)),
        _ => {}
    }
    describe(changes, &path, old.description.as_deref(), new.description.as_deref());
    for location in old.locations.iter().filter(|location| !new.locations.contains(location)) {
        changes.push(Change::new(ChangeKind::DirectiveLocationRemoved, &path).was(location));
    }
    for location in new.locations.iter().filter(|location| !old.locations.contains(location)) {
        changes.push(Change::new(ChangeKind::DirectiveLocationAdded, &path).is(location));
    }
}

fn kind_name(definition: &ExtendedType) -> &'static str {
    match definition {
        ExtendedType::Scalar(_) => "scalar",
        ExtendedType::Object(_) => "object type",
        ExtendedType::Interface(_) => "interface",
        ExtendedType::Union(_) => "union",
        ExtendedType::Enum(_) => "enum",
        ExtendedType::InputObject(_) => "input type",
    }
}
