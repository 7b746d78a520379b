//! Binds the root fields: lists of rows, rows by a unique key, calls of functions.

use std::collections::BTreeMap;

use apollo_compiler::Node;
use apollo_compiler::ast::{FieldDefinition, InputValueDefinition};
use fraiseql_model::artifact::{FunctionReturn, KeyArgument};
use fraiseql_model::catalog::Nullability;
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;
use fraiseql_model::names::nearest;

use crate::call::{BoundCall, Caller};
use crate::casing::snake_case;
use crate::column::{Side, Vocabulary, non_null, refuse_unknown};
use crate::document::Authored;
use crate::draft::{DraftField, Drafts, read_fields, same_columns};
use crate::family::{Families, Family};
use crate::findings::{Findings, listed};
use crate::object::{BoundColumn, BoundObject, refused_argument};
use crate::shape::Shape;

/// A root field, bound.
#[derive(Debug)]
pub(crate) struct BoundRoot<'a> {
    pub(crate) name: &'a str,
    pub(crate) binding: RootBinding<'a>,
}

/// What a root field does.
#[derive(Debug)]
pub(crate) enum RootBinding<'a> {
    List { object: &'a str },
    Lookup { object: &'a str, key: Vec<KeyArgument> },
    Node { interface: &'a str, argument: &'a str, list: bool },
    Call(Box<BoundCall<'a>>),
}

impl RootBinding<'_> {
    /// Returns the object type of a field that takes the arguments of lists.
    pub(crate) fn listed(&self) -> Option<&str> {
        match self {
            Self::List { object } => Some(object),
            Self::Call(call) => match &call.call.returns {
                FunctionReturn::Object { object, set: true, .. } => Some(object),
                _ => None,
            },
            Self::Lookup { .. } | Self::Node { .. } => None,
        }
    }
}

/// The directives of the root types' fields, read.
#[derive(Debug)]
pub(crate) struct RootFields<'a> {
    query: Vec<DraftField<'a>>,
    mutation: Vec<DraftField<'a>>,
    subscription: Vec<DraftField<'a>>,
}

impl<'a> RootFields<'a> {
    pub(crate) fn read(findings: &mut Findings, authored: &'a Authored<'a>) -> Self {
        let mut read = |root: &'a Option<crate::document::AuthoredObject<'a>>| {
            let Some(root) = root else { return Vec::new() };
            for directive in &root.directives {
                let message = format!("@{} says nothing on {}", directive.name, root.name);
                let error = Diagnostic::error(&errors::SDL_UNKNOWN_DIRECTIVE, message);
                findings.add(directive.location(), error);
            }
            read_fields(findings, root)
        };
        Self {
            query: read(&authored.query),
            mutation: read(&authored.mutation),
            subscription: read(&authored.subscription),
        }
    }
}

/// What root fields are bound with.
pub(crate) struct RootBinder<'a, 'w> {
    pub(crate) drafts: &'a Drafts<'a, 'a>,
    pub(crate) families: &'a Families<'a>,
    pub(crate) objects: BTreeMap<&'a str, &'w BoundObject<'a>>,
    pub(crate) words: &'w Vocabulary<'a>,
}

impl<'a> RootBinder<'a, '_> {
    /// Binds the fields of Query.
    pub(crate) fn query(&self, findings: &mut Findings, fields: &'a RootFields<'a>) -> Vec<BoundRoot<'a>> {
        fields.query.iter().filter_map(|field| self.query_field(findings, "Query", field)).collect()
    }

    /// Binds the fields of Subscription, each as a field of Query: a subscription is a live query.
    pub(crate) fn subscription(
        &self,
        findings: &mut Findings,
        fields: &'a RootFields<'a>,
    ) -> Vec<BoundRoot<'a>> {
        let fields = fields.subscription.iter();
        fields.filter_map(|field| self.query_field(findings, "Subscription", field)).collect()
    }

    /// Binds the fields of Mutation that the author wrote.
    pub(crate) fn mutation(&self, findings: &mut Findings, fields: &'a RootFields<'a>) -> Vec<BoundRoot<'a>> {
        let bind = |field: &'a DraftField<'a>| {
            refuse_column_directives(findings, field);
            let owner = format!("Mutation.{}", field.definition.name);
            if field.applied.get("function").is_none() {
                if !mentions_function(field) {
                    findings.add(field.definition.name.location(), self.no_function(&owner, field));
                }
                return None;
            }
            self.call(findings, owner, field, false)
        };
        fields.mutation.iter().filter_map(bind).collect()
    }

    fn query_field(
        &self,
        findings: &mut Findings,
        parent: &str,
        field: &'a DraftField<'a>,
    ) -> Option<BoundRoot<'a>> {
        refuse_column_directives(findings, field);
        let definition = field.definition;
        let owner = format!("{parent}.{}", definition.name);
        if field.applied.get("function").is_some() {
            return self.call(findings, owner, field, true);
        }
        if mentions_function(field) {
            return None;
        }
        let Some(shape) = Shape::of(&definition.ty) else {
            let message = format!("{owner} is a list of lists");
            findings.add(definition.name.location(), Diagnostic::error(&errors::SDL_UNSUPPORTED, message));
            return None;
        };
        let Some(draft) = self.drafts.get(shape.name) else {
            if let Some(family) = self.families.get(shape.name) {
                let binding = self.family_field(findings, field, &shape, family)?;
                return Some(BoundRoot { name: &definition.name, binding });
            }
            let known = crate::scalar::names().any(|known| shape.name == known)
                || self.words.enums.contains_key(shape.name.as_str());
            if known {
                findings.add(definition.name.location(), self.no_function(&owner, field));
            } else {
                refuse_unknown(findings, self.words, shape.name);
            }
            return None;
        };
        let object = draft.object.name;
        if draft.rows {
            let message = format!("{owner} returns {object}, whose rows only functions return");
            let error = Diagnostic::error(&errors::SDL_UNKNOWN_FUNCTION, message);
            findings.add(definition.name.location(), error.hint("say which: add @function(name: ...)"));
            return None;
        }
        let binding = if shape.list {
            for argument in &definition.arguments {
                findings.add(argument.location(), refused_argument(&owner, true, &argument.name));
            }
            RootBinding::List { object }
        } else {
            let bound = *self.objects.get(object)?;
            self.check_null(findings, &owner, field, &shape, bound);
            let key = self.lookup(findings, &owner, definition, bound)?;
            RootBinding::Lookup { object, key }
        };
        Some(BoundRoot { name: &definition.name, binding })
    }

    /// Binds a field of a union, or of an interface without a relation of its own.
    fn family_field(
        &self,
        findings: &mut Findings,
        field: &'a DraftField<'a>,
        shape: &Shape<'a>,
        family: &'a Family<'a>,
    ) -> Option<RootBinding<'a>> {
        let definition = field.definition;
        let owner = format!("Query.{}", definition.name);
        if family.members.is_empty() {
            findings.add(shape.name.location(), family.empty(&owner));
            return None;
        }
        if let (Some(_), [argument]) = (family.global_id, definition.arguments.as_slice()) {
            let expected = if shape.list { "[ID!]!" } else { "ID!" };
            let fits = argument.ty.to_string() == expected;
            if fits && !shape.item_non_null && (shape.list || !shape.non_null) {
                let (interface, argument) = (family.name, argument.name.as_str());
                return Some(RootBinding::Node { interface, argument, list: shape.list });
            }
            let message = format!("{owner} is no field for global ids");
            let error = Diagnostic::error(&errors::SDL_ARGUMENT, message)
                .why("an id of which there is no row gives null")
                .hint(format!("write node(id: ID!): {0}, or nodes(ids: [ID!]!): [{0}]!", family.name));
            findings.add(definition.name.location(), error);
            return None;
        }
        if !shape.list {
            let message = format!("{owner} does not say which row of which type");
            let error = Diagnostic::error(&errors::SDL_NO_KEY, message)
                .why(format!("the types of {} have keys of their own", family.name))
                .hint(format!("return a list: [{}!]!", family.name));
            findings.add(definition.name.location(), error);
            return None;
        }
        for argument in &definition.arguments {
            findings.add(argument.location(), refused_argument(&owner, true, &argument.name));
        }
        Some(RootBinding::List { object: family.name })
    }

    fn call(
        &self,
        findings: &mut Findings,
        owner: String,
        field: &'a DraftField<'a>,
        query: bool,
    ) -> Option<BoundRoot<'a>> {
        let caller = Caller { owner, field, drafts: self.drafts, words: self.words, query, row: None };
        let call = caller.bind(findings)?;
        Some(BoundRoot { name: &field.definition.name, binding: RootBinding::Call(Box::new(call)) })
    }

    fn check_null(
        &self,
        findings: &mut Findings,
        owner: &str,
        field: &DraftField<'_>,
        shape: &Shape<'_>,
        object: &BoundObject<'_>,
    ) {
        let Some(first) = object.relation.columns.first() else { return };
        let side =
            Side { owner, source: "a row that may not exist", sql_type: &first.sql_type, input: false };
        let trusted = field.applied.get("neverNull").and_then(|usage| usage.place);
        non_null(findings, shape, &side, Nullability::Nullable, trusted, shape.name.location());
    }

    fn lookup(
        &self,
        findings: &mut Findings,
        owner: &str,
        definition: &'a Node<FieldDefinition>,
        object: &BoundObject<'a>,
    ) -> Option<Vec<KeyArgument>> {
        let mut arguments = Vec::new();
        let mut columns = Vec::new();
        let mut whole = true;
        for argument in &definition.arguments {
            match key_argument(findings, object, argument) {
                Some((field, bound)) => {
                    columns.push(bound.column.name.as_str());
                    arguments
                        .push(KeyArgument { argument: argument.name.to_string(), field: field.to_owned() });
                }
                None => whole = false,
            }
        }
        if !whole {
            return None;
        }
        if !object.draft.keys.iter().any(|key| same_columns(&key.columns, &columns)) {
            findings.add(definition.name.location(), no_key(owner, object, &columns));
            return None;
        }
        Some(arguments)
    }

    fn no_function(&self, owner: &str, field: &DraftField<'_>) -> Diagnostic {
        let guess = snake_case(&field.definition.name);
        let message = format!("{owner} does not say what it calls");
        let error = Diagnostic::error(&errors::SDL_UNKNOWN_FUNCTION, message);
        match nearest(&guess, self.words.database.function_names()) {
            Some(near) => error.hint(format!("add @function(name: \"{near}\")")),
            None if owner.starts_with("Mutation") => {
                error.hint("add @function(name: ...), or ask for generated writes with @write on the type")
            }
            None => error.hint("add @function(name: ...)"),
        }
    }
}

fn mentions_function(field: &DraftField<'_>) -> bool {
    field.definition.directives.iter().any(|found| found.name == "function")
}

fn refuse_column_directives(findings: &mut Findings, field: &DraftField<'_>) {
    if let Some((directive, place)) = field.applied.any_of(&["column", "reference", "version"]) {
        let message = format!("@{directive} says nothing on a root field");
        findings.add(place, Diagnostic::error(&errors::SDL_UNKNOWN_DIRECTIVE, message));
    }
}

/// Returns the field that a lookup's argument stands for: that of its name, else of its column.
fn key_argument<'a, 'o>(
    findings: &mut Findings,
    object: &'o BoundObject<'a>,
    argument: &InputValueDefinition,
) -> Option<(&'a str, &'o BoundColumn<'a>)> {
    let place = argument.name.location();
    let found = object
        .columns()
        .find(|(name, _)| *name == argument.name.as_str())
        .or_else(|| object.field_of(&snake_case(&argument.name)));
    let found = found.filter(|(_, bound)| bound.key.is_none());
    let Some((name, bound)) = found else {
        let message = format!("{} has no column field \"{}\" to look it up by", object.name, argument.name);
        let error = Diagnostic::error(&errors::SDL_ARGUMENT, message);
        let error =
            crate::findings::suggesting(error, &argument.name, object.columns().map(|(name, _)| name));
        findings.add(place, error);
        return None;
    };
    let expected = format!("{}!", bound.value.graphql);
    if bound.is_searchable() && argument.ty.to_string() != expected {
        let message = format!("argument {} is {}, it must be {expected}", argument.name, argument.ty);
        let error = Diagnostic::error(&errors::SDL_ARGUMENT, message)
            .why("every argument of a lookup is required, and of the type of its field");
        findings.add(argument.ty.inner_named_type().location(), error);
        return None;
    }
    if !bound.is_searchable() {
        let message = format!("{}.{name} cannot be looked up by", object.name);
        let error = Diagnostic::error(&errors::SDL_ARGUMENT, message).why("PostgreSQL has no = for its type");
        findings.add(place, error);
        return None;
    }
    Some((name, bound))
}

fn no_key(owner: &str, object: &BoundObject<'_>, columns: &[&str]) -> Diagnostic {
    let relation = &object.relation.name;
    let message = match columns {
        [] => format!("{owner} does not say which row"),
        _ => format!(
            "{} {} no unique key of {relation}",
            listed(columns),
            if columns.len() == 1 { "is" } else { "are" }
        ),
    };
    let keys: Vec<String> = object
        .draft
        .keys
        .iter()
        .filter_map(|key| object.key_fields(key))
        .map(|fields| {
            let arguments: Vec<String> =
                fields.iter().map(|(name, bound)| format!("{name}: {}!", bound.value.graphql)).collect();
            format!("({})", arguments.join(", "))
        })
        .collect();
    let error = Diagnostic::error(&errors::SDL_NO_KEY, message).why("such a field returns at most one row");
    if keys.is_empty() {
        error.hint(format!("return a list: [{}!]!", object.name))
    } else {
        error.hint(format!("a row is found by {}; or return a list: [{}!]!", keys.join(" or "), object.name))
    }
}
