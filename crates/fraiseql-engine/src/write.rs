//! Writes as SQL: INSERT, UPDATE, DELETE and upsert that hand their keys on.

use fraiseql_model::names::quote_identifier;
use fraiseql_model::response::{Code, GraphqlError};

use crate::argument::{Input, Scope};
use crate::filter::operand;
use crate::ir::{Call, Operand, OperandValue, Predicate};
use crate::plan::Param;
use crate::query::unbound;
use crate::schema::{Object, column_sql};
use crate::sql::{DELETED, KEYS_SETTING, Writer};
use crate::version::counted;

/// The columns that one input object gives, in its order.
pub(crate) type Row<'s> = Vec<(&'s str, Operand)>;

/// The most parameters that PostgreSQL's protocol can count in one statement.
pub(crate) const PARAMETERS_MAX: usize = 65_535;

/// Reads an insert or set input.
pub(crate) fn row<'s>(
    scope: Scope<'s>,
    object: &'s Object,
    input: &Input<'_>,
) -> Result<Row<'s>, GraphqlError> {
    let mut row = Vec::new();
    for (field, value) in input.fields() {
        match object.column(&field) {
            Some(column) => row.push((column.column.as_str(), operand(scope.schema, &column.value, &value)?)),
            // A field of rows that was given as null is as good as left out.
            None if value.is_null() => {}
            None => return Err(unbound(&field)),
        }
    }
    Ok(row)
}

/// Returns the columns that the caller's claims fill: on an insert all, on an update those for updates.
pub(crate) fn presets<'s>(scope: Scope<'s>, object: &Object, update: bool) -> Row<'s> {
    let rules = scope.schema.artifact.writes.get(&object.name);
    let presets = rules.into_iter().flat_map(|rules| &rules.presets);
    presets
        .filter(|preset| preset.update || !update)
        .map(|preset| {
            let path = preset.claim.as_slice().into();
            let value = OperandValue::One(Param::Claim { path, list: false, required: true });
            (preset.column.as_str(), Operand { sql_type: preset.sql_type.clone(), value })
        })
        .collect()
}

impl<'s> Writer<'s> {
    /// Returns `INSERT ... VALUES ...` without RETURNING. A column that a row lacks gets its default.
    pub(crate) fn insert(&mut self, object: &Object, rows: &[Row<'s>]) -> Result<String, GraphqlError> {
        let mut columns: Vec<&str> = Vec::new();
        for (column, _) in rows.iter().flatten() {
            if !columns.contains(column) {
                columns.push(column);
            }
        }
        if rows.len().saturating_mul(columns.len()) > PARAMETERS_MAX {
            let message = format!("objects times fields must not exceed {PARAMETERS_MAX}");
            return Err(GraphqlError::new(Code::LimitExceeded, message));
        }
        if columns.is_empty() {
            if let [_] = rows {
                return Ok(format!("INSERT INTO {} DEFAULT VALUES", object.table()));
            }
            columns.extend(object.key.first().map(|key| key.column.as_str()));
        }
        let values: Vec<String> = rows
            .iter()
            .map(|row| {
                let cells: Vec<String> = columns
                    .iter()
                    .map(|column| match row.iter().find(|(given, _)| given == column) {
                        Some((_, operand)) => self.operand(operand),
                        None => "DEFAULT".to_owned(),
                    })
                    .collect();
                format!("({})", cells.join(", "))
            })
            .collect();
        Ok(format!("INSERT INTO {} ({}) VALUES {}", object.table(), list(&columns), values.join(", ")))
    }

    /// Returns the ON CONFLICT clause that overwrites what `given` names.
    pub(crate) fn on_conflict(&self, object: &Object, conflict: &[String], given: &[&str]) -> String {
        let version = self.version(object).map(|field| field.column.as_str());
        let rules = self.schema.artifact.writes.get(&object.name);
        let given_once = |column: &str| {
            let mut presets = rules.into_iter().flat_map(|rules| &rules.presets);
            presets.any(|preset| preset.column == column && !preset.update)
        };
        let kept = |column: &str| {
            Some(column) == version || given_once(column) || conflict.iter().any(|key| key == column)
        };
        let mut set: Vec<&str> = given.iter().copied().filter(|column| !kept(column)).collect();
        let found_only = set.is_empty();
        if found_only {
            // Something must be set, or the row that is there already is not returned.
            set.extend(conflict.first().map(String::as_str));
        }
        let table = object.table();
        let mut set: Vec<String> =
            set.iter().map(|column| format!("{0} = EXCLUDED.{0}", quote_identifier(column))).collect();
        if let (Some(check), Some(first)) = (object.overwrite_check(&table), set.first_mut()) {
            let (column, value) = first.split_at(first.find(" = ").unwrap_or(0) + 3);
            *first = format!("{column}CASE WHEN ({check}) IS NULL THEN {value} END");
        }
        if !found_only {
            set.extend(version.map(|column| counted(column, &table)));
        }
        let keys: Vec<&str> = conflict.iter().map(String::as_str).collect();
        format!(" ON CONFLICT ({}) DO UPDATE SET {}", list(&keys), set.join(", "))
    }

    /// Returns `UPDATE ... SET ... WHERE ...` without RETURNING.
    pub(crate) fn update(
        &mut self,
        object: &Object,
        set: &Row<'s>,
        condition: &Predicate<'s>,
    ) -> Result<(String, String), GraphqlError> {
        if set.is_empty() {
            return Err(GraphqlError::new(Code::BadUserInput, "\"set\" must name at least one field"));
        }
        let alias = format!("\"{}\"", self.next_number());
        let version = self.version(object).map(|field| counted(&field.column, &alias));
        let set: Vec<String> = set
            .iter()
            .map(|(column, operand)| format!("{} = {}", quote_identifier(column), self.operand(operand)))
            .chain(version)
            .collect();
        let condition = self.changing(object, condition, &alias);
        let sql = format!("UPDATE {} AS {alias} SET {} WHERE {condition}", object.table(), set.join(", "));
        Ok((sql, alias))
    }

    /// Returns the condition of rows to change, of those that the caller may change.
    fn changing(&mut self, object: &Object, condition: &Predicate<'s>, alias: &str) -> String {
        let asked = self.predicate(condition, alias);
        let allowed = object.changeable(alias).into_iter();
        std::iter::once(asked).chain(allowed).collect::<Vec<_>>().join(" AND ")
    }

    /// Returns `WITH "0d" AS (DELETE ... RETURNING key)`, to be followed by a SELECT.
    pub(crate) fn delete(&mut self, object: &Object, condition: &Predicate<'s>) -> String {
        let alias = format!("\"{}\"", self.next_number());
        let condition = self.changing(object, condition, &alias);
        let returning = keys(object, Some(&alias));
        format!(
            "WITH {DELETED} AS (DELETE FROM {} AS {alias} WHERE {condition} RETURNING {returning}) ",
            object.table()
        )
    }
}

/// Returns the list of a RETURNING: what is asked for, and the check of what was written.
pub(crate) fn returning(asked: &str, object: &Object, alias: Option<&str>) -> String {
    let table = object.table();
    match object.written_check(alias.unwrap_or(&table)) {
        Some(check) => format!("{asked}, {check} AS \"#ok\""),
        None => asked.to_owned(),
    }
}

/// Returns the statement that runs a write and leaves the keys of its rows in the session.
pub(crate) fn keep_keys(write: &str, object: &Object, alias: Option<&str>) -> String {
    format!(
        "WITH \"0w\" AS ({write} RETURNING {}) SELECT set_config('{KEYS_SETTING}', \
         (SELECT coalesce(json_agg(\"0w\"), '[]'::json)::pg_catalog.text FROM \"0w\"), true)",
        returning(&keys(object, alias), object, alias)
    )
}

/// Returns the expression that leaves the keys of the deleted rows in the session.
pub(crate) fn keep_deleted() -> String {
    format!(
        "set_config('{KEYS_SETTING}', (SELECT coalesce(json_agg({DELETED}), '[]'::json)::pg_catalog.text \
         FROM {DELETED}), true)"
    )
}

/// Returns the statement that leaves no keys in the session.
pub(crate) fn keep_no_keys() -> String {
    format!("SELECT set_config('{KEYS_SETTING}', '[]', true)")
}

/// Returns the statement that calls a function and leaves its rows in the session.
pub(crate) fn keep_rows(writer: &mut Writer<'_>, call: &Call) -> String {
    let alias = format!("\"{}\"", writer.next_number());
    let call = writer.call(call, None);
    format!(
        "SELECT set_config('{KEYS_SETTING}', coalesce(json_agg({alias}), '[]'::json)::pg_catalog.text, true) \
         FROM {call} AS {alias} WHERE NOT ({alias} IS NULL)"
    )
}

/// The number of rows that a [`keep_keys`] statement wrote.
pub(crate) fn kept_count() -> String {
    format!("json_array_length(current_setting('{KEYS_SETTING}')::pg_catalog.json)")
}

/// The condition that a [`keep_keys`] statement wrote nothing.
pub(crate) fn kept_nothing() -> String {
    format!("({} = 0)", kept_count())
}

fn keys(object: &Object, alias: Option<&str>) -> String {
    let column = |key: &crate::schema::KeyColumn| match alias {
        Some(alias) => column_sql(alias, &key.column),
        None => quote_identifier(&key.column),
    };
    object.key.iter().map(column).collect::<Vec<_>>().join(", ")
}

pub(crate) fn list(columns: &[&str]) -> String {
    columns.iter().map(|column| quote_identifier(column)).collect::<Vec<_>>().join(", ")
}
