//! `orderBy`: input objects become keys of ORDER BY, in the order in which they were written.

use fraiseql_model::artifact::Field;
use fraiseql_model::response::{Code, GraphqlError};

use crate::argument::{Input, Scope};
use crate::ir::{OrderTerm, column_term};
use crate::schema::Object;

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
            let message = format!("the order of \"{field}\" must not be null");
            return Err(GraphqlError::new(Code::BadUserInput, message));
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
            _ => {
                let message = format!("the order field \"{field}\" is not bound");
                return Err(GraphqlError::new(Code::Internal, message));
            }
        }
    }
    Ok(())
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
