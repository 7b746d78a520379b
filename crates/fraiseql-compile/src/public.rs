//! Prints the complete public schema: the author's types without our directives, and what is generated.

use std::collections::{BTreeMap, BTreeSet};

use apollo_compiler::ast::FieldDefinition;
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;

use crate::aggregate;
use crate::analysis::Analysis;
use crate::document::{AuthoredEnum, AuthoredInput, AuthoredObject, AuthoredUnion, Entry};
use crate::findings::Findings;
use crate::input::{Demand, Generated, Model, range_element, scalar_type};
use crate::manifest::calls_of;
use crate::root::BoundRoot;
use crate::scalar;
use crate::text::{argument, describe, input_value, public_directives};
use crate::write::{EXPECTED_VERSION, Writes};
use fraiseql_model::artifact::{Field, FunctionReturn, MutationField};

/// Returns the public schema; names that are taken twice are in `findings`.
pub(crate) fn schema(findings: &mut Findings, analysis: &Analysis<'_, '_>) -> String {
    let model = Model::new(analysis.objects, analysis.commons);
    let writes: BTreeMap<&str, &Writes<'_, '_>> =
        analysis.writes.iter().map(|writes| (writes.object.name, writes)).collect();
    let demand = demand(analysis, &model);
    let mut generated: Vec<Generated> = Vec::new();
    for object in analysis.objects {
        generated.extend(model.types_of(&demand, object, writes.get(object.name).copied()));
    }
    for common in analysis.commons {
        generated.extend(model.types_of(&demand, common, None));
    }
    generated.extend(demand.shared_types(analysis.server_version));
    generated.extend(undeclared_scalars(analysis).iter().filter_map(|name| scalar_type(name)));
    check_type_names(findings, analysis, &generated);
    check_derived_names(findings, analysis);
    let mutations = generated_mutations(findings, analysis);
    let printer = Printer { analysis, model: &model, mutations };
    let mut parts = printer.authored();
    parts.extend(generated.into_iter().map(|generated| generated.sdl));
    parts.join("\n")
}

fn demand(analysis: &Analysis<'_, '_>, model: &Model<'_, '_>) -> Demand {
    let mut demand = Demand::default();
    for object in analysis.objects {
        for field in &object.fields {
            if let Some(target) = field.binding.listed() {
                model.demand_list(&mut demand, target);
            }
        }
    }
    for root in analysis.query.iter().chain(&analysis.subscription) {
        if let Some(object) = root.binding.listed() {
            model.demand_list(&mut demand, object);
        }
    }
    for writes in &analysis.writes {
        if writes.update || writes.delete {
            model.demand_filter(&mut demand, writes.object.name);
        }
        for nested in &writes.nested {
            demand.nest(nested.target, nested.many);
        }
    }
    demand
}

fn undeclared_scalars<'r>(analysis: &'r Analysis<'_, '_>) -> BTreeSet<&'r str> {
    let columns = analysis.objects.iter().flat_map(|object| object.columns());
    let mut used: BTreeSet<&str> = columns.map(|(_, column)| column.value.graphql.as_str()).collect();
    let ranges: Vec<&str> = used.iter().copied().filter(|name| name.ends_with("Range")).collect();
    used.extend(ranges.into_iter().map(|range| -> &str { range_element(range) }));
    for (_, call) in calls_of(analysis) {
        used.extend(call.call.arguments.iter().map(|argument| argument.value.graphql.as_str()));
        used.extend(call.decoded.iter().map(|(_, graphql)| graphql.as_str()));
        if let FunctionReturn::Value { value, .. } = &call.call.returns {
            used.insert(&value.graphql);
        }
    }
    for field in analysis.documents.values().flat_map(|fields| fields.values()) {
        if let Field::Column(column) = field {
            used.insert(&column.value.graphql);
        }
    }
    for object in analysis.objects {
        used.extend(aggregate::scalars(object).into_iter().map(|scalar| -> &str { scalar }));
    }
    used.extend(analysis.inputs.field_types());
    let declared = &analysis.authored.names;
    used.into_iter().filter(|name| scalar::is_custom(name) && !declared.contains_key(name)).collect()
}

fn check_type_names(findings: &mut Findings, analysis: &Analysis<'_, '_>, generated: &[Generated]) {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for one in generated {
        let reason = |owner: &str| match owner {
            "" => "every schema with lists has it".to_owned(),
            owner => format!("it is generated for {owner}"),
        };
        if let Some(place) = analysis.authored.names.get(one.name.as_str()) {
            let error = Diagnostic::error(&errors::SDL_NAME_TAKEN, format!("the name {} is taken", one.name));
            findings.add(*place, error.why(reason(&one.owner)).hint("call your type otherwise"));
        }
        if let Some(other) = owners.insert(&one.name, &one.owner) {
            let message = format!("two types would be generated under the name {}", one.name);
            let error = Diagnostic::error(&errors::SDL_NAME_TAKEN, message)
                .why(format!("one for {other}, one for {}", one.owner))
                .hint("call one of them otherwise");
            let place = analysis.authored.names.get(one.owner.as_str()).copied().flatten();
            findings.add(place, error);
        }
    }
}

fn check_derived_names(findings: &mut Findings, analysis: &Analysis<'_, '_>) {
    let authored = analysis.authored;
    let mut check = |owner: &AuthoredObject<'_>, list: &str, target: &str| {
        for (name, _) in analysis.reading(target).fields(list) {
            if let Some(taken) = owner.fields.iter().find(|field| field.name == name.as_str()) {
                let message = format!("the name {name} is taken");
                let error = Diagnostic::error(&errors::SDL_NAME_TAKEN, message)
                    .why(format!("it is generated beside {list}, for {target} has @read"));
                findings.add(taken.name.location(), error.hint("call your field otherwise"));
            }
        }
    };
    for (object, bound) in analysis
        .objects
        .iter()
        .filter_map(|bound| Some((authored.objects.iter().find(|object| object.name == bound.name)?, bound)))
    {
        for field in &bound.fields {
            if let Some(target) = field.binding.listed() {
                check(object, field.name, target);
            }
        }
    }
    for (root, fields) in
        [(&authored.query, &analysis.query), (&authored.subscription, &analysis.subscription)]
    {
        for (root, field) in root.iter().flat_map(|root| fields.iter().map(move |field| (root, field))) {
            if let Some(target) = field.binding.listed() {
                check(root, field.name, target);
            }
        }
    }
}

/// Returns the generated fields of the mutation type as SDL, in the order of the document.
fn generated_mutations(findings: &mut Findings, analysis: &Analysis<'_, '_>) -> Vec<String> {
    let authored: BTreeMap<&str, _> = analysis
        .authored
        .mutation
        .iter()
        .flat_map(|mutation| &mutation.fields)
        .map(|field| (field.name.as_str(), field.name.location()))
        .collect();
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    let mut lines = Vec::new();
    for writes in &analysis.writes {
        let object = writes.object.name;
        for (name, field) in writes.fields() {
            if let Some(place) = authored.get(name.as_str()) {
                let error = Diagnostic::error(&errors::SDL_NAME_TAKEN, format!("the name {name} is taken"))
                    .why(format!("it is generated for {object}, which has @write"));
                findings.add(*place, error.hint("call your field otherwise"));
            }
            if let Some(other) = owners.insert(name.clone(), object) {
                let message = format!("two mutations would be generated under the name {name}");
                let error = Diagnostic::error(&errors::SDL_NAME_TAKEN, message)
                    .why(format!("one for {other}, one for {object}"));
                findings.add(writes.object.place, error.hint("call one of the types otherwise"));
            }
            lines.push(mutation(&name, &field, writes));
        }
    }
    lines
}

fn mutation(name: &str, field: &MutationField, writes: &Writes<'_, '_>) -> String {
    let object = writes.object.name;
    let key = || -> Vec<String> {
        let argument = |key: &fraiseql_model::artifact::KeyArgument| {
            let column = writes.object.columns().find(|(name, _)| *name == key.field);
            let graphql = column.map_or("ID", |(_, column)| column.value.graphql.as_str());
            format!("{}: {graphql}!", key.argument)
        };
        writes.key.iter().map(argument).collect()
    };
    let version = || -> Vec<String> {
        let is_version = |(name, _): &(&str, _)| Some(*name) == writes.version;
        let version = writes.object.columns().find(is_version);
        let argument = |graphql: &str| format!("{EXPECTED_VERSION}: {graphql}!");
        version.iter().map(|(_, column)| argument(&column.value.graphql)).collect()
    };
    let text = |text: &str| vec![text.replace("$", object)];
    let (arguments, many, does) = match field {
        MutationField::InsertOne { .. } => (text("object: $InsertInput!"), false, "Inserts one"),
        MutationField::InsertMany { .. } => (text("objects: [$InsertInput!]!"), true, "Inserts many"),
        MutationField::UpdateOne { .. } => (
            [key(), version(), text("set: $SetInput!")].concat(),
            false,
            "Updates the one with this key; null when there is none",
        ),
        MutationField::UpdateMany { .. } => {
            (text("where: $Filter!, set: $SetInput!"), true, "Updates all that the filter lets through")
        }
        MutationField::DeleteOne { .. } => (
            [key(), version()].concat(),
            false,
            "Deletes the one with this key and returns it; null when there is none",
        ),
        MutationField::DeleteMany { .. } => {
            (text("where: $Filter!"), true, "Deletes all that the filter lets through")
        }
        MutationField::UpsertOne { .. } => (
            text("object: $InsertInput!, onConflict: $Conflict!"),
            false,
            "Inserts one, or updates the one that has the same key",
        ),
        MutationField::UpsertMany { .. } => (
            text("objects: [$InsertInput!]!, onConflict: $Conflict!"),
            true,
            "Inserts many, or updates those that have the same key",
        ),
        MutationField::Function(_) => (Vec::new(), false, ""),
    };
    let suffix = if many { "MutationResult" } else { "" };
    format!("  \"{does}.\"\n  {name}({}): {object}{suffix}\n", arguments.join(", "))
}

struct Printer<'p, 'o, 'a> {
    analysis: &'p Analysis<'o, 'a>,
    model: &'p Model<'o, 'a>,
    mutations: Vec<String>,
}

impl Printer<'_, '_, '_> {
    fn authored(&self) -> Vec<String> {
        let authored = self.analysis.authored;
        let bound: BTreeMap<&str, usize> =
            self.analysis.objects.iter().enumerate().map(|(at, object)| (object.name, at)).collect();
        let mut parts = Vec::new();
        for entry in &authored.entries {
            match entry {
                Entry::Query => {
                    let bound = &self.analysis.query;
                    parts.extend(authored.query.as_ref().map(|root| self.query(root, bound)));
                }
                Entry::Subscription => {
                    let bound = &self.analysis.subscription;
                    parts.extend(authored.subscription.as_ref().map(|root| self.query(root, bound)));
                }
                Entry::Mutation => {
                    parts.extend(authored.mutation.as_ref().map(|root| self.mutation(Some(root))))
                }
                Entry::Object(at) => {
                    let object = &authored.objects[*at];
                    match bound.get(object.name) {
                        Some(at) => parts.push(self.object(object, *at)),
                        None if self.analysis.documents.contains_key(object.name) => {
                            parts.push(print_object("type", object, |_| Additions::default(), &[]));
                        }
                        None => {}
                    }
                }
                Entry::Interface(at) => parts.push(self.interface(&authored.interfaces[*at], &bound)),
                Entry::Union(at) => parts.push(union(&authored.unions[*at])),
                Entry::OutcomeUnion(at) => {
                    let union = authored.outcome_unions[*at];
                    let mut sdl = String::new();
                    describe(&mut sdl, "", union.description.as_deref());
                    let members: Vec<&str> = union.members.iter().map(|name| name.as_str()).collect();
                    sdl.push_str(&format!("union {} = {}\n", union.name, members.join(" | ")));
                    parts.push(sdl);
                }
                Entry::OutcomeMember(at) => {
                    parts.push(print_object(
                        "type",
                        &authored.outcome_members[*at],
                        |_| Additions::default(),
                        &[],
                    ));
                }
                Entry::Enum(at) => parts.push(enumeration(&authored.enums[*at])),
                Entry::Input(at) => parts.push(input(&authored.inputs[*at])),
                Entry::Scalar(at) => {
                    let scalar = authored.scalars[*at];
                    let mut sdl = String::new();
                    describe(&mut sdl, "", scalar.description.as_deref());
                    let directives = public_directives(scalar.directives.iter());
                    sdl.push_str(&format!("scalar {}{directives}\n", scalar.name));
                    parts.push(sdl);
                }
            }
        }
        if authored.mutation.is_none() && !self.mutations.is_empty() {
            parts.push(self.mutation(None));
        }
        parts
    }

    fn query(&self, root: &AuthoredObject<'_>, bound: &[BoundRoot<'_>]) -> String {
        let lists: BTreeMap<&str, &str> =
            bound.iter().filter_map(|root| Some((root.name, root.binding.listed()?))).collect();
        print_object("type", root, |field| self.list(lists.get(field.name.as_str()).copied(), field), &[])
    }

    fn mutation(&self, root: Option<&AuthoredObject<'_>>) -> String {
        match root {
            Some(root) => print_object("type", root, |_| Additions::default(), &self.mutations),
            None => format!("type Mutation {{\n{}}}\n", self.mutations.concat()),
        }
    }

    fn object(&self, object: &AuthoredObject<'_>, bound: usize) -> String {
        print_object("type", object, |field| self.additions_of(bound, field), &[])
    }

    /// Prints an interface; its lists take the arguments that those of its types take.
    fn interface(&self, interface: &AuthoredObject<'_>, bound: &BTreeMap<&str, usize>) -> String {
        let members = self.analysis.families.get(interface.name).map(|family| family.members.as_slice());
        let model = bound.get(interface.name).or_else(|| members?.iter().find_map(|name| bound.get(name)));
        let field = |field: &FieldDefinition| match model {
            // What stands beside a list is a matter of each type.
            Some(at) => Additions { beside: Vec::new(), ..self.additions_of(*at, field) },
            None => Additions::default(),
        };
        print_object("interface", interface, field, &[])
    }

    fn additions_of(&self, bound: usize, field: &FieldDefinition) -> Additions {
        let fields = &self.analysis.objects[bound].fields;
        let found = fields.iter().find(|found| field.name == found.name);
        self.list(found.and_then(|found| found.binding.listed()), field)
    }

    /// Returns what a field that lists rows of `object` gets; nothing for other fields.
    fn list(&self, object: Option<&str>, field: &FieldDefinition) -> Additions {
        let Some(object) = object else { return Additions::default() };
        let own: Vec<String> = field.arguments.iter().map(|own| argument(own)).collect();
        let reading = self.analysis.reading(object);
        let beside = reading.fields(&field.name).into_iter();
        Additions {
            arguments: self.model.list_arguments(object),
            beside: beside
                .map(|(name, derived)| self.model.derived(object, &name, derived.form, &own))
                .collect(),
        }
    }
}

/// What is generated for a field.
#[derive(Default)]
struct Additions {
    arguments: Vec<String>,
    /// Lines of fields that stand beside it.
    beside: Vec<String>,
}

fn print_object(
    keyword: &str,
    object: &AuthoredObject<'_>,
    generated: impl Fn(&FieldDefinition) -> Additions,
    more: &[String],
) -> String {
    let mut sdl = String::new();
    describe(&mut sdl, "", object.description);
    let directives = public_directives(object.directives.iter().copied());
    let interfaces: Vec<&str> = object.implements.iter().map(|name| name.as_str()).collect();
    let implements =
        if interfaces.is_empty() { String::new() } else { format!(" implements {}", interfaces.join(" & ")) };
    sdl.push_str(&format!("{keyword} {}{implements}{directives} {{\n", object.name));
    for field in &object.fields {
        describe(&mut sdl, "  ", field.description.as_deref());
        let mut arguments: Vec<String> = field.arguments.iter().map(|own| argument(own)).collect();
        let additions = generated(field);
        arguments.extend(additions.arguments);
        let arguments =
            if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
        let directives = public_directives(field.directives.iter());
        sdl.push_str(&format!("  {}{arguments}: {}{directives}\n", field.name, field.ty));
        sdl.extend(additions.beside);
    }
    sdl.extend(more.iter().map(String::as_str));
    sdl.push_str("}\n");
    sdl
}

fn union(definition: &AuthoredUnion<'_>) -> String {
    let mut sdl = String::new();
    describe(&mut sdl, "", definition.description);
    let members: Vec<&str> = definition.members.iter().map(|name| name.as_str()).collect();
    sdl.push_str(&format!("union {} = {}\n", definition.name, members.join(" | ")));
    sdl
}

fn input(definition: &AuthoredInput<'_>) -> String {
    let mut sdl = String::new();
    describe(&mut sdl, "", definition.description);
    let directives = public_directives(definition.directives.iter().copied());
    sdl.push_str(&format!("input {}{directives} {{\n", definition.name));
    for field in &definition.fields {
        describe(&mut sdl, "  ", field.description.as_deref());
        sdl.push_str(&format!("  {}\n", input_value(field)));
    }
    sdl.push_str("}\n");
    sdl
}

fn enumeration(definition: &AuthoredEnum<'_>) -> String {
    let mut sdl = String::new();
    describe(&mut sdl, "", definition.description);
    let directives = public_directives(definition.directives.iter().copied());
    sdl.push_str(&format!("enum {}{directives} {{\n", definition.name));
    for value in &definition.values {
        describe(&mut sdl, "  ", value.description.as_deref());
        let directives = public_directives(value.directives.iter());
        sdl.push_str(&format!("  {}{directives}\n", value.value));
    }
    sdl.push_str("}\n");
    sdl
}
