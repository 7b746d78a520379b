//! A parsed and validated document, with the limits that are checked before validation.
//!
//! The count of expanded fields is linear in the text: a fragment is counted once and its
//! count is reused, so a document whose fragments multiply is refused before anything expands.

use std::collections::{BTreeMap, BTreeSet};

use apollo_compiler::ast;
use apollo_compiler::executable::{ExecutableDocument, Operation};
use apollo_compiler::parser::{LineColumn, Parser, SourceMap, SourceSpan};
use apollo_compiler::response::GraphQLError;
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{Name, Node};
use fraiseql_model::response::{Code, GraphqlError, Location};

use crate::descriptions::without_descriptions;
use crate::schema::Schema;
use crate::tokens::field_without_value;
use crate::validate::validate;

/// What a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Tokens of a document.
    pub tokens: usize,
    /// Levels of nested selections, fragments followed.
    pub depth: usize,
    /// Fields of an operation, fragments expanded.
    pub fields: usize,
    /// Root fields of an operation.
    pub root_fields: usize,
    /// Objects of one bulk mutation.
    pub bulk_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { tokens: 15_000, depth: 30, fields: 5_000, root_fields: 50, bulk_rows: 1_000 }
    }
}

/// The kind of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// Reads.
    Query,
    /// Writes.
    Mutation,
    /// A live query.
    Subscription,
}

/// A document that fits the schema it was parsed against.
#[derive(Debug)]
pub struct Document {
    pub(crate) executable: Valid<ExecutableDocument>,
    /// Variables that name a type in `__type(name:)`: the answer depends on their values.
    pub(crate) type_names: BTreeSet<Name>,
}

/// Nesting of parentheses, braces and brackets that the parser follows; selections are limited
/// by [`Limits::depth`], input objects and list values by this.
const PARSER_RECURSION: usize = 250;
/// How many findings one response carries.
pub(crate) const ERRORS_MAX: usize = 20;

impl Document {
    /// Parses and validates `text` against `schema`.
    ///
    /// Returns up to 20 errors, all of them of kind parse, validation or limit, with places.
    pub fn parse(schema: &Schema, text: &str, limits: &Limits) -> Result<Self, Vec<GraphqlError>> {
        let mut parser = Parser::new().recursion_limit(PARSER_RECURSION).token_limit(limits.tokens);
        let text = without_descriptions(text);
        let syntax = parser.parse_ast(&*text, "request").map_err(|invalid| {
            if parser.tokens_reached() >= limits.tokens {
                vec![limit_error("tokens", limits.tokens)]
            } else {
                errors_of(&invalid.errors, Code::ParseFailed)
            }
        })?;
        if let Some(place) = field_without_value(&text) {
            let message = "syntax error: the field of an input object needs a value".to_owned();
            return Err(vec![GraphqlError::new(Code::ParseFailed, message).at(Some(place))]);
        }
        check_size(&syntax, limits)?;
        let errors = validate(schema, &syntax, &text);
        if !errors.is_empty() {
            return Err(errors);
        }
        let executable = syntax
            .to_executable(&schema.graphql)
            .map_err(|invalid| errors_of(&invalid.errors, Code::ValidationFailed))?;
        let type_names = type_names(&syntax);
        Ok(Self { executable: Valid::assume_valid(executable), type_names })
    }

    /// Returns the kind of the operation that a request means.
    ///
    /// Fails when there is no operation of that name, or several and no name.
    pub fn operation(&self, name: Option<&str>) -> Result<OperationKind, GraphqlError> {
        let operation = self.resolve(name)?;
        Ok(match operation.operation_type {
            ast::OperationType::Query => OperationKind::Query,
            ast::OperationType::Mutation => OperationKind::Mutation,
            ast::OperationType::Subscription => OperationKind::Subscription,
        })
    }

    pub(crate) fn resolve(&self, name: Option<&str>) -> Result<&Node<Operation>, GraphqlError> {
        self.executable.operations.get(name).map_err(|_unknown| {
            let message = match name {
                Some(name) => format!("there is no operation named \"{name}\" in the document"),
                None => "the document has several operations: give operationName".to_owned(),
            };
            GraphqlError::new(Code::OperationResolution, message)
        })
    }

    pub(crate) fn location(&self, span: Option<SourceSpan>) -> Option<Location> {
        location_in(&self.executable.sources, span)
    }
}

pub(crate) fn location_in(sources: &SourceMap, span: Option<SourceSpan>) -> Option<Location> {
    let LineColumn { line, column } = span?.line_column(sources)?;
    Some(Location { line, column })
}

fn type_names(document: &ast::Document) -> BTreeSet<Name> {
    fn walk(selections: &[ast::Selection], names: &mut BTreeSet<Name>) {
        for selection in selections {
            match selection {
                ast::Selection::Field(field) if field.name == "__type" => {
                    names.extend(field.arguments.iter().filter_map(|name| name.value.as_variable().cloned()));
                }
                // Only a root field is `__type`.
                ast::Selection::Field(_) | ast::Selection::FragmentSpread(_) => {}
                ast::Selection::InlineFragment(fragment) => walk(&fragment.selection_set, names),
            }
        }
    }
    let mut names = BTreeSet::new();
    for definition in &document.definitions {
        match definition {
            ast::Definition::OperationDefinition(operation) => walk(&operation.selection_set, &mut names),
            ast::Definition::FragmentDefinition(fragment) => walk(&fragment.selection_set, &mut names),
            _ => {}
        }
    }
    names
}

fn limit_error(what: &str, limit: usize) -> GraphqlError {
    GraphqlError::new(Code::LimitExceeded, format!("the document has more than {limit} {what}"))
}

fn errors_of(list: &DiagnosticList, code: Code) -> Vec<GraphqlError> {
    list.iter()
        .take(ERRORS_MAX)
        .map(|diagnostic| {
            let GraphQLError { message, locations, .. } = diagnostic.unstable_to_json_compat();
            let mut error = GraphqlError::new(code, message);
            error.locations =
                locations.into_iter().map(|LineColumn { line, column }| Location { line, column }).collect();
            error
        })
        .collect()
}

/// Fields and depth of a selection set, its fragments expanded.
#[derive(Clone, Copy, Default)]
struct Size {
    fields: usize,
    depth: usize,
}

fn check_size(document: &ast::Document, limits: &Limits) -> Result<(), Vec<GraphqlError>> {
    let mut sizes = Sizes { fragments: BTreeMap::new(), known: BTreeMap::new() };
    for definition in &document.definitions {
        if let ast::Definition::FragmentDefinition(fragment) = definition {
            sizes.fragments.insert(&fragment.name, fragment);
        }
    }
    for definition in &document.definitions {
        if let ast::Definition::OperationDefinition(operation) = definition {
            let size = sizes.of(&operation.selection_set);
            if size.fields > limits.fields {
                return Err(vec![limit_error("fields once its fragments are expanded", limits.fields)]);
            }
            if size.depth > limits.depth {
                return Err(vec![limit_error("levels of nested fields", limits.depth)]);
            }
        }
    }
    Ok(())
}

struct Sizes<'d> {
    fragments: BTreeMap<&'d Name, &'d ast::FragmentDefinition>,
    /// `None` while a fragment is being counted: a cycle counts as nothing, validation names it.
    known: BTreeMap<&'d Name, Option<Size>>,
}

impl<'d> Sizes<'d> {
    fn of(&mut self, selections: &'d [ast::Selection]) -> Size {
        let mut total = Size::default();
        for selection in selections {
            let size = match selection {
                ast::Selection::Field(field) => {
                    let below = self.of(&field.selection_set);
                    Size { fields: below.fields.saturating_add(1), depth: below.depth + 1 }
                }
                ast::Selection::InlineFragment(fragment) => self.of(&fragment.selection_set),
                ast::Selection::FragmentSpread(spread) => self.fragment(&spread.fragment_name),
            };
            total.fields = total.fields.saturating_add(size.fields);
            total.depth = total.depth.max(size.depth);
        }
        total
    }

    fn fragment(&mut self, name: &'d Name) -> Size {
        if let Some(known) = self.known.get(name) {
            return known.unwrap_or_default();
        }
        let Some(fragment) = self.fragments.get(name).copied() else {
            return Size::default();
        };
        self.known.insert(name, None);
        let size = self.of(&fragment.selection_set);
        self.known.insert(name, Some(size));
        size
    }
}
