//! How many rows an operation may read, by the limits of its lists. An upper bound for what is
//! bounded, a guess for what is not; nothing is asked of the database.

use apollo_compiler::ast::Value as AstValue;
use apollo_compiler::executable::{Field, Selection, SelectionSet};
use fraiseql_model::response::GraphqlError;

use crate::document::Document;
use crate::limits::{Limit, Limits, judge};
use crate::variables::Variables;

/// Arguments that say how many rows a field gives.
const COUNTS: [&str; 3] = ["limit", "first", "last"];

/// Checks how many rows the lists of an operation may give: each list its limit, times the limits
/// of the lists around it, all of them added up. Selections that are skipped count as well.
///
/// Returns the limits that were passed and only warn.
pub fn check_rows(
    document: &Document,
    operation: Option<&str>,
    variables: &Variables,
    limits: &Limits,
) -> Result<Vec<Limit>, GraphqlError> {
    let operation = document.resolve(operation)?;
    let estimate = Estimate { document, variables, unlimited: limits.rows_unlimited_as };
    judge([(Limit::Rows, estimate.of(&operation.selection_set, false))], limits)
}

struct Estimate<'r> {
    document: &'r Document,
    variables: &'r Variables,
    unlimited: usize,
}

impl Estimate<'_> {
    /// Returns the rows below one row; `counted` when its field already said how many there are.
    fn of(&self, set: &SelectionSet, counted: bool) -> usize {
        let rows = set.selections.iter().map(|selection| match selection {
            Selection::Field(field) => self.field(field, counted),
            Selection::InlineFragment(fragment) => self.of(&fragment.selection_set, counted),
            Selection::FragmentSpread(spread) => {
                let fragment = self.document.executable.fragments.get(&spread.fragment_name);
                fragment.map_or(0, |fragment| self.of(&fragment.selection_set, counted))
            }
        });
        rows.fold(0, usize::saturating_add)
    }

    fn field(&self, field: &Field, counted: bool) -> usize {
        if field.selection_set.selections.is_empty() || field.name.starts_with("__") {
            return 0;
        }
        let takes_count = COUNTS.iter().any(|name| field.definition.argument_by_name(name).is_some());
        if takes_count {
            let below = self.of(&field.selection_set, !field.ty().is_list());
            return self.count(field).saturating_mul(below.saturating_add(1));
        }
        let list = field.ty().is_list() && !counted;
        let below = self.of(&field.selection_set, counted && !field.ty().is_list());
        if list { self.unlimited.saturating_mul(below.saturating_add(1)) } else { below }
    }

    /// Returns how many rows a field asks for.
    fn count(&self, field: &Field) -> usize {
        let given = COUNTS.iter().filter_map(|name| {
            let written = field.specified_argument_by_name(name);
            let default = || field.definition.argument_by_name(name)?.default_value.as_ref();
            match &**written.or_else(default)? {
                AstValue::Int(number) => Some(rows(number.as_str())),
                AstValue::Variable(name) => {
                    let value = self.variables.values.get(name.as_str()).filter(|value| !value.is_null())?;
                    Some(rows(&value.to_string()))
                }
                _ => None,
            }
        });
        given.min().unwrap_or(self.unlimited)
    }
}

/// Returns a number of rows as it is written; a negative one gives none, PostgreSQL refuses it.
fn rows(number: &str) -> usize {
    if number.starts_with('-') { 0 } else { number.parse().unwrap_or(usize::MAX) }
}
