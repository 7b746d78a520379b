//! Argument values as the planner walks them: literals, variables, and mixtures of both.

use std::sync::Arc;

use apollo_compiler::ast::{Type, Value as AstValue};
use apollo_compiler::executable::Field;
use apollo_compiler::schema::{ExtendedType, InputValueDefinition};
use fraiseql_model::response::{Code, GraphqlError, PathSegment};
use serde_json::{Map, Value};

use crate::bind::format_value;
use crate::document::Document;
use crate::plan::{Param, ParamFormat};
use crate::schema::Schema;
use crate::spec::is_one_of;
use crate::variables::{Variables, coerce_value, literal};

/// A coerced argument value, or a part of one, that remembers where it came from.
#[derive(Clone, Debug)]
pub(crate) enum Input<'a> {
    /// A variable, or a part of one.
    Variable { name: &'a str, path: Vec<PathSegment>, value: &'a Value },
    /// A value without variables.
    Literal(Value),
    /// A list with a variable somewhere inside.
    List(Vec<Input<'a>>),
    /// An object with a variable somewhere inside.
    Object(Vec<(String, Input<'a>)>),
}

/// Where arguments are resolved.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) document: &'a Document,
    pub(crate) variables: &'a Variables,
}

impl<'a> Scope<'a> {
    /// Returns an argument of a field; `None` when it was left out and has no default.
    pub(crate) fn argument(self, field: &'a Field, name: &str) -> Result<Option<Input<'a>>, GraphqlError> {
        let Some(definition) = field.definition.argument_by_name(name) else {
            return Ok(None);
        };
        let at = |message: String| {
            GraphqlError::new(Code::BadUserInput, message).at(self.document.location(field.name.location()))
        };
        let given = match field.specified_argument_by_name(name) {
            Some(value) => self.input(&definition.ty, value, name).map_err(at)?,
            None => None,
        };
        match (given, default_of(definition)) {
            (Some(given), _) => Ok(Some(given)),
            (None, Some(default)) => {
                let value = literal(self.schema, &definition.ty, default, name).map_err(at)?;
                Ok(Some(Input::Literal(value)))
            }
            (None, None) if definition.ty.is_non_null() => Err(at(format!("\"{name}\" is required"))),
            (None, None) => Ok(None),
        }
    }

    fn input(self, ty: &'a Type, value: &'a AstValue, place: &str) -> Result<Option<Input<'a>>, String> {
        match value {
            AstValue::Variable(name) => {
                let Some((name, value)) = self.variables.values.get_key_value(name.as_str()) else {
                    return Ok(None);
                };
                if value.is_null() && ty.is_non_null() {
                    return Err(format!("\"{place}\" must not be null"));
                }
                // A variable of type T may stand where [T] is expected: section 5.8.5 forbids it, so
                // the value already has the right number of brackets.
                Ok(Some(Input::Variable { name, path: Vec::new(), value }))
            }
            value if !has_variable(value) => {
                Ok(Some(Input::Literal(literal(self.schema, ty, value, place)?)))
            }
            AstValue::List(items) => self.list(ty, items.iter().map(|item| &**item), place).map(Some),
            AstValue::Object(fields) if ty.is_list() => {
                let item = self.object(ty.item_type(), fields, place)?;
                Ok(Some(Input::List(vec![item])))
            }
            AstValue::Object(fields) => self.object(ty, fields, place).map(Some),
            scalar => Ok(Some(Input::Literal(coerce_value(self.schema, ty, literal_json(scalar), place)?))),
        }
    }

    fn list(
        self,
        ty: &'a Type,
        items: impl Iterator<Item = &'a AstValue>,
        place: &str,
    ) -> Result<Input<'a>, String> {
        if !ty.is_list() {
            // A list inside a scalar such as JSON: variables cannot stay references there.
            return Ok(Input::Literal(Value::Array(
                items.map(|item| self.resolved_json(item)).collect::<Vec<_>>(),
            )));
        }
        let item_type = ty.item_type();
        let mut list = Vec::new();
        for (index, item) in items.enumerate() {
            let place = format!("{place}[{index}]");
            let item = self.input(item_type, item, &place)?.unwrap_or(Input::Literal(Value::Null));
            if item.is_null() && item_type.is_non_null() {
                return Err(format!("\"{place}\" must not be null"));
            }
            list.push(item);
        }
        Ok(Input::List(list))
    }

    fn object(
        self,
        ty: &'a Type,
        fields: &'a [(apollo_compiler::Name, apollo_compiler::Node<AstValue>)],
        place: &str,
    ) -> Result<Input<'a>, String> {
        let name = ty.inner_named_type();
        let Some(ExtendedType::InputObject(definition)) = self.schema.graphql.types.get(name) else {
            let entries = fields.iter().map(|(key, value)| (key.to_string(), self.resolved_json(value)));
            return Ok(Input::Literal(Value::Object(entries.collect())));
        };
        let mut object = Vec::new();
        for (key, value) in fields {
            let place = format!("{place}.{key}");
            let field = &definition.fields[key];
            match self.input(&field.ty, value, &place)? {
                Some(value) => object.push((key.to_string(), value)),
                None if field.ty.is_non_null() && field.default_value.is_none() => {
                    return Err(format!("\"{place}\" is required"));
                }
                None => {}
            }
        }
        if is_one_of(definition) && !matches!(object.as_slice(), [(_, value)] if !value.is_null()) {
            return Err(format!(
                "\"{place}\" must have exactly one field of {name}, and it must not be null"
            ));
        }
        for (key, field) in &definition.fields {
            if let Some(default) = &field.default_value
                && !object.iter().any(|(given, _)| given == key.as_str())
            {
                let place = format!("{place}.{key}");
                let value = literal(self.schema, &field.ty, default, &place)?;
                object.push((key.to_string(), Input::Literal(value)));
            }
        }
        Ok(Input::Object(object))
    }

    fn resolved_json(self, value: &AstValue) -> Value {
        match value {
            AstValue::Variable(name) => {
                self.variables.values.get(name.as_str()).cloned().unwrap_or(Value::Null)
            }
            AstValue::List(items) => {
                Value::Array(items.iter().map(|item| self.resolved_json(item)).collect())
            }
            AstValue::Object(fields) => Value::Object(
                fields.iter().map(|(key, value)| (key.to_string(), self.resolved_json(value))).collect(),
            ),
            scalar => literal_json(scalar),
        }
    }
}

fn default_of(definition: &InputValueDefinition) -> Option<&AstValue> {
    definition.default_value.as_deref()
}

fn has_variable(value: &AstValue) -> bool {
    match value {
        AstValue::Variable(_) => true,
        AstValue::List(items) => items.iter().any(|item| has_variable(item)),
        AstValue::Object(fields) => fields.iter().any(|(_, value)| has_variable(value)),
        _ => false,
    }
}

/// Returns a literal as JSON, numbers with all their digits; a variable inside becomes null.
pub(crate) fn literal_json(value: &AstValue) -> Value {
    match value {
        AstValue::Null | AstValue::Variable(_) => Value::Null,
        AstValue::Enum(name) => Value::String(name.to_string()),
        AstValue::String(text) => Value::String(text.clone()),
        AstValue::Boolean(value) => Value::Bool(*value),
        AstValue::Int(number) => number_json(number.as_str()),
        AstValue::Float(number) => number_json(number.as_str()),
        AstValue::List(items) => Value::Array(items.iter().map(|item| literal_json(item)).collect()),
        AstValue::Object(fields) => {
            let entries = fields.iter().map(|(key, value)| (key.to_string(), literal_json(value)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}

fn number_json(digits: &str) -> Value {
    serde_json::from_str(digits).expect("GraphQL's numbers are a subset of JSON's")
}

impl<'a> Input<'a> {
    /// Returns true for null.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Literal(Value::Null) | Self::Variable { value: Value::Null, .. })
    }

    /// Returns the fields of an object in the order given; empty for anything else.
    pub(crate) fn fields(&self) -> Vec<(String, Input<'a>)> {
        match self {
            Self::Object(fields) => fields.clone(),
            Self::Literal(Value::Object(fields)) => {
                fields.iter().map(|(key, value)| (key.clone(), Input::Literal(value.clone()))).collect()
            }
            Self::Variable { name, path, value: Value::Object(fields) } => fields
                .iter()
                .map(|(key, value)| {
                    let mut path = path.clone();
                    path.push(PathSegment::Key(key.clone()));
                    (key.clone(), Input::Variable { name, path, value })
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Returns the elements of a list; empty for anything else.
    pub(crate) fn items(&self) -> Vec<Input<'a>> {
        match self {
            Self::List(items) => items.clone(),
            Self::Literal(Value::Array(items)) => items.iter().cloned().map(Input::Literal).collect(),
            Self::Variable { name, path, value: Value::Array(items) } => items
                .iter()
                .enumerate()
                .map(|(index, value)| {
                    let mut path = path.clone();
                    path.push(PathSegment::Index(index));
                    Input::Variable { name, path, value }
                })
                .collect(),
            // A single object or value stands for a list of one: section 3.11.
            single if !single.is_null() => vec![single.clone()],
            _ => Vec::new(),
        }
    }

    /// Returns the text of a string or enum.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Literal(Value::String(text)) | Self::Variable { value: Value::String(text), .. } => {
                Some(text)
            }
            _ => None,
        }
    }

    /// Returns a boolean. Booleans are part of [`Variables::shape`], so a plan may depend on them.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match self {
            Self::Literal(Value::Bool(value)) | Self::Variable { value: Value::Bool(value), .. } => {
                Some(*value)
            }
            _ => None,
        }
    }

    /// Returns true for a list with null in it.
    pub(crate) fn has_null_item(&self) -> bool {
        match self {
            Self::List(items) => items.iter().any(Input::is_null),
            Self::Literal(Value::Array(items)) | Self::Variable { value: Value::Array(items), .. } => {
                items.iter().any(Value::is_null)
            }
            _ => false,
        }
    }

    /// Returns the value as a parameter; `None` for a list or object with a variable inside.
    pub(crate) fn param(&self, write: ParamFormat) -> Option<Param> {
        match self {
            Self::Variable { name, path, .. } => {
                Some(Param::Variable { name: Arc::from(*name), path: path.clone(), write })
            }
            Self::Literal(value) => Some(Param::Fixed(format_value(value, write))),
            Self::List(_) | Self::Object(_) => None,
        }
    }
}
