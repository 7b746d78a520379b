//! Types, enums, interfaces, unions and inputs of an authoring file.

use serde_json::Value;

use super::entry::Entry;
use super::{Import, ImportError, camel_case};
use crate::casing::snake_case;
use crate::text::{describe, string};

/// Scalars that need no definition.
const SCALARS: [&str; 20] = [
    "Boolean",
    "Float",
    "ID",
    "Int",
    "String",
    "BigInt",
    "Bytes",
    "Date",
    "DateRange",
    "DateTime",
    "Decimal",
    "Interval",
    "JSON",
    "LocalDateTime",
    "NumRange",
    "Time",
    "TsRange",
    "TstzRange",
    "UUID",
    "Int8Range",
];
const DEFAULT_COLUMN: &str = "data";

const SCOPE: &str = "who may see a field is not said in schema.graphql: leave the column out of the view, or use column privileges";
const INTERFACES: &str = "it is written as it was: the rows of each of its types need a relation of their own, or one that they share";

/// Returns every definition but the roots.
pub(super) fn all(import: &mut Import, file: &Entry<'_>) -> Result<Vec<String>, ImportError> {
    let mut parts = Vec::new();
    for object in file.entries("types") {
        parts.push(object_type(import, &object)?);
    }
    for one in file.entries("enums") {
        parts.push(enumeration(import, &one)?);
    }
    for one in file.entries("interfaces") {
        import.note(&one.place, INTERFACES);
        import.unknown(&one, &["name", "fields", "description"], &[]);
        let mut sdl = String::new();
        describe(&mut sdl, "", one.text("description"));
        sdl.push_str(&format!("interface {} {{\n{}}}\n", one.name()?, fields(import, &one, None)?));
        parts.push(sdl);
    }
    for one in file.entries("unions") {
        if !import.outcomes.contains(one.name()?) {
            import.note(&one.place, INTERFACES);
        }
        import.unknown(&one, &["name", "member_types", "types", "description"], &[]);
        let mut members = one.texts("member_types");
        members.extend(one.texts("types"));
        let members =
            members.into_iter().map(|name| one.graphql_name(name)).collect::<Result<Vec<_>, _>>()?;
        let mut sdl = String::new();
        describe(&mut sdl, "", one.text("description"));
        sdl.push_str(&format!("union {} = {}\n", one.name()?, members.join(" | ")));
        parts.push(sdl);
    }
    for one in file.entries("input_types") {
        import.unknown(&one, &["name", "fields", "description"], &[]);
        let mut sdl = String::new();
        describe(&mut sdl, "", one.text("description"));
        sdl.push_str(&format!("input {} {{\n", one.name()?));
        for field in one.entries("fields") {
            describe(&mut sdl, "  ", field.text("description"));
            sdl.push_str(&format!("  {}\n", argument(&field)?));
        }
        sdl.push_str("}\n");
        parts.push(sdl);
    }
    Ok(parts)
}

fn object_type(import: &mut Import, object: &Entry<'_>) -> Result<String, ImportError> {
    let known = ["name", "sql_source", "jsonb_column", "fields", "description", "implements"];
    import.unknown(
        object,
        &known,
        &[
            ("requires_role", SCOPE),
            ("relay", "Relay's global ids are not made here; `id` stays what the view gives"),
            ("is_input", "an input is written as input"),
        ],
    );
    let name = object.name()?;
    let column = match object.get("jsonb_column") {
        None => Some(DEFAULT_COLUMN),
        Some(column) => column.as_str().filter(|column| !column.is_empty()),
    };
    let mut directives = String::new();
    if let Some(source) = object.text("sql_source").filter(|source| !source.is_empty()) {
        let relation = import.source(source);
        let identified = object.entries("fields").iter().any(|field| field.text("name") == Some("id"));
        let key = if identified { ", key: [\"id\"]" } else { "" };
        if identified {
            let why = format!(
                "`key: [\"id\"]` needs a column `id` of {source} beside the JSONB column; take the key away where there is none, and with it the lookups by id"
            );
            import.note(&object.place, &why);
        }
        directives.push_str(&format!(" @relation({relation}{key})"));
        if let Some(column) = column {
            directives.push_str(&format!(" @json(column: {})", string(column)));
        }
    }
    let interfaces = object.texts("implements").into_iter().map(|one| object.graphql_name(one));
    let interfaces = interfaces.collect::<Result<Vec<_>, _>>()?.join(" & ");
    let implements = if interfaces.is_empty() { String::new() } else { format!(" implements {interfaces}") };
    let mut sdl = String::new();
    describe(&mut sdl, "", object.text("description"));
    let fields = fields(import, object, column)?;
    sdl.push_str(&format!("type {name}{implements}{directives} {{\n{fields}}}\n"));
    Ok(sdl)
}

/// Returns fields as SDL; `column` is the JSONB column that they are read from.
fn fields(import: &mut Import, owner: &Entry<'_>, column: Option<&str>) -> Result<String, ImportError> {
    let mut sdl = String::new();
    for field in owner.entries("fields") {
        let known = ["name", "type", "nullable", "description", "deprecated", "deprecation"];
        import.unknown(
            &field,
            &known,
            &[
                ("requires_scope", SCOPE),
                ("on_deny", SCOPE),
                ("encrypted", "nothing is encrypted or decrypted here: let the view do it"),
                ("vector", "vectors have no operators of their own here: call a function"),
            ],
        );
        let written = field.name()?;
        let name = camel_case(written);
        describe(&mut sdl, "  ", field.text("description"));
        let key = match column {
            Some(column) if snake_case(&name) != written => {
                format!(" @json(column: {}, key: {})", string(column), string(written))
            }
            _ => String::new(),
        };
        let ty = field.ty("type")?;
        // The column of the key: of a view PostgreSQL proves nothing, the file's word is all there is.
        let is_key = column.is_some() && written == "id" && owner.get("sql_source").is_some();
        let trusted = if is_key && !field.flag("nullable") { " @neverNull" } else { "" };
        sdl.push_str(&format!("  {name}: {ty}{}{key}{trusted}{}\n", field.mark(), deprecated(&field)));
    }
    Ok(sdl)
}

fn enumeration(import: &mut Import, one: &Entry<'_>) -> Result<String, ImportError> {
    import.unknown(one, &["name", "values", "description"], &[]);
    let mut sdl = String::new();
    describe(&mut sdl, "", one.text("description"));
    sdl.push_str(&format!("enum {} {{\n", one.name()?));
    for value in one.texts("values") {
        sdl.push_str(&format!("  {}\n", one.graphql_name(value)?));
    }
    for value in one.entries("values") {
        import.unknown(&value, &["name", "description", "deprecated", "deprecation"], &[]);
        describe(&mut sdl, "  ", value.text("description"));
        sdl.push_str(&format!("  {}{}\n", value.name()?, deprecated(&value)));
    }
    sdl.push_str("}\n");
    Ok(sdl)
}

/// Returns an argument or a field of an input: the name in camel case, the type, the default.
pub(super) fn argument(one: &Entry<'_>) -> Result<String, ImportError> {
    let default = match one.get("default").or(one.get("default_value")) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if !is_text(one) => format!(" = {}", one.graphql_name(text)?),
        Some(Value::String(text)) => format!(" = {}", string(text)),
        Some(value) if value.is_object() => String::new(),
        Some(value) => format!(" = {value}"),
    };
    Ok(format!("{}: {}{}{default}", camel_case(one.name()?), one.ty("type")?, one.mark()))
}

/// A text default of an enum is a name.
fn is_text(one: &Entry<'_>) -> bool {
    one.ty("type").is_ok_and(|ty| SCALARS.contains(&ty.as_str()))
}

fn deprecated(one: &Entry<'_>) -> String {
    let reason = match one.get("deprecation").or(one.get("deprecated")) {
        Some(Value::String(reason)) => Some(reason.as_str()),
        Some(Value::Bool(true)) => return " @deprecated".to_owned(),
        Some(Value::Object(told)) => {
            let reason = told.get("reason").and_then(Value::as_str);
            if reason.is_none() {
                return " @deprecated".to_owned();
            }
            reason
        }
        _ => None,
    };
    reason.map_or_else(String::new, |reason| format!(" @deprecated(reason: {})", string(reason)))
}
