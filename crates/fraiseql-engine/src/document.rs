//! A parsed and validated document. `limits` has looked at it before it was validated.

use std::collections::BTreeSet;

use apollo_compiler::ast;
use apollo_compiler::executable::{ExecutableDocument, Operation};
use apollo_compiler::parser::{LineColumn, Parser, SourceMap, SourceSpan};
use apollo_compiler::response::GraphQLError;
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{Name, Node};
use fraiseql_model::response::{Code, GraphqlError, Location};

use crate::descriptions::without_descriptions;
use crate::limits::{Limit, Limits, check_document, judge};
use crate::scan::{Scan, scan};
use crate::schema::Schema;
use crate::tokens::field_without_value;
use crate::validate::validate;

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
    exceeded: Vec<Limit>,
    /// Variables that name a type in `__type(name:)`: the answer depends on their values.
    pub(crate) type_names: BTreeSet<Name>,
    introspects: bool,
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
        let exceeded = check_text(text, limits).map_err(|error| vec![error])?;
        // Our own count is below; spaces between are the only tokens that it leaves out.
        let tokens = limits.refused().tokens.saturating_mul(2).saturating_add(2);
        let mut parser = Parser::new().recursion_limit(PARSER_RECURSION).token_limit(tokens);
        let text = without_descriptions(text);
        let syntax = parser.parse_ast(&*text, "request").map_err(|invalid| {
            if parser.tokens_reached() >= tokens {
                vec![Limit::Tokens.error(limits.refused().tokens)]
            } else {
                errors_of(&invalid.errors, Code::ParseFailed)
            }
        })?;
        if let Some(place) = field_without_value(&text) {
            let message = "syntax error: the field of an input object needs a value".to_owned();
            return Err(vec![GraphqlError::new(Code::ParseFailed, message).at(Some(place))]);
        }
        let exceeded = [exceeded, check_document(&syntax, limits).map_err(|error| vec![error])?].concat();
        let errors = validate(schema, &syntax, &text);
        if !errors.is_empty() {
            return Err(errors);
        }
        let executable = syntax
            .to_executable(&schema.graphql)
            .map_err(|invalid| errors_of(&invalid.errors, Code::ValidationFailed))?;
        let Introspection { type_names, introspects } = introspection(&syntax);
        Ok(Self { executable: Valid::assume_valid(executable), exceeded, type_names, introspects })
    }

    /// Returns true when some operation or fragment of it asks for `__schema` or `__type`.
    pub fn introspects(&self) -> bool {
        self.introspects
    }

    /// Returns the limits that it passes where they only warn.
    pub fn exceeded(&self) -> &[Limit] {
        &self.exceeded
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

    /// Returns the name of the operation that a request means, if it has one.
    pub fn operation_name(&self, name: Option<&str>) -> Option<&str> {
        self.executable.operations.get(name).ok()?.name.as_deref()
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

/// Checks what can be counted without understanding the text.
fn check_text(text: &str, limits: &Limits) -> Result<Vec<Limit>, GraphqlError> {
    let bytes = judge([(Limit::DocumentBytes, text.len())], limits)?;
    let Scan { tokens, nesting } = scan(text, limits.refused().tokens, PARSER_RECURSION);
    let told = judge([(Limit::Tokens, tokens)], limits)?;
    if nesting > PARSER_RECURSION {
        let message = format!("the document nests deeper than {PARSER_RECURSION} levels");
        return Err(GraphqlError::new(Code::ParseFailed, message));
    }
    Ok([bytes, told].concat())
}

/// What a document asks of the schema itself.
#[derive(Default)]
struct Introspection {
    type_names: BTreeSet<Name>,
    introspects: bool,
}

fn introspection(document: &ast::Document) -> Introspection {
    fn walk(selections: &[ast::Selection], found: &mut Introspection) {
        for selection in selections {
            match selection {
                ast::Selection::Field(field) if field.name == "__type" => {
                    found.introspects = true;
                    let variables = field.arguments.iter().filter_map(|name| name.value.as_variable());
                    found.type_names.extend(variables.cloned());
                }
                ast::Selection::Field(field) => found.introspects |= field.name == "__schema",
                // Only a root field is `__type` or `__schema`.
                ast::Selection::FragmentSpread(_) => {}
                ast::Selection::InlineFragment(fragment) => walk(&fragment.selection_set, found),
            }
        }
    }
    let mut found = Introspection::default();
    for definition in &document.definitions {
        match definition {
            ast::Definition::OperationDefinition(operation) => walk(&operation.selection_set, &mut found),
            ast::Definition::FragmentDefinition(fragment) => walk(&fragment.selection_set, &mut found),
            _ => {}
        }
    }
    found
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
