//! The introspection of a schema, and SDL from the introspection of any other.

use std::fmt::Write as _;

use fraiseql_model::response::GraphqlError;
use serde_json::Value;

use crate::document::Document;
use crate::limits::Limits;
use crate::plan::{FieldValue, Plan};
use crate::planner::plan;
use crate::schema::Schema;
use crate::variables::Variables;

/// Asks for everything that our own servers tell; `isOneOf` is not among it, though it is read where it is.
pub const INTROSPECTION_QUERY: &str = "query Introspection { __schema { description
  queryType { name } mutationType { name } subscriptionType { name }
  types { kind name description specifiedByURL
    fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...Input }
      type { ...Ref } isDeprecated deprecationReason }
    inputFields(includeDeprecated: true) { ...Input }
    interfaces { ...Ref }
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
    possibleTypes { ...Ref } }
  directives { name description isRepeatable locations args(includeDeprecated: true) { ...Input } } } }
fragment Input on __InputValue { name description type { ...Ref } defaultValue isDeprecated deprecationReason }
fragment Ref on __Type { kind name ofType { kind name ofType { kind name ofType { kind name
  ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } }";

/// Asks for what the edition of 2018 knows: for servers that refuse [`INTROSPECTION_QUERY`].
pub const INTROSPECTION_QUERY_OLD: &str = "query Introspection { __schema {
  queryType { name } mutationType { name } subscriptionType { name }
  types { kind name description
    fields(includeDeprecated: true) { name description args { ...Input } type { ...Ref }
      isDeprecated deprecationReason }
    inputFields { ...Input } interfaces { ...Ref }
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
    possibleTypes { ...Ref } }
  directives { name description locations args { ...Input } } } }
fragment Input on __InputValue { name description type { ...Ref } defaultValue }
fragment Ref on __Type { kind name ofType { kind name ofType { kind name ofType { kind name
  ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } }";

/// Lists and non-nulls around a name: as deep as the queries above ask.
const WRAPPERS_MAX: usize = 8;
const STANDARD_SCALARS: [&str; 5] = ["Int", "Float", "String", "Boolean", "ID"];
const STANDARD_DIRECTIVES: [&str; 5] = ["skip", "include", "deprecated", "specifiedBy", "oneOf"];

/// Introspection that is not of the shape that the specification gives it.
#[derive(Debug, thiserror::Error)]
#[error("understand the introspection: {place} is not what the specification says")]
pub struct IntrospectionError {
    /// Where, as far as it is known.
    pub place: String,
}

/// Returns the answer to [`INTROSPECTION_QUERY`], as a server for this schema gives it.
pub fn introspect(schema: &Schema) -> Result<Value, Vec<GraphqlError>> {
    let limits = Limits::default();
    let document = Document::parse(schema, INTROSPECTION_QUERY, &limits)?;
    let variables = Variables::coerce(schema, &document, None, &serde_json::Map::new())?;
    let mut data = serde_json::Map::new();
    if let Plan::Query(query) = plan(schema, &document, None, &variables, &limits)? {
        for field in query.fields {
            if let FieldValue::Static(json) = field.value {
                let value = serde_json::from_slice(&json).expect("the engine writes JSON");
                data.insert(field.key, value);
            }
        }
    }
    Ok(serde_json::json!({ "data": data }))
}

/// Returns the schema that an introspection tells of, as SDL.
///
/// Takes a whole response or its `data`. What every schema has is left out.
pub fn sdl_of_introspection(introspection: &Value) -> Result<String, IntrospectionError> {
    let data = introspection.get("data").unwrap_or(introspection);
    let schema = data.get("__schema").ok_or_else(|| wrong("__schema"))?;
    let mut sdl = String::new();
    root_types(&mut sdl, schema);
    for directive in list(schema, "directives") {
        let name = name(directive, "a directive")?;
        if !STANDARD_DIRECTIVES.contains(&name) {
            write_directive(&mut sdl, name, directive)?;
        }
    }
    let types = schema.get("types").and_then(Value::as_array).ok_or_else(|| wrong("__schema.types"))?;
    for definition in types {
        let name = name(definition, "a type")?;
        if !name.starts_with("__") && !STANDARD_SCALARS.contains(&name) {
            write_type(&mut sdl, name, definition)?;
        }
    }
    Ok(sdl)
}

fn root_types(sdl: &mut String, schema: &Value) {
    let root = |key: &str| schema.get(key).and_then(|root| root.get("name")).and_then(Value::as_str);
    let roots = [("query", "Query"), ("mutation", "Mutation"), ("subscription", "Subscription")];
    let named = roots.map(|(key, default)| (key, default, root(&format!("{key}Type"))));
    if named.iter().all(|(_, default, name)| name.is_none_or(|name| name == *default)) {
        return;
    }
    sdl.push_str("schema {\n");
    for (key, _, name) in named {
        if let Some(name) = name {
            sdl.push_str(&format!("  {key}: {name}\n"));
        }
    }
    sdl.push_str("}\n\n");
}

fn write_type(sdl: &mut String, name: &str, definition: &Value) -> Result<(), IntrospectionError> {
    describe(sdl, "", definition);
    match text(definition, "kind").unwrap_or("") {
        "SCALAR" => {
            let url = text(definition, "specifiedByURL");
            let url = url.map_or_else(String::new, |url| format!(" @specifiedBy(url: {})", quoted(url)));
            sdl.push_str(&format!("scalar {name}{url}\n\n"));
            return Ok(());
        }
        kind @ ("OBJECT" | "INTERFACE") => {
            let keyword = if kind == "OBJECT" { "type" } else { "interface" };
            let interfaces: Vec<&str> =
                list(definition, "interfaces").filter_map(|one| text(one, "name")).collect();
            let implements = if interfaces.is_empty() { "" } else { " implements " };
            sdl.push_str(&format!("{keyword} {name}{implements}{} {{\n", interfaces.join(" & ")));
            for field in list(definition, "fields") {
                let field_name = self::name(field, name)?;
                describe(sdl, "  ", field);
                let arguments = arguments(field)?;
                let ty = type_of(field, field_name)?;
                sdl.push_str(&format!("  {field_name}{arguments}: {ty}{}\n", deprecated(field)));
            }
        }
        "UNION" => {
            let members: Vec<&str> =
                list(definition, "possibleTypes").filter_map(|one| text(one, "name")).collect();
            sdl.push_str(&format!("union {name} = {}\n\n", members.join(" | ")));
            return Ok(());
        }
        "ENUM" => {
            sdl.push_str(&format!("enum {name} {{\n"));
            for value in list(definition, "enumValues") {
                describe(sdl, "  ", value);
                sdl.push_str(&format!("  {}{}\n", self::name(value, name)?, deprecated(value)));
            }
        }
        "INPUT_OBJECT" => {
            let one_of = definition.get("isOneOf").and_then(Value::as_bool) == Some(true);
            sdl.push_str(&format!("input {name}{} {{\n", if one_of { " @oneOf" } else { "" }));
            for field in list(definition, "inputFields") {
                describe(sdl, "  ", field);
                sdl.push_str(&format!("  {}\n", input_value(field)?));
            }
        }
        _ => return Err(wrong(&format!("the kind of {name}"))),
    }
    sdl.push_str("}\n\n");
    Ok(())
}

fn write_directive(sdl: &mut String, name: &str, directive: &Value) -> Result<(), IntrospectionError> {
    describe(sdl, "", directive);
    let repeatable = directive.get("isRepeatable").and_then(Value::as_bool) == Some(true);
    let locations: Vec<&str> = list(directive, "locations").filter_map(Value::as_str).collect();
    let repeatable = if repeatable { " repeatable" } else { "" };
    let arguments = arguments(directive)?;
    sdl.push_str(&format!("directive @{name}{arguments}{repeatable} on {}\n\n", locations.join(" | ")));
    Ok(())
}

fn arguments(owner: &Value) -> Result<String, IntrospectionError> {
    let arguments = list(owner, "args").map(input_value).collect::<Result<Vec<_>, _>>()?;
    Ok(if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) })
}

fn input_value(value: &Value) -> Result<String, IntrospectionError> {
    let name = name(value, "an argument")?;
    let default = text(value, "defaultValue").map_or_else(String::new, |default| format!(" = {default}"));
    Ok(format!("{name}: {}{default}{}", type_of(value, name)?, deprecated(value)))
}

fn type_of(owner: &Value, place: &str) -> Result<String, IntrospectionError> {
    let mut wrappers = Vec::new();
    let mut current = owner.get("type").ok_or_else(|| wrong(place))?;
    loop {
        let kind = text(current, "kind").unwrap_or("");
        if !matches!(kind, "LIST" | "NON_NULL") {
            break;
        }
        wrappers.push(kind);
        current =
            current.get("ofType").filter(|_| wrappers.len() <= WRAPPERS_MAX).ok_or_else(|| wrong(place))?;
    }
    let mut ty = name(current, place)?.to_owned();
    for wrapper in wrappers.iter().rev() {
        ty = if *wrapper == "LIST" { format!("[{ty}]") } else { format!("{ty}!") };
    }
    Ok(ty)
}

fn deprecated(owner: &Value) -> String {
    if owner.get("isDeprecated").and_then(Value::as_bool) != Some(true) {
        return String::new();
    }
    match text(owner, "deprecationReason") {
        Some(reason) => format!(" @deprecated(reason: {})", quoted(reason)),
        None => " @deprecated".to_owned(),
    }
}

fn describe(sdl: &mut String, indent: &str, owner: &Value) {
    if let Some(description) = text(owner, "description") {
        writeln!(sdl, "{indent}{}", quoted(description)).expect("a String takes every write");
    }
}

/// JSON's escapes are GraphQL's.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn list<'v>(owner: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    owner.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'v>(owner: &'v Value, key: &str) -> Option<&'v str> {
    owner.get(key).and_then(Value::as_str)
}

/// Names go into SDL: only what is a GraphQL name is taken.
fn name<'v>(owner: &'v Value, place: &str) -> Result<&'v str, IntrospectionError> {
    let is_name = |name: &&str| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
    };
    text(owner, "name").filter(is_name).ok_or_else(|| wrong(&format!("the name of {place}")))
}

fn wrong(place: &str) -> IntrospectionError {
    IntrospectionError { place: place.to_owned() }
}
