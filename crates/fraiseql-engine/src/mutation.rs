//! Root fields of mutations: a write, then a read of what was written, in one transaction.
//!
//! A common table expression that writes reads the snapshot from before it, so the read is a
//! statement of its own; the keys travel in a setting that is local to the transaction. A DELETE
//! wants just that older snapshot and is one statement.

use fraiseql_model::artifact::{FunctionCall, FunctionReturn, MutationField, NonNull};
use fraiseql_model::response::{Code, GraphqlError};

use crate::argument::{Input, Scope};
use crate::collect::{Group, collect_below};
use crate::filter::predicate;
use crate::ir::{Predicate, Root, Source};
use crate::limits::Limits;
use crate::nested::{check_required, has_nested};
use crate::outcome::outcome;
use crate::plan::{MutationWrite, Statement};
use crate::query::{call, key_predicate, unbound};
use crate::schema::Object;
use crate::select::{Shapes, select, shape};
use crate::shape::ShapeKind;
use crate::sql::{DELETED, Writer};
use crate::version;
use crate::write::{
    Row, keep_deleted, keep_keys, keep_no_keys, keep_rows, kept_count, kept_nothing, presets, returning, row,
};

/// One root field of a mutation in the making.
struct Step<'s, 'g> {
    scope: Scope<'s>,
    group: &'g Group<'s>,
    bulk_rows: usize,
}

/// Statements, which of them has the result, and the shape of it.
type Planned = (Vec<Statement>, usize, ShapeKind);

/// Plans one root field.
pub(crate) fn mutation_write<'s>(
    scope: Scope<'s>,
    limits: &Limits,
    key: &str,
    group: &Group<'s>,
) -> Result<MutationWrite, GraphqlError> {
    let field = group[0];
    let binding = scope.schema.artifact.mutation.get(field.name.as_str());
    let binding = binding.ok_or_else(|| unbound(&field.name))?;
    let step = Step { scope, group, bulk_rows: limits.bulk_rows };
    let (statements, result, kind) = step.plan(binding)?;
    let shape = shape(scope, group, "Mutation", kind);
    let (key, field) = (key.to_owned(), field.name.to_string());
    let keyed = !matches!(binding, MutationField::Function(_));
    Ok(MutationWrite { key, field, keyed, statements, result, location: shape.location, shape })
}

impl<'s> Step<'s, '_> {
    fn plan(&self, binding: &'s MutationField) -> Result<Planned, GraphqlError> {
        let object = |name: &str| &**self.scope.schema.object(name);
        match binding {
            MutationField::InsertOne { object: name } => self.insert_one(object(name), None),
            MutationField::InsertMany { object: name } => self.insert_many(object(name), None),
            MutationField::UpsertOne { object: name, conflicts } => {
                let conflict = self.conflict(conflicts)?;
                self.insert_one(object(name), Some(conflict))
            }
            MutationField::UpsertMany { object: name, conflicts } => {
                let conflict = self.conflict(conflicts)?;
                self.insert_many(object(name), Some(conflict))
            }
            MutationField::UpdateOne { object: name, key } => {
                let condition = key_predicate(self.scope, object(name), key, self.group)?;
                let (expected, check) = self.versioned(object(name), &condition, &kept_nothing())?;
                let (write, writer) = self.update(object(name), &expected)?;
                let planned = self.read_one(object(name), write.keeping(object(name), writer))?;
                Ok(with_check(planned, check))
            }
            MutationField::UpdateMany { object: name } => {
                let condition = self.condition(object(name))?;
                let (write, writer) = self.update(object(name), &condition)?;
                self.read_many(object(name), writer, write)
            }
            MutationField::DeleteOne { object: name, key } => {
                let condition = key_predicate(self.scope, object(name), key, self.group)?;
                let (expected, check) = self.versioned(object(name), &condition, "true")?;
                let planned = self.delete_one(object(name), &expected)?;
                Ok(with_check(planned, check))
            }
            MutationField::DeleteMany { object: name } => {
                let condition = self.condition(object(name))?;
                self.delete_many(object(name), &condition)
            }
            MutationField::Function(function) => self.function(function),
        }
    }

    fn writer(&self) -> Writer<'s> {
        Writer::new(self.scope.schema, true)
    }

    fn condition(&self, object: &'s Object) -> Result<Predicate<'s>, GraphqlError> {
        let filter = self.scope.argument(self.group[0], "where")?.ok_or_else(|| unbound("where"))?;
        predicate(self.scope, object, &filter)
    }

    fn conflict(
        &self,
        conflicts: &'s std::collections::BTreeMap<String, Vec<String>>,
    ) -> Result<&'s [String], GraphqlError> {
        let value = self.scope.argument(self.group[0], "onConflict")?;
        let name = value.as_ref().and_then(|value| value.text());
        let columns = name.and_then(|name| conflicts.get(name));
        columns.map(Vec::as_slice).ok_or_else(|| unbound("onConflict"))
    }

    fn insert_one(
        &self,
        object: &'s Object,
        conflict: Option<&'s [String]>,
    ) -> Result<Planned, GraphqlError> {
        let input = self.scope.argument(self.group[0], "object")?.ok_or_else(|| unbound("object"))?;
        if has_nested(self.scope, object, std::slice::from_ref(&input)) {
            let first = self.nested(object, std::slice::from_ref(&input), conflict)?;
            return self.read_one(object, first);
        }
        let rows = [self.insert_row(object, &input)?];
        let (write, writer) = self.insert(object, &rows, conflict)?;
        self.read_one(object, write.keeping(object, writer))
    }

    fn insert_many(
        &self,
        object: &'s Object,
        conflict: Option<&'s [String]>,
    ) -> Result<Planned, GraphqlError> {
        let input = self.scope.argument(self.group[0], "objects")?.ok_or_else(|| unbound("objects"))?;
        let items = input.items();
        if items.len() > self.bulk_rows {
            let message = format!("\"objects\" must not have more than {} elements", self.bulk_rows);
            return Err(GraphqlError::new(Code::LimitExceeded, message).exceeding("limits.bulk_rows"));
        }
        if has_nested(self.scope, object, &items) {
            let first = self.nested(object, &items, conflict)?;
            return self.read_kept(object, first);
        }
        let rows = items.iter().map(|item| self.insert_row(object, item)).collect::<Result<Vec<_>, _>>()?;
        if rows.is_empty() {
            // INSERT needs a row, but nothing to insert is no error.
            let first = self.writer().finish(keep_no_keys());
            return self.read_kept(object, first);
        }
        let (write, writer) = self.insert(object, &rows, conflict)?;
        self.read_many(object, writer, write)
    }

    fn insert_row(&self, object: &'s Object, input: &Input<'s>) -> Result<Row<'s>, GraphqlError> {
        let mut row = row(self.scope, object, input)?;
        row.extend(presets(self.scope, object, false));
        check_required(self.scope, object, |column| row.iter().any(|(given, _)| *given == column))?;
        Ok(row)
    }

    /// Returns the statement that inserts rows with the rows nested in them, and keeps their keys.
    fn nested(
        &self,
        object: &'s Object,
        inputs: &[Input<'s>],
        conflict: Option<&'s [String]>,
    ) -> Result<Statement, GraphqlError> {
        let mut writer = self.writer();
        let sql = writer.insert_nested(self.scope, self.bulk_rows, object, inputs, conflict)?;
        Ok(writer.finish(sql))
    }

    fn insert(
        &self,
        object: &Object,
        rows: &[Row<'s>],
        conflict: Option<&[String]>,
    ) -> Result<(Write, Writer<'s>), GraphqlError> {
        let mut writer = self.writer();
        let mut sql = writer.insert(object, rows)?;
        if let Some(conflict) = conflict {
            let given: Vec<&str> = rows[0].iter().map(|(column, _)| *column).collect();
            let same = |row: &Row<'_>| {
                row.len() == given.len() && row.iter().all(|(column, _)| given.contains(column))
            };
            if !rows.iter().all(same) {
                let message = "every element of \"objects\" must give the same fields in an upsert";
                return Err(GraphqlError::new(Code::BadUserInput, message));
            }
            sql.push_str(&writer.on_conflict(object, conflict, &given));
        }
        Ok((Write { sql, alias: None }, writer))
    }

    fn update(
        &self,
        object: &'s Object,
        condition: &Predicate<'s>,
    ) -> Result<(Write, Writer<'s>), GraphqlError> {
        let input = self.scope.argument(self.group[0], "set")?.ok_or_else(|| unbound("set"))?;
        let mut set = row(self.scope, object, &input)?;
        if !set.is_empty() {
            set.extend(presets(self.scope, object, true));
        }
        let mut writer = self.writer();
        let (sql, alias) = writer.update(object, &set, condition)?;
        Ok((Write { sql, alias: Some(alias) }, writer))
    }

    /// Reads the row whose key the statement `first` kept.
    fn read_one(&self, object: &'s Object, first: Statement) -> Result<Planned, GraphqlError> {
        let (rows, shapes) = select(self.scope, object, Source::WrittenKeys, self.group)?;
        let mut reader = self.writer();
        let sql = reader.root_rows(&rows);
        Ok((vec![first, reader.finish(sql)], 1, ShapeKind::Object(shapes)))
    }

    /// Reads the rows whose keys the statement `first` kept, and counts them.
    fn read_kept(&self, object: &'s Object, first: Statement) -> Result<Planned, GraphqlError> {
        let mut reader = self.writer();
        let (value, shapes) = self.payload(object, &mut reader, Source::WrittenKeys, &kept_count())?;
        Ok((vec![first, reader.finish(format!("SELECT {value}"))], 1, ShapeKind::Object(shapes)))
    }

    fn read_many(
        &self,
        object: &'s Object,
        mut writer: Writer<'s>,
        write: Write,
    ) -> Result<Planned, GraphqlError> {
        if self.selects_returning() {
            return self.read_kept(object, write.keeping(object, writer));
        }
        // Without `returning` no key leaves the database, however many rows were written.
        let count = "(SELECT count(*)::pg_catalog.int4 FROM \"0w\")";
        let (value, shapes) = self.payload(object, &mut writer, Source::WrittenKeys, count)?;
        let returning = returning("1", object, write.alias.as_deref());
        let sql = format!("WITH \"0w\" AS ({} RETURNING {returning}) SELECT {value}", write.sql);
        Ok((vec![writer.finish(sql)], 0, ShapeKind::Object(shapes)))
    }

    fn delete_one(&self, object: &'s Object, condition: &Predicate<'s>) -> Result<Planned, GraphqlError> {
        let mut writer = self.writer();
        let mut sql = writer.delete(object, condition);
        let (rows, shapes) = select(self.scope, object, Source::DeletedKeys, self.group)?;
        let rows = writer.root_rows(&rows);
        sql.push_str(&format!("SELECT \"0r\".*, {} FROM ({rows}) AS \"0r\"", keep_deleted()));
        Ok((vec![writer.finish(sql)], 0, ShapeKind::Object(shapes)))
    }

    fn delete_many(&self, object: &'s Object, condition: &Predicate<'s>) -> Result<Planned, GraphqlError> {
        let mut writer = self.writer();
        let delete = writer.delete(object, condition);
        let count = format!("(SELECT count(*)::pg_catalog.int4 FROM {DELETED})");
        let (value, shapes) = self.payload(object, &mut writer, Source::DeletedKeys, &count)?;
        let kept = if self.selects_returning() { format!(", {}", keep_deleted()) } else { String::new() };
        Ok((vec![writer.finish(format!("{delete}SELECT {value}{kept}"))], 0, ShapeKind::Object(shapes)))
    }

    /// Returns the condition with the version that a client expects, and the statement that finds out
    /// whether it was the version that kept `nothing` from being written.
    fn versioned(
        &self,
        object: &'s Object,
        key: &Predicate<'s>,
        nothing: &str,
    ) -> Result<(Predicate<'s>, Option<Statement>), GraphqlError> {
        Ok(match version::expected(self.scope, object, self.group)? {
            Some(expected) => {
                let check = version::check(self.scope.schema, object, key, nothing);
                (Predicate::All(vec![key.clone(), expected]), Some(check))
            }
            None => (key.clone(), None),
        })
    }

    fn selects_returning(&self) -> bool {
        let groups = collect_below(self.scope, self.payload_type(), self.group);
        groups.values().any(|group| group[0].name == "returning")
    }

    fn payload_type(&self) -> &'s str {
        self.group[0].ty().inner_named_type().as_str()
    }

    /// Returns `{ affectedRows returning __typename }` as the field asks for them.
    fn payload(
        &self,
        object: &'s Object,
        writer: &mut Writer<'s>,
        source: Source,
        count: &str,
    ) -> Result<(String, Shapes), GraphqlError> {
        let payload_type = self.payload_type();
        let mut source = Some(source);
        let mut entries: Vec<(&str, String)> = Vec::new();
        let mut shapes = Vec::new();
        for (key, group) in collect_below(self.scope, payload_type, self.group) {
            let (value, kind) = match group[0].name.as_str() {
                "affectedRows" => (count.to_owned(), ShapeKind::Leaf),
                "returning" => {
                    let source = match source.take() {
                        Some(source) => source,
                        None if count.contains(DELETED) => Source::DeletedKeys,
                        None => Source::WrittenKeys,
                    };
                    let (rows, shapes) = select(self.scope, object, source, &group)?;
                    (writer.root_value(&Root::Many(rows)), ShapeKind::List(shapes))
                }
                _ => (writer.text(payload_type), ShapeKind::Leaf),
            };
            entries.push((key, value));
            shapes.push((key.to_owned(), shape(self.scope, &group, payload_type, kind)));
        }
        Ok((writer.object_of(&entries), shapes))
    }

    fn function(&self, function: &'s FunctionCall) -> Result<Planned, GraphqlError> {
        let call = call(self.scope, function, false, self.group)?;
        let mut writer = self.writer();
        let name = || format!("Mutation.{}", self.group[0].name);
        match &function.returns {
            FunctionReturn::Void => {
                let sql = format!("SELECT {}", writer.call(&call, None));
                let done = self.writer().finish("SELECT 'true'::pg_catalog.text".to_owned());
                Ok((vec![writer.finish(sql), done], 1, ShapeKind::Leaf))
            }
            FunctionReturn::Outcome(bound) => {
                Ok((outcome(self.scope, self.group, &call, bound)?, 1, ShapeKind::Leaf))
            }
            FunctionReturn::Value { value, set, non_null } => {
                let guard = (*non_null == NonNull::Trusted).then(name);
                let root = Root::Value { call, value, set: *set, guard };
                let sql = format!("SELECT {}", writer.root_value(&root));
                Ok((vec![writer.finish(sql)], 0, ShapeKind::Leaf))
            }
            FunctionReturn::Object { object, set, non_null } => {
                let object = self.scope.schema.object(object);
                let sql = keep_rows(&mut writer, &call);
                let first = writer.finish(sql);
                let (rows, shapes) = select(self.scope, object, Source::WrittenRows, self.group)?;
                let guard = (*non_null == NonNull::Trusted).then(name);
                let (root, kind) = if *set {
                    (Root::Many(rows), ShapeKind::List(shapes))
                } else {
                    (Root::One { select: rows, guard }, ShapeKind::Object(shapes))
                };
                let mut reader = self.writer();
                let sql = format!("SELECT {}", reader.root_value(&root));
                Ok((vec![first, reader.finish(sql)], 1, kind))
            }
        }
    }
}

/// Puts a statement behind the first one.
fn with_check((mut statements, result, kind): Planned, check: Option<Statement>) -> Planned {
    let Some(check) = check else { return (statements, result, kind) };
    statements.insert(1, check);
    (statements, if result > 0 { result + 1 } else { 0 }, kind)
}

/// A write without its RETURNING, and the alias of its target if it has one.
struct Write {
    sql: String,
    alias: Option<String>,
}

impl Write {
    /// Returns the statement that writes and keeps the keys of its rows.
    fn keeping(&self, object: &Object, writer: Writer<'_>) -> Statement {
        writer.finish(keep_keys(&self.sql, object, self.alias.as_deref()))
    }
}

impl Writer<'_> {
    fn text(&self, value: &str) -> String {
        format!("{}::pg_catalog.text", fraiseql_model::names::quote_literal(value))
    }
}
