//! Values become PostgreSQL's text format. Nothing here goes into SQL text.

use bytes::Bytes;
use fraiseql_model::response::{Code, GraphqlError, PathSegment};
use serde_json::Value;

use crate::node::{check_ids, part_of};
use crate::plan::{Param, ParamFormat, Statement};
use crate::variables::Variables;

/// Returns the parameters of a statement for one request, in order, in text format; `None` is NULL.
///
/// Fails when the variables are not of the shape that the statement was planned for, and for a
/// global id that is none.
pub fn bind(statement: &Statement, variables: &Variables) -> Result<Vec<Option<Bytes>>, GraphqlError> {
    statement
        .params
        .iter()
        .map(|param| match param {
            Param::Fixed(value) => Ok(value.clone()),
            Param::Variable { name, path, write } => {
                let value = variable(variables, name, path)?;
                match write {
                    ParamFormat::Natural => natural(value),
                    ParamFormat::NodeType => {
                        check_ids(value)?;
                        Ok(format_value(value, *write))
                    }
                    write => Ok(format_value(value, *write)),
                }
            }
            Param::Input { name, path, input } => Ok(input.text(variable(variables, name, path)?)),
            Param::Cursor { name, path, order, len, index } => {
                let mut values = cursor_values(variable(variables, name, path)?, order, *len)?;
                Ok(values.swap_remove(*index).map(Bytes::from))
            }
            Param::Claim { path, list, required } => {
                let found = claim(variables, path, *list);
                if found.is_none() && *required {
                    let message = format!("the caller lacks the claim \"{}\"", path.join("."));
                    return Err(GraphqlError::new(Code::Forbidden, message));
                }
                Ok(found)
            }
        })
        .collect()
}

/// Returns a claim in text format. One that is of another form than it is wanted in is as good as none.
fn claim(variables: &Variables, path: &[String], list: bool) -> Option<Bytes> {
    let found = variables.caller().claim(path)?;
    match (found, list) {
        (Value::Object(_), _) | (Value::Array(_), false) => None,
        (Value::Array(items), true) => {
            let items: Vec<Value> =
                items.into_iter().filter(|item| !item.is_object() && !item.is_array()).collect();
            format_value(&Value::Array(items), ParamFormat::Array)
        }
        (single, true) => format_value(&Value::Array(vec![single]), ParamFormat::Array),
        (single, false) => format_value(&single, ParamFormat::Scalar),
    }
}

fn variable<'v>(
    variables: &'v Variables,
    name: &str,
    path: &[PathSegment],
) -> Result<&'v Value, GraphqlError> {
    let value = variables.values.get(name).and_then(|value| descend(value, path));
    value.ok_or_else(|| GraphqlError::new(Code::Internal, "the plan does not fit the variables"))
}

/// Returns a count in text format, or why it is none.
pub(crate) fn natural(value: &Value) -> Result<Option<Bytes>, GraphqlError> {
    if value.as_i64().is_some_and(|count| count < 0) {
        return Err(GraphqlError::new(Code::BadUserInput, format!("{value} rows cannot be asked for")));
    }
    Ok(format_value(value, ParamFormat::Scalar))
}

/// Returns the values of a cursor: base64url of a JSON list, the order's digest first.
pub(crate) fn cursor_values(
    value: &Value,
    order: &str,
    len: usize,
) -> Result<Vec<Option<String>>, GraphqlError> {
    let refused = |message: &str| GraphqlError::new(Code::BadUserInput, message);
    let none = || refused("the cursor is none of this service");
    let bytes = value.as_str().and_then(base64url).ok_or_else(none)?;
    let mut values: Vec<Option<String>> = serde_json::from_slice(&bytes).map_err(|_not_json| none())?;
    if values.len() != len + 1 || values[0].as_deref() != Some(order) {
        return Err(refused("the cursor belongs to another list, or to another orderBy"));
    }
    values.remove(0);
    Ok(values)
}

fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let mut buffer: u32 = 0;
    let mut bits = 0;
    for byte in text.bytes() {
        let six = match byte {
            b'-' => 62,
            b'_' => 63,
            b'+' | b'/' => return None,
            other => base64_value(other)?,
        };
        buffer = ((buffer << 6) | u32::from(six)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((buffer >> bits) & 0xff).unwrap_or(0));
        }
    }
    Some(bytes)
}

fn descend<'v>(value: &'v Value, path: &[PathSegment]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, segment| match segment {
        PathSegment::Key(key) => value.get(key),
        // A single value stands for a list of one.
        PathSegment::Index(index) => value.get(index),
    })
}

/// Returns a value in text format; `None` for null.
pub(crate) fn format_value(value: &Value, write: ParamFormat) -> Option<Bytes> {
    if write == ParamFormat::Json {
        return Some(Bytes::from(value.to_string()));
    }
    let text = match (write, value) {
        (_, Value::Null) => return None,
        (ParamFormat::Array, Value::Array(items)) => array(items, scalar_text),
        (ParamFormat::ByteaArray, Value::Array(items)) => array(items, bytea_text),
        (ParamFormat::NodeType | ParamFormat::NodeKey(_), Value::Array(items)) => {
            let parts: Vec<Value> = items.iter().map(|item| node_part(item, write)).collect();
            array(&parts, scalar_text)
        }
        (ParamFormat::NodeType | ParamFormat::NodeKey(_), value) => match node_part(value, write) {
            Value::String(text) => text,
            _ => return None,
        },
        (ParamFormat::Bytea, value) => bytea_text(value),
        (ParamFormat::Contains, value) => format!("%{}%", like_escape(&scalar_text(value))),
        (ParamFormat::StartsWith, value) => format!("{}%", like_escape(&scalar_text(value))),
        (ParamFormat::EndsWith, value) => format!("%{}", like_escape(&scalar_text(value))),
        (_, Value::String(text)) => return Some(Bytes::copy_from_slice(text.as_bytes())),
        (_, value) => scalar_text(value),
    };
    Some(Bytes::from(text))
}

fn node_part(value: &Value, part: ParamFormat) -> Value {
    value.as_str().and_then(|id| part_of(id, part)).map_or(Value::Null, Value::String)
}

fn scalar_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Writes an array literal: section 8.15.6 of PostgreSQL's manual, every element quoted.
fn array(items: &[Value], element: impl Fn(&Value) -> String) -> String {
    let mut literal = String::from("{");
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            literal.push(',');
        }
        if item.is_null() {
            literal.push_str("NULL");
            continue;
        }
        literal.push('"');
        for character in element(item).chars() {
            if matches!(character, '"' | '\\') {
                literal.push('\\');
            }
            literal.push(character);
        }
        literal.push('"');
    }
    literal.push('}');
    literal
}

fn like_escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

pub(crate) fn bytea_text(value: &Value) -> String {
    let mut hex = String::from("\\x");
    let mut buffer: u32 = 0;
    let mut bits = 0;
    for byte in scalar_text(value).bytes() {
        let Some(six) = base64_value(byte) else { continue };
        buffer = (buffer << 6) | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            hex.push_str(&format!("{:02x}", (buffer >> bits) & 0xff));
        }
    }
    hex
}

fn base64_value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, write: ParamFormat, expected: Option<&str>) {
        let value: Value = serde_json::from_str(json).unwrap();
        let text = format_value(&value, write).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        assert_eq!(text.as_deref(), expected);
    }

    #[test]
    fn scalars_keep_their_text() {
        check(r#""it's \"so\"""#, ParamFormat::Scalar, Some(r#"it's "so""#));
        check("12345678901234567890", ParamFormat::Scalar, Some("12345678901234567890"));
        check("null", ParamFormat::Scalar, None);
        check("true", ParamFormat::Scalar, Some("true"));
    }

    #[test]
    fn array_elements_cannot_break_out() {
        check(r#"["a,b","\"}","\\",null,""]"#, ParamFormat::Array, Some(r#"{"a,b","\"}","\\",NULL,""}"#));
    }

    #[test]
    fn patterns_find_their_wildcards_literally() {
        check(r#""50%_\\""#, ParamFormat::Contains, Some(r"%50\%\_\\%"));
    }

    #[test]
    fn base64_becomes_hex() {
        check(r#""aGk=""#, ParamFormat::Bytea, Some(r"\x6869"));
        check(r#""+/8=""#, ParamFormat::Bytea, Some(r"\xfbff"));
    }

    #[test]
    fn json_null_is_a_json_value() {
        check("null", ParamFormat::Json, Some("null"));
    }
}
