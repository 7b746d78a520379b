//! Selections on interfaces and unions: candidates of every type, then the fields of each type.

use fraiseql_model::artifact::{ColumnPair, KeyArgument, PolymorphicReference};
use fraiseql_model::response::GraphqlError;

use crate::abstract_type::Abstract;
use crate::argument::{Input, Scope};
use crate::collect::Group;
use crate::filter::predicate;
use crate::ir::{OrderTerm, Predicate, Select, Source};
use crate::node::Wanted;
use crate::order::order_terms;
use crate::plan::{Param, ParamFormat};
use crate::query::key_predicate;
use crate::schema::Object;
use crate::select::{Shapes, select};
use crate::shape::ShapeKind;

/// Rows of several object types.
///
/// Candidates are rows of (sort keys, number of the type, key). Their page is cut before the fields of
/// a type are read, which is by the key.
pub(crate) struct Poly<'s> {
    pub(crate) found: &'s Abstract,
    pub(crate) candidates: Candidates<'s>,
    /// The fields of each type, by its number; tied to the candidates by [`Select::on`].
    pub(crate) types: Vec<Select<'s>>,
    pub(crate) limit: Option<Param>,
    pub(crate) offset: Option<Param>,
    /// True when more than one row could come where one is wanted.
    pub(crate) first_only: bool,
}

/// Where candidates come from.
pub(crate) enum Candidates<'s> {
    /// Relations: that of the interface, or those of all types.
    Scans(Vec<Scan<'s>>),
    /// The row above names type and key.
    Named { discriminator: &'s str, values: Vec<&'s str>, on: Vec<&'s [ColumnPair]> },
    /// The client gives global ids.
    Nodes(Wanted),
}

/// A relation that candidates are read from.
pub(crate) struct Scan<'s> {
    pub(crate) object: &'s Object,
    pub(crate) tag: Tag<'s>,
    /// For each slot the column that goes into it.
    pub(crate) keys: &'s [Option<String>],
    /// Equal to columns of the row that it hangs below.
    pub(crate) on: &'s [ColumnPair],
    pub(crate) filter: Option<Predicate<'s>>,
    pub(crate) order: Vec<OrderTerm<'s>>,
}

/// What tells the type of a candidate.
pub(crate) enum Tag<'s> {
    /// All rows of the scan are of the type with this number.
    Is(usize),
    /// A column, whose values are in the order of the types.
    Column { column: &'s str, values: Vec<&'s str> },
}

impl<'s> Poly<'s> {
    /// Returns the columns of the row above that this depends on.
    pub(crate) fn parent_columns(&self) -> Vec<&'s str> {
        let locals = |on: &'s [ColumnPair]| on.iter().map(|pair| pair.local.as_str());
        match &self.candidates {
            Candidates::Scans(scans) => scans.iter().flat_map(|scan| locals(scan.on)).collect(),
            Candidates::Named { discriminator, on, .. } => {
                on.iter().flat_map(|on| locals(on)).chain([*discriminator]).collect()
            }
            Candidates::Nodes(_) => Vec::new(),
        }
    }

    /// True when each type has a scan of its own.
    fn is_by_type(&self) -> bool {
        let Candidates::Scans(scans) = &self.candidates else { return false };
        scans.iter().all(|scan| matches!(scan.tag, Tag::Is(_)))
    }

    /// True when candidates bring the JSON of their rows with them.
    pub(crate) fn is_whole(&self) -> bool {
        self.types.iter().any(|select| matches!(select.source, Source::Around))
    }

    /// True when the order of several scans must be made by sorting.
    pub(crate) fn is_ordered(&self) -> bool {
        let Candidates::Scans(scans) = &self.candidates else { return false };
        let paged = self.limit.is_some() || self.offset.is_some() || self.first_only;
        paged || scans.iter().any(|scan| !scan.order.is_empty())
    }
}

/// Returns all rows of an interface or union.
pub(crate) fn all<'s>(
    scope: Scope<'s>,
    found: &'s Abstract,
    group: &Group<'s>,
) -> Result<(Poly<'s>, Vec<Shapes>), GraphqlError> {
    below(scope, found, |_| &[], group)
}

/// Returns the row of an interface with a relation of its own that has a key.
pub(crate) fn lookup<'s>(
    scope: Scope<'s>,
    found: &'s Abstract,
    key: &[KeyArgument],
    group: &Group<'s>,
) -> Result<(Poly<'s>, Vec<Shapes>), GraphqlError> {
    let (mut poly, shapes) = all(scope, found, group)?;
    if let Candidates::Scans(scans) = &mut poly.candidates {
        for scan in scans {
            scan.filter = Some(key_predicate(scope, scan.object, key, group)?);
        }
    }
    Ok((poly, shapes))
}

/// Returns the rows of an interface with a relation of its own that hang below another row.
pub(crate) fn related<'s>(
    scope: Scope<'s>,
    found: &'s Abstract,
    on: &'s [ColumnPair],
    group: &Group<'s>,
) -> Result<(Poly<'s>, Vec<Shapes>), GraphqlError> {
    below(scope, found, |_| on, group)
}

/// Returns what a reference to several relations leads to.
pub(crate) fn referred<'s>(
    scope: Scope<'s>,
    found: &'s Abstract,
    reference: &'s PolymorphicReference,
    group: &Group<'s>,
) -> Result<(Poly<'s>, Vec<Shapes>), GraphqlError> {
    let on = |number: usize| reference.members[number].on.as_slice();
    let Some(discriminator) = reference.discriminator.as_deref() else {
        let (mut poly, shapes) = below(scope, found, on, group)?;
        poly.first_only = !reference.list;
        return Ok((poly, shapes));
    };
    let (mut types, shapes) = types(scope, found, group)?;
    for (select, member) in types.iter_mut().zip(&reference.members) {
        select.on = &member.on;
        let key = &select.object.key;
        let is_named = |column: &str| member.on.iter().any(|pair| pair.remote == column);
        select.first_only = key.is_empty() || !key.iter().all(|key| is_named(&key.column));
    }
    let values = reference.members.iter().map(|member| member.value.as_deref().unwrap_or("")).collect();
    let on = reference.members.iter().map(|member| member.on.as_slice()).collect();
    let candidates = Candidates::Named { discriminator, values, on };
    Ok((Poly { found, candidates, types, limit: None, offset: None, first_only: false }, shapes))
}

/// Returns the fields of each type that the selections below `group` ask for.
pub(crate) fn types<'s>(
    scope: Scope<'s>,
    found: &'s Abstract,
    group: &Group<'s>,
) -> Result<(Vec<Select<'s>>, Vec<Shapes>), GraphqlError> {
    let mut types = Vec::with_capacity(found.types.len());
    let mut shapes = Vec::with_capacity(found.types.len());
    for one in &found.types {
        let (mut fields, shape) = select(scope, &one.object, Source::Relation, group)?;
        fields.on = &one.on;
        types.push(fields);
        shapes.push(shape);
    }
    Ok((types, shapes))
}

/// Reads where, orderBy, limit and offset from the field into every scan.
pub(crate) fn apply_arguments<'s>(
    scope: Scope<'s>,
    group: &Group<'s>,
    poly: &mut Poly<'s>,
) -> Result<(), GraphqlError> {
    let field = group[0];
    let given = |name: &str| -> Result<Option<Input<'s>>, GraphqlError> {
        Ok(scope.argument(field, name)?.filter(|value| !value.is_null()))
    };
    let (filter, order) = (given("where")?, given("orderBy")?);
    if let Candidates::Scans(scans) = &mut poly.candidates {
        for scan in scans {
            if let Some(filter) = &filter {
                scan.filter = Some(predicate(scope, scan.object, filter)?);
            }
            if let Some(order) = &order {
                scan.order = order_terms(scope, scan.object, order)?;
            }
        }
    }
    for (name, target) in [("limit", &mut poly.limit), ("offset", &mut poly.offset)] {
        if let Some(count) = given(name)? {
            *target = count.param(ParamFormat::Scalar);
        }
    }
    if poly.limit.is_none() && poly.offset.is_none() && poly.is_by_type() {
        // Every row is wanted, so it need not be found again by its key.
        for select in &mut poly.types {
            select.source = Source::Around;
            select.on = &[];
        }
    }
    Ok(())
}

/// Returns the shape of a list of objects of several types.
pub(crate) fn list_shape(types: Vec<Shapes>) -> ShapeKind {
    ShapeKind::TaggedList { types, nullable: false }
}

fn below<'s>(
    scope: Scope<'s>,
    found: &'s Abstract,
    on: impl Fn(usize) -> &'s [ColumnPair],
    group: &Group<'s>,
) -> Result<(Poly<'s>, Vec<Shapes>), GraphqlError> {
    let (types, shapes) = types(scope, found, group)?;
    let scan = |object, tag, keys, on| Scan { object, tag, keys, on, filter: None, order: Vec::new() };
    let scans = match &found.base {
        Some(base) => {
            let values = found.types.iter().map(|one| one.value.as_deref().unwrap_or("")).collect();
            let tag = Tag::Column { column: base.discriminator.as_str(), values };
            vec![scan(&*base.object, tag, base.keys.as_slice(), on(0))]
        }
        None => {
            let of_type = found.types.iter().enumerate();
            of_type
                .map(|(number, one)| scan(&*one.object, Tag::Is(number), one.keys.as_slice(), on(number)))
                .collect()
        }
    };
    let candidates = Candidates::Scans(scans);
    Ok((Poly { found, candidates, types, limit: None, offset: None, first_only: false }, shapes))
}
