//! Values, objects and lists of objects within JSON columns as SQL.

use fraiseql_model::artifact::{ColumnField, DOCUMENT_COLUMN, DocumentField};
use fraiseql_model::names::{quote_identifier, quote_literal};

use crate::ir::Output;
use crate::schema::column_sql;
use crate::sql::Writer;

impl<'s> Writer<'s> {
    /// Returns an expression of type json for what stands under a key: the object or null, or the
    /// list of those elements that are objects.
    pub(crate) fn document(&mut self, field: &DocumentField, outputs: &[Output<'s>], base: &str) -> String {
        let found = format!("\"{}\"", self.next_number());
        let mut joins = String::new();
        let mut entries = Vec::with_capacity(outputs.len());
        for output in outputs {
            entries.push((output.key.as_str(), self.output(output, &found, &mut joins)));
        }
        let object = self.object_of(&entries);
        let value = format!(
            "({} -> {})::pg_catalog.jsonb",
            column_sql(base, &field.column),
            quote_literal(&field.key)
        );
        let document = quote_identifier(DOCUMENT_COLUMN);
        let is_object = format!("jsonb_typeof({found}.{document}) = 'object'");
        if !field.list {
            return format!(
                "(SELECT {object} FROM (SELECT {value} AS {document}) AS {found}{joins} WHERE {is_object})"
            );
        }
        let list = format!("CASE WHEN jsonb_typeof({value}) = 'array' THEN {value} END");
        // A list that is not there is null, and not empty, as in the document.
        format!(
            "(CASE WHEN jsonb_typeof({value}) = 'array' THEN (SELECT coalesce(json_agg({object} ORDER BY {found}.\"n\"), '[]'::json) \
             FROM jsonb_array_elements({list}) WITH ORDINALITY AS {found}({document}, \"n\"){joins} WHERE {is_object}) END)"
        )
    }
}

/// Returns a value within a JSON column, of the SQL type that its field has.
pub(crate) fn document_value(alias: &str, field: &ColumnField) -> String {
    let column = column_sql(alias, &field.column);
    let key = quote_literal(field.key.as_deref().unwrap_or_default());
    let sql_type = &field.value.sql;
    if field.value.list {
        let value = format!("({column} -> {key})::pg_catalog.jsonb");
        return format!(
            "CASE WHEN jsonb_typeof({value}) = 'array' THEN ARRAY(SELECT \"e\".\"v\"::{sql_type} \
             FROM jsonb_array_elements_text({value}) WITH ORDINALITY AS \"e\"(\"v\", \"n\") ORDER BY \"e\".\"n\") END"
        );
    }
    match field.value.graphql.as_str() {
        "JSON" => format!("({column} -> {key})::pg_catalog.jsonb"),
        _ => format!("({column} ->> {key})::{sql_type}"),
    }
}
