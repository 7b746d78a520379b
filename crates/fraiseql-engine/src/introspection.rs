//! Answers `__schema` and `__type`: section 4 of the specification of September 2025.
//!
//! Everything is read from the schema; nothing is kept. How deep a question may go is checked before.

use std::collections::BTreeSet;

use apollo_compiler::Name;
use apollo_compiler::ast::{self, DirectiveDefinition, EnumValueDefinition, FieldDefinition, Type};
use apollo_compiler::schema::{Component, ExtendedType, InputValueDefinition};
use serde_json::{Map, Value};

use crate::argument::Scope;
use crate::collect::{Group, collect_below};
use crate::schema::Schema;
use crate::spec::is_one_of;

/// Returns the value of a root field `__schema` or `__type`.
pub(crate) fn introspect(scope: Scope<'_>, group: &Group<'_>) -> Value {
    if group[0].name == "__schema" {
        return object(scope, &Thing::Schema, group);
    }
    let name = scope.argument(group[0], "name").ok().flatten();
    let name = name.as_ref().and_then(|name| name.text()).unwrap_or_default();
    named(scope.schema, name).map_or(Value::Null, |thing| object(scope, &thing, group))
}

/// What an introspection object describes.
enum Thing<'s> {
    Schema,
    Named(&'s ExtendedType),
    /// A list or non-null type.
    Wrapped(Type),
    Field(&'s FieldDefinition),
    Input(&'s InputValueDefinition),
    EnumValue(&'s EnumValueDefinition),
    Directive(&'s DirectiveDefinition),
}

impl Thing<'_> {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Schema => "__Schema",
            Self::Named(_) | Self::Wrapped(_) => "__Type",
            Self::Field(_) => "__Field",
            Self::Input(_) => "__InputValue",
            Self::EnumValue(_) => "__EnumValue",
            Self::Directive(_) => "__Directive",
        }
    }
}

fn object(scope: Scope<'_>, thing: &Thing<'_>, group: &Group<'_>) -> Value {
    let mut fields = Map::new();
    for (key, group) in collect_below(scope, thing.type_name(), group) {
        let name = group[0].name.as_str();
        let value = if name == "__typename" {
            Value::from(thing.type_name())
        } else {
            match thing {
                Thing::Schema => schema_field(scope, name, &group),
                Thing::Named(ty) => type_field(scope, ty, name, &group),
                Thing::Wrapped(ty) => wrapped_field(scope, ty, name, &group),
                Thing::Field(field) => match name {
                    "args" => inputs(scope, field.arguments.iter().map(|input| &**input), &group),
                    "type" => of_type(scope, &field.ty, &group),
                    _ => common(name, &field.name, field.description.as_deref(), &field.directives),
                },
                Thing::Input(input) => match name {
                    "type" => of_type(scope, &input.ty, &group),
                    "defaultValue" => input.default_value.as_ref().map(|value| print(value)).into(),
                    _ => common(name, &input.name, input.description.as_deref(), &input.directives),
                },
                Thing::EnumValue(value) => {
                    common(name, &value.value, value.description.as_deref(), &value.directives)
                }
                Thing::Directive(directive) => directive_field(scope, directive, name, &group),
            }
        };
        fields.insert(key.to_owned(), value);
    }
    Value::Object(fields)
}

fn objects<'s>(scope: Scope<'_>, things: impl IntoIterator<Item = Thing<'s>>, group: &Group<'_>) -> Value {
    things.into_iter().map(|thing| object(scope, &thing, group)).collect()
}

fn schema_field(scope: Scope<'_>, name: &str, group: &Group<'_>) -> Value {
    let graphql = &scope.schema.graphql;
    let root = |kind| {
        let root = graphql.root_operation(kind).and_then(|name| named(scope.schema, name));
        root.map_or(Value::Null, |thing| object(scope, &thing, group))
    };
    match name {
        "description" => graphql.schema_definition.description.as_deref().into(),
        "types" => {
            let absent = absent_scalars(scope.schema);
            let types = graphql.types.values().filter(|ty| !absent.contains(ty.name().as_str()));
            objects(scope, types.map(Thing::Named), group)
        }
        "directives" => {
            let all = graphql.directive_definitions.values();
            objects(scope, all.map(|directive| Thing::Directive(directive)), group)
        }
        "queryType" => root(ast::OperationType::Query),
        "mutationType" => root(ast::OperationType::Mutation),
        _ => root(ast::OperationType::Subscription),
    }
}

fn type_field(scope: Scope<'_>, ty: &ExtendedType, name: &str, group: &Group<'_>) -> Value {
    let types = |names: &mut dyn Iterator<Item = &Name>| -> Value {
        let things: Vec<Thing<'_>> = names.filter_map(|name| named(scope.schema, name)).collect();
        objects(scope, things, group)
    };
    match (name, ty) {
        ("kind", _) => kind(ty).into(),
        ("name", _) => ty.name().as_str().into(),
        ("description", _) => ty.description().map(|text| text.as_str()).into(),
        ("fields", ExtendedType::Object(ty)) => fields(scope, ty.fields.values(), group),
        ("fields", ExtendedType::Interface(ty)) => fields(scope, ty.fields.values(), group),
        ("interfaces", ExtendedType::Object(ty)) => {
            types(&mut ty.implements_interfaces.iter().map(|name| &name.name))
        }
        ("interfaces", ExtendedType::Interface(ty)) => {
            types(&mut ty.implements_interfaces.iter().map(|name| &name.name))
        }
        ("possibleTypes", ExtendedType::Union(ty)) => types(&mut ty.members.iter().map(|name| &name.name)),
        ("possibleTypes", ExtendedType::Interface(ty)) => {
            let implementers = scope.schema.implementers.get(&ty.name);
            types(&mut implementers.into_iter().flat_map(|found| &found.objects))
        }
        ("enumValues", ExtendedType::Enum(ty)) => {
            let values = ty.values.values().filter(|value| shown(scope, &value.directives, group));
            objects(scope, values.map(|value| Thing::EnumValue(value)), group)
        }
        ("inputFields", ExtendedType::InputObject(ty)) => {
            inputs(scope, ty.fields.values().map(|field| &***field), group)
        }
        ("specifiedByURL", ExtendedType::Scalar(ty)) => {
            let directive = ty.directives.get("specifiedBy");
            let url = directive.and_then(|directive| directive.specified_argument_by_name("url"));
            url.and_then(|url| url.as_str()).into()
        }
        ("isOneOf", ExtendedType::InputObject(ty)) => is_one_of(ty).into(),
        _ => Value::Null,
    }
}

fn wrapped_field(scope: Scope<'_>, ty: &Type, name: &str, group: &Group<'_>) -> Value {
    match (name, ty) {
        ("kind", Type::List(_)) => "LIST".into(),
        ("kind", _) => "NON_NULL".into(),
        ("ofType", Type::List(_)) => of_type(scope, ty.item_type(), group),
        ("ofType", _) => of_type(scope, &ty.clone().nullable(), group),
        _ => Value::Null,
    }
}

fn directive_field(
    scope: Scope<'_>,
    directive: &DirectiveDefinition,
    name: &str,
    group: &Group<'_>,
) -> Value {
    match name {
        "name" => directive.name.as_str().into(),
        "description" => directive.description.as_deref().into(),
        "isRepeatable" => directive.repeatable.into(),
        "locations" => directive.locations.iter().map(|place| place.name()).collect(),
        _ => inputs(scope, directive.arguments.iter().map(|input| &**input), group),
    }
}

/// What fields, inputs and values of enums have alike.
fn common(name: &str, own: &Name, description: Option<&str>, directives: &ast::DirectiveList) -> Value {
    match name {
        "name" => own.as_str().into(),
        "description" => description.into(),
        "isDeprecated" => directives.has("deprecated").into(),
        _ => {
            let given = |directive: &ast::Directive| {
                let reason = directive.specified_argument_by_name("reason");
                reason.and_then(|reason| reason.as_str()).map(str::to_owned)
            };
            let reason = directives.get("deprecated").map(|directive| given(directive));
            reason.map(|given| given.unwrap_or_else(|| "No longer supported".to_owned())).into()
        }
    }
}

fn of_type(scope: Scope<'_>, ty: &Type, group: &Group<'_>) -> Value {
    match ty {
        Type::Named(name) => {
            named(scope.schema, name).map_or(Value::Null, |thing| object(scope, &thing, group))
        }
        wrapped => object(scope, &Thing::Wrapped(wrapped.clone()), group),
    }
}

fn fields<'s>(
    scope: Scope<'_>,
    fields: impl Iterator<Item = &'s Component<FieldDefinition>>,
    group: &Group<'_>,
) -> Value {
    let shown = fields.filter(|field| shown(scope, &field.directives, group));
    objects(scope, shown.map(|field| Thing::Field(field)), group)
}

fn inputs<'s>(
    scope: Scope<'_>,
    inputs: impl Iterator<Item = &'s InputValueDefinition>,
    group: &Group<'_>,
) -> Value {
    let shown = inputs.filter(|input| shown(scope, &input.directives, group));
    objects(scope, shown.map(Thing::Input), group)
}

fn shown(scope: Scope<'_>, directives: &ast::DirectiveList, group: &Group<'_>) -> bool {
    let included = scope.argument(group[0], "includeDeprecated").ok().flatten();
    !directives.has("deprecated") || included.and_then(|value| value.boolean()).unwrap_or(false)
}

fn named<'s>(schema: &'s Schema, name: &str) -> Option<Thing<'s>> {
    let ty = schema.graphql.types.get(name)?;
    let absent = ty.is_built_in() && ty.is_scalar() && absent_scalars(schema).contains(name);
    (!absent).then_some(Thing::Named(ty))
}

/// Returns the built-in scalars that nothing in the schema is of: section 3.5 keeps them out.
fn absent_scalars(schema: &Schema) -> BTreeSet<&'static str> {
    let mut absent: BTreeSet<&'static str> = ["Int", "Float", "ID"].into();
    let mut meet = |ty: &Type| {
        absent.remove(ty.inner_named_type().as_str());
    };
    for ty in schema.graphql.types.values() {
        let fields: Vec<&Component<FieldDefinition>> = match ty {
            ExtendedType::Object(ty) => ty.fields.values().collect(),
            ExtendedType::Interface(ty) => ty.fields.values().collect(),
            ExtendedType::InputObject(ty) => {
                ty.fields.values().for_each(|field| meet(&field.ty));
                continue;
            }
            _ => continue,
        };
        for field in fields {
            meet(&field.ty);
            field.arguments.iter().for_each(|argument| meet(&argument.ty));
        }
    }
    for directive in schema.graphql.directive_definitions.values() {
        directive.arguments.iter().for_each(|argument| meet(&argument.ty));
    }
    absent
}

fn kind(ty: &ExtendedType) -> &'static str {
    match ty {
        ExtendedType::Scalar(_) => "SCALAR",
        ExtendedType::Object(_) => "OBJECT",
        ExtendedType::Interface(_) => "INTERFACE",
        ExtendedType::Union(_) => "UNION",
        ExtendedType::Enum(_) => "ENUM",
        ExtendedType::InputObject(_) => "INPUT_OBJECT",
    }
}

/// Writes a default as GraphQL on one line.
fn print(value: &ast::Value) -> String {
    match value {
        ast::Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| print(item)).collect();
            format!("[{}]", items.join(", "))
        }
        ast::Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        ast::Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}: {}", print(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        // JSON's escapes are GraphQL's.
        ast::Value::String(text) => Value::from(text.as_str()).to_string(),
        scalar => scalar.serialize().no_indent().to_string(),
    }
}
