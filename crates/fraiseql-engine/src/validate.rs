//! Validation of documents: section 5 of the specification of September 2025, every rule of it.
//!
//! Works on the syntax tree, before anything is built from it. Each definition is walked once; what
//! depends on fragments is put together afterwards from what the walks found. Work that grows faster
//! than the document (merging of fields) has a budget.

mod definitions;
mod directives;
mod fragments;
mod overlapping;
mod selections;
mod subscriptions;
mod values;
mod variables;

use std::collections::BTreeMap;

use apollo_compiler::ast::{Definition, Document, FragmentDefinition, OperationDefinition, Type};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Node};
use fraiseql_model::response::{Code, GraphqlError, Location};

use crate::document::{ERRORS_MAX, location_in};
use crate::schema::Schema;

/// Returns what is wrong with a document, in the order of the document within each kind of rule.
pub(crate) fn validate(schema: &Schema, document: &Document, text: &str) -> Vec<GraphqlError> {
    let mut checks = Checks::new(schema, document, text);
    checks.definitions();
    let operations: Vec<(&Node<OperationDefinition>, Found<'_>)> = document
        .definitions
        .iter()
        .filter_map(Definition::as_operation_definition)
        .map(|operation| (operation, checks.operation(operation)))
        .collect();
    let fragments: Vec<(&Node<FragmentDefinition>, Found<'_>)> = document
        .definitions
        .iter()
        .filter_map(Definition::as_fragment_definition)
        .map(|fragment| (fragment, checks.fragment(fragment)))
        .collect();
    let cycles = checks.cycles(&fragments);
    checks.unused_fragments(&operations, &fragments);
    checks.variables(&operations, &fragments);
    for (operation, _) in &operations {
        checks.subscription(operation);
    }
    if !cycles {
        checks.overlapping(&operations);
    }
    checks.errors
}

/// What all rules share.
struct Checks<'d> {
    schema: &'d Schema,
    document: &'d Document,
    text: &'d str,
    /// The first fragment of each name.
    fragments: BTreeMap<&'d str, &'d Node<FragmentDefinition>>,
    errors: Vec<GraphqlError>,
}

/// What the walk over one definition found.
#[derive(Default)]
struct Found<'d> {
    usages: Vec<Usage<'d>>,
    spreads: Vec<&'d Node<apollo_compiler::ast::FragmentSpread>>,
}

/// A place where a variable stands.
struct Usage<'d> {
    name: &'d Name,
    span: Option<SourceSpan>,
    /// The type that is expected there; `None` where nothing is known of the place.
    ty: Option<Type>,
    /// Whether the place has a default of its own.
    default: bool,
    /// The `@oneOf` type whose field it is.
    one_of: Option<&'d Name>,
}

impl<'d> Checks<'d> {
    fn new(schema: &'d Schema, document: &'d Document, text: &'d str) -> Self {
        let mut fragments = BTreeMap::new();
        for fragment in document.definitions.iter().filter_map(Definition::as_fragment_definition) {
            fragments.entry(fragment.name.as_str()).or_insert(fragment);
        }
        Self { schema, document, text, fragments, errors: Vec::new() }
    }

    fn error(&mut self, spans: impl IntoIterator<Item = Option<SourceSpan>>, message: String) {
        let places = spans.into_iter().filter_map(|span| location_in(&self.document.sources, span)).collect();
        self.error_at(places, message);
    }

    /// Keeps as many errors as one response carries: a hostile document has one for each pair of fields.
    fn error_at(&mut self, places: Vec<Location>, message: String) {
        if self.errors.len() < ERRORS_MAX {
            let mut error = GraphqlError::new(Code::ValidationFailed, message);
            error.locations = places;
            self.errors.push(error);
        }
    }

    fn type_named(&self, name: &str) -> Option<&'d ExtendedType> {
        self.schema.graphql.types.get(name)
    }

    /// Returns the object types that a value of a composite type may have.
    fn possible_types(&self, ty: &'d ExtendedType) -> Vec<&'d str> {
        match ty {
            ExtendedType::Object(object) => vec![object.name.as_str()],
            ExtendedType::Union(union) => union.members.iter().map(|member| member.name.as_str()).collect(),
            ExtendedType::Interface(interface) => {
                let objects = self.schema.implementers.get(&interface.name);
                objects.map_or_else(Vec::new, |found| found.objects.iter().map(Name::as_str).collect())
            }
            _ => Vec::new(),
        }
    }
}

fn is_composite(ty: &ExtendedType) -> bool {
    matches!(ty, ExtendedType::Object(_) | ExtendedType::Interface(_) | ExtendedType::Union(_))
}
