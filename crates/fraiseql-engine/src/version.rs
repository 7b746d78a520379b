//! Optimistic locking: writes count a row's version, and compare it with the one a client has seen.
//!
//! The write itself compares, so that of two at one time only the first finds its row. Whether no row
//! was found for want of a row or for its version is asked by a statement behind it, in the same
//! transaction: a row that is still there had another version.

use fraiseql_model::artifact::ColumnField;
use fraiseql_model::names::{quote_identifier, quote_literal};
use fraiseql_model::response::{Code, GraphqlError};

use crate::argument::Scope;
use crate::collect::Group;
use crate::filter::operand;
use crate::ir::{Predicate, column_term};
use crate::plan::{CONFLICT_MARKER, Statement};
use crate::schema::{Object, Schema, column_sql};
use crate::sql::Writer;

/// The argument with the version that a client has seen.
const EXPECTED_VERSION: &str = "expectedVersion";

impl<'s> Writer<'s> {
    /// Returns the column that counts a row's updates.
    pub(crate) fn version(&self, object: &Object) -> Option<&'s ColumnField> {
        version(self.schema, object)
    }
}

/// Returns `column = column + 1`.
pub(crate) fn counted(column: &str, alias: &str) -> String {
    format!("{} = {} + 1", quote_identifier(column), column_sql(alias, column))
}

/// Returns the condition that the row has the version that the client expects.
pub(crate) fn expected<'s>(
    scope: Scope<'s>,
    object: &'s Object,
    group: &Group<'s>,
) -> Result<Option<Predicate<'s>>, GraphqlError> {
    let Some(column) = version(scope.schema, object) else { return Ok(None) };
    let given = scope.argument(group[0], EXPECTED_VERSION)?.filter(|given| !given.is_null());
    let given = given.ok_or_else(|| {
        GraphqlError::new(Code::BadUserInput, format!("\"{EXPECTED_VERSION}\" must not be null"))
    })?;
    let operand = operand(scope.schema, &column.value, &given)?;
    Ok(Some(Predicate::Compare { term: column_term(column), cast: None, operator: "=", operand }))
}

/// Returns the statement that fails when `nothing` was written and the row of `key` is there.
pub(crate) fn check<'s>(
    schema: &'s Schema,
    object: &'s Object,
    key: &Predicate<'s>,
    nothing: &str,
) -> Statement {
    let mut writer = Writer::new(schema, true);
    let alias = format!("\"{}\"", writer.next_number());
    // A row that the caller may see and not change is no conflict.
    let allowed = object.changeable(&alias).into_iter();
    let condition =
        std::iter::once(writer.predicate(key, &alias)).chain(allowed).collect::<Vec<_>>().join(" AND ");
    let seen = version(schema, object).map_or_else(String::new, |field| column_sql(&alias, &field.column));
    let marker = quote_literal(&format!("{CONFLICT_MARKER}{}", object.name));
    // The cast reads the row, so that the planner cannot run it ahead of time.
    let sql = format!(
        "SELECT ({marker} || left({seen}::pg_catalog.text, 0))::pg_catalog.int4 FROM {} AS {alias} \
         WHERE {condition} AND {nothing}",
        object.relation
    );
    writer.finish(sql)
}

fn version<'s>(schema: &'s Schema, object: &Object) -> Option<&'s ColumnField> {
    let rules = schema.artifact.writes.get(&object.name)?;
    let field = rules.version.as_ref()?;
    schema.object(&object.name).column(field)
}
