//! What a caller may not use, and everything that falls with it.

use std::collections::{BTreeMap, BTreeSet};

use apollo_compiler::Schema as GraphqlSchema;
use apollo_compiler::schema::{ExtendedType, InputObjectType};
use fraiseql_model::artifact::{Artifact, Field, KeyArgument, MutationField, QueryField};

use crate::view::{fields, required};

/// Types that are not there, and fields, values and inputs that are not there in others.
#[derive(Debug)]
pub(crate) struct Denial<'s> {
    artifact: &'s Artifact,
    graphql: &'s GraphqlSchema,
    /// The names of the types of queries, mutations and subscriptions.
    roots: [&'s str; 3],
    gone: BTreeSet<String>,
    removed: BTreeMap<String, BTreeSet<String>>,
    /// Object types that generated mutations may not write, and fields that they may not.
    unwritable: BTreeSet<String>,
    unwritable_fields: BTreeMap<String, BTreeSet<String>>,
    changed: bool,
}

impl<'s> Denial<'s> {
    /// Finds everything that those who hold only these rules may not use.
    pub(crate) fn of(artifact: &'s Artifact, graphql: &'s GraphqlSchema, held: &[bool]) -> Self {
        let definition = &graphql.schema_definition;
        let root = |name: Option<&'s apollo_compiler::schema::ComponentName>, usual| {
            name.map_or(usual, |name| name.name.as_str())
        };
        let mut denial = Self {
            artifact,
            graphql,
            roots: [
                root(definition.query.as_ref(), "Query"),
                root(definition.mutation.as_ref(), "Mutation"),
                root(definition.subscription.as_ref(), "Subscription"),
            ],
            gone: BTreeSet::new(),
            removed: BTreeMap::new(),
            unwritable: BTreeSet::new(),
            unwritable_fields: BTreeMap::new(),
            changed: true,
        };
        denial.begin(held);
        while std::mem::take(&mut denial.changed) {
            denial.spread_over_bindings();
            denial.spread_over_definitions();
            denial.spread_over_generated();
        }
        denial
    }

    pub(crate) fn is_gone(&self, name: &str) -> bool {
        self.gone.contains(name)
    }

    pub(crate) fn is_removed(&self, owner: &str, member: &str) -> bool {
        self.removed.get(owner).is_some_and(|members| members.contains(member))
    }

    pub(crate) fn roots(&self) -> [&'s str; 3] {
        self.roots
    }

    fn begin(&mut self, held: &[bool]) {
        let denied = |rule: Option<usize>| rule.is_some_and(|rule| !held.get(rule).copied().unwrap_or(false));
        let access = &self.artifact.access;
        for (name, guard) in &access.types {
            if denied(guard.usage) {
                self.gone.insert(name.clone());
            }
            if denied(guard.write) {
                self.unwritable.insert(name.clone());
            }
        }
        for (name, guard) in &access.rows {
            if !guard.admits(held) {
                self.gone.insert(name.clone());
            }
            if !guard.admits_writes(held) {
                self.unwritable.insert(name.clone());
            }
        }
        for (owner, guards) in &access.fields {
            for (field, guard) in guards {
                if denied(guard.usage) {
                    self.remove(owner, field);
                }
                if denied(guard.write) {
                    self.unwritable_fields.entry(owner.clone()).or_default().insert(field.clone());
                }
            }
        }
    }

    fn remove(&mut self, owner: &str, member: &str) {
        if !self.is_removed(owner, member) {
            self.removed.entry(owner.to_owned()).or_default().insert(member.to_owned());
            self.changed = true;
        }
    }

    fn take_away(&mut self, name: &str) {
        // A schema without a query type is none.
        if name != self.roots[0] && !self.gone.contains(name) {
            self.gone.insert(name.to_owned());
            self.changed = true;
        }
    }

    /// What is another form of a list falls with the list, what picks rows by a field with the field.
    fn spread_over_bindings(&mut self) {
        let artifact = self.artifact;
        for (owner, object) in &artifact.objects {
            for (field, binding) in &object.fields {
                if let Field::Derived(derived) = binding
                    && self.is_removed(owner, &derived.list)
                {
                    self.remove(owner, field);
                }
            }
        }
        let [query, mutation, subscription] = self.roots;
        for (root, fields) in [(query, &artifact.query), (subscription, &artifact.subscription)] {
            for (field, binding) in fields {
                let falls = match binding {
                    QueryField::Derived(derived) => self.is_removed(root, &derived.list),
                    QueryField::Lookup { object, key } => self.picks_by_removed(object, key),
                    QueryField::List { .. } | QueryField::Function(_) | QueryField::Node { .. } => false,
                };
                if falls {
                    self.remove(root, field);
                }
            }
        }
        for (name, rules) in &artifact.writes {
            if rules.version.as_ref().is_some_and(|version| self.is_removed(name, version)) {
                self.changed |= self.unwritable.insert(name.clone());
            }
        }
        for (field, binding) in &artifact.mutation {
            if self.is_unwritable(binding) {
                self.remove(mutation, field);
            }
        }
    }

    fn picks_by_removed(&self, object: &str, key: &[KeyArgument]) -> bool {
        key.iter().any(|argument| self.is_removed(object, &argument.field))
    }

    fn is_unwritable(&self, binding: &MutationField) -> bool {
        let (object, key) = match binding {
            MutationField::UpdateOne { object, key } | MutationField::DeleteOne { object, key } => {
                (object, key.as_slice())
            }
            MutationField::InsertOne { object }
            | MutationField::InsertMany { object }
            | MutationField::UpdateMany { object }
            | MutationField::DeleteMany { object }
            | MutationField::UpsertOne { object, .. }
            | MutationField::UpsertMany { object, .. } => (object, [].as_slice()),
            MutationField::Function(_) => return false,
        };
        self.unwritable.contains(object) || self.is_gone(object) || self.picks_by_removed(object, key)
    }

    /// What refers to what is gone falls, and what has nothing left.
    fn spread_over_definitions(&mut self) {
        let graphql = self.graphql;
        for (name, definition) in &graphql.types {
            if self.is_gone(name) || definition.is_built_in() || name.starts_with("__") {
                continue;
            }
            match definition {
                ExtendedType::Object(_) | ExtendedType::Interface(_) => self.spread_over_fields(definition),
                ExtendedType::InputObject(input) => self.spread_over_input(input),
                ExtendedType::Union(union) => {
                    if union.members.iter().all(|member| self.is_gone(&member.name)) {
                        self.take_away(name);
                    }
                }
                ExtendedType::Enum(found) => {
                    if found.values.keys().all(|value| self.is_removed(name, value)) {
                        self.take_away(name);
                    }
                }
                ExtendedType::Scalar(_) => {}
            }
        }
        for (name, found) in &self.artifact.abstracts {
            if found.members.iter().all(|member| self.is_gone(&member.object)) {
                self.take_away(name);
            }
        }
    }

    fn spread_over_fields(&mut self, definition: &ExtendedType) {
        let name = definition.name().as_str();
        for field in fields(definition) {
            let needs_what_is_gone = field
                .arguments
                .iter()
                .any(|argument| argument.is_required() && self.is_gone(argument.ty.inner_named_type()));
            if needs_what_is_gone || self.is_gone(field.ty.inner_named_type()) {
                self.remove(name, &field.name);
            }
        }
        let left = fields(definition).filter(|field| !self.is_removed(name, &field.name)).count();
        if left == 0 {
            self.take_away(name);
        }
        // A field of an interface is a field of each of its types.
        let interfaces = match definition {
            ExtendedType::Object(object) => &object.implements_interfaces,
            ExtendedType::Interface(interface) => &interface.implements_interfaces,
            _ => return,
        };
        let own: Vec<String> = self.removed.get(name).into_iter().flatten().cloned().collect();
        for interface in interfaces {
            let Some(above) = self.graphql.types.get(interface.name.as_str()) else { continue };
            for field in own.iter().filter(|own| fields(above).any(|field| field.name == own.as_str())) {
                self.remove(&interface.name, field);
            }
        }
    }

    fn spread_over_input(&mut self, input: &InputObjectType) {
        let name = input.name.as_str();
        for (field, definition) in &input.fields {
            if self.is_gone(definition.ty.inner_named_type()) {
                self.remove(name, field);
            }
            if self.is_removed(name, field) && required(input, field) {
                self.take_away(name);
            }
        }
        if input.fields.keys().all(|field| self.is_removed(name, field)) {
            self.take_away(name);
        }
    }

    /// What was generated for a type has members that are called after its fields.
    fn spread_over_generated(&mut self) {
        let artifact = self.artifact;
        for (owner, names) in &artifact.access.generated {
            if self.is_gone(owner) {
                names.iter().for_each(|name| self.take_away(name));
                continue;
            }
            let (insert, set) = (format!("{owner}InsertInput"), format!("{owner}SetInput"));
            let removed: Vec<String> = self.removed.get(owner).into_iter().flatten().cloned().collect();
            for name in names {
                for field in &removed {
                    self.remove(name, field);
                    self.remove(name, &format!("{field}Aggregate"));
                }
            }
            let unwritable: Vec<String> =
                self.unwritable_fields.get(owner).into_iter().flatten().cloned().collect();
            for field in &unwritable {
                self.remove(&insert, field);
                self.remove(&set, field);
            }
            if self.unwritable.contains(owner) {
                self.take_away(&insert);
                self.take_away(&set);
            }
            self.spread_over_writes(owner, &insert);
        }
    }

    /// An insert that cannot give what it must is none, and a conflict tells of the columns that it names.
    fn spread_over_writes(&mut self, owner: &str, insert: &str) {
        let (Some(rules), Some(object)) = (self.artifact.writes.get(owner), self.artifact.objects.get(owner))
        else {
            return;
        };
        let cannot = |givers: &Vec<String>| givers.iter().all(|field| self.is_removed(insert, field));
        if rules.required.values().any(cannot) {
            self.take_away(insert);
        }
        let hidden: Vec<&str> = object
            .fields
            .iter()
            .filter_map(|(field, binding)| match binding {
                Field::Column(column) if self.is_removed(owner, field) => Some(column.column.as_str()),
                _ => None,
            })
            .collect();
        for (conflict, columns) in &rules.conflicts {
            if columns.iter().any(|column| hidden.contains(&column.as_str())) {
                self.remove(&format!("{owner}Conflict"), conflict);
            }
        }
    }
}
