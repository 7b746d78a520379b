//! The part of a schema that a caller may use: what its rules deny is not there.
//!
//! Nothing is checked while a request is planned. What is denied is taken out of the GraphQL schema, so
//! that no document can name it, and out of the bindings, so that no plan can read it.

use std::collections::{BTreeMap, BTreeSet};

use apollo_compiler::Name;
use apollo_compiler::ast::Type;
use apollo_compiler::collections::IndexMap;
use apollo_compiler::schema::{ComponentName, ExtendedType, InputObjectType, SchemaDefinition};
use apollo_compiler::validation::Valid;
use fraiseql_model::artifact::{Artifact, Field, MutationField, PersistedOperation, QueryField};

use crate::denial::Denial;
use crate::document::Document;
use crate::hidden::Hidden;
use crate::limits::Limits;
use crate::schema::{LoadError, Schema};

impl Schema {
    /// Returns the part of this schema for callers who hold these rules of its `access`.
    ///
    /// Its SDL is left empty, and its persisted operations are those that fit it. Fails as
    /// [`Schema::load`] does.
    pub fn view(&self, held: &[bool]) -> Result<Self, LoadError> {
        let denial = Denial::of(&self.artifact, &self.graphql, held);
        let mut graphql = (*self.graphql).clone();
        graphql.types.retain(|name, _| !denial.is_gone(name));
        let hidden = Hidden::of(&self.artifact, &self.graphql, denial.roots(), held);
        for (name, definition) in &mut graphql.types {
            thin(&denial, name, definition);
            hidden.relax(name, definition);
        }
        let definition = graphql.schema_definition.make_mut();
        let present = |root: &Option<ComponentName>| {
            root.clone().filter(|root| graphql.types.contains_key(root.name.as_str()))
        };
        (definition.mutation, definition.subscription) =
            (present(&definition.mutation), present(&definition.subscription));
        let reachable = reachable(&graphql.types, definition);
        graphql.types.retain(|name, found| {
            found.is_built_in() || name.starts_with("__") || reachable.contains(name.as_str())
        });
        let mut bindings = bindings(&self.artifact, &denial);
        hidden.relax_bindings(&mut bindings, denial.roots());
        let mut view = Self::bind(bindings, Valid::assume_valid(graphql), Some(held))?;
        let fits = |operation: &PersistedOperation| {
            Document::parse(&view, &operation.text, &Limits::CEILING).is_ok()
        };
        let fitting: Vec<PersistedOperation> =
            self.artifact.operations.iter().filter(|operation| fits(operation)).cloned().collect();
        view.artifact.operations = fitting;
        Ok(view)
    }
}

/// Takes out of a definition what is denied or refers to what is gone.
fn thin(denial: &Denial<'_>, name: &Name, definition: &mut ExtendedType) {
    let is_kept = |member: &str| !denial.is_removed(name, member);
    match definition {
        ExtendedType::Object(object) => {
            let object = object.make_mut();
            object.implements_interfaces.retain(|interface| !denial.is_gone(&interface.name));
            object.fields.retain(|field, _| is_kept(field));
            for field in object.fields.values_mut() {
                field.make_mut().arguments.retain(|argument| !denial.is_gone(argument.ty.inner_named_type()));
            }
        }
        ExtendedType::Interface(interface) => {
            let interface = interface.make_mut();
            interface.implements_interfaces.retain(|above| !denial.is_gone(&above.name));
            interface.fields.retain(|field, _| is_kept(field));
            for field in interface.fields.values_mut() {
                field.make_mut().arguments.retain(|argument| !denial.is_gone(argument.ty.inner_named_type()));
            }
        }
        ExtendedType::Union(union) => union.make_mut().members.retain(|member| !denial.is_gone(&member.name)),
        ExtendedType::Enum(found) => found.make_mut().values.retain(|value, _| is_kept(value)),
        ExtendedType::InputObject(input) => input.make_mut().fields.retain(|field, _| is_kept(field)),
        ExtendedType::Scalar(_) => {}
    }
}

/// Returns the names of types that an operation can come to.
fn reachable(types: &IndexMap<Name, ExtendedType>, roots: &SchemaDefinition) -> BTreeSet<String> {
    let roots = [&roots.query, &roots.mutation, &roots.subscription];
    let mut waiting: Vec<String> = roots.into_iter().flatten().map(|root| root.name.to_string()).collect();
    let mut found = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        let Some(definition) = types.get(name.as_str()) else { continue };
        if !found.insert(name.clone()) {
            continue;
        }
        let mut come = |ty: &Type| waiting.push(ty.inner_named_type().to_string());
        match definition {
            ExtendedType::Object(_) | ExtendedType::Interface(_) => {
                for field in fields(definition) {
                    come(&field.ty);
                    field.arguments.iter().for_each(|argument| come(&argument.ty));
                }
            }
            ExtendedType::InputObject(input) => input.fields.values().for_each(|field| come(&field.ty)),
            ExtendedType::Union(union) => {
                waiting.extend(union.members.iter().map(|member| member.name.to_string()));
            }
            ExtendedType::Enum(_) | ExtendedType::Scalar(_) => {}
        }
        waiting.extend(kin(types, definition));
    }
    found
}

/// The interfaces that a type implements, and the types that implement it.
fn kin(types: &IndexMap<Name, ExtendedType>, definition: &ExtendedType) -> Vec<String> {
    let implemented = |definition: &ExtendedType| -> Vec<String> {
        let interfaces = match definition {
            ExtendedType::Object(object) => &object.implements_interfaces,
            ExtendedType::Interface(interface) => &interface.implements_interfaces,
            _ => return Vec::new(),
        };
        interfaces.iter().map(|interface| interface.name.to_string()).collect()
    };
    let mut kin = implemented(definition);
    if definition.is_interface() {
        let name = definition.name().as_str();
        let below = types.iter().filter(|(_, other)| implemented(other).iter().any(|above| above == name));
        kin.extend(below.map(|(name, _)| name.to_string()));
    }
    kin
}

pub(crate) fn fields(
    definition: &ExtendedType,
) -> impl Iterator<Item = &apollo_compiler::ast::FieldDefinition> {
    let fields = match definition {
        ExtendedType::Object(object) => Some(&object.fields),
        ExtendedType::Interface(interface) => Some(&interface.fields),
        _ => None,
    };
    fields.into_iter().flat_map(|fields| fields.values().map(|field| &***field))
}

pub(crate) fn required(input: &InputObjectType, field: &str) -> bool {
    input.fields.get(field).is_some_and(|field| field.is_required())
}

/// Returns the artifact without the bindings of what is denied.
fn bindings(artifact: &Artifact, denial: &Denial<'_>) -> Artifact {
    let mut thinned = Artifact { sdl: String::new(), ..artifact.clone() };
    thinned.objects.retain(|name, _| !denial.is_gone(name));
    for (name, object) in &mut thinned.objects {
        object.fields.retain(|field, _| !denial.is_removed(name, field));
        for field in object.fields.values_mut() {
            if let Field::Polymorphic(reference) = field
                && let Some(target) = artifact.abstracts.get(&reference.target)
            {
                // They stand in the order of the target's types.
                let mut kept = target.members.iter().map(|member| !denial.is_gone(&member.object));
                reference.members.retain(|_| kept.next().unwrap_or(false));
            }
        }
    }
    thinned.documents.retain(|name, _| !denial.is_gone(name));
    for (name, fields) in &mut thinned.documents {
        fields.retain(|field, _| !denial.is_removed(name, field));
    }
    thinned.abstracts.retain(|name, _| !denial.is_gone(name));
    for found in thinned.abstracts.values_mut() {
        found.members.retain(|member| !denial.is_gone(&member.object));
    }
    let [query, mutation, subscription] = denial.roots();
    thinned.query.retain(|field, _: &mut QueryField| !denial.is_removed(query, field));
    thinned.mutation.retain(|field, _: &mut MutationField| !denial.is_removed(mutation, field));
    thinned.subscription.retain(|field, _| !denial.is_removed(subscription, field));
    thinned.writes.retain(|name, _| !denial.is_gone(name));
    for (name, rules) in &mut thinned.writes {
        let input = format!("{name}InsertInput");
        rules.nested.retain(|field, _| !denial.is_removed(&input, field));
    }
    let inputs: BTreeMap<_, _> =
        std::mem::take(&mut thinned.inputs).into_iter().filter(|(name, _)| !denial.is_gone(name)).collect();
    Artifact { inputs, operations: Vec::new(), ..thinned }
}
