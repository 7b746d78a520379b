//! Operations become plans.

use std::collections::BTreeMap;

use apollo_compiler::ast::OperationType;
use apollo_compiler::executable::Operation;
use apollo_compiler::introspection;
use apollo_compiler::request::RequestError;
use bytes::Bytes;
use fraiseql_model::artifact::{Derived, Form, FunctionReturn, NonNull, QueryField};
use fraiseql_model::response::{Code, GraphqlError};
use serde_json::Value;

use crate::aggregate::{Rows, aggregate};
use crate::argument::Scope;
use crate::collect::{Group, collect};
use crate::connection::connection;
use crate::document::Document;
use crate::expansion::check_expansion;
use crate::introspection::introspect;
use crate::ir::{Root, Select, Source};
use crate::limits::{Limit, Limits};
use crate::mutation::mutation_write;
use crate::node::nodes;
use crate::plan::{FieldValue, MutationPlan, MutationStep, Plan, QueryPlan, ResponseField, SingleField};
use crate::poly;
use crate::query::{call, key_predicate, unbound};
use crate::schema::Schema;
use crate::select::{apply_list_arguments, select, shape};
use crate::shape::{ResponseShape, ShapeKind};
use crate::sql::Writer;
use crate::variables::Variables;

/// Plans an operation for all requests whose variables have the shape of `variables`.
///
/// A subscription is planned as the query whose answer it watches.
///
/// Fails when a value cannot be used, or a limit is passed; nothing has run then.
pub fn plan(
    schema: &Schema,
    document: &Document,
    operation: Option<&str>,
    variables: &Variables,
    limits: &Limits,
) -> Result<Plan, Vec<GraphqlError>> {
    let scope = Scope { schema, document, variables };
    let operation = document.resolve(operation).map_err(single)?;
    check_expansion(scope, operation, limits).map_err(single)?;
    match operation.operation_type {
        OperationType::Query | OperationType::Subscription => {
            let roots = query_roots(scope, operation, limits).map_err(single)?;
            Ok(Plan::Query(query_plan(schema, roots)))
        }
        OperationType::Mutation => {
            mutation_plan(scope, operation, limits).map(Plan::Mutation).map_err(single)
        }
    }
}

/// Plans each root field of a query as a statement of its own, without guards.
///
/// For use after an SQL error of the whole: run them in one read-only repeatable-read
/// transaction, and give each result to [`crate::complete`].
pub fn plan_singles(
    schema: &Schema,
    document: &Document,
    operation: Option<&str>,
    variables: &Variables,
    limits: &Limits,
) -> Result<Vec<SingleField>, Vec<GraphqlError>> {
    let scope = Scope { schema, document, variables };
    let operation = document.resolve(operation).map_err(single)?;
    let roots = query_roots(scope, operation, limits).map_err(single)?;
    let single_field = |root: PlannedRoot<'_>| {
        let (statement, fixed) = match root.value {
            RootValue::Static(value) => (None, Some(value)),
            RootValue::Read(read) => {
                let mut writer = Writer::new(schema, false);
                let sql = format!("SELECT {}", writer.root_value(&read));
                (Some(writer.finish(sql)), None)
            }
        };
        let location = root.shape.location;
        SingleField { key: root.key, location, statement, fixed, shape: root.shape }
    };
    Ok(roots.into_iter().map(single_field).collect())
}

fn single(error: GraphqlError) -> Vec<GraphqlError> {
    vec![error]
}

struct PlannedRoot<'s> {
    key: String,
    shape: ResponseShape,
    value: RootValue<'s>,
}

enum RootValue<'s> {
    Static(Bytes),
    Read(Box<Root<'s>>),
}

fn query_plan(schema: &Schema, roots: Vec<PlannedRoot<'_>>) -> QueryPlan {
    let mut writer = Writer::new(schema, true);
    let reads = roots.iter().filter(|root| matches!(root.value, RootValue::Read(_))).count();
    let mut fields = Vec::with_capacity(roots.len());
    let mut columns = Vec::with_capacity(reads);
    let mut alone = None;
    for root in roots {
        let value = match root.value {
            RootValue::Static(value) => FieldValue::Static(value),
            RootValue::Read(read) => match *read {
                Root::Many(select) if reads == 1 => {
                    alone = Some(writer.root_rows(&select));
                    FieldValue::Rows
                }
                Root::Poly { poly, list: true, .. } if reads == 1 => {
                    alone = Some(writer.root_poly_rows(&poly));
                    FieldValue::Rows
                }
                Root::One { select, guard: None } if reads == 1 => {
                    alone = Some(writer.root_rows(&select));
                    FieldValue::Column(0)
                }
                read => {
                    columns.push(writer.root_value(&read));
                    FieldValue::Column(columns.len() - 1)
                }
            },
        };
        fields.push(ResponseField { key: root.key, value });
    }
    let sql = match (alone, columns.is_empty()) {
        (Some(sql), _) => Some(sql),
        (None, false) => Some(format!("SELECT {}", columns.join(", "))),
        (None, true) => None,
    };
    QueryPlan { fields, statement: sql.map(|sql| writer.finish(sql)) }
}

fn query_roots<'s>(
    scope: Scope<'s>,
    operation: &'s Operation,
    limits: &Limits,
) -> Result<Vec<PlannedRoot<'s>>, GraphqlError> {
    let groups = root_groups(scope, operation, limits)?;
    let is_meta = |group: &Group<'_>| matches!(group[0].name.as_str(), "__schema" | "__type");
    if groups.values().any(is_meta) {
        check_introspection(scope, operation)?;
    }
    let type_name = operation.object_type().as_str();
    let mut roots = Vec::with_capacity(groups.len());
    for (key, group) in groups {
        let (value, kind) = if is_meta(&group) {
            let value = introspect(scope, &group);
            (RootValue::Static(Bytes::from(value.to_string())), ShapeKind::Leaf)
        } else if group[0].name == "__typename" {
            (RootValue::Static(typename(type_name)), ShapeKind::Leaf)
        } else {
            let (read, kind) = query_root(scope, operation, &group)?;
            (RootValue::Read(Box::new(read)), kind)
        };
        let shape = shape(scope, &group, type_name, kind);
        roots.push(PlannedRoot { key: key.to_owned(), shape, value });
    }
    Ok(roots)
}

fn root_groups<'s>(
    scope: Scope<'s>,
    operation: &'s Operation,
    limits: &Limits,
) -> Result<indexmap::IndexMap<&'s str, Group<'s>>, GraphqlError> {
    let groups = collect(scope, operation.object_type(), [&operation.selection_set]);
    let allowed = limits.refused().root_fields;
    if groups.len() > allowed {
        return Err(Limit::RootFields.error(allowed));
    }
    Ok(groups)
}

fn query_root<'s>(
    scope: Scope<'s>,
    operation: &Operation,
    group: &Group<'s>,
) -> Result<(Root<'s>, ShapeKind), GraphqlError> {
    let field = group[0];
    let artifact = &scope.schema.artifact;
    let roots = if operation.is_subscription() { &artifact.subscription } else { &artifact.query };
    let parent = operation.object_type();
    let binding = roots.get(field.name.as_str()).ok_or_else(|| unbound(&field.name))?;
    if let Some(root) = poly_root(scope, binding, parent, group)? {
        return Ok(root);
    }
    match binding {
        QueryField::Node { .. } => Err(unbound(&field.name)),
        QueryField::List { object } => {
            let object = scope.schema.object(object);
            let (mut rows, shapes) = select(scope, object, Source::Relation, group)?;
            apply_list_arguments(scope, group, &mut rows)?;
            Ok((Root::Many(rows), ShapeKind::List(shapes)))
        }
        QueryField::Lookup { object, key } => {
            let object = scope.schema.object(object);
            let (mut rows, shapes) = select(scope, object, Source::Relation, group)?;
            rows.filter = Some(key_predicate(scope, object, key, group)?);
            Ok((one(rows, parent, group), ShapeKind::Object(shapes)))
        }
        QueryField::Derived(derived) => derived_root(scope, roots, derived, group),
        QueryField::Function(function) => {
            let call = call(scope, function, false, group)?;
            match &function.returns {
                FunctionReturn::Object { object, set, .. } => {
                    let object = scope.schema.object(object);
                    let (mut rows, shapes) = select(scope, object, Source::Call(call), group)?;
                    if *set {
                        apply_list_arguments(scope, group, &mut rows)?;
                        return Ok((Root::Many(rows), ShapeKind::List(shapes)));
                    }
                    Ok((one(rows, parent, group), ShapeKind::Object(shapes)))
                }
                FunctionReturn::Value { value, set, non_null } => {
                    let guard = (*non_null == NonNull::Trusted).then(|| root_name(parent, group));
                    Ok((Root::Value { call, value, set: *set, guard }, ShapeKind::Leaf))
                }
                FunctionReturn::Void | FunctionReturn::Outcome(_) => Err(unbound(&field.name)),
            }
        }
    }
}

/// Returns a root field of an interface or a union; `None` for any other.
fn poly_root<'s>(
    scope: Scope<'s>,
    binding: &'s QueryField,
    parent: &str,
    group: &Group<'s>,
) -> Result<Option<(Root<'s>, ShapeKind)>, GraphqlError> {
    let (QueryField::List { object: name }
    | QueryField::Lookup { object: name, .. }
    | QueryField::Node { interface: name, .. }) = binding
    else {
        return Ok(None);
    };
    let Some(found) = scope.schema.abstract_type(name) else { return Ok(None) };
    let root = match binding {
        QueryField::Node { argument, list, .. } => {
            let (poly, types) = nodes(scope, found, argument, *list, group)?;
            let kind = if *list {
                ShapeKind::TaggedList { types, nullable: true }
            } else {
                ShapeKind::Tagged(types)
            };
            (Root::Poly { poly, list: *list, guard: None }, kind)
        }
        QueryField::Lookup { key, .. } => {
            let (poly, types) = poly::lookup(scope, found, key, group)?;
            let guard = group[0].ty().is_non_null().then(|| root_name(parent, group));
            (Root::Poly { poly, list: false, guard }, ShapeKind::Tagged(types))
        }
        _ => {
            let (mut poly, types) = poly::all(scope, found, group)?;
            poly::apply_arguments(scope, group, &mut poly)?;
            (Root::Poly { poly, list: true, guard: None }, poly::list_shape(types))
        }
    };
    Ok(Some(root))
}

fn derived_root<'s>(
    scope: Scope<'s>,
    roots: &'s BTreeMap<String, QueryField>,
    derived: &'s Derived,
    group: &Group<'s>,
) -> Result<(Root<'s>, ShapeKind), GraphqlError> {
    let rows = || {
        let list = roots.get(&derived.list).ok_or_else(|| unbound(&derived.list))?;
        let (object, source) = match list {
            QueryField::List { object } => (object, Source::Relation),
            QueryField::Function(function) => match &function.returns {
                FunctionReturn::Object { object, set: true, .. } => {
                    (object, Source::Call(call(scope, function, false, group)?))
                }
                _ => return Err(unbound(&derived.list)),
            },
            _ => return Err(unbound(&derived.list)),
        };
        Ok(Rows { object: scope.schema.object(object), source, on: &[] })
    };
    match derived.form {
        Form::Aggregate | Form::Groups => {
            let (aggregate, kind) = aggregate(scope, derived.form, rows()?, group)?;
            Ok((Root::Aggregate(Box::new(aggregate)), kind))
        }
        Form::Connection => {
            let (connection, kind) = connection(scope, rows, group)?;
            Ok((Root::Connection(Box::new(connection)), kind))
        }
    }
}

fn one<'s>(select: Select<'s>, parent: &str, group: &Group<'_>) -> Root<'s> {
    let guard = group[0].ty().is_non_null().then(|| root_name(parent, group));
    Root::One { select, guard }
}

fn root_name(parent: &str, group: &Group<'_>) -> String {
    format!("{parent}.{}", group[0].name)
}

fn typename(name: &str) -> Bytes {
    Bytes::from(Value::from(name).to_string())
}

fn check_introspection(scope: Scope<'_>, operation: &Operation) -> Result<(), GraphqlError> {
    let failed = |error: RequestError| GraphqlError::new(Code::LimitExceeded, error.message().to_string());
    introspection::check_max_depth(&scope.document.executable, operation).map_err(failed)
}

fn mutation_plan(
    scope: Scope<'_>,
    operation: &Operation,
    limits: &Limits,
) -> Result<MutationPlan, GraphqlError> {
    let groups = root_groups(scope, operation, limits)?;
    let mut fields = Vec::with_capacity(groups.len());
    for (key, group) in groups {
        let key = key.to_owned();
        fields.push(if group[0].name == "__typename" {
            MutationStep::Static { key, value: typename(operation.object_type()) }
        } else {
            MutationStep::Write(mutation_write(scope, limits, &key, &group)?)
        });
    }
    Ok(MutationPlan { fields })
}
