//! A project of the public FraiseQL 2 becomes one of ours: its authoring file (`schema.json`, version
//! 2.0.0) becomes SDL with our directives. Its views and functions stay as they are.
//!
//! What has no equal is said in a report, never dropped in silence: that includes keys that we do not know.

mod definitions;
mod entry;
mod roots;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use entry::Entry;

use fraiseql_model::catalog::LeftOut;

/// The version of authoring files that is read.
const VERSION: &str = "2.0.0";

/// What an import writes.
#[derive(Debug)]
pub struct Imported {
    /// `schema.graphql`.
    pub schema: String,
    /// The PostgreSQL schemas that its relations and functions are in, sorted.
    pub schemas: Vec<String>,
    /// What has no equal or wants a look, with the reason.
    pub notes: Vec<LeftOut>,
}

/// Why a file cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Not JSON.
    #[error("read the authoring file: it is not JSON")]
    NoJson(#[source] serde_json::Error),
    /// JSON, and no authoring file.
    #[error("read the authoring file: it is no JSON object")]
    NoObject,
    /// An authoring file of another version.
    #[error("read the authoring file: its version is {found}, this command reads {VERSION}")]
    Version {
        /// What stands there, or "missing".
        found: String,
    },
    /// A name that is none in GraphQL.
    #[error("read the authoring file: {place} is no name of GraphQL: {found}")]
    Name {
        /// Where it stands.
        place: String,
        /// What stands there.
        found: String,
    },
}

/// What is known while importing.
#[derive(Default)]
struct Import {
    /// Kinds of named types: by name, whether it is an object with a relation.
    bound: BTreeMap<String, bool>,
    /// Unions that mutations return.
    outcomes: BTreeSet<String>,
    /// Every name that the file gives to a type.
    taken: BTreeSet<String>,
    schemas: BTreeSet<String>,
    notes: Vec<LeftOut>,
}

const HEADER: &str = "\
# Imported from an authoring file of FraiseQL 2. Fields under @json are read from the JSONB column under their
# name in snake case, unless the relation has a column of that name; import-report.md says what has no equal.
";

/// Keys at the top of the file that are looked at, and those that say nothing that we need.
const KNOWN: [&str; 11] = [
    "version",
    "types",
    "enums",
    "input_types",
    "interfaces",
    "unions",
    "queries",
    "mutations",
    "subscriptions",
    "$schema",
    "directives",
];

/// Imports an authoring file.
///
/// The same text always gives the same project. Fails when it is no authoring file, or a name in it is
/// none of GraphQL.
pub fn import(text: &str) -> Result<Imported, ImportError> {
    let document: Value = serde_json::from_str(text).map_err(ImportError::NoJson)?;
    let file = Entry::new(&document, "the file").ok_or(ImportError::NoObject)?;
    match document.get("version").and_then(Value::as_str) {
        Some(VERSION) => {}
        found => {
            let found = found.map_or_else(|| "missing".to_owned(), |found| format!("{found:?}"));
            return Err(ImportError::Version { found });
        }
    }
    let mut import = Import::default();
    for object in file.entries("types") {
        let bound = object.text("sql_source").is_some_and(|source| !source.is_empty());
        import.bound.insert(object.name()?.to_owned(), bound);
    }
    for list in ["types", "enums", "input_types", "interfaces", "unions"] {
        for one in file.entries(list) {
            import.taken.insert(one.name()?.to_owned());
        }
    }
    let mut parts = vec![HEADER.to_owned()];
    parts.extend(roots::queries(&mut import, &file)?);
    parts.extend(roots::mutations(&mut import, &file)?);
    roots::subscriptions(&mut import, &file)?;
    parts.extend(definitions::all(&mut import, &file)?);
    for key in document.as_object().into_iter().flat_map(|keys| keys.keys()) {
        if !KNOWN.contains(&key.as_str()) {
            import.note(key, top_level(key));
        }
    }
    import.schemas.insert("public".to_owned());
    Ok(Imported {
        schema: parts.join("\n"),
        schemas: import.schemas.into_iter().collect(),
        notes: import.notes,
    })
}

fn top_level(key: &str) -> &'static str {
    match key {
        "security" => {
            "who may do what is not in schema.graphql: grants.sql of `fraiseql init` gives the least rights; rules for rows are PostgreSQL's row level security"
        }
        "observers" | "webhooks" => "nothing is sent on a change of data: use triggers and a queue",
        "fact_tables" | "aggregate_queries" | "analytics" => {
            "fact tables are ordinary relations here: give them a type, or a view with the sums"
        }
        "federation" => "federation is not served",
        _ => "this import does not know the key",
    }
}

impl Import {
    fn note(&mut self, what: &str, why: &str) {
        self.notes.push(LeftOut { what: what.to_owned(), why: why.to_owned() });
    }

    /// Notes every key that is not among `known`.
    fn unknown(&mut self, entry: &Entry<'_>, known: &[&str], told: &[(&str, &str)]) {
        for key in entry.present() {
            if let Some((_, why)) = told.iter().find(|(told, _)| *told == key) {
                self.note(&format!("{} {key}", entry.place), why);
            } else if !known.contains(&key) {
                self.note(&format!("{} {key}", entry.place), "this import does not know the key");
            }
        }
    }

    /// Returns the arguments of `@relation` or `@function` for a name that may have a schema before it.
    fn source(&mut self, source: &str) -> String {
        match source.split_once('.') {
            Some((schema, name)) => {
                self.schemas.insert(schema.to_owned());
                format!("name: {}, schema: {}", crate::text::string(name), crate::text::string(schema))
            }
            None => format!("name: {}", crate::text::string(source)),
        }
    }
}

/// Returns a name in camel case: `first_name` is `firstName`. Leading underscores stay.
fn camel_case(name: &str) -> String {
    let body = name.trim_start_matches('_');
    let mut camel = name[..name.len() - body.len()].to_owned();
    let mut capital = false;
    for character in body.chars() {
        if character == '_' {
            capital = true;
        } else if capital {
            camel.extend(character.to_uppercase());
            capital = false;
        } else {
            camel.push(character);
        }
    }
    camel
}
