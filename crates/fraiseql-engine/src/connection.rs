//! Connections: pages of a list by cursors, as the Relay specification of cursor connections has them.
//!
//! A cursor holds the values of the order's terms at one row, so a page is found by the index of the
//! order and not by counting rows; rows that come or go before it do not shift it.

use std::sync::Arc;

use fraiseql_model::artifact::{ColumnField, FunctionReturn, NonNull};
use fraiseql_model::digest::sha256_hex;
use fraiseql_model::response::{Code, GraphqlError};

use crate::aggregate::operand_type;
use crate::aggregate::{Rows, aggregate_of};
use crate::argument::{Input, Scope};
use crate::bind::{cursor_values, natural};
use crate::collect::{Group, collect_below};
use crate::ir::{
    AggregateCall, Connection, ConnectionOutput, ConnectionValue, Cursor, EdgeValue, OrderTerm, OrderedTerm,
    PageValue, Term, column_term,
};
use crate::order::order_terms;
use crate::plan::{Param, ParamFormat};
use crate::query::unbound;
use crate::schema::Object;
use crate::select::{Shapes, outputs, shape};
use crate::shape::ShapeKind;

/// How many hexadecimal digits of the order's digest a cursor carries.
const DIGEST_DIGITS: usize = 8;

/// Plans a field that shows a page of the rows that `rows` gives each time it is called.
pub(crate) fn connection<'s>(
    scope: Scope<'s>,
    rows: impl Fn() -> Result<Rows<'s>, GraphqlError>,
    group: &Group<'s>,
) -> Result<(Connection<'s>, ShapeKind), GraphqlError> {
    let select = rows()?.select(scope, group)?;
    let order = total_order(scope, select.object, group)?;
    let order_digest = digest(&order);
    let arguments = Arguments::read(scope, group)?;
    let size = arguments.size.as_ref().map(size).transpose()?;
    let cursor = arguments.cursor.as_ref().map(|given| cursor(given, &order_digest, order.len()));
    let cursor = cursor.transpose()?;
    let page = Page { scope, object: select.object, group };
    let mut planned = Vec::new();
    let mut shapes = Vec::new();
    let type_name = group[0].ty().inner_named_type().as_str();
    for (key, below) in collect_below(scope, type_name, group) {
        let (value, kind) = match below[0].name.as_str() {
            "aggregate" => {
                let all = rows()?.select(scope, group)?;
                let (aggregate, kind) = aggregate_of(scope, all, None, &below)?;
                (ConnectionValue::Aggregate(Box::new(aggregate)), kind)
            }
            _ => page.field(&below)?,
        };
        shapes.push((key.to_owned(), shape(scope, &below, type_name, kind)));
        planned.push(ConnectionOutput { key: key.to_owned(), value });
    }
    let backward = arguments.backward;
    let connection =
        Connection { rows: select, order, size, cursor, backward, order_digest, outputs: planned };
    Ok((connection, ShapeKind::Object(shapes)))
}

struct Page<'s, 'g> {
    scope: Scope<'s>,
    object: &'s Object,
    group: &'g Group<'s>,
}

impl<'s> Page<'s, '_> {
    fn field(&self, group: &Group<'s>) -> Result<(ConnectionValue<'s>, ShapeKind), GraphqlError> {
        let type_name = group[0].ty().inner_named_type().as_str();
        Ok(match group[0].name.as_str() {
            "__typename" => {
                let parent = self.group[0].ty().inner_named_type();
                (ConnectionValue::Typename(parent.to_string()), ShapeKind::Leaf)
            }
            "totalCount" => (ConnectionValue::TotalCount, ShapeKind::Leaf),
            "nodes" => {
                let below = collect_below(self.scope, &self.object.name, group);
                let (outputs, shapes) = outputs(self.scope, self.object, below)?;
                (ConnectionValue::Nodes(outputs), ShapeKind::List(shapes))
            }
            "edges" => {
                let (edges, shapes) = self.edges(group, type_name)?;
                (ConnectionValue::Edges(edges), ShapeKind::List(shapes))
            }
            "pageInfo" => {
                let (values, shapes) = self.page_info(group, type_name)?;
                (ConnectionValue::PageInfo(values), ShapeKind::Object(shapes))
            }
            other => return Err(unbound(other)),
        })
    }

    fn edges(
        &self,
        group: &Group<'s>,
        type_name: &str,
    ) -> Result<(Vec<(String, EdgeValue<'s>)>, Shapes), GraphqlError> {
        let mut values = Vec::new();
        let mut shapes = Vec::new();
        for (key, below) in collect_below(self.scope, type_name, group) {
            let (value, kind) = match below[0].name.as_str() {
                "cursor" => (EdgeValue::Cursor, ShapeKind::Leaf),
                "node" => {
                    let selected = collect_below(self.scope, &self.object.name, &below);
                    let (outputs, shapes) = outputs(self.scope, self.object, selected)?;
                    (EdgeValue::Node(outputs), ShapeKind::Object(shapes))
                }
                _ => (EdgeValue::Typename(type_name.to_owned()), ShapeKind::Leaf),
            };
            shapes.push((key.to_owned(), shape(self.scope, &below, type_name, kind)));
            values.push((key.to_owned(), value));
        }
        Ok((values, shapes))
    }

    fn page_info(
        &self,
        group: &Group<'s>,
        type_name: &str,
    ) -> Result<(Vec<(String, PageValue)>, Shapes), GraphqlError> {
        let mut values = Vec::new();
        let mut shapes = Vec::new();
        for (key, below) in collect_below(self.scope, type_name, group) {
            let value = match below[0].name.as_str() {
                "hasNextPage" => PageValue::HasNext,
                "hasPreviousPage" => PageValue::HasPrevious,
                "startCursor" => PageValue::Start,
                "endCursor" => PageValue::End,
                _ => PageValue::Typename(type_name.to_owned()),
            };
            shapes.push((key.to_owned(), shape(self.scope, &below, type_name, ShapeKind::Leaf)));
            values.push((key.to_owned(), value));
        }
        Ok((values, shapes))
    }
}

/// The arguments of a page.
struct Arguments<'s> {
    size: Option<Input<'s>>,
    cursor: Option<Input<'s>>,
    backward: bool,
}

impl<'s> Arguments<'s> {
    fn read(scope: Scope<'s>, group: &Group<'s>) -> Result<Self, GraphqlError> {
        let given = |name: &str| -> Result<Option<Input<'s>>, GraphqlError> {
            Ok(scope.argument(group[0], name)?.filter(|value| !value.is_null()))
        };
        let (first, after) = (given("first")?, given("after")?);
        let (last, before) = (given("last")?, given("before")?);
        let backward = last.is_some() || before.is_some();
        if backward && (first.is_some() || after.is_some()) {
            let message = "give \"first\" and \"after\", or \"last\" and \"before\", not some of both";
            return Err(GraphqlError::new(Code::BadUserInput, message));
        }
        let (size, cursor) = if backward { (last, before) } else { (first, after) };
        Ok(Self { size, cursor, backward })
    }
}

fn size(given: &Input<'_>) -> Result<Param, GraphqlError> {
    match given {
        Input::Literal(value) => Ok(Param::Fixed(natural(value)?)),
        other => other.param(ParamFormat::Natural).ok_or_else(|| unbound("first")),
    }
}

fn cursor(given: &Input<'_>, order: &str, len: usize) -> Result<Cursor, GraphqlError> {
    let values = match given {
        Input::Literal(value) => {
            let values = cursor_values(value, order, len)?.into_iter();
            values.map(|value| Param::Fixed(value.map(bytes::Bytes::from))).collect()
        }
        Input::Variable { name, path, .. } => {
            let (name, order): (Arc<str>, Arc<str>) = (Arc::from(*name), Arc::from(order));
            (0..len)
                .map(|index| Param::Cursor {
                    name: Arc::clone(&name),
                    path: path.clone(),
                    order: Arc::clone(&order),
                    len,
                    index,
                })
                .collect()
        }
        Input::List(_) | Input::Object(_) => return Err(unbound("cursor")),
    };
    Ok(Cursor { values })
}

/// Returns the order that the field asks for, made total by the object's key.
fn total_order<'s>(
    scope: Scope<'s>,
    object: &'s Object,
    group: &Group<'s>,
) -> Result<Vec<OrderedTerm<'s>>, GraphqlError> {
    let asked = match scope.argument(group[0], "orderBy")?.filter(|order| !order.is_null()) {
        Some(order) => order_terms(scope, object, &order)?,
        None => Vec::new(),
    };
    let mut order: Vec<OrderedTerm<'_>> = Vec::new();
    for term in asked {
        let owner = term.through.last().map_or(object, |(object, _)| object);
        let (sql_type, never_null) = value_of(owner, &term.term).ok_or_else(|| unbound("orderBy"))?;
        let nullable = !term.through.is_empty() || !never_null;
        order.push(OrderedTerm { sql_type, nullable, term });
    }
    for key in &object.key {
        let known = |found: &OrderedTerm<'_>| {
            found.term.through.is_empty() && found.term.term == Term::Column(&key.column)
        };
        if !order.iter().any(known) {
            let term = Term::Column(&key.column);
            let proven = field_of(object, &term).is_some_and(|field| field.non_null == NonNull::Proven);
            let term = OrderTerm { through: Vec::new(), term, direction: "ASC" };
            order.push(OrderedTerm { sql_type: key.sql_type.clone(), nullable: !proven, term });
        }
    }
    Ok(order)
}

/// Returns the type of a term, ready for a cast, and whether the catalog proves that it is never null.
fn value_of(object: &Object, term: &Term<'_>) -> Option<(String, bool)> {
    match term {
        Term::Computed { call, .. } => match &call.returns {
            FunctionReturn::Value { value, .. } => Some((value.sql.clone(), false)),
            _ => None,
        },
        Term::Related { call: AggregateCall::Of { function, column }, .. } => {
            Some((operand_type(function, column).sql, false))
        }
        Term::Related { .. } => Some(("pg_catalog.int8".to_owned(), true)),
        _ => {
            let field = field_of(object, term)?;
            Some((field.value.sql.clone(), field.non_null == NonNull::Proven))
        }
    }
}

fn field_of<'s>(object: &'s Object, term: &Term<'_>) -> Option<&'s ColumnField> {
    object.columns().find(|field| column_term(field) == *term)
}

fn digest(order: &[OrderedTerm<'_>]) -> String {
    let mut text = String::new();
    for OrderedTerm { term, .. } in order {
        for (object, on) in &term.through {
            text.push_str(&format!("{}{:?}", object.relation, on));
        }
        text.push_str(&format!("{:?} {};", term.term, term.direction));
    }
    let mut digest = sha256_hex(text.as_bytes());
    digest.truncate(DIGEST_DIGITS);
    digest
}
