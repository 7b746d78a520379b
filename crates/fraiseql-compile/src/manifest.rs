//! Writes down what a bound schema reads and writes.

use std::collections::{BTreeMap, BTreeSet};

use fraiseql_model::access::Access;
use fraiseql_model::artifact::{FunctionReturn, MutationField, NonNull, PolymorphicReference};
use fraiseql_model::catalog::{Function, Relation};
use fraiseql_model::manifest::{CalledFunction, Insert, Manifest, Read, Write};

use fraiseql_model::row_rule::RowCondition;

use crate::analysis::Analysis;
use crate::call::BoundCall;
use crate::database::{Element, signature};
use crate::object::{Binding, BoundObject};
use crate::root::{BoundRoot, RootBinding};
use crate::write::Writes;

/// Returns everything that the engine's SQL can touch for this schema.
pub(crate) fn manifest(analysis: &Analysis<'_, '_>, access: &Access) -> Manifest {
    let mut ledger = Ledger::default();
    for object in analysis.objects {
        ledger.object(analysis, object);
    }
    ledger.inherited(analysis);
    for (name, guard) in &access.rows {
        let Some(object) = analysis.by_name.get(name.as_str()) else { continue };
        for rows in guard.read.iter().chain(&guard.write).filter_map(|grant| grant.rows.as_ref()) {
            ledger.row_rule(analysis, object.relation, rows, &format!("@auth of {name}"));
        }
    }
    for (parent, root) in roots(analysis) {
        ledger.root(analysis, parent, root);
    }
    for writes in &analysis.writes {
        ledger.writes(analysis, writes);
    }
    ledger.functions(analysis);
    for (name, graphql) in ledger.graphql {
        let graphql: Vec<String> = graphql.into_iter().collect();
        ledger.manifest.types.entry(name).or_default().graphql = graphql.join(", ");
    }
    ledger.manifest
}

/// Returns every root field with the name of its type.
fn roots<'r, 'a>(analysis: &'r Analysis<'_, 'a>) -> impl Iterator<Item = (&'static str, &'r BoundRoot<'a>)> {
    let roots = [
        ("Query", &analysis.query),
        ("Mutation", &analysis.mutation),
        ("Subscription", &analysis.subscription),
    ];
    roots.into_iter().flat_map(|(parent, roots)| roots.iter().map(move |root| (parent, root)))
}

#[derive(Default)]
struct Ledger {
    manifest: Manifest,
    /// The GraphQL types that each user-defined type becomes.
    graphql: BTreeMap<String, BTreeSet<String>>,
}

/// Which way a value goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Out,
    In,
}

impl Ledger {
    fn read(&mut self, relation: &Relation) -> &mut Read {
        self.manifest.reads.entry(relation.name.to_string()).or_default()
    }

    fn read_column(&mut self, analysis: &Analysis<'_, '_>, relation: &Relation, column: &str, reader: &str) {
        let Some(found) = relation.column(column) else { return };
        let home = home(analysis, relation, column);
        let read = self.read(home);
        read.columns.entry(column.to_owned()).or_default().insert(reader.to_owned());
        read.column_types.insert(column.to_owned(), found.sql_type.sql());
    }

    fn object(&mut self, analysis: &Analysis<'_, '_>, object: &BoundObject<'_>) {
        let relation = object.relation;
        if object.draft.rows {
            return self.rows(analysis, object);
        }
        self.read(relation);
        for column in &object.draft.key {
            self.read_column(analysis, relation, column, object.name);
        }
        for field in &object.fields {
            let reader = format!("{}.{}", object.name, field.name);
            match &field.binding {
                Binding::Column(column) => {
                    self.read_column(analysis, relation, &column.column.name, &reader);
                    self.decoded(analysis, &column.element, &column.value.graphql, Direction::Out);
                    if column.non_null == NonNull::Proven {
                        let home = home(analysis, relation, &column.column.name);
                        self.read(home).non_null.insert(column.column.name.clone());
                    }
                }
                Binding::Document(document) => {
                    self.read_column(analysis, relation, &document.column, &reader);
                }
                Binding::Computed(call) => {
                    self.read(relation).whole_row = true;
                    self.call(analysis, call);
                }
                Binding::ToOne(reference) | Binding::ToMany(reference) => {
                    let target = analysis.by_name.get(reference.target.as_str());
                    for pair in &reference.on {
                        self.read_column(analysis, relation, &pair.local, &reader);
                        if let Some(target) = target {
                            self.read_column(analysis, target.relation, &pair.remote, &reader);
                        }
                        let promised = reference.non_null == NonNull::Proven;
                        if promised && matches!(field.binding, Binding::ToOne(_)) {
                            let home = home(analysis, relation, &pair.local);
                            self.read(home).non_null.insert(pair.local.clone());
                        }
                    }
                }
                Binding::Polymorphic(reference) => self.polymorphic(analysis, object, reference, &reader),
                Binding::GlobalId => {}
            }
        }
    }

    fn polymorphic(
        &mut self,
        analysis: &Analysis<'_, '_>,
        object: &BoundObject<'_>,
        reference: &PolymorphicReference,
        reader: &str,
    ) {
        // The columns of a function's rows are in its signature.
        let read = !object.draft.rows;
        if let Some(column) = reference.discriminator.as_ref().filter(|_| read) {
            self.read_column(analysis, object.relation, column, reader);
        }
        let members = analysis.families.get(&reference.target).map(|family| family.members.as_slice());
        for (member, name) in reference.members.iter().zip(members.unwrap_or_default()) {
            let target = analysis.by_name.get(name);
            for pair in &member.on {
                if read {
                    self.read_column(analysis, object.relation, &pair.local, reader);
                }
                if let Some(target) = target {
                    self.read_column(analysis, target.relation, &pair.remote, reader);
                }
            }
        }
    }

    fn row_rule(
        &mut self,
        analysis: &Analysis<'_, '_>,
        relation: &Relation,
        rows: &RowCondition,
        reader: &str,
    ) {
        match rows {
            RowCondition::All(parts) | RowCondition::Any(parts) => {
                parts.iter().for_each(|part| self.row_rule(analysis, relation, part, reader));
            }
            RowCondition::Not(inner) => self.row_rule(analysis, relation, inner, reader),
            RowCondition::IsNull { column, .. }
            | RowCondition::Compare { column, .. }
            | RowCondition::Among { column, .. } => self.read_column(analysis, relation, column, reader),
            RowCondition::Exists { relation: other, on, condition } => {
                let Some(other) = analysis.database.relation(other) else { return };
                for pair in on {
                    self.read_column(analysis, relation, &pair.local, reader);
                    self.read_column(analysis, other, &pair.remote, reader);
                }
                self.row_rule(analysis, other, condition, reader);
            }
        }
    }

    /// The columns that tell the type of a row, and those that tie its two halves.
    fn inherited(&mut self, analysis: &Analysis<'_, '_>) {
        for (name, found) in &analysis.drafts.inherited {
            self.read_column(analysis, found.base, &found.discriminator, name);
            for (member, heir) in &found.members {
                for pair in &heir.join {
                    self.read_column(analysis, heir.own, &pair.local, member);
                    self.read_column(analysis, found.base, &pair.remote, member);
                }
            }
        }
    }

    /// Rows of functions: their columns are in the signatures, what they refer to is read.
    fn rows(&mut self, analysis: &Analysis<'_, '_>, object: &BoundObject<'_>) {
        for field in &object.fields {
            match &field.binding {
                Binding::Column(column) => {
                    self.decoded(analysis, &column.element, &column.value.graphql, Direction::Out);
                }
                Binding::ToOne(reference) | Binding::ToMany(reference) => {
                    let Some(target) = analysis.by_name.get(reference.target.as_str()) else { continue };
                    for pair in &reference.on {
                        let reader = format!("{}.{}", object.name, field.name);
                        self.read_column(analysis, target.relation, &pair.remote, &reader);
                    }
                }
                Binding::Computed(call) => self.call(analysis, call),
                Binding::Polymorphic(reference) => {
                    let reader = format!("{}.{}", object.name, field.name);
                    self.polymorphic(analysis, object, reference, &reader);
                }
                Binding::Document(_) | Binding::GlobalId => {}
            }
        }
    }

    fn root(&mut self, analysis: &Analysis<'_, '_>, parent: &str, root: &BoundRoot<'_>) {
        match &root.binding {
            RootBinding::List { .. } | RootBinding::Node { .. } => {}
            RootBinding::Lookup { object, key } => {
                let Some(object) = analysis.by_name.get(object) else { return };
                for argument in key {
                    self.read_field(analysis, object, &argument.field, &format!("{parent}.{}", root.name));
                }
            }
            RootBinding::Call(call) => self.call(analysis, call),
        }
    }

    fn call(&mut self, analysis: &Analysis<'_, '_>, call: &BoundCall<'_>) {
        for (argument, (_, element)) in call.call.arguments.iter().zip(&call.given) {
            self.decoded(analysis, element, &argument.value.graphql, Direction::In);
        }
        for (element, graphql) in &call.filled {
            self.decoded(analysis, element, graphql, Direction::In);
        }
        for (element, graphql) in &call.decoded {
            self.decoded(analysis, element, graphql, Direction::Out);
        }
        match (&call.call.returns, &call.result) {
            (FunctionReturn::Object { object, .. }, _) => {
                let object = analysis.by_name.get(object.as_str());
                if let Some(object) = object.filter(|object| !object.draft.rows) {
                    self.read(object.relation).whole_row = true;
                }
            }
            (FunctionReturn::Value { value, .. }, Some(element)) => {
                self.decoded(analysis, element, &value.graphql, Direction::Out);
            }
            _ => {}
        }
    }

    fn read_field(
        &mut self,
        analysis: &Analysis<'_, '_>,
        object: &BoundObject<'_>,
        field: &str,
        reader: &str,
    ) {
        if let Some((_, column)) = object.columns().find(|(name, _)| *name == field) {
            self.read_column(analysis, object.relation, &column.column.name, reader);
        }
    }

    fn writes(&mut self, analysis: &Analysis<'_, '_>, writes: &Writes<'_, '_>) {
        let relation = writes.object.relation;
        for (name, field) in writes.fields() {
            if let MutationField::UpdateOne { key, .. } | MutationField::DeleteOne { key, .. } = &field {
                for argument in key {
                    self.read_field(analysis, writes.object, &argument.field, &format!("Mutation.{name}"));
                }
            }
        }
        if writes.insert || writes.update || writes.upsert {
            for field in &writes.inserted {
                self.decoded(analysis, &field.column.element, &field.column.value.graphql, Direction::In);
            }
        }
        let entry = self.manifest.writes.entry(relation.name.to_string()).or_default();
        let columns = || writes.inserted.iter().map(|field| field.column.column.name.clone());
        if writes.insert || writes.upsert {
            let required = writes.inserted.iter().filter(|field| field.required);
            let mut required: BTreeSet<String> =
                required.map(|field| field.column.column.name.clone()).collect();
            let mut given: BTreeSet<String> = columns().collect();
            for preset in &writes.presets {
                given.insert(preset.column.clone());
                required.insert(preset.column.clone());
            }
            for column in crate::nesting::given(&writes.nested) {
                let always = analysis.database.required(relation).iter().any(|name| name == column);
                if given.insert(column.to_owned()) && always {
                    required.insert(column.to_owned());
                }
            }
            merge_insert(entry, relation, required, given);
        }
        if writes.update || writes.upsert {
            entry.update.extend(columns());
            let presets = writes.presets.iter().filter(|preset| preset.update);
            entry.update.extend(presets.map(|preset| preset.column.clone()));
        }
        if writes.upsert {
            entry.update.extend(crate::nesting::given(&writes.nested).map(str::to_owned));
        }
        if writes.upsert {
            entry.conflict_keys.extend(writes.conflicts.values().cloned());
        }
        entry.delete |= writes.delete;
    }

    fn decoded(
        &mut self,
        analysis: &Analysis<'_, '_>,
        element: &Element,
        graphql: &str,
        direction: Direction,
    ) {
        for name in &element.met {
            self.graphql.entry(name.to_string()).or_default().insert(graphql.to_owned());
            let entry = self.manifest.types.entry(name.to_string()).or_default();
            let bound = analysis.enums.get(graphql).and_then(|bound| bound.binding.as_ref());
            let Some(binding) = bound.filter(|binding| binding.sql_type == *name) else { continue };
            let labels = binding.labels.values().cloned();
            match direction {
                Direction::Out => entry.labels_read.extend(labels),
                Direction::In => entry.labels_written.extend(labels),
            }
        }
    }

    fn functions(&mut self, analysis: &Analysis<'_, '_>) {
        let mut calls: BTreeMap<String, BTreeMap<String, CalledFunction>> = BTreeMap::new();
        for (used_by, call) in calls_of(analysis) {
            let overloads = calls.entry(call.function.name.to_string()).or_default();
            let entry = overloads.entry(signature(call.function)).or_insert_with(|| CalledFunction {
                returns: call.function.returns.sql(),
                ..CalledFunction::default()
            });
            entry.arguments.extend(arguments(call));
            entry.used_by.insert(used_by);
        }
        for (name, overloads) in calls {
            let alone = overloads.len() == 1;
            for (signature, called) in overloads {
                // Only where one schema calls two functions of a name is the name not enough.
                let key = if alone { name.clone() } else { format!("{name}({signature})") };
                self.manifest.functions.insert(key, called);
            }
        }
    }
}

/// Returns the relation of the database that has the column: a type of an interface may be bound to a
/// made relation that also has columns of the interface's.
fn home<'r>(analysis: &Analysis<'r, 'r>, relation: &'r Relation, column: &str) -> &'r Relation {
    let real = analysis.database.relation(&relation.name).unwrap_or(relation);
    if real.column(column).is_some() {
        return real;
    }
    let heirs = analysis.drafts.inherited.values().flat_map(|found| {
        found.members.values().filter(|heir| !heir.join.is_empty()).map(|heir| (heir.own, found.base))
    });
    let mut bases = heirs.filter(|(own, _)| own.name == relation.name).map(|(_, base)| base);
    bases.find(|base| base.column(column).is_some()).unwrap_or(real)
}

/// Returns every call with the field that makes it.
pub(crate) fn calls_of<'r, 'a>(
    analysis: &'r Analysis<'_, 'a>,
) -> impl Iterator<Item = (String, &'r BoundCall<'a>)> {
    let roots = roots(analysis).filter_map(|(parent, root)| match &root.binding {
        RootBinding::Call(call) => Some((format!("{parent}.{}", root.name), &**call)),
        _ => None,
    });
    let computed = analysis.objects.iter().flat_map(|object| {
        object.fields.iter().filter_map(move |field| match &field.binding {
            Binding::Computed(call) => Some((format!("{}.{}", object.name, field.name), &**call)),
            _ => None,
        })
    });
    roots.chain(computed)
}

fn merge_insert(entry: &mut Write, relation: &Relation, required: BTreeSet<String>, given: BTreeSet<String>) {
    let all = || relation.columns.iter().map(|column| column.name.clone());
    let insert = match entry.insert.take() {
        None => Insert {
            omitted: all().filter(|column| !given.contains(column)).collect(),
            optional: given.difference(&required).cloned().collect(),
            required,
        },
        Some(before) => {
            let required: BTreeSet<String> = before.required.intersection(&required).cloned().collect();
            let either: BTreeSet<String> =
                before.required.union(&before.optional).cloned().chain(given).collect();
            Insert {
                omitted: all().filter(|column| !either.contains(column)).collect(),
                optional: either.difference(&required).cloned().collect(),
                required,
            }
        }
    };
    entry.insert = Some(insert);
}

fn arguments(call: &BoundCall<'_>) -> BTreeMap<String, String> {
    let number = |parameter: &fraiseql_model::catalog::Parameter| {
        let at = call.function.parameters.iter().position(|found| std::ptr::eq(found, parameter));
        format!("${}", at.map_or(0, |at| at + 1))
    };
    call.given
        .iter()
        .map(|(parameter, _)| {
            let name = if parameter.name.is_empty() { number(parameter) } else { parameter.name.clone() };
            (name, parameter.sql_type.sql())
        })
        .collect()
}

/// Returns true when the two are the same function.
pub(crate) fn is_called(function: &Function, called: &CalledFunction) -> bool {
    let of_parameter = |(name, sql_type): (&String, &String)| {
        function.parameters.iter().enumerate().any(|(at, parameter)| {
            let number = format!("${}", at + 1);
            let named = if parameter.name.is_empty() { number == *name } else { parameter.name == *name };
            named && parameter.sql_type.sql() == *sql_type
        })
    };
    called.arguments.iter().all(of_parameter) && function.returns.sql() == called.returns
}
