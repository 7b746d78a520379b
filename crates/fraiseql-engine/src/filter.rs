//! `where`: input objects become conditions. A null for an operator is an error, never "all rows".

use fraiseql_model::artifact::{ColumnPair, Encoding, Field, FunctionReturn, ValueType};
use fraiseql_model::response::{Code, GraphqlError};
use serde_json::Value;

use crate::aggregate::having;
use crate::argument::{Input, Scope};
use crate::bind::format_value;
use crate::input_document;
use crate::ir::{Operand, OperandValue, Predicate, Term, column_term};
use crate::operator::comparison;
use crate::plan::{Param, ParamFormat};
use crate::query::unbound;
use crate::schema::{List, Object, Schema};

/// Returns the condition that a `where` argument asks for; an empty object is true.
pub(crate) fn predicate<'s>(
    scope: Scope<'s>,
    object: &'s Object,
    filter: &Input<'_>,
) -> Result<Predicate<'s>, GraphqlError> {
    let mut all = Vec::new();
    for (name, value) in filter.fields() {
        if value.is_null() {
            return Err(null_error(&name));
        }
        all.push(match name.as_str() {
            "_and" => Predicate::All(each(scope, object, &value)?),
            "_or" => Predicate::Any(each(scope, object, &value)?),
            "_not" => Predicate::Not(Box::new(predicate(scope, object, &value)?)),
            field => field_predicate(scope, object, field, &value)?,
        });
    }
    Ok(Predicate::All(all))
}

fn each<'s>(
    scope: Scope<'s>,
    object: &'s Object,
    list: &Input<'_>,
) -> Result<Vec<Predicate<'s>>, GraphqlError> {
    list.items().iter().map(|item| predicate(scope, object, item)).collect()
}

fn field_predicate<'s>(
    scope: Scope<'s>,
    object: &'s Object,
    field: &str,
    value: &Input<'_>,
) -> Result<Predicate<'s>, GraphqlError> {
    match object.binding.fields.get(field) {
        Some(Field::Column(column)) => {
            column_predicate(scope.schema, &column_term(column), &column.value, value)
        }
        Some(Field::ToOne(reference)) => {
            let target = scope.schema.object(&reference.target);
            let inner = Box::new(predicate(scope, target, value)?);
            Ok(Predicate::Exists { object: target, on: &reference.on, inner })
        }
        Some(Field::ToMany(reference)) => {
            let target = scope.schema.object(&reference.target);
            let mut all = Vec::new();
            for (quantifier, value) in value.fields() {
                if value.is_null() {
                    return Err(null_error(&quantifier));
                }
                let inner = Box::new(predicate(scope, target, &value)?);
                let on = reference.on.as_slice();
                all.push(match quantifier.as_str() {
                    "some" => Predicate::Exists { object: target, on, inner },
                    "none" => Predicate::Not(Box::new(Predicate::Exists { object: target, on, inner })),
                    _ => Predicate::Every { object: target, on, inner },
                });
            }
            Ok(Predicate::All(all))
        }
        Some(Field::Computed(call)) => {
            let FunctionReturn::Value { value: value_type, set: false, .. } = &call.returns else {
                return Err(unbound(field));
            };
            column_predicate(
                scope.schema,
                &Term::Computed { call, row_type: object.row_type() },
                value_type,
                value,
            )
        }
        Some(Field::Derived(derived)) => {
            let Some(List::Reference(reference)) = object.list(derived) else { return Err(unbound(field)) };
            let target = scope.schema.object(&reference.target);
            aggregated(scope, target, &reference.on, value)
        }
        Some(Field::Document(_) | Field::Polymorphic(_) | Field::GlobalId) | None => {
            Err(GraphqlError::new(Code::Internal, format!("the filter field \"{field}\" is not bound")))
        }
    }
}

/// Returns the condition that aggregates of related rows fulfil; `where` picks the rows.
fn aggregated<'s>(
    scope: Scope<'s>,
    object: &'s Object,
    on: &'s [ColumnPair],
    value: &Input<'_>,
) -> Result<Predicate<'s>, GraphqlError> {
    let mut filter = None;
    let mut all = Vec::new();
    for (name, value) in value.fields() {
        if value.is_null() {
            return Err(null_error(&name));
        }
        match name.as_str() {
            "where" => filter = Some(Box::new(predicate(scope, object, &value)?)),
            _ => all.push(having(scope, object, &Input::Object(vec![(name, value)]))?),
        }
    }
    let inner = Box::new(Predicate::All(all));
    Ok(Predicate::Aggregated { object, on, filter, inner })
}

/// Returns the condition that operators put on a value.
pub(crate) fn column_predicate<'s>(
    schema: &Schema,
    term: &Term<'s>,
    value_type: &ValueType,
    operators: &Input<'_>,
) -> Result<Predicate<'s>, GraphqlError> {
    let mut all = Vec::new();
    for (operator, value) in operators.fields() {
        if value.is_null() || value.has_null_item() {
            return Err(null_error(&operator));
        }
        all.push(comparison(schema, term, value_type, &operator, &value)?);
    }
    Ok(Predicate::All(all))
}

/// Returns a value as one parameter.
pub(crate) fn one(value: &Input<'_>, write: ParamFormat) -> Result<OperandValue, GraphqlError> {
    value.param(write).map(OperandValue::One).ok_or_else(mixed_error)
}

/// Returns the type of lists of a type.
pub(crate) fn list_of(value: &ValueType) -> ValueType {
    ValueType { list: true, ..value.clone() }
}

/// Returns a value of the given type as a parameter, or as an array of parameters.
pub(crate) fn operand(
    schema: &Schema,
    value_type: &ValueType,
    input: &Input<'_>,
) -> Result<Operand, GraphqlError> {
    let operand = |value| Operand { sql_type: value_type.sql.clone(), value };
    if input.is_null() {
        return Ok(operand(OperandValue::Null { array: value_type.list }));
    }
    if schema.inputs.has(&value_type.graphql) {
        return Ok(input_document::operand(&schema.inputs, value_type, input));
    }
    if value_type.encoding == Encoding::Label {
        return Ok(operand(labels(schema, value_type, input)?));
    }
    let composite = value_type.graphql == "JSON" && !is_json(&value_type.sql);
    let element = match value_type.graphql.as_str() {
        "JSON" => ParamFormat::Json,
        "Bytes" => ParamFormat::Bytea,
        _ => ParamFormat::Scalar,
    };
    if !value_type.list {
        let param = input.param(element).ok_or_else(mixed_error)?;
        return Ok(operand(if composite {
            OperandValue::Composite(param)
        } else {
            OperandValue::One(param)
        }));
    }
    let array = match element {
        ParamFormat::Bytea => ParamFormat::ByteaArray,
        ParamFormat::Json if composite => ParamFormat::Json,
        _ => ParamFormat::Array,
    };
    match input.param(array) {
        Some(param) if composite => Ok(operand(OperandValue::CompositeArray(param))),
        Some(param) => Ok(operand(OperandValue::Array(param))),
        None => {
            let single = ValueType { list: false, ..value_type.clone() };
            let items = input.items();
            let elements = items.iter().map(|item| self::operand(schema, &single, item));
            Ok(operand(OperandValue::Elements(elements.collect::<Result<_, _>>()?)))
        }
    }
}

fn is_json(sql_type: &str) -> bool {
    matches!(sql_type, "\"pg_catalog\".\"json\"" | "\"pg_catalog\".\"jsonb\"")
}

/// Enum values are part of the variables' shape, so their labels may be fixed in the plan.
fn labels(schema: &Schema, value_type: &ValueType, input: &Input<'_>) -> Result<OperandValue, GraphqlError> {
    let label = |input: &Input<'_>| -> Result<Value, GraphqlError> {
        if input.is_null() {
            return Ok(Value::Null);
        }
        let name = input.text().unwrap_or("");
        let label = schema.enum_type(&value_type.graphql).and_then(|found| found.labels.get(name));
        label.map(|label| Value::String(label.clone())).ok_or_else(|| {
            GraphqlError::new(Code::BadUserInput, format!("{} has no such value", value_type.graphql))
        })
    };
    if value_type.list {
        let labels = input.items().iter().map(label).collect::<Result<Vec<_>, _>>()?;
        let text = format_value(&Value::Array(labels), ParamFormat::Array);
        return Ok(OperandValue::Array(Param::Fixed(text)));
    }
    Ok(OperandValue::One(Param::Fixed(format_value(&label(input)?, ParamFormat::Scalar))))
}

fn mixed_error() -> GraphqlError {
    GraphqlError::new(Code::BadUserInput, "give the whole value as one variable, or none of it")
}

pub(crate) fn null_error(operator: &str) -> GraphqlError {
    let message = format!("\"{operator}\" must not be null; use {{isnull: true}} to find nulls");
    GraphqlError::new(Code::BadUserInput, message)
}
