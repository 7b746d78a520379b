//! `orderBy`: input objects become keys of ORDER BY, in the order in which they were written.

use fraiseql_model::artifact::{Field, Reference};
use fraiseql_model::response::{Code, GraphqlError};

use crate::aggregate::function_named;
use crate::argument::{Input, Scope};
use crate::ir::{AggregateCall, OrderTerm, Term, column_term};
use crate::query::unbound;
use crate::schema::{List, Object};

/// Returns the keys that an `orderBy` argument asks for.
pub(crate) fn order_terms<'s>(
    scope: Scope<'s>,
    object: &'s Object,
    order: &Input<'_>,
) -> Result<Vec<OrderTerm<'s>>, GraphqlError> {
    let mut terms = Vec::new();
    for item in order.items() {
        add_terms(scope, object, &item, &mut Vec::new(), &mut terms)?;
    }
    Ok(terms)
}

type Through<'s> = Vec<(&'s Object, &'s [fraiseql_model::artifact::ColumnPair])>;

fn add_terms<'s>(
    scope: Scope<'s>,
    object: &'s Object,
    item: &Input<'_>,
    through: &mut Through<'s>,
    terms: &mut Vec<OrderTerm<'s>>,
) -> Result<(), GraphqlError> {
    for (field, value) in item.fields() {
        if value.is_null() {
            return Err(null_order(&field));
        }
        match object.binding.fields.get(&field) {
            Some(Field::Column(column)) => terms.push(OrderTerm {
                through: through.clone(),
                term: column_term(column),
                direction: direction(value.text()),
            }),
            Some(Field::ToOne(reference)) => {
                let target = scope.schema.object(&reference.target);
                through.push((target, reference.on.as_slice()));
                add_terms(scope, target, &value, through, terms)?;
                through.pop();
            }
            Some(Field::Computed(call)) => terms.push(OrderTerm {
                through: through.clone(),
                term: Term::Computed { call, row_type: object.row_type() },
                direction: direction(value.text()),
            }),
            Some(Field::Derived(derived)) => {
                let Some(List::Reference(reference)) = object.list(derived) else {
                    return Err(unbound(&field));
                };
                add_related(scope, reference, &value, through, terms)?;
            }
            _ => {
                let message = format!("the order field \"{field}\" is not bound");
                return Err(GraphqlError::new(Code::Internal, message));
            }
        }
    }
    Ok(())
}

/// Adds aggregates of related rows.
fn add_related<'s>(
    scope: Scope<'s>,
    reference: &'s Reference,
    value: &Input<'_>,
    through: &Through<'s>,
    terms: &mut Vec<OrderTerm<'s>>,
) -> Result<(), GraphqlError> {
    let target: &'s Object = scope.schema.object(&reference.target);
    let mut push = |call, value: &Input<'_>| {
        let (relation, on) = (target.relation.as_str(), reference.on.as_slice());
        let term = Term::Related { relation, on, call };
        terms.push(OrderTerm { through: through.clone(), term, direction: direction(value.text()) });
    };
    for (name, value) in value.fields() {
        if value.is_null() {
            return Err(null_order(&name));
        }
        if name == "count" {
            push(AggregateCall::Count, &value);
            continue;
        }
        let function = function_named(&name).ok_or_else(|| unbound(&name))?;
        for (field, value) in value.fields() {
            if value.is_null() {
                return Err(null_order(&field));
            }
            let column = target.column(&field).ok_or_else(|| unbound(&field))?;
            push(AggregateCall::Of { function, column }, &value);
        }
    }
    Ok(())
}

fn null_order(field: &str) -> GraphqlError {
    GraphqlError::new(Code::BadUserInput, format!("the order of \"{field}\" must not be null"))
}

/// Returns the words of an `OrderDirection`.
pub(crate) fn direction(value: Option<&str>) -> &'static str {
    match value {
        Some("DESC") => "DESC",
        Some("ASC_NULLS_FIRST") => "ASC NULLS FIRST",
        Some("ASC_NULLS_LAST") => "ASC NULLS LAST",
        Some("DESC_NULLS_FIRST") => "DESC NULLS FIRST",
        Some("DESC_NULLS_LAST") => "DESC NULLS LAST",
        _ => "ASC",
    }
}
