//! Which fields of an old schema a change concerns, so that recorded usage tells who would notice.

use std::collections::BTreeSet;

use apollo_compiler::Schema as GraphqlSchema;
use apollo_compiler::schema::ExtendedType;

use super::{Change, ChangeKind, PublicSchema};

/// Returns the fields of object types, as `Type.field`, that a client asks for who may notice the change.
///
/// An upper bound: usage knows fields, not arguments, enum values or input fields, so a change of those
/// concerns every field that takes or returns them. Empty for what no field shows, such as directives.
pub fn affected(old: &PublicSchema, change: &Change) -> BTreeSet<String> {
    let schema = &old.graphql;
    if change.path.starts_with('@') {
        return BTreeSet::new();
    }
    if change.kind == ChangeKind::RootTypeRemoved {
        return change.old.as_deref().map_or_else(BTreeSet::new, |root| fields_of(schema, root));
    }
    let path = change.path.split('(').next().unwrap_or("");
    let (owner, member) = match path.split_once('.') {
        Some((owner, member)) => (owner, Some(member)),
        None => (path, None),
    };
    match (schema.types.get(owner), member) {
        (Some(ExtendedType::Object(_)), Some(field)) => [format!("{owner}.{field}")].into(),
        (Some(ExtendedType::Interface(_)), Some(field)) => {
            let implementers = implementers(schema, owner);
            implementers.into_iter().map(|object| format!("{object}.{field}")).collect()
        }
        (Some(ExtendedType::Object(_)), None) => fields_of(schema, owner),
        (Some(_), _) => users_of(schema, owner),
        (None, _) => BTreeSet::new(),
    }
}

/// Returns every field of every object type, sorted.
pub(super) fn coordinates(schema: &GraphqlSchema) -> Vec<String> {
    let objects = schema.types.iter().filter(|(_, one)| !one.is_built_in());
    let all: BTreeSet<String> = objects.flat_map(|(name, _)| fields_of(schema, name)).collect();
    all.into_iter().collect()
}

fn fields_of(schema: &GraphqlSchema, object: &str) -> BTreeSet<String> {
    match schema.types.get(object) {
        Some(ExtendedType::Object(definition)) => {
            definition.fields.keys().map(|field| format!("{object}.{field}")).collect()
        }
        _ => BTreeSet::new(),
    }
}

fn implementers(schema: &GraphqlSchema, interface: &str) -> Vec<String> {
    let implements = |(name, definition): (&apollo_compiler::Name, &ExtendedType)| match definition {
        ExtendedType::Object(object)
            if object.implements_interfaces.iter().any(|one| one.as_str() == interface) =>
        {
            Some(name.to_string())
        }
        _ => None,
    };
    schema.types.iter().filter_map(implements).collect()
}

/// Returns the fields that return a type or take it, itself or within an input.
fn users_of(schema: &GraphqlSchema, name: &str) -> BTreeSet<String> {
    let inputs = inputs_with(schema, name);
    let mut users = BTreeSet::new();
    for (owner, definition) in &schema.types {
        let ExtendedType::Object(object) = definition else { continue };
        if definition.is_built_in() {
            continue;
        }
        for (field, definition) in &object.fields {
            let returns = definition.ty.inner_named_type() == name;
            let takes =
                definition.arguments.iter().any(|one| inputs.contains(one.ty.inner_named_type().as_str()));
            if returns || takes {
                users.insert(format!("{owner}.{field}"));
            }
        }
    }
    users
}

/// Returns the name and every input type that holds it, at whatever depth.
fn inputs_with<'s>(schema: &'s GraphqlSchema, name: &'s str) -> BTreeSet<&'s str> {
    let mut found = BTreeSet::from([name]);
    loop {
        let before = found.len();
        for (input, definition) in &schema.types {
            if let ExtendedType::InputObject(definition) = definition
                && definition.fields.values().any(|one| found.contains(one.ty.inner_named_type().as_str()))
            {
                found.insert(input.as_str());
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::diff;
    use super::*;

    #[track_caller]
    fn check(old: &str, new: &str, expected: &[&str]) {
        let [old, new] = [old, new].map(|sdl| PublicSchema::parse(sdl).unwrap());
        let found: BTreeSet<String> =
            diff(&old, &new).iter().flat_map(|change| affected(&old, change)).collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_change_concerns_the_fields_that_show_it() {
        let old = "type Query { a(f: F): A b: E c: Int } input F { g: G } input G { x: Int e: E }
            interface N { n: Int } type A implements N { n: Int m: Int } enum E { X Y }";
        check(old, &old.replace("m: Int ", ""), &["A.m"]);
        check(old, &old.replace("x: Int ", ""), &["Query.a"]);
        check(old, &old.replace("X Y", "X"), &["Query.a", "Query.b"]);
        check(old, &old.replace("a(f: F)", "a"), &["Query.a"]);
        check(old, &old.replace("interface N { n: Int }", "interface N { n: String }"), &["A.n"]);
        check(old, &format!("{old} directive @d on FIELD"), &[]);
    }
}
