//! Selections on bound object types become [`Select`]s, together with the shape of their values.

use fraiseql_model::artifact::{
    Derived, Encoding, Field as Binding, Form, FunctionCall, FunctionReturn, NonNull, Reference,
};
use fraiseql_model::response::{Code, GraphqlError};
use indexmap::IndexMap;

use crate::aggregate::{Rows, aggregate, named_columns};
use crate::argument::Scope;
use crate::collect::{Group, collect_below};
use crate::connection::connection;
use crate::filter::predicate;
use crate::ir::{OrderTerm, Output, OutputValue, Select, Source, Term, column_term};
use crate::order::order_terms;
use crate::plan::ParamFormat;
use crate::poly;
use crate::query::{call, unbound};
use crate::schema::{List, Object};
use crate::shape::{ResponseShape, ShapeKind};

/// Fields of an object with the shapes of their values, by response key.
pub(crate) type Shapes = Vec<(String, ResponseShape)>;

/// Returns rows of `object` with the selections below `group`.
pub(crate) fn select<'s>(
    scope: Scope<'s>,
    object: &'s Object,
    source: Source,
    group: &Group<'s>,
) -> Result<(Select<'s>, Shapes), GraphqlError> {
    let groups = collect_below(scope, &object.name, group);
    let (outputs, shapes) = outputs(scope, object, groups)?;
    let select = Select {
        object,
        source,
        on: &[],
        filter: None,
        distinct: Vec::new(),
        order: Vec::new(),
        limit: None,
        offset: None,
        first_only: false,
        outputs,
    };
    Ok((select, shapes))
}

/// Reads where, orderBy, limit and offset from the field into `select`.
pub(crate) fn apply_list_arguments<'s>(
    scope: Scope<'s>,
    group: &Group<'s>,
    select: &mut Select<'s>,
) -> Result<(), GraphqlError> {
    let field = group[0];
    if let Some(filter) = scope.argument(field, "where")?.filter(|filter| !filter.is_null()) {
        select.filter = Some(predicate(scope, select.object, &filter)?);
    }
    if let Some(order) = scope.argument(field, "orderBy")?.filter(|order| !order.is_null()) {
        select.order = order_terms(scope, select.object, &order)?;
    }
    let distinct = scope.argument(field, "distinctOn")?;
    let distinct = named_columns(select.object, distinct.as_ref())?;
    select.distinct = distinct.into_iter().map(column_term).collect();
    if select.order.is_empty() {
        let term = |term: &Term<'s>| OrderTerm { through: Vec::new(), term: term.clone(), direction: "ASC" };
        select.order = select.distinct.iter().map(term).collect();
    }
    for (name, target) in [("limit", &mut select.limit), ("offset", &mut select.offset)] {
        if let Some(count) = scope.argument(field, name)?.filter(|count| !count.is_null()) {
            *target = count.param(ParamFormat::Scalar);
        }
    }
    let paged = select.limit.is_some() || select.offset.is_some();
    if paged && select.order.is_empty() && matches!(select.source, Source::Relation) {
        // Pages of an unordered list could overlap; the key's index gives this order for nothing.
        select.order = key_order(select.object);
    }
    Ok(())
}

/// Returns the order of an object's key.
pub(crate) fn key_order(object: &Object) -> Vec<OrderTerm<'_>> {
    let term = |column| OrderTerm { through: Vec::new(), term: Term::Column(column), direction: "ASC" };
    object.key.iter().map(|key| term(key.column.as_str())).collect()
}

/// Returns the outputs for collected fields of `object`.
pub(crate) fn outputs<'s>(
    scope: Scope<'s>,
    object: &'s Object,
    groups: IndexMap<&'s str, Group<'s>>,
) -> Result<(Vec<Output<'s>>, Shapes), GraphqlError> {
    let mut outputs = Vec::with_capacity(groups.len());
    let mut shapes = Vec::with_capacity(groups.len());
    for (key, group) in groups {
        let (value, kind) = output(scope, object, &group)?;
        outputs.push(Output { key: key.to_owned(), value });
        shapes.push((key.to_owned(), shape(scope, &group, &object.name, kind)));
    }
    Ok((outputs, shapes))
}

fn output<'s>(
    scope: Scope<'s>,
    object: &'s Object,
    group: &Group<'s>,
) -> Result<(OutputValue<'s>, ShapeKind), GraphqlError> {
    let field = group[0];
    if field.name == "__typename" {
        return Ok((OutputValue::Typename(object.name.clone()), ShapeKind::Leaf));
    }
    if let Some(output) = poly_output(scope, object, group)? {
        return Ok(output);
    }
    match object.binding.fields.get(field.name.as_str()) {
        Some(Binding::Column(column)) => {
            // NOT NULL proves nothing of a float: JSON has neither NaN nor infinities.
            let float = column.value.encoding == Encoding::Float && !column.value.list;
            let proof =
                if float && column.non_null == NonNull::Proven { NonNull::Trusted } else { column.non_null };
            let guard = guard(proof, &object.name, &field.name);
            Ok((OutputValue::Column { field: column, guard }, ShapeKind::Leaf))
        }
        Some(Binding::ToOne(reference)) => {
            let (mut select, shapes) = referred(scope, reference, group)?;
            select.first_only = !covers_key(reference, select.object);
            let guard = guard(reference.non_null, &object.name, &field.name);
            Ok((OutputValue::One { select, guard }, ShapeKind::Object(shapes)))
        }
        Some(Binding::ToMany(reference)) => {
            let (mut select, shapes) = referred(scope, reference, group)?;
            apply_list_arguments(scope, group, &mut select)?;
            Ok((OutputValue::Many(select), ShapeKind::List(shapes)))
        }
        Some(Binding::Document(document)) => {
            let target = scope.schema.document(&document.target).ok_or_else(|| unbound(&document.target))?;
            let below = collect_below(scope, &target.name, group);
            let (outputs, shapes) = outputs(scope, target, below)?;
            let guard = guard(document.non_null, &object.name, &field.name);
            let kind = if document.list { ShapeKind::List(shapes) } else { ShapeKind::Object(shapes) };
            Ok((OutputValue::Document { field: document, outputs, guard }, kind))
        }
        Some(Binding::Computed(function)) => computed(scope, object, function, group),
        Some(Binding::Derived(derived)) => derived_output(scope, object, derived, group),
        Some(Binding::GlobalId) => Ok((OutputValue::GlobalId(object), ShapeKind::Leaf)),
        Some(Binding::Polymorphic(_)) | None => {
            let message = format!("{}.{} is not bound", object.name, field.name);
            Err(GraphqlError::new(Code::Internal, message))
        }
    }
}

/// Returns a list of the row in another form.
fn derived_output<'s>(
    scope: Scope<'s>,
    object: &'s Object,
    derived: &'s Derived,
    group: &Group<'s>,
) -> Result<(OutputValue<'s>, ShapeKind), GraphqlError> {
    let list = object.list(derived).ok_or_else(|| unbound(&group[0].name))?;
    let rows = || match &list {
        List::Reference(reference) => {
            let object = scope.schema.object(&reference.target);
            Ok(Rows { object, source: Source::Relation, on: &reference.on })
        }
        List::Computed { call: function, object } => {
            let source = Source::Call(call(scope, function, true, group)?);
            Ok(Rows { object: scope.schema.object(object), source, on: &[] })
        }
    };
    match derived.form {
        Form::Aggregate | Form::Groups => {
            let (aggregate, kind) = aggregate(scope, derived.form, rows()?, group)?;
            Ok((OutputValue::Aggregate(Box::new(aggregate)), kind))
        }
        Form::Connection => {
            let (connection, kind) = connection(scope, rows, group)?;
            Ok((OutputValue::Connection(Box::new(connection)), kind))
        }
    }
}

/// Returns the output of a field that leads to an interface or a union; `None` for any other.
fn poly_output<'s>(
    scope: Scope<'s>,
    object: &'s Object,
    group: &Group<'s>,
) -> Result<Option<(OutputValue<'s>, ShapeKind)>, GraphqlError> {
    let name = group[0].name.as_str();
    let binding = object.binding.fields.get(name).filter(|_| !scope.schema.abstracts.is_empty());
    let (target, list, non_null) = match binding {
        Some(Binding::ToOne(reference)) => (&reference.target, false, reference.non_null),
        Some(Binding::ToMany(reference)) => (&reference.target, true, reference.non_null),
        Some(Binding::Polymorphic(reference)) => (&reference.target, reference.list, reference.non_null),
        _ => return Ok(None),
    };
    let Some(found) = scope.schema.abstract_type(target) else { return Ok(None) };
    let (mut poly, shapes) = match binding {
        Some(Binding::Polymorphic(reference)) => poly::referred(scope, found, reference, group)?,
        Some(Binding::ToOne(reference) | Binding::ToMany(reference)) => {
            poly::related(scope, found, &reference.on, group)?
        }
        _ => return Ok(None),
    };
    if list {
        poly::apply_arguments(scope, group, &mut poly)?;
        return Ok(Some((OutputValue::Poly { poly, list, guard: None }, poly::list_shape(shapes))));
    }
    if let (Some(Binding::ToOne(reference)), Some(base)) = (binding, &found.base) {
        poly.first_only = !covers_key(reference, &base.object);
    }
    let guard = guard(non_null, &object.name, name);
    Ok(Some((OutputValue::Poly { poly, list, guard }, ShapeKind::Tagged(shapes))))
}

/// Returns what a function makes of the row.
fn computed<'s>(
    scope: Scope<'s>,
    object: &'s Object,
    function: &'s FunctionCall,
    group: &Group<'s>,
) -> Result<(OutputValue<'s>, ShapeKind), GraphqlError> {
    let name = &group[0].name;
    let call = call(scope, function, true, group)?;
    match &function.returns {
        FunctionReturn::Void | FunctionReturn::Outcome(_) => Err(unbound(name)),
        FunctionReturn::Value { value, set, non_null } => {
            let guard = guard(*non_null, &object.name, name);
            Ok((OutputValue::Computed { call, value, set: *set, guard }, ShapeKind::Leaf))
        }
        FunctionReturn::Object { object: target, set, non_null } => {
            let target = scope.schema.object(target);
            let (mut rows, shapes) = select(scope, target, Source::Call(call), group)?;
            if *set {
                apply_list_arguments(scope, group, &mut rows)?;
                return Ok((OutputValue::Many(rows), ShapeKind::List(shapes)));
            }
            let guard = guard(*non_null, &object.name, name);
            Ok((OutputValue::One { select: rows, guard }, ShapeKind::Object(shapes)))
        }
    }
}

fn referred<'s>(
    scope: Scope<'s>,
    reference: &'s Reference,
    group: &Group<'s>,
) -> Result<(Select<'s>, Shapes), GraphqlError> {
    let target = scope.schema.object(&reference.target);
    let (mut select, shapes) = select(scope, target, Source::Relation, group)?;
    select.on = &reference.on;
    Ok((select, shapes))
}

/// True when the reference names a whole key of its target, so that at most one row can come.
pub(crate) fn covers_key(reference: &Reference, target: &Object) -> bool {
    !target.key.is_empty()
        && target.key.iter().all(|key| reference.on.iter().any(|pair| pair.remote == key.column))
}

fn guard(non_null: NonNull, object: &str, field: &str) -> Option<String> {
    (non_null == NonNull::Trusted).then(|| format!("{object}.{field}"))
}

/// Returns the shape of a field's value.
pub(crate) fn shape(scope: Scope<'_>, group: &Group<'_>, parent: &str, kind: ShapeKind) -> ResponseShape {
    let field = group[0];
    ResponseShape {
        non_null: field.ty().is_non_null(),
        kind,
        name: format!("{parent}.{}", field.name),
        location: scope.document.location(field.location()),
    }
}
