//! Lets nulls bubble: section 6.4.4 of the specification, "Handling Execution Errors".
//!
//! Only on the way of errors: a response without one is never parsed.

use fraiseql_model::response::{Code, GraphqlError, PathSegment};
use serde_json::{Map, Value};

use crate::shape::{ResponseShape, ShapeKind};

/// The value of one root field after completion.
#[derive(Debug)]
pub struct Completed {
    /// The value; `None` when a null bubbled past it, so that `data` itself is null.
    pub value: Option<Value>,
    /// One error for each null that came where none may.
    pub errors: Vec<GraphqlError>,
}

/// Completes the JSON text of the root field `key`; `None` is SQL NULL.
///
/// Text that is not JSON, which PostgreSQL's json functions never give, is null with an error of its own.
pub fn complete(shape: &ResponseShape, key: &str, json: Option<&[u8]>) -> Completed {
    let mut walk = Walk { path: vec![PathSegment::Key(key.to_owned())], errors: Vec::new() };
    let value = match json.map(serde_json::from_slice) {
        None => Value::Null,
        Some(Ok(value)) => value,
        Some(Err(_)) => {
            let error = GraphqlError::new(Code::Internal, "the database's answer cannot be understood");
            walk.errors.push(error.at(shape.location).on(walk.path.clone()));
            Value::Null
        }
    };
    let value = walk.value(shape, value);
    Completed { value, errors: walk.errors }
}

struct Walk {
    path: Vec<PathSegment>,
    errors: Vec<GraphqlError>,
}

impl Walk {
    /// Returns the completed value, or `None` when the parent must become null.
    fn value(&mut self, shape: &ResponseShape, value: Value) -> Option<Value> {
        let completed = match (&shape.kind, value) {
            (_, Value::Null) => {
                if shape.non_null {
                    let message = format!("{} is declared non-null and was null", shape.name);
                    let error = GraphqlError::new(Code::NullInNonNull, message);
                    self.errors.push(error.at(shape.location).on(self.path.clone()));
                }
                Value::Null
            }
            (ShapeKind::Leaf, value) => value,
            (ShapeKind::Object(fields), Value::Object(object)) => self.object(fields, object),
            (ShapeKind::List(fields), Value::Array(items)) => {
                self.list(items, false, |walk, item| match item {
                    Value::Object(object) => walk.object(fields, object),
                    other => other,
                })
            }
            (ShapeKind::Tagged(types), value) => self.tagged(types, value),
            (ShapeKind::TaggedList { types, nullable }, Value::Array(items)) => {
                self.list(items, *nullable, |walk, item| walk.tagged(types, item))
            }
            (_, value) => value,
        };
        if completed.is_null() && shape.non_null { None } else { Some(completed) }
    }

    fn list(
        &mut self,
        items: Vec<Value>,
        nullable: bool,
        mut element: impl FnMut(&mut Self, Value) -> Value,
    ) -> Value {
        let mut completed = Vec::with_capacity(items.len());
        let mut whole = true;
        for (index, item) in items.into_iter().enumerate() {
            self.path.push(PathSegment::Index(index));
            let item = element(self, item);
            self.path.pop();
            whole &= nullable || !item.is_null();
            completed.push(item);
        }
        if whole { Value::Array(completed) } else { Value::Null }
    }

    /// Takes the number off `[number, object]` and completes the object as of that type.
    fn tagged(&mut self, types: &[Vec<(String, ResponseShape)>], value: Value) -> Value {
        let Value::Array(pair) = value else { return value };
        let mut pair = pair.into_iter();
        let number = pair.next().and_then(|number| usize::try_from(number.as_u64()?).ok());
        match (number.and_then(|number| types.get(number)), pair.next()) {
            (Some(fields), Some(Value::Object(object))) => self.object(fields, object),
            _ => Value::Null,
        }
    }

    fn object(&mut self, fields: &[(String, ResponseShape)], mut object: Map<String, Value>) -> Value {
        let mut completed = Map::new();
        let mut whole = true;
        for (key, shape) in fields {
            self.path.push(PathSegment::Key(key.clone()));
            match self.value(shape, object.remove(key).unwrap_or(Value::Null)) {
                Some(value) => {
                    completed.insert(key.clone(), value);
                }
                None => whole = false,
            }
            self.path.pop();
        }
        if whole { Value::Object(completed) } else { Value::Null }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(name: &str, non_null: bool) -> (String, ResponseShape) {
        let kind = ShapeKind::Leaf;
        (name.to_owned(), ResponseShape { non_null, kind, name: format!("T.{name}"), location: None })
    }

    fn shape(kind: ShapeKind, non_null: bool) -> ResponseShape {
        ResponseShape { non_null, kind, name: "Query.t".to_owned(), location: None }
    }

    #[track_caller]
    fn check(shape: &ResponseShape, json: &str, expected: &str, paths: &[&str]) {
        let completed = complete(shape, "t", Some(json.as_bytes()));
        let value = completed.value.map_or_else(|| "bubbled".to_owned(), |value| value.to_string());
        assert_eq!(value, expected);
        let found: Vec<String> =
            completed.errors.iter().map(|error| serde_json::to_string(&error.path).unwrap()).collect();
        assert_eq!(found, paths);
    }

    #[test]
    fn a_null_goes_up_to_the_nearest_nullable_parent() {
        let inner = shape(ShapeKind::Object(vec![leaf("a", true), leaf("b", false)]), false);
        let outer = shape(ShapeKind::Object(vec![("in".to_owned(), inner), leaf("c", false)]), false);
        check(&outer, r#"{"in":{"a":1,"b":null},"c":2}"#, r#"{"in":{"a":1,"b":null},"c":2}"#, &[]);
        check(&outer, r#"{"in":{"a":null,"b":1},"c":2}"#, r#"{"in":null,"c":2}"#, &[r#"["t","in","a"]"#]);
    }

    #[test]
    fn a_null_element_makes_the_list_null_and_every_error_is_told() {
        let list = shape(ShapeKind::List(vec![leaf("a", true)]), false);
        check(&list, r#"[{"a":null},{"a":1},{"a":null}]"#, "null", &[r#"["t",0,"a"]"#, r#"["t",2,"a"]"#]);
        let list = shape(ShapeKind::List(vec![leaf("a", true)]), true);
        check(&list, r#"[{"a":null}]"#, "bubbled", &[r#"["t",0,"a"]"#]);
    }

    #[test]
    fn the_number_tells_which_fields_there_are() {
        let types = vec![vec![leaf("a", true)], vec![leaf("a", false), leaf("b", false)]];
        let one = shape(ShapeKind::Tagged(types.clone()), false);
        check(&one, r#"[1,{"a":null,"b":2}]"#, r#"{"a":null,"b":2}"#, &[]);
        check(&one, r#"[0,{"a":null}]"#, "null", &[r#"["t","a"]"#]);
        check(&one, "[0,null]", "null", &[]);
        let list = |nullable| shape(ShapeKind::TaggedList { types: types.clone(), nullable }, false);
        let json = r#"[[1,{"a":1,"b":2}],[0,{"a":null}]]"#;
        check(&list(false), json, "null", &[r#"["t",1,"a"]"#]);
        check(&list(true), json, r#"[{"a":1,"b":2},null]"#, &[r#"["t",1,"a"]"#]);
    }
}
