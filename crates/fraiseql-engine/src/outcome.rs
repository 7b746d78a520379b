//! Outcomes: the record that a function returns becomes a member of a union.
//!
//! The call leaves its record as JSON in the session. The statement behind it sees all that the
//! function wrote; it finds out which member the record is and reads that member's fields, rows of
//! other types included. Members that the record is not are never evaluated.

use fraiseql_model::artifact::{Encoding, Outcome, OutcomeChoice, OutcomeField, OutcomeMember};
use fraiseql_model::names::{quote_identifier, quote_literal};
use fraiseql_model::response::GraphqlError;

use crate::argument::Scope;
use crate::collect::{Group, collect_below};
use crate::ir::{Call, Root, Source};
use crate::plan::Statement;
use crate::query::unbound;
use crate::schema::Object;
use crate::select::select;
use crate::sql::{KEYS_SETTING, Writer, guarded};

/// The record, as the second statement names it.
const RECORD: &str = "\"0o\".\"v\"";

/// Returns the call, and the statement whose only row is the field's value.
pub(crate) fn outcome<'s>(
    scope: Scope<'s>,
    group: &Group<'s>,
    call: &Call,
    outcome: &'s Outcome,
) -> Result<Vec<Statement>, GraphqlError> {
    let mut writer = Writer::new(scope.schema, true);
    let sql = keep_record(&mut writer, call, outcome.json);
    let first = writer.finish(sql);
    let mut reader = Writer::new(scope.schema, true);
    let mut choices = String::new();
    let union = group[0].ty().inner_named_type().as_str();
    for (at, member) in outcome.members.iter().enumerate() {
        let object = reader.member(scope, group, member)?;
        choices.push_str(&match (&outcome.choice, at) {
            (OutcomeChoice::Tag(_), _) => {
                format!(" WHEN {} THEN {object}", is_tagged(&outcome.choice, member))
            }
            (OutcomeChoice::Succeeded, 0) => {
                format!(" WHEN ({RECORD} ->> 'succeeded')::pg_catalog.bool THEN {object}")
            }
            (OutcomeChoice::Succeeded, at) if at + 1 == outcome.members.len() => format!(" ELSE {object}"),
            (OutcomeChoice::Succeeded, _) => {
                format!(" WHEN {} THEN {object}", is_tagged(&outcome.choice, member))
            }
        });
    }
    let value = match &outcome.choice {
        // A tag that no member has is told as a __typename that is null.
        OutcomeChoice::Tag(_) => {
            let chosen = format!("(SELECT CASE{choices} END)");
            let guarded = guarded("\"0g\".\"j\"", "\"0g\".\"j\"", &format!("{union}.__typename"));
            format!("(SELECT {guarded} FROM (SELECT {chosen} AS \"j\" OFFSET 0) AS \"0g\")")
        }
        OutcomeChoice::Succeeded => format!("CASE{choices} END"),
    };
    let mut value = format!("CASE WHEN json_typeof({RECORD}) = 'object' THEN {value} END");
    if outcome.non_null {
        value = guarded(RECORD_OBJECT, &value, &format!("Mutation.{}", group[0].name));
    }
    let record = format!("current_setting('{KEYS_SETTING}')::pg_catalog.json");
    let sql = format!("SELECT {value} FROM (SELECT {record} AS \"v\" OFFSET 0) AS \"0o\"");
    Ok(vec![first, reader.finish(sql)])
}

/// NULL when the function returned NULL.
const RECORD_OBJECT: &str = "(CASE WHEN json_typeof(\"0o\".\"v\") = 'object' THEN \"0o\".\"v\" END)";

fn keep_record(writer: &mut Writer<'_>, call: &Call, json: bool) -> String {
    let call = writer.call(call, None);
    let (alias, record) = if json {
        ("\"0\"(\"v\")", "to_json(\"0\".\"v\")")
    } else {
        ("\"0\"", "CASE WHEN NOT (\"0\" IS NULL) THEN row_to_json(\"0\") END")
    };
    format!(
        "SELECT set_config('{KEYS_SETTING}', coalesce((SELECT {record} FROM {call} AS {alias} LIMIT 1), \
         'null'::json)::pg_catalog.text, true)"
    )
}

/// Returns the condition that the record calls itself by one of the member's tags.
fn is_tagged(choice: &OutcomeChoice, member: &OutcomeMember) -> String {
    let tags: Vec<String> = member.tags.iter().map(|tag| quote_literal(tag)).collect();
    let is = |key: &str| format!("({RECORD} ->> {}) IN ({})", quote_literal(key), tags.join(", "));
    match choice {
        OutcomeChoice::Tag(key) => is(key),
        OutcomeChoice::Succeeded => format!("({} OR {})", is("status_detail"), is("error_class")),
    }
}

impl<'s> Writer<'s> {
    /// Returns an expression of type json for the member's selected fields.
    fn member(
        &mut self,
        scope: Scope<'s>,
        group: &Group<'s>,
        member: &'s OutcomeMember,
    ) -> Result<String, GraphqlError> {
        let mut entries: Vec<(&str, String)> = Vec::new();
        for (key, group) in collect_below(scope, &member.name, group) {
            let name = group[0].name.as_str();
            if name == "__typename" {
                entries.push((key, format!("{}::pg_catalog.text", quote_literal(&member.name))));
                continue;
            }
            let field = member.fields.get(name).ok_or_else(|| unbound(name))?;
            let owner = format!("{}.{name}", member.name);
            let value = match field {
                OutcomeField::Value { path, value, non_null } => {
                    let encoded = self.recorded(path, value);
                    if *non_null { guarded(&encoded, &encoded, &owner) } else { encoded }
                }
                OutcomeField::Row { path, id, target, non_null } => {
                    let object: &'s Object = scope.schema.object(target);
                    let keys = recorded_keys(object, &json_at(path), id.as_deref());
                    let (row, _) = select(scope, object, Source::Recorded(keys), &group)?;
                    let guard = non_null.then_some(owner);
                    self.root_value(&Root::One { select: row, guard })
                }
            };
            entries.push((key, value));
        }
        if entries.is_empty() {
            return Ok("'{}'::json".to_owned());
        }
        Ok(self.object_of(&entries))
    }

    /// Returns a value of the record as the response wants it.
    fn recorded(&self, path: &[String], value: &fraiseql_model::artifact::ValueType) -> String {
        let json = json_at(path);
        if value.graphql == "JSON" && !value.list {
            return format!("(CASE WHEN json_typeof({json}) <> 'null' THEN {json} END)");
        }
        let sql = &value.sql;
        let typed = if value.list {
            format!(
                "(CASE WHEN json_typeof({json}) = 'array' THEN ARRAY(SELECT \"i\".\"v\"::{sql} FROM \
                 json_array_elements_text({json}) WITH ORDINALITY AS \"i\"(\"v\", \"n\") ORDER BY \"i\".\"n\") END)"
            )
        } else {
            format!("({json} #>> '{{}}')::{sql}")
        };
        match (value.list, value.encoding) {
            (true, Encoding::Plain) | (false, Encoding::Plain) => typed,
            _ => self.encoded(&typed, value),
        }
    }
}

/// Returns the part of the record at a path, as json.
fn json_at(path: &[String]) -> String {
    let steps: Vec<String> = path.iter().map(|key| format!(" -> {}", quote_literal(key))).collect();
    format!("({RECORD}{})", steps.concat())
}

/// Returns the conditions on the key columns of a row that the record names.
fn recorded_keys(object: &Object, json: &str, id: Option<&str>) -> Vec<(String, String)> {
    let single = object.key.len() == 1;
    object
        .key
        .iter()
        .map(|key| {
            let inside = format!(
                "CASE WHEN json_typeof({json}) = 'object' THEN {json} ->> {} {}END",
                quote_literal(&key.column),
                if single { format!("ELSE {json} #>> '{{}}' ") } else { String::new() }
            );
            let text = match id.filter(|_| single) {
                Some(id) => format!("coalesce({inside}, {RECORD} ->> {})", quote_literal(id)),
                None => inside,
            };
            (quote_identifier(&key.column), format!("({text})::{}", key.sql_type))
        })
        .collect()
}
