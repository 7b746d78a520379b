//! What the edition of September 2025 adds to every schema and the parser's library does not know yet.

use apollo_compiler::ast;
use apollo_compiler::schema::{Component, ExtendedType, InputObjectType};
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{Schema as GraphqlSchema, name};

const ONE_OF: &str = "\"Indicates exactly one field must be supplied and this field must not be `null`.\"\ndirective @oneOf on INPUT_OBJECT";

/// Parses and validates the SDL of a schema, and completes it with what every schema has.
pub(crate) fn parse_schema(sdl: &str) -> Result<Valid<GraphqlSchema>, String> {
    let mut builder = GraphqlSchema::builder().parse(sdl, "schema.graphql");
    if !defines_one_of(sdl) {
        builder = builder.parse(ONE_OF, "specification.graphql");
    }
    let first = |errors: &DiagnosticList| {
        errors.iter().next().map_or_else(String::new, |error| error.error.to_string())
    };
    let schema = builder.build().map_err(|invalid| first(&invalid.errors))?;
    let valid = schema.validate().map_err(|invalid| first(&invalid.errors))?;
    let mut schema = valid.into_inner();
    let is_one_of = ast::FieldDefinition {
        description: None,
        name: name!("isOneOf"),
        arguments: Vec::new(),
        ty: ast::Type::Named(name!("Boolean")),
        directives: ast::DirectiveList::new(),
    };
    if let Some(ExtendedType::Object(object)) = schema.types.get_mut("__Type") {
        object.make_mut().fields.insert(is_one_of.name.clone(), Component::new(is_one_of));
    }
    if let Some(deprecated) = schema.directive_definitions.get_mut("deprecated") {
        for reason in deprecated.make_mut().arguments.iter_mut().filter(|argument| argument.name == "reason")
        {
            reason.make_mut().ty = ast::Type::NonNullNamed(name!("String")).into();
        }
    }
    Ok(Valid::assume_valid(schema))
}

/// Returns true for an input type of which exactly one field must be given: section 3.10.1.
pub(crate) fn is_one_of(object: &InputObjectType) -> bool {
    object.directives.has("oneOf")
}

fn defines_one_of(sdl: &str) -> bool {
    let Ok(document) = ast::Document::parse(sdl, "schema.graphql") else { return true };
    let mut directives = document.definitions.iter().filter_map(ast::Definition::as_directive_definition);
    directives.any(|directive| directive.name == "oneOf")
}
