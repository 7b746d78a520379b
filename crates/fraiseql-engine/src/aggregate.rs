//! Aggregates: count, sum and so on over the rows of a list, as a whole or for each group.

use fraiseql_model::artifact::{ColumnField, ColumnPair, Encoding, Form, ValueType};
use fraiseql_model::response::{Code, GraphqlError};

use crate::argument::{Input, Scope};
use crate::collect::{Group, collect_below};
use crate::filter::{column_predicate, null_error, predicate};
use crate::ir::{
    Aggregate, AggregateCall, AggregateOutput, AggregateValue, Groups, OrderTerm, Predicate, Select, Source,
    Term, column_term,
};
use crate::order::direction;
use crate::plan::ParamFormat;
use crate::query::unbound;
use crate::schema::Object;
use crate::select::{Shapes, shape};
use crate::shape::ShapeKind;

/// Which rows a list has before its arguments are looked at.
pub(crate) struct Rows<'s> {
    pub(crate) object: &'s Object,
    pub(crate) source: Source,
    pub(crate) on: &'s [ColumnPair],
}

impl<'s> Rows<'s> {
    /// Returns the rows that the argument `where` lets through, with nothing selected of them.
    pub(crate) fn select(self, scope: Scope<'s>, group: &Group<'s>) -> Result<Select<'s>, GraphqlError> {
        let filter = scope.argument(group[0], "where")?.filter(|filter| !filter.is_null());
        let filter = filter.map(|filter| predicate(scope, self.object, &filter)).transpose()?;
        Ok(Select {
            object: self.object,
            source: self.source,
            on: self.on,
            filter,
            distinct: Vec::new(),
            order: Vec::new(),
            limit: None,
            offset: None,
            first_only: false,
            outputs: Vec::new(),
        })
    }
}

/// Plans a field that shows aggregates over `rows`.
pub(crate) fn aggregate<'s>(
    scope: Scope<'s>,
    form: Form,
    rows: Rows<'s>,
    group: &Group<'s>,
) -> Result<(Aggregate<'s>, ShapeKind), GraphqlError> {
    let rows = rows.select(scope, group)?;
    let groups = match form {
        Form::Groups => Some(groups(scope, rows.object, group)?),
        Form::Aggregate | Form::Connection => None,
    };
    aggregate_of(scope, rows, groups, group)
}

/// Plans aggregates over rows that are known.
pub(crate) fn aggregate_of<'s>(
    scope: Scope<'s>,
    rows: Select<'s>,
    groups: Option<Groups<'s>>,
    group: &Group<'s>,
) -> Result<(Aggregate<'s>, ShapeKind), GraphqlError> {
    let by = groups.as_ref().map_or(&[][..], |groups| groups.by.as_slice());
    let planner = Outputs { scope, object: rows.object, by };
    let (outputs, shapes) = planner.object(group, Columns::None)?;
    let kind = if groups.is_some() { ShapeKind::List(shapes) } else { ShapeKind::Object(shapes) };
    Ok((Aggregate { rows, groups, outputs }, kind))
}

/// What the fields of an aggregate's object stand for.
#[derive(Clone, Copy)]
enum Columns {
    /// `count`, `sum` and so on.
    None,
    /// Columns, under this function.
    Under(&'static str),
    /// Columns by which rows are grouped.
    Key,
}

struct Outputs<'s, 'g> {
    scope: Scope<'s>,
    object: &'s Object,
    by: &'g [Term<'s>],
}

impl<'s> Outputs<'s, '_> {
    fn object(
        &self,
        group: &Group<'s>,
        columns: Columns,
    ) -> Result<(Vec<AggregateOutput<'s>>, Shapes), GraphqlError> {
        let type_name = group[0].ty().inner_named_type().as_str();
        let mut outputs = Vec::new();
        let mut shapes = Vec::new();
        for (key, below) in collect_below(self.scope, type_name, group) {
            let (value, kind) = if below[0].name == "__typename" {
                (AggregateValue::Typename(type_name.to_owned()), ShapeKind::Leaf)
            } else {
                self.value(&below, columns)?
            };
            shapes.push((key.to_owned(), shape(self.scope, &below, type_name, kind)));
            outputs.push(AggregateOutput { key: key.to_owned(), value });
        }
        Ok((outputs, shapes))
    }

    fn value(
        &self,
        group: &Group<'s>,
        columns: Columns,
    ) -> Result<(AggregateValue<'s>, ShapeKind), GraphqlError> {
        let name = group[0].name.as_str();
        let column = || self.object.column(name).ok_or_else(|| unbound(name));
        let value = match columns {
            Columns::Under(function) => {
                let column = column()?;
                let graphql = group[0].ty().inner_named_type().as_str();
                let value = result_type(function, column, graphql);
                AggregateValue::Term { term: Term::Aggregate(AggregateCall::Of { function, column }), value }
            }
            Columns::Key => {
                let column = column()?;
                let term = column_term(column);
                match self.by.contains(&term) {
                    true => AggregateValue::Term { term, value: column.value.clone() },
                    false => AggregateValue::Null,
                }
            }
            Columns::None => match name {
                "count" => AggregateValue::Term { term: self.count(group)?, value: count_type() },
                "estimatedCount" => AggregateValue::Estimate,
                name => {
                    let below = match name {
                        "key" => Columns::Key,
                        name => Columns::Under(function_named(name).ok_or_else(|| unbound(name))?),
                    };
                    let (outputs, shapes) = self.object(group, below)?;
                    return Ok((AggregateValue::Object(outputs), ShapeKind::Object(shapes)));
                }
            },
        };
        Ok((value, ShapeKind::Leaf))
    }

    fn count(&self, group: &Group<'s>) -> Result<Term<'s>, GraphqlError> {
        let distinct = self.scope.argument(group[0], "distinct")?;
        let columns = named_columns(self.object, distinct.as_ref())?;
        Ok(Term::Aggregate(match columns.is_empty() {
            true => AggregateCall::Count,
            false => AggregateCall::CountDistinct(columns),
        }))
    }
}

fn groups<'s>(scope: Scope<'s>, object: &'s Object, group: &Group<'s>) -> Result<Groups<'s>, GraphqlError> {
    let argument = |name: &str| -> Result<Option<Input<'s>>, GraphqlError> {
        Ok(scope.argument(group[0], name)?.filter(|value| !value.is_null()))
    };
    let by: Vec<Term<'_>> =
        named_columns(object, argument("by")?.as_ref())?.into_iter().map(column_term).collect();
    if by.is_empty() {
        return Err(GraphqlError::new(Code::BadUserInput, "\"by\" must name at least one column"));
    }
    let having = argument("having")?.map(|value| having(scope, object, &value)).transpose()?;
    let mut order = Vec::new();
    for item in argument("orderBy")?.iter().flat_map(Input::items) {
        add_order(object, &by, &item, &mut order)?;
    }
    // Pages of groups without an order could overlap.
    for term in &by {
        if !order.iter().any(|known: &OrderTerm<'_>| known.term == *term) {
            order.push(OrderTerm { through: Vec::new(), term: term.clone(), direction: "ASC" });
        }
    }
    let count = |value: Input<'s>| value.param(ParamFormat::Scalar);
    let limit = argument("limit")?.and_then(count);
    let offset = argument("offset")?.and_then(count);
    Ok(Groups { by, having, order, limit, offset })
}

/// Returns the condition that aggregates of rows fulfil.
pub(crate) fn having<'s>(
    scope: Scope<'s>,
    object: &'s Object,
    input: &Input<'_>,
) -> Result<Predicate<'s>, GraphqlError> {
    let mut all = Vec::new();
    for (name, value) in input.fields() {
        if value.is_null() {
            return Err(null_error(&name));
        }
        let each = || -> Result<Vec<_>, _> {
            value.items().iter().map(|item| having(scope, object, item)).collect()
        };
        all.push(match name.as_str() {
            "_and" => Predicate::All(each()?),
            "_or" => Predicate::Any(each()?),
            "_not" => Predicate::Not(Box::new(having(scope, object, &value)?)),
            "count" => {
                let term = Term::Aggregate(AggregateCall::Count);
                column_predicate(scope.schema, &term, &count_type(), &value)?
            }
            name => {
                let function = function_named(name).ok_or_else(|| unbound(name))?;
                let mut columns = Vec::new();
                for (field, operators) in value.fields() {
                    if operators.is_null() {
                        return Err(null_error(&field));
                    }
                    let column = object.column(&field).ok_or_else(|| unbound(&field))?;
                    let term = Term::Aggregate(AggregateCall::Of { function, column });
                    let value_type = operand_type(function, column);
                    columns.push(column_predicate(scope.schema, &term, &value_type, &operators)?);
                }
                Predicate::All(columns)
            }
        });
    }
    Ok(Predicate::All(all))
}

fn add_order<'s>(
    object: &'s Object,
    by: &[Term<'s>],
    item: &Input<'_>,
    order: &mut Vec<OrderTerm<'s>>,
) -> Result<(), GraphqlError> {
    let mut push = |term, value: &Input<'_>| {
        order.push(OrderTerm { through: Vec::new(), term, direction: direction(value.text()) });
    };
    let refused = |message: String| GraphqlError::new(Code::BadUserInput, message);
    for (name, value) in item.fields() {
        if value.is_null() {
            return Err(refused(format!("the order of \"{name}\" must not be null")));
        }
        if name == "count" {
            push(Term::Aggregate(AggregateCall::Count), &value);
            continue;
        }
        for (field, direction) in value.fields() {
            if direction.is_null() {
                return Err(refused(format!("the order of \"{field}\" must not be null")));
            }
            let column = object.column(&field).ok_or_else(|| unbound(&field))?;
            let term = match name.as_str() {
                "key" => column_term(column),
                name => {
                    let function = function_named(name).ok_or_else(|| unbound(name))?;
                    Term::Aggregate(AggregateCall::Of { function, column })
                }
            };
            if name == "key" && !by.contains(&term) {
                return Err(refused(format!("groups can be ordered by \"{field}\" only when \"by\" has it")));
            }
            push(term, &direction);
        }
    }
    Ok(())
}

/// Returns the columns that a list of an enum names; each once.
pub(crate) fn named_columns<'s>(
    object: &'s Object,
    input: Option<&Input<'_>>,
) -> Result<Vec<&'s ColumnField>, GraphqlError> {
    let mut columns: Vec<&ColumnField> = Vec::new();
    for item in input.iter().flat_map(|input| input.items()) {
        let name = item.text().unwrap_or("");
        let column = object.column(name).ok_or_else(|| unbound(name))?;
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    Ok(columns)
}

/// The aggregate function that a field of the schema stands for.
pub(crate) fn function_named(name: &str) -> Option<&'static str> {
    Some(match name {
        "sum" => "sum",
        "avg" => "avg",
        "min" => "min",
        "max" => "max",
        "stddev" => "stddev_samp",
        _ => return None,
    })
}

/// Returns how the result of a function travels, when the schema says that it is of type `graphql`.
fn result_type(function: &str, column: &ColumnField, graphql: &str) -> ValueType {
    if matches!(function, "min" | "max") || graphql == column.value.graphql && graphql == "Interval" {
        return column.value.clone();
    }
    let encoding = if graphql == "Float" { Encoding::Float } else { Encoding::Text };
    ValueType { graphql: graphql.to_owned(), encoding, ..column.value.clone() }
}

/// Returns the type of what the result of a function is compared with.
pub(crate) fn operand_type(function: &str, column: &ColumnField) -> ValueType {
    if matches!(function, "min" | "max") || matches!(column.value.graphql.as_str(), "Float" | "Interval") {
        return column.value.clone();
    }
    let (graphql, sql) = ("Decimal".to_owned(), "pg_catalog.numeric".to_owned());
    ValueType { graphql, sql, list: false, encoding: Encoding::Text }
}

fn count_type() -> ValueType {
    let (graphql, sql) = ("Int".to_owned(), "pg_catalog.int4".to_owned());
    ValueType { graphql, sql, list: false, encoding: Encoding::Plain }
}
