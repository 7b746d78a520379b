//! What the edition of September 2025 adds to every schema and the parser's library does not know yet.

use apollo_compiler::ast;
use apollo_compiler::schema::{Component, ExtendedType, InputObjectType};
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{Schema as GraphqlSchema, name};

use crate::reader;

const ONE_OF: &str = "\"Indicates exactly one field must be supplied and this field must not be `null`.\"\ndirective @oneOf on INPUT_OBJECT";

/// Parses and validates the SDL of a schema, and completes it with what every schema has.
pub(crate) fn parse_schema(sdl: &str) -> Result<Valid<GraphqlSchema>, String> {
    let mut builder = GraphqlSchema::builder().parse(sdl, "schema.graphql");
    if !defines_one_of(sdl) {
        builder = builder.parse(ONE_OF, "specification.graphql");
    }
    let schema = builder.build().map_err(|invalid| first(&invalid.errors))?;
    let valid = schema.validate().map_err(|invalid| first(&invalid.errors))?;
    Ok(Valid::assume_valid(complete(valid.into_inner())))
}

/// Reads the SDL of a schema that was validated when it was written, and completes it.
pub(crate) fn read_schema(sdl: &str) -> Result<Valid<GraphqlSchema>, String> {
    let builder = GraphqlSchema::builder().parse(ONE_OF, "specification.graphql");
    let empty = builder.build().map_err(|invalid| first(&invalid.errors))?;
    match reader::read(sdl, empty) {
        Some(mut schema) => {
            // Last, as where it is parsed.
            if let Some(one_of) = schema.directive_definitions.shift_remove("oneOf") {
                schema.directive_definitions.insert(one_of.name.clone(), one_of);
            }
            Ok(Valid::assume_valid(complete(schema)))
        }
        None => parse_schema(sdl),
    }
}

fn first(errors: &DiagnosticList) -> String {
    errors.iter().next().map_or_else(String::new, |error| error.error.to_string())
}

/// Adds what the edition adds to the types of introspection and to directives.
fn complete(mut schema: GraphqlSchema) -> GraphqlSchema {
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
    schema
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Reading gives what parsing and validating gives, in the same order.
    #[track_caller]
    fn check(sdl: &str) {
        let builder = GraphqlSchema::builder().parse(ONE_OF, "specification.graphql");
        assert!(reader::read(sdl, builder.build().unwrap()).is_some(), "the SDL is in the plain form");
        let (read, parsed) =
            (read_schema(sdl).unwrap().into_inner(), parse_schema(sdl).unwrap().into_inner());
        assert_eq!(read, parsed);
        let names = |schema: &GraphqlSchema| schema.types.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&read), names(&parsed));
        assert_eq!(read.to_string(), parsed.to_string());
    }

    #[test]
    fn reading_is_parsing() {
        check("type Query { a: Int }");
        check("schema { query: Q mutation: M } type Q { a: [[Int!]]! } type M { b(c: D = 3): Int } scalar D");
        check(
            r#"
            "The root.  "
            type Query implements A & B @deprecatedType(why: "it, is") {
              """
                Two lines,
                  the second indented \""" and quoted.

              """
              a(b: [Int!] = [1, -2], c: E = X @deprecated, d: In = {e: null, f: {g: 1.5e3}}): Boolean # all
              "" b: String @deprecated(reason: "no")
            }
            interface A { a: Boolean }
            interface B implements A { a: Boolean b: String }
            union U = | Query | O
            type O { id: ID! u: U }
            enum E { "x" X Y @deprecated }
            input In @oneOf { e: Int f: In g: Float }
            directive @deprecatedType(why: String!) repeatable on OBJECT | INTERFACE
            scalar Url @specifiedBy(url: "https://example.com")
            "#,
        );
    }

    #[test]
    fn what_is_not_plain_is_parsed() {
        for sdl in ["type Query { a: Int } extend type Query { b: Int }", r#""\u00e9" type Query { a: Int }"#]
        {
            assert_eq!(read_schema(sdl).unwrap().into_inner(), parse_schema(sdl).unwrap().into_inner());
        }
        assert!(read_schema("type Query { a: Int").is_err());
        assert!(read_schema("type Query").is_err());
    }
}
