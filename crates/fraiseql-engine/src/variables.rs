//! Coercion of variables: section 6.1.2 of the specification, without rounding.

use std::sync::Arc;

use apollo_compiler::Node;
use apollo_compiler::ast::{Type, Value as AstValue, VariableDefinition};
use apollo_compiler::schema::ExtendedType;
use fraiseql_model::identity::Identity;
use fraiseql_model::response::{Code, GraphqlError};
use serde_json::{Map, Value};

use crate::argument::literal_json;
use crate::document::Document;
use crate::scalar;
use crate::schema::Schema;
use crate::spec::is_one_of;

/// The variables of one request, coerced to their types.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    pub(crate) values: Map<String, Value>,
    shape: String,
    caller: Arc<Identity>,
}

impl Variables {
    /// Coerces what a client sent for the operation's variables.
    ///
    /// Variables that the operation does not define are ignored. Returns every error, each
    /// naming the variable and the place within it, never the value.
    pub fn coerce(
        schema: &Schema,
        document: &Document,
        operation: Option<&str>,
        raw: &Map<String, Value>,
    ) -> Result<Self, Vec<GraphqlError>> {
        let operation = document.resolve(operation).map_err(|error| vec![error])?;
        let mut variables = Self::default();
        let mut errors = Vec::new();
        for definition in &operation.variables {
            match coerce_one(schema, definition, raw) {
                Ok(Some(value)) => {
                    variables.shape.push_str(&definition.name);
                    write_shape(schema, &definition.ty, &value, &mut variables.shape);
                    if document.type_names.contains(&definition.name) {
                        // What is no type is one shape, whatever it is called.
                        let known = value.as_str().filter(|name| schema.graphql.types.contains_key(*name));
                        variables.shape.push_str(known.unwrap_or("?"));
                        variables.shape.push(',');
                    }
                    variables.values.insert(definition.name.to_string(), value);
                }
                Ok(None) => variables.shape.push('-'),
                Err(message) => {
                    let error = GraphqlError::new(Code::BadUserInput, message);
                    errors.push(error.at(document.location(definition.location())));
                }
            }
        }
        if errors.is_empty() { Ok(variables) } else { Err(errors) }
    }

    /// Returns the same for a statement that reads claims of this caller's. Without it nobody asks.
    pub fn asked_by(self, caller: &Arc<Identity>) -> Self {
        Self { caller: Arc::clone(caller), ..self }
    }

    pub(crate) fn caller(&self) -> &Identity {
        &self.caller
    }

    /// Returns a coerced value; `None` for a variable that is not defined or was left out.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Returns what of the variables decides the plan: which are given, which keys their objects
    /// have, the values of booleans and enums. Requests of equal shape share a plan.
    pub fn shape(&self) -> &str {
        &self.shape
    }
}

fn coerce_one(
    schema: &Schema,
    definition: &Node<VariableDefinition>,
    raw: &Map<String, Value>,
) -> Result<Option<Value>, String> {
    let place = format!("${}", definition.name);
    match (raw.get(definition.name.as_str()), &definition.default_value) {
        (Some(value), _) => coerce_value(schema, &definition.ty, value.clone(), &place).map(Some),
        (None, Some(default)) => literal(schema, &definition.ty, default, &place).map(Some),
        (None, None) if definition.ty.is_non_null() => {
            Err(format!("variable \"{place}\" of type \"{}\" is required and was not given", definition.ty))
        }
        (None, None) => Ok(None),
    }
}

/// Coerces a value without variables that stands in a document.
pub(crate) fn literal(schema: &Schema, ty: &Type, value: &AstValue, place: &str) -> Result<Value, String> {
    coerce_value(schema, ty, literal_json(value), place)
}

/// Coerces a value to a type; `place` names it in errors.
pub(crate) fn coerce_value(schema: &Schema, ty: &Type, value: Value, place: &str) -> Result<Value, String> {
    if value.is_null() {
        return if ty.is_non_null() { Err(format!("\"{place}\" must not be null")) } else { Ok(Value::Null) };
    }
    if ty.is_list() {
        let item = ty.item_type();
        return match value {
            Value::Array(items) => items
                .into_iter()
                .enumerate()
                .map(|(index, value)| coerce_value(schema, item, value, &format!("{place}[{index}]")))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::Array),
            single => Ok(Value::Array(vec![coerce_value(schema, item, single, place)?])),
        };
    }
    let name = ty.inner_named_type();
    match schema.graphql.types.get(name) {
        Some(ExtendedType::Enum(definition)) => match value {
            Value::String(text) if definition.values.contains_key(text.as_str()) => Ok(Value::String(text)),
            _ => Err(format!("\"{place}\" must be one of the values of {name}")),
        },
        Some(ExtendedType::InputObject(definition)) => {
            let Value::Object(mut given) = value else {
                return Err(format!("\"{place}\" must be an object of type {name}"));
            };
            let mut object = Map::new();
            let null = given.values().next().is_none_or(Value::is_null);
            if is_one_of(definition) && (given.len() != 1 || null) {
                return Err(format!(
                    "\"{place}\" must have exactly one field of {name}, and it must not be null"
                ));
            }
            if let Some(unknown) = given.keys().find(|key| !definition.fields.contains_key(key.as_str())) {
                return Err(format!("\"{place}\" has a field \"{unknown}\" that {name} does not define"));
            }
            for (field, input) in &definition.fields {
                let place = format!("{place}.{field}");
                match (given.contains_key(field.as_str()), &input.default_value) {
                    (true, _) => {}
                    (false, Some(default)) => {
                        let value = literal(schema, &input.ty, default, &place)?;
                        given.insert(field.to_string(), value);
                    }
                    (false, None) if input.ty.is_non_null() => {
                        return Err(format!("\"{place}\" is required"));
                    }
                    (false, None) => {}
                }
            }
            for (key, value) in given {
                let place = format!("{place}.{key}");
                let value = coerce_value(schema, &definition.fields[key.as_str()].ty, value, &place)?;
                object.insert(key, value);
            }
            Ok(Value::Object(object))
        }
        _ => scalar::coerce(name, value).map_err(|expected| format!("\"{place}\" must be {expected}")),
    }
}

fn write_shape(schema: &Schema, ty: &Type, value: &Value, shape: &mut String) {
    let name = ty.inner_named_type();
    match (schema.graphql.types.get(name), value) {
        (_, Value::Null) => shape.push('0'),
        // One parameter whatever it holds.
        _ if schema.inputs.has(name) => shape.push('s'),
        (Some(ExtendedType::InputObject(definition)), Value::Object(object)) => {
            shape.push('{');
            for (key, value) in object {
                shape.push_str(key);
                shape.push(':');
                write_shape(schema, &definition.fields[key.as_str()].ty, value, shape);
            }
            shape.push('}');
        }
        (Some(ExtendedType::InputObject(_) | ExtendedType::Enum(_)), Value::Array(items)) => {
            shape.push('[');
            for item in items {
                write_shape(schema, ty.item_type(), item, shape);
            }
            shape.push(']');
        }
        (Some(ExtendedType::Enum(_)), Value::String(text)) => {
            shape.push('=');
            shape.push_str(text);
            shape.push(';');
        }
        (_, Value::Array(items)) if name != "JSON" => {
            shape.push(if items.iter().any(Value::is_null) { 'n' } else { 'l' });
        }
        (_, Value::Bool(value)) if name != "JSON" => shape.push(if *value { 't' } else { 'f' }),
        _ => shape.push('s'),
    }
    shape.push(',');
}
