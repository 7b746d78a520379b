//! What a row rule makes of a promise: a field that leads to one row, which a caller may not be allowed
//! to see, is nullable for that caller.

use std::collections::BTreeSet;

use apollo_compiler::Schema as GraphqlSchema;
use apollo_compiler::ast::Type;
use apollo_compiler::schema::ExtendedType;
use fraiseql_model::artifact::{
    Artifact, Field, FunctionCall, FunctionReturn, MutationField, NonNull, QueryField,
};

/// Fields that may lead to a hidden row, by type and name.
#[derive(Debug, Default)]
pub(crate) struct Hidden(BTreeSet<(String, String)>);

impl Hidden {
    /// Finds them for callers who hold these rules.
    pub(crate) fn of(artifact: &Artifact, graphql: &GraphqlSchema, roots: [&str; 3], held: &[bool]) -> Self {
        let restricted = artifact.access.rows.iter().filter(|(_, guard)| guard.readable(held).is_some());
        let mut types: BTreeSet<&str> = restricted.map(|(name, _)| name.as_str()).collect();
        if types.is_empty() {
            return Self::default();
        }
        let mixed = artifact.abstracts.iter().filter(|(_, found)| {
            found.members.iter().any(|member| artifact.access.rows.contains_key(&member.object))
        });
        types.extend(mixed.map(|(name, _)| name.as_str()));
        let mut hidden = Self::default();
        for (owner, object) in &artifact.objects {
            let found = object.fields.iter().filter(|(_, binding)| leads_to_one(binding, &types));
            hidden.0.extend(found.map(|(field, _)| (owner.clone(), field.clone())));
        }
        let [query, mutation, subscription] = roots;
        for (root, fields) in [(query, &artifact.query), (subscription, &artifact.subscription)] {
            let found = fields.iter().filter(
                |(_, binding)| matches!(binding, QueryField::Function(call) if returns_one(call, &types)),
            );
            hidden.0.extend(found.map(|(field, _)| (root.to_owned(), field.clone())));
        }
        let found = artifact.mutation.iter().filter(
            |(_, binding)| matches!(binding, MutationField::Function(call) if returns_one(call, &types)),
        );
        hidden.0.extend(found.map(|(field, _)| (mutation.to_owned(), field.clone())));
        hidden.spread_to_interfaces(graphql);
        hidden
    }

    /// An interface cannot promise what one of its types does not.
    fn spread_to_interfaces(&mut self, graphql: &GraphqlSchema) {
        let mut more = Vec::new();
        for (owner, field) in &self.0 {
            let interfaces = match graphql.types.get(owner.as_str()) {
                Some(ExtendedType::Object(object)) => &object.implements_interfaces,
                Some(ExtendedType::Interface(interface)) => &interface.implements_interfaces,
                _ => continue,
            };
            more.extend(interfaces.iter().map(|above| (above.name.to_string(), field.clone())));
        }
        // The specification has types name every interface above them, so that one step is enough.
        self.0.extend(more);
    }

    /// Makes the fields of a definition nullable that may lead to a hidden row.
    pub(crate) fn relax(&self, name: &str, definition: &mut ExtendedType) {
        let fields = match definition {
            ExtendedType::Object(object) => &mut object.make_mut().fields,
            ExtendedType::Interface(interface) => &mut interface.make_mut().fields,
            _ => return,
        };
        for (_, found) in fields.iter_mut().filter(|(field, _)| self.has(name, field)) {
            let found = found.make_mut();
            if let Type::NonNullNamed(inner) = &found.ty {
                found.ty = Type::Named(inner.clone());
            }
        }
    }

    /// The same for their bindings.
    pub(crate) fn relax_bindings(&self, artifact: &mut Artifact, roots: [&str; 3]) {
        for (owner, object) in &mut artifact.objects {
            for (_, binding) in object.fields.iter_mut().filter(|(field, _)| self.has(owner, field)) {
                match binding {
                    Field::ToOne(reference) => reference.non_null = NonNull::Nullable,
                    Field::Polymorphic(reference) => reference.non_null = NonNull::Nullable,
                    Field::Computed(call) => relax_call(call),
                    _ => {}
                }
            }
        }
        let [query, mutation, subscription] = roots;
        for (root, fields) in [(query, &mut artifact.query), (subscription, &mut artifact.subscription)] {
            for (_, binding) in fields.iter_mut().filter(|(field, _)| self.has(root, field)) {
                if let QueryField::Function(call) = binding {
                    relax_call(call);
                }
            }
        }
        for (_, binding) in artifact.mutation.iter_mut().filter(|(field, _)| self.has(mutation, field)) {
            if let MutationField::Function(call) = binding {
                relax_call(call);
            }
        }
    }

    fn has(&self, owner: &str, field: &str) -> bool {
        !self.0.is_empty() && self.0.contains(&(owner.to_owned(), field.to_owned()))
    }
}

fn leads_to_one(binding: &Field, types: &BTreeSet<&str>) -> bool {
    match binding {
        Field::ToOne(reference) => types.contains(reference.target.as_str()),
        Field::Polymorphic(reference) => !reference.list && types.contains(reference.target.as_str()),
        Field::Computed(call) => returns_one(call, types),
        _ => false,
    }
}

fn returns_one(call: &FunctionCall, types: &BTreeSet<&str>) -> bool {
    matches!(&call.returns, FunctionReturn::Object { object, set: false, .. } if types.contains(object.as_str()))
}

fn relax_call(call: &mut FunctionCall) {
    if let FunctionReturn::Object { non_null, .. } = &mut call.returns {
        *non_null = NonNull::Nullable;
    }
}
