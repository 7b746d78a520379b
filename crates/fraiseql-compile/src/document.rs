//! The author's document, sorted: which types, enums, scalars and root fields there are.
//!
//! Merges extensions, refuses what this version does not compile and what GraphQL forbids by name.
//! Does not look at the database.

use std::collections::{BTreeMap, BTreeSet};

use apollo_compiler::ast::{
    Definition, Directive, Document, EnumValueDefinition, FieldDefinition, InputValueDefinition,
    InterfaceTypeDefinition, ObjectTypeDefinition, OperationType, ScalarTypeDefinition, UnionTypeDefinition,
};
use apollo_compiler::{Name, Node};
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;

use crate::directive::{Applied, Site, is_ours, is_public};
use crate::findings::{Findings, Place, suggesting};
use crate::outcome::Outcomes;
use crate::scalar;

/// The document by what its definitions are.
#[derive(Debug, Default)]
pub(crate) struct Authored<'d> {
    /// Everything in the order of the document.
    pub(crate) entries: Vec<Entry>,
    pub(crate) objects: Vec<AuthoredObject<'d>>,
    pub(crate) interfaces: Vec<AuthoredObject<'d>>,
    pub(crate) unions: Vec<AuthoredUnion<'d>>,
    pub(crate) enums: Vec<AuthoredEnum<'d>>,
    pub(crate) inputs: Vec<AuthoredInput<'d>>,
    pub(crate) scalars: Vec<&'d Node<ScalarTypeDefinition>>,
    /// Unions that mutations return, with their members.
    pub(crate) outcomes: Outcomes<'d>,
    pub(crate) outcome_unions: Vec<&'d Node<UnionTypeDefinition>>,
    pub(crate) outcome_members: Vec<AuthoredObject<'d>>,
    pub(crate) query: Option<AuthoredObject<'d>>,
    pub(crate) mutation: Option<AuthoredObject<'d>>,
    pub(crate) subscription: Option<AuthoredObject<'d>>,
    /// The directives of the schema itself.
    pub(crate) schema: Vec<&'d Node<Directive>>,
    /// Every type name, and where it stands.
    pub(crate) names: BTreeMap<&'d str, Place>,
    /// Types that were refused; whoever refers to them is not at fault.
    pub(crate) refused: BTreeSet<&'d str>,
}

/// One definition; the numbers are places in the lists of [`Authored`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry {
    Query,
    Mutation,
    Subscription,
    Object(usize),
    Interface(usize),
    Union(usize),
    Enum(usize),
    Input(usize),
    Scalar(usize),
    OutcomeUnion(usize),
    OutcomeMember(usize),
}

/// An object type or an interface with its extensions.
#[derive(Debug)]
pub(crate) struct AuthoredObject<'d> {
    pub(crate) name: &'d str,
    pub(crate) place: Place,
    pub(crate) description: Option<&'d str>,
    pub(crate) directives: Vec<&'d Node<Directive>>,
    pub(crate) fields: Vec<&'d Node<FieldDefinition>>,
    pub(crate) implements: Vec<&'d Name>,
}

/// A union with its extensions.
#[derive(Debug)]
pub(crate) struct AuthoredUnion<'d> {
    pub(crate) name: &'d str,
    pub(crate) place: Place,
    pub(crate) description: Option<&'d str>,
    pub(crate) members: Vec<&'d Name>,
}

/// An enum with its extensions.
#[derive(Debug)]
pub(crate) struct AuthoredEnum<'d> {
    pub(crate) name: &'d str,
    pub(crate) place: Place,
    pub(crate) description: Option<&'d str>,
    pub(crate) directives: Vec<&'d Node<Directive>>,
    pub(crate) values: Vec<&'d Node<EnumValueDefinition>>,
}

/// An input type with its extensions.
#[derive(Debug)]
pub(crate) struct AuthoredInput<'d> {
    pub(crate) name: &'d str,
    pub(crate) place: Place,
    pub(crate) description: Option<&'d str>,
    pub(crate) directives: Vec<&'d Node<Directive>>,
    pub(crate) fields: Vec<&'d Node<InputValueDefinition>>,
}

/// What a type name is claimed for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claim {
    Scalar,
    Type,
}

/// Directives and fields that one definition or extension adds to a type.
struct ObjectPart<'d> {
    name: &'d Name,
    directives: &'d [Node<Directive>],
    fields: &'d [Node<FieldDefinition>],
    implements: &'d [Name],
}

impl<'d> ObjectPart<'d> {
    fn of(object: &'d ObjectTypeDefinition) -> Self {
        Self {
            name: &object.name,
            directives: &object.directives,
            fields: &object.fields,
            implements: &object.implements_interfaces,
        }
    }
}

impl<'d> Authored<'d> {
    /// Sorts a document. What cannot be compiled is in `findings` and not in the result.
    pub(crate) fn read(findings: &mut Findings, document: &'d Document) -> Self {
        let mut authored = Self { outcomes: Outcomes::find(document), ..Self::default() };
        for definition in &document.definitions {
            authored.define(findings, definition);
        }
        for definition in &document.definitions {
            authored.extend(findings, definition);
        }
        authored.check_members(findings);
        authored
    }

    /// Returns the bound object types' names, for hints.
    pub(crate) fn object_names(&self) -> impl Iterator<Item = &'d str> {
        self.objects.iter().map(|object| object.name)
    }

    fn define(&mut self, findings: &mut Findings, definition: &'d Definition) {
        if self.outcomes.has(definition) {
            return self.define_outcome(findings, definition);
        }
        match definition {
            Definition::ObjectTypeDefinition(object) => {
                let part = ObjectPart::of(object);
                self.define_object(findings, part, object.description.as_deref());
            }
            Definition::InterfaceTypeDefinition(interface) => self.define_interface(findings, interface),
            Definition::UnionTypeDefinition(union) => self.define_union(findings, union),
            Definition::EnumTypeDefinition(definition) => {
                if self.claim(findings, &definition.name, Claim::Type) {
                    self.entries.push(Entry::Enum(self.enums.len()));
                    self.enums.push(AuthoredEnum {
                        name: &definition.name,
                        place: definition.name.location(),
                        description: definition.description.as_deref(),
                        directives: definition.directives.iter().collect(),
                        values: definition.values.iter().collect(),
                    });
                }
            }
            Definition::InputObjectTypeDefinition(definition) => {
                if self.claim(findings, &definition.name, Claim::Type) {
                    self.entries.push(Entry::Input(self.inputs.len()));
                    self.inputs.push(AuthoredInput {
                        name: &definition.name,
                        place: definition.name.location(),
                        description: definition.description.as_deref(),
                        directives: definition.directives.iter().collect(),
                        fields: definition.fields.iter().collect(),
                    });
                }
            }
            Definition::ScalarTypeDefinition(definition) => self.define_scalar(findings, definition),
            Definition::SchemaDefinition(schema) => {
                check_roots(findings, &schema.root_operations);
                self.on_schema(findings, &schema.directives.0);
            }
            Definition::SchemaExtension(schema) => {
                check_roots(findings, &schema.root_operations);
                self.on_schema(findings, &schema.directives.0);
            }
            Definition::DirectiveDefinition(directive) => {
                if !is_ours(&directive.name) && !is_public(&directive.name) {
                    let message = format!("directives of your own (@{}) are not compiled", directive.name);
                    let error = Diagnostic::error(&errors::SDL_UNSUPPORTED, message)
                        .why("only the directives of directives.graphql have a meaning here");
                    findings.add(directive.name.location(), error);
                }
            }
            Definition::OperationDefinition(operation) => {
                refuse_executable(findings, "an operation", operation.location());
            }
            Definition::FragmentDefinition(fragment) => {
                refuse_executable(findings, "a fragment", fragment.location());
            }
            // These have their own pass.
            Definition::ObjectTypeExtension(_)
            | Definition::InterfaceTypeExtension(_)
            | Definition::UnionTypeExtension(_)
            | Definition::EnumTypeExtension(_)
            | Definition::InputObjectTypeExtension(_)
            | Definition::ScalarTypeExtension(_) => {}
        }
    }

    fn on_schema(&mut self, findings: &mut Findings, directives: &'d [Node<Directive>]) {
        Applied::read(findings, Site::Schema, directives);
        self.schema.extend(directives);
    }

    fn define_outcome(&mut self, findings: &mut Findings, definition: &'d Definition) {
        let Some(name) = definition.name() else { return };
        if !self.claim(findings, name, Claim::Type) {
            return;
        }
        match definition {
            Definition::UnionTypeDefinition(union) => {
                self.entries.push(Entry::OutcomeUnion(self.outcome_unions.len()));
                self.outcome_unions.push(union);
                Applied::read(findings, Site::Scalar, &union.directives.0);
            }
            Definition::ObjectTypeDefinition(object) => {
                if let Some(first) = object.implements_interfaces.first() {
                    let message = format!("{} cannot implement {first}", object.name);
                    let error = Diagnostic::error(&errors::SDL_UNSUPPORTED, message)
                        .why("the rows of an interface come from relations, an outcome from a function");
                    findings.add(first.location(), error);
                }
                Applied::read(findings, Site::Object, &object.directives.0);
                self.entries.push(Entry::OutcomeMember(self.outcome_members.len()));
                self.outcome_members.push(AuthoredObject {
                    name: &object.name,
                    place: object.name.location(),
                    description: object.description.as_deref(),
                    directives: object.directives.iter().collect(),
                    fields: object.fields.iter().collect(),
                    implements: Vec::new(),
                });
            }
            _ => {}
        }
    }

    fn define_object(&mut self, findings: &mut Findings, part: ObjectPart<'d>, description: Option<&'d str>) {
        refuse_interfaces(findings, &part);
        if !self.claim(findings, part.name, Claim::Type) {
            return;
        }
        let object = part.with(description);
        match object.name {
            "Query" => {
                self.entries.push(Entry::Query);
                self.query = Some(object);
            }
            "Mutation" => {
                self.entries.push(Entry::Mutation);
                self.mutation = Some(object);
            }
            "Subscription" => {
                self.entries.push(Entry::Subscription);
                self.subscription = Some(object);
            }
            _ => {
                self.entries.push(Entry::Object(self.objects.len()));
                self.objects.push(object);
            }
        }
    }

    fn define_interface(&mut self, findings: &mut Findings, interface: &'d Node<InterfaceTypeDefinition>) {
        let part = ObjectPart {
            name: &interface.name,
            directives: &interface.directives,
            fields: &interface.fields,
            implements: &interface.implements_interfaces,
        };
        if self.claim(findings, part.name, Claim::Type) {
            self.entries.push(Entry::Interface(self.interfaces.len()));
            self.interfaces.push(part.with(interface.description.as_deref()));
        }
    }

    fn define_union(&mut self, findings: &mut Findings, union: &'d Node<UnionTypeDefinition>) {
        if self.claim(findings, &union.name, Claim::Type) {
            Applied::read(findings, Site::Union, &union.directives.0);
            self.entries.push(Entry::Union(self.unions.len()));
            self.unions.push(AuthoredUnion {
                name: &union.name,
                place: union.name.location(),
                description: union.description.as_deref(),
                members: union.members.iter().collect(),
            });
        }
    }

    fn define_scalar(&mut self, findings: &mut Findings, definition: &'d Node<ScalarTypeDefinition>) {
        let name = definition.name.as_str();
        if scalar::is_built_in(name) {
            let message = format!("{name} is built in and cannot be declared");
            findings.add(definition.name.location(), Diagnostic::error(&errors::SDL_INVALID, message));
        } else if !scalar::is_custom(name) {
            let message = format!("there is no scalar {name}");
            let known = scalar::CUSTOM.iter().map(|scalar| scalar.name);
            let error = Diagnostic::error(&errors::SDL_UNSUPPORTED, message)
                .why("scalars of your own are not compiled: nothing would say how their values travel")
                .hint(format!("known are {}", known.clone().collect::<Vec<_>>().join(", ")));
            self.refused.insert(name);
            findings.add(definition.name.location(), suggesting(error, name, known));
        } else if self.claim(findings, &definition.name, Claim::Scalar) {
            self.entries.push(Entry::Scalar(self.scalars.len()));
            self.scalars.push(definition);
            Applied::read(findings, Site::Scalar, &definition.directives.0);
        }
    }

    fn extend(&mut self, findings: &mut Findings, definition: &'d Definition) {
        match definition {
            Definition::ObjectTypeExtension(object) => {
                let part = ObjectPart {
                    name: &object.name,
                    directives: &object.directives,
                    fields: &object.fields,
                    implements: &object.implements_interfaces,
                };
                self.extend_object(findings, part);
            }
            Definition::InterfaceTypeExtension(interface) => {
                match self.interfaces.iter_mut().find(|found| interface.name == found.name) {
                    Some(found) => {
                        found.directives.extend(interface.directives.iter());
                        found.fields.extend(interface.fields.iter());
                        found.implements.extend(interface.implements_interfaces.iter());
                    }
                    None => self.refuse_extension(findings, &interface.name),
                }
            }
            Definition::UnionTypeExtension(union) => {
                Applied::read(findings, Site::Union, &union.directives.0);
                match self.unions.iter_mut().find(|found| union.name == found.name) {
                    Some(found) => found.members.extend(union.members.iter()),
                    None => self.refuse_extension(findings, &union.name),
                }
            }
            Definition::EnumTypeExtension(extension) => {
                match self.enums.iter_mut().find(|found| extension.name == found.name) {
                    Some(found) => {
                        found.directives.extend(extension.directives.iter());
                        found.values.extend(extension.values.iter());
                    }
                    None => self.refuse_extension(findings, &extension.name),
                }
            }
            Definition::InputObjectTypeExtension(extension) => {
                match self.inputs.iter_mut().find(|found| extension.name == found.name) {
                    Some(found) => {
                        found.directives.extend(extension.directives.iter());
                        found.fields.extend(extension.fields.iter());
                    }
                    None => self.refuse_extension(findings, &extension.name),
                }
            }
            Definition::ScalarTypeExtension(extension) => {
                self.refused.insert(&extension.name);
                let message = "extensions of scalars are not compiled";
                findings.add(
                    extension.name.location(),
                    Diagnostic::error(&errors::SDL_UNSUPPORTED, message)
                        .hint(format!("write the directive behind `scalar {}`", extension.name)),
                );
            }
            _ => {}
        }
    }

    fn extend_object(&mut self, findings: &mut Findings, part: ObjectPart<'d>) {
        refuse_interfaces(findings, &part);
        let target = match part.name.as_str() {
            "Query" | "Mutation" | "Subscription" => {
                let (root, entry) = match part.name.as_str() {
                    "Query" => (&mut self.query, Entry::Query),
                    "Mutation" => (&mut self.mutation, Entry::Mutation),
                    _ => (&mut self.subscription, Entry::Subscription),
                };
                if root.is_none() {
                    self.entries.push(entry);
                    self.names.insert(part.name, part.name.location());
                }
                Some(root.get_or_insert_with(|| AuthoredObject {
                    name: part.name,
                    place: part.name.location(),
                    description: None,
                    directives: Vec::new(),
                    fields: Vec::new(),
                    implements: Vec::new(),
                }))
            }
            name => self.objects.iter_mut().find(|found| found.name == name),
        };
        match target {
            Some(found) => {
                found.directives.extend(part.directives.iter());
                found.fields.extend(part.fields.iter());
                found.implements.extend(part.implements.iter());
            }
            None => self.refuse_extension(findings, part.name),
        }
    }

    fn refuse_extension(&self, findings: &mut Findings, name: &'d Name) {
        let error =
            Diagnostic::error(&errors::SDL_UNKNOWN_TYPE, format!("there is no type {name} to extend"));
        findings.add(name.location(), suggesting(error, name, self.names.keys().copied()));
    }

    /// Takes a type name; false when it is taken, or kept by GraphQL or by us.
    fn claim(&mut self, findings: &mut Findings, name: &'d Name, kind: Claim) -> bool {
        let place = name.location();
        if name.starts_with("__") {
            findings.add(place, reserved(name));
            return false;
        }
        if scalar::is_built_in(name) || (kind == Claim::Type && scalar::is_custom(name)) {
            let message = format!("{name} is the name of a scalar");
            findings.add(place, Diagnostic::error(&errors::SDL_NAME_TAKEN, message));
            return false;
        }
        if crate::input::SHARED_FILTERS
            .iter()
            .any(|filter| filter.strip_suffix("Filter") == Some(name.as_str()))
        {
            let message = format!("{name}Filter is the filter of several scalars");
            let error = Diagnostic::error(&errors::SDL_NAME_TAKEN, message);
            findings.add(place, error.hint(format!("call the type otherwise than {name}")));
            return false;
        }
        if self.names.insert(name, place).is_some() {
            let message = format!("there are two types named {name}");
            let error = Diagnostic::error(&errors::SDL_INVALID, message)
                .hint(format!("to add to a type, write `extend type {name}`"));
            findings.add(place, error);
            return false;
        }
        true
    }

    fn check_members(&self, findings: &mut Findings) {
        let roots = self.query.iter().chain(&self.mutation).chain(&self.subscription);
        let types = self.objects.iter().chain(&self.interfaces).chain(&self.outcome_members);
        for object in types.chain(roots) {
            let fields = object.fields.iter().map(|field| &field.name);
            check_names(findings, object.name, "field", fields);
            for field in &object.fields {
                let owner = format!("{}.{}", object.name, field.name);
                let arguments = field.arguments.iter().map(|argument| &argument.name);
                check_names(findings, &owner, "argument", arguments);
            }
            if object.fields.is_empty() && object.name != "Mutation" {
                let message = format!("type {} has no fields", object.name);
                findings.add(object.place, Diagnostic::error(&errors::SDL_INVALID, message));
            }
        }
        for union in &self.unions {
            let members = union.members.iter().copied();
            check_names(findings, union.name, "member", members);
            if union.members.is_empty() {
                let message = format!("union {} has no members", union.name);
                findings.add(union.place, Diagnostic::error(&errors::SDL_INVALID, message));
            }
        }
        for input in &self.inputs {
            check_names(findings, input.name, "field", input.fields.iter().map(|field| &field.name));
            if input.fields.is_empty() {
                let message = format!("input {} has no fields", input.name);
                findings.add(input.place, Diagnostic::error(&errors::SDL_INVALID, message));
            }
        }
        for definition in &self.enums {
            let values = definition.values.iter().map(|value| &value.value);
            check_names(findings, definition.name, "value", values);
            if definition.values.is_empty() {
                let message = format!("enum {} has no values", definition.name);
                findings.add(definition.place, Diagnostic::error(&errors::SDL_INVALID, message));
            }
        }
        if self.query.is_none() {
            let error = Diagnostic::error(&errors::SDL_INVALID, "there is no type Query")
                .why("a schema without root fields answers nothing")
                .hint("type Query { artists: [Artist!]! }");
            findings.add(None, error);
        }
    }
}

fn check_names<'d>(findings: &mut Findings, owner: &str, what: &str, names: impl Iterator<Item = &'d Name>) {
    let mut seen = BTreeSet::new();
    for name in names {
        if name.starts_with("__") {
            findings.add(name.location(), reserved(name));
        } else if !seen.insert(name.as_str()) {
            let message = format!("{owner} has two {what}s named {name}");
            findings.add(name.location(), Diagnostic::error(&errors::SDL_INVALID, message));
        }
    }
}

fn reserved(name: &Name) -> Diagnostic {
    let message = format!("{name} begins with two underscores");
    Diagnostic::error(&errors::SDL_INVALID, message).why("GraphQL keeps such names for introspection")
}

fn check_roots(findings: &mut Findings, roots: &[Node<(OperationType, Name)>]) {
    for root in roots {
        let (operation, name) = &**root;
        let expected = match operation {
            OperationType::Query => "Query",
            OperationType::Mutation => "Mutation",
            OperationType::Subscription => "Subscription",
        };
        if name != expected {
            let message = format!("the {} type must be called {expected}", operation.name());
            let error = Diagnostic::error(&errors::SDL_UNSUPPORTED, message)
                .hint("leave `schema { ... }` away and use these names");
            findings.add(name.location(), error);
        }
    }
}

fn refuse_executable(findings: &mut Findings, what: &str, place: Place) {
    let error = Diagnostic::error(&errors::SDL_INVALID, format!("{what} cannot stand in a schema"))
        .hint("keep operations in files of their own");
    findings.add(place, error);
}

impl<'d> ObjectPart<'d> {
    fn with(self, description: Option<&'d str>) -> AuthoredObject<'d> {
        AuthoredObject {
            name: self.name,
            place: self.name.location(),
            description,
            directives: self.directives.iter().collect(),
            fields: self.fields.iter().collect(),
            implements: self.implements.iter().collect(),
        }
    }
}

fn refuse_interfaces(findings: &mut Findings, part: &ObjectPart<'_>) {
    if let ("Query" | "Mutation" | "Subscription", Some(first)) =
        (part.name.as_str(), part.implements.first())
    {
        let message = format!("{} cannot implement {first}", part.name);
        let error = Diagnostic::error(&errors::SDL_UNSUPPORTED, message)
            .why("the rows of an interface come from relations, those of a root type from nowhere");
        findings.add(first.location(), error);
    }
}
