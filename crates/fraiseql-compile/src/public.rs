//! Prints the complete public schema: the author's types without our directives, and what is generated.

use std::collections::{BTreeMap, BTreeSet};

use apollo_compiler::ast::FieldDefinition;
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;

use crate::analysis::Analysis;
use crate::document::{AuthoredEnum, AuthoredObject, AuthoredUnion, Entry};
use crate::findings::Findings;
use crate::input::{Demand, Generated, Model, scalar_type};
use crate::root::RootBinding;
use crate::scalar;
use crate::text::{argument, describe, public_directives};
use crate::write::Writes;
use fraiseql_model::artifact::{FunctionReturn, MutationField};

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
    generated.extend(demand.shared_types());
    generated.extend(undeclared_scalars(analysis).iter().filter_map(|name| scalar_type(name)));
    check_type_names(findings, analysis, &generated);
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
    for root in &analysis.query {
        if let Some(object) = listed_object(&root.binding) {
            model.demand_list(&mut demand, object);
        }
    }
    for writes in &analysis.writes {
        if writes.update || writes.delete {
            model.demand_filter(&mut demand, writes.object.name);
        }
    }
    demand
}

/// Returns the object type of a root field that takes the arguments of lists.
fn listed_object<'r>(binding: &'r RootBinding<'_>) -> Option<&'r str> {
    match binding {
        RootBinding::List { object } => Some(object),
        RootBinding::Call(call) => match &call.call.returns {
            FunctionReturn::Object { object, set: true, .. } => Some(object),
            _ => None,
        },
        RootBinding::Lookup { .. } | RootBinding::Node { .. } => None,
    }
}

fn undeclared_scalars<'r>(analysis: &'r Analysis<'_, '_>) -> BTreeSet<&'r str> {
    let columns = analysis.objects.iter().flat_map(|object| object.columns());
    let mut used: BTreeSet<&str> = columns.map(|(_, column)| column.value.graphql.as_str()).collect();
    for root in analysis.query.iter().chain(&analysis.mutation) {
        if let RootBinding::Call(call) = &root.binding {
            used.extend(call.call.arguments.iter().map(|argument| argument.value.graphql.as_str()));
            if let FunctionReturn::Value { value, .. } = &call.call.returns {
                used.insert(&value.graphql);
            }
        }
    }
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
    let text = |text: &str| vec![text.replace("$", object)];
    let (arguments, many, does) = match field {
        MutationField::InsertOne { .. } => (text("object: $InsertInput!"), false, "Inserts one"),
        MutationField::InsertMany { .. } => (text("objects: [$InsertInput!]!"), true, "Inserts many"),
        MutationField::UpdateOne { .. } => (
            [key(), text("set: $SetInput!")].concat(),
            false,
            "Updates the one with this key; null when there is none",
        ),
        MutationField::UpdateMany { .. } => {
            (text("where: $Filter!, set: $SetInput!"), true, "Updates all that the filter lets through")
        }
        MutationField::DeleteOne { .. } => {
            (key(), false, "Deletes the one with this key and returns it; null when there is none")
        }
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
                Entry::Query => parts.extend(authored.query.as_ref().map(|root| self.query(root))),
                Entry::Mutation => {
                    parts.extend(authored.mutation.as_ref().map(|root| self.mutation(Some(root))))
                }
                Entry::Object(at) => {
                    let object = &authored.objects[*at];
                    if let Some(at) = bound.get(object.name) {
                        parts.push(self.object(object, *at));
                    }
                }
                Entry::Interface(at) => parts.push(self.interface(&authored.interfaces[*at], &bound)),
                Entry::Union(at) => parts.push(union(&authored.unions[*at])),
                Entry::Enum(at) => parts.push(enumeration(&authored.enums[*at])),
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

    fn query(&self, root: &AuthoredObject<'_>) -> String {
        let lists: BTreeMap<&str, &str> = self
            .analysis
            .query
            .iter()
            .filter_map(|root| Some((root.name, listed_object(&root.binding)?)))
            .collect();
        let field = |field: &FieldDefinition| match lists.get(field.name.as_str()) {
            Some(object) => self.model.list_arguments(object),
            None => Vec::new(),
        };
        print_object("type", root, field, &[])
    }

    fn mutation(&self, root: Option<&AuthoredObject<'_>>) -> String {
        match root {
            Some(root) => print_object("type", root, |_| Vec::new(), &self.mutations),
            None => format!("type Mutation {{\n{}}}\n", self.mutations.concat()),
        }
    }

    fn object(&self, object: &AuthoredObject<'_>, bound: usize) -> String {
        print_object("type", object, |field| self.arguments_of(bound, field), &[])
    }

    /// Prints an interface; its lists take the arguments that those of its types take.
    fn interface(&self, interface: &AuthoredObject<'_>, bound: &BTreeMap<&str, usize>) -> String {
        let members = self.analysis.families.get(interface.name).map(|family| family.members.as_slice());
        let model = bound.get(interface.name).or_else(|| members?.iter().find_map(|name| bound.get(name)));
        let field = |field: &FieldDefinition| match model {
            Some(at) => self.arguments_of(*at, field),
            None => Vec::new(),
        };
        print_object("interface", interface, field, &[])
    }

    fn arguments_of(&self, bound: usize, field: &FieldDefinition) -> Vec<String> {
        let fields = &self.analysis.objects[bound].fields;
        let found = fields.iter().find(|found| field.name == found.name);
        let target = found.and_then(|found| found.binding.listed());
        target.map_or_else(Vec::new, |target| self.model.list_arguments(target))
    }
}

fn print_object(
    keyword: &str,
    object: &AuthoredObject<'_>,
    generated: impl Fn(&FieldDefinition) -> Vec<String>,
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
        arguments.extend(generated(field));
        let arguments =
            if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
        let directives = public_directives(field.directives.iter());
        sdl.push_str(&format!("  {}{arguments}: {}{directives}\n", field.name, field.ty));
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
