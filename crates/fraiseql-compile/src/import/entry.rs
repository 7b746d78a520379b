//! One object of an authoring file, with its place for the report.

use serde_json::{Map, Value};

use super::ImportError;

/// An object of the file.
pub(super) struct Entry<'v> {
    map: &'v Map<String, Value>,
    /// For example `type User` or `type User, field email`.
    pub(super) place: String,
}

impl<'v> Entry<'v> {
    pub(super) fn new(value: &'v Value, place: &str) -> Option<Self> {
        Some(Self { map: value.as_object()?, place: place.to_owned() })
    }

    /// Returns the objects of a list; what is no object is passed over.
    pub(super) fn entries(&self, key: &str) -> Vec<Entry<'v>> {
        let kind = match key {
            "types" => "type",
            "enums" => "enum",
            "input_types" => "input type",
            "interfaces" => "interface",
            "unions" => "union",
            "queries" => "query",
            "mutations" => "mutation",
            "subscriptions" => "subscription",
            "arguments" => "argument",
            "values" => "value",
            _ => "field",
        };
        let list = self.map.get(key).and_then(Value::as_array).into_iter().flatten();
        let entry = |value: &'v Value| {
            let name = value.get("name").and_then(Value::as_str).unwrap_or("?");
            let place = match self.place.as_str() {
                "the file" => format!("{kind} {name}"),
                above => format!("{above}, {kind} {name}"),
            };
            Entry::new(value, &place)
        };
        list.filter_map(entry).collect()
    }

    /// Returns the keys that say something: neither null nor empty nor false.
    pub(super) fn present(&self) -> Vec<&'v str> {
        let says = |value: &Value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(map) => !map.is_empty(),
            _ => true,
        };
        self.map.iter().filter(|(_, value)| says(value)).map(|(key, _)| key.as_str()).collect()
    }

    pub(super) fn get(&self, key: &str) -> Option<&'v Value> {
        self.map.get(key)
    }

    pub(super) fn text(&self, key: &str) -> Option<&'v str> {
        self.map.get(key).and_then(Value::as_str)
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.map.get(key).and_then(Value::as_bool) == Some(true)
    }

    /// Returns texts of a list.
    pub(super) fn texts(&self, key: &str) -> Vec<&'v str> {
        self.map.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Returns the object's own name.
    pub(super) fn name(&self) -> Result<&'v str, ImportError> {
        self.graphql_name(self.text("name").unwrap_or(""))
    }

    /// Returns a name once it is known to be one: names go into SDL.
    pub(super) fn graphql_name(&self, name: &'v str) -> Result<&'v str, ImportError> {
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
        if is_name {
            return Ok(name);
        }
        Err(ImportError::Name { place: self.place.clone(), found: format!("{name:?}") })
    }

    /// Returns a type as SDL: `User`, `[User!]`, with `!` where `nullable` is not true.
    pub(super) fn ty(&self, key: &str) -> Result<String, ImportError> {
        let written = self.text(key).unwrap_or("").trim();
        let bare = written.trim_end_matches('!');
        match bare.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) => {
                let item = self.graphql_name(inner.trim_end_matches('!'))?;
                Ok(format!("[{item}{}]", if inner.ends_with('!') { "!" } else { "" }))
            }
            None => Ok(self.graphql_name(bare)?.to_owned()),
        }
    }

    /// Returns `!` for what is never null: authoring files say `nullable`, and mean false by nothing.
    pub(super) fn mark(&self) -> &'static str {
        if self.flag("nullable") { "" } else { "!" }
    }
}
