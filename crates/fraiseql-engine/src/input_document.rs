//! Values of input types that the author wrote: one JSON document each, with the names of the database.
//!
//! A whole variable is one parameter, whatever it holds, so that requests of every content share a
//! plan. A literal with variables inside is put together in SQL, from one parameter for each of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use fraiseql_model::artifact::{Artifact, InputField, ValueType};
use fraiseql_model::names::quote_literal;
use serde_json::{Map, Value};

use crate::argument::Input;
use crate::bind::{bytea_text, format_value};
use crate::ir::{InputDocument, Operand, OperandValue};
use crate::plan::{Param, ParamFormat};
use crate::sql::Writer;

/// Every input type of an author, and how the values of enums are called in the database.
#[derive(Debug, Default)]
pub(crate) struct InputTypes {
    types: BTreeMap<String, BTreeMap<String, InputField>>,
    labels: BTreeMap<String, BTreeMap<String, String>>,
}

/// Says how a value of an input type is written for PostgreSQL.
#[derive(Clone, Debug)]
pub struct InputNames {
    types: Arc<InputTypes>,
    /// The named type of the value: an input type, or that of one of its fields.
    graphql: String,
    /// True where PostgreSQL makes a composite of the document, false where it stays one.
    composite: bool,
}

impl InputTypes {
    pub(crate) fn new(artifact: &Artifact) -> Arc<Self> {
        let labels = artifact.enums.iter().map(|(name, found)| (name.clone(), found.labels.clone()));
        // Without input types nobody asks for labels here.
        let labels = if artifact.inputs.is_empty() { BTreeMap::new() } else { labels.collect() };
        Arc::new(Self { types: artifact.inputs.clone(), labels })
    }

    /// Returns true for an input type of the author's.
    pub(crate) fn has(&self, graphql: &str) -> bool {
        self.types.contains_key(graphql)
    }
}

impl InputNames {
    /// Returns the JSON text of a coerced value.
    pub(crate) fn text(&self, value: &Value) -> Option<Bytes> {
        format_value(&self.document(&self.graphql, value), ParamFormat::Json)
    }

    fn document(&self, graphql: &str, value: &Value) -> Value {
        match value {
            Value::Null => Value::Null,
            _ if graphql == "JSON" => value.clone(),
            Value::Array(items) => items.iter().map(|item| self.document(graphql, item)).collect(),
            Value::Object(fields) => {
                let Some(known) = self.types.types.get(graphql) else { return value.clone() };
                let named = fields.iter().filter_map(|(name, value)| {
                    let field = known.get(name)?;
                    Some((field.key.clone(), self.document(&field.graphql, value)))
                });
                Value::Object(named.collect::<Map<_, _>>())
            }
            // What JSON has as base64, bytea reads as hex.
            Value::String(_) if graphql == "Bytes" && self.composite => Value::String(bytea_text(value)),
            Value::String(text) => match self.types.labels.get(graphql).and_then(|labels| labels.get(text)) {
                Some(label) => Value::String(label.clone()),
                None => value.clone(),
            },
            other => other.clone(),
        }
    }

    /// Returns the names for a field of this type.
    fn below(&self, field: &str) -> Option<(&str, Self)> {
        let field = self.types.types.get(&self.graphql)?.get(field)?;
        Some((&field.key, Self { graphql: field.graphql.clone(), ..self.clone() }))
    }
}

/// Returns a value of an input type as an operand.
pub(crate) fn operand(types: &Arc<InputTypes>, value_type: &ValueType, input: &Input<'_>) -> Operand {
    let json = matches!(value_type.sql.as_str(), "\"pg_catalog\".\"json\"" | "\"pg_catalog\".\"jsonb\"");
    let names = InputNames { types: types.clone(), graphql: value_type.graphql.clone(), composite: !json };
    let value =
        OperandValue::Input { document: document(&names, input), composite: !json, list: value_type.list };
    Operand { sql_type: value_type.sql.clone(), value }
}

fn document(names: &InputNames, input: &Input<'_>) -> InputDocument {
    match input {
        Input::Variable { name, path, .. } => {
            let (name, path, input) = (Arc::from(*name), path.clone(), names.clone());
            InputDocument::Value(Param::Input { name, path, input })
        }
        Input::Literal(value) => InputDocument::Value(Param::Fixed(names.text(value))),
        Input::List(items) => InputDocument::List(items.iter().map(|item| document(names, item)).collect()),
        Input::Object(fields) => {
            let entries = fields.iter().filter_map(|(field, value)| {
                let (key, below) = names.below(field)?;
                Some((key.to_owned(), document(&below, value)))
            });
            InputDocument::Object(entries.collect())
        }
    }
}

impl Writer<'_> {
    /// Returns an expression of the operand's type.
    pub(crate) fn input(
        &mut self,
        sql_type: &str,
        value: &InputDocument,
        composite: bool,
        list: bool,
    ) -> String {
        let json = self.input_json(value);
        let made = |json: &str| {
            if composite {
                format!("json_populate_record(NULL::{sql_type}, {json})")
            } else {
                format!("{json}::{sql_type}")
            }
        };
        if !list {
            return made(&json);
        }
        // A null in the list stays one: a row whose every column is null is another thing.
        format!(
            "ARRAY(SELECT CASE WHEN json_typeof(\"e\".\"v\") <> 'null' THEN {} END \
             FROM json_array_elements({json}) WITH ORDINALITY AS \"e\"(\"v\", \"n\") ORDER BY \"e\".\"n\")",
            made("\"e\".\"v\"")
        )
    }

    fn input_json(&mut self, value: &InputDocument) -> String {
        match value {
            InputDocument::Value(param) => format!("{}::pg_catalog.json", self.param(param.clone())),
            InputDocument::List(items) => {
                let items: Vec<String> = items.iter().map(|item| self.input_json(item)).collect();
                format!("array_to_json(ARRAY[{}]::pg_catalog.json[])", items.join(", "))
            }
            InputDocument::Object(entries) if entries.is_empty() => "'{}'::pg_catalog.json".to_owned(),
            InputDocument::Object(entries) => {
                let pairs: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| {
                        format!("({}::pg_catalog.text, {})", quote_literal(key), self.input_json(value))
                    })
                    .collect();
                // No function takes more than a hundred arguments.
                format!(
                    "(SELECT json_object_agg(\"p\".\"k\", \"p\".\"v\") FROM (VALUES {}) AS \"p\"(\"k\", \"v\"))",
                    pairs.join(", ")
                )
            }
        }
    }
}
