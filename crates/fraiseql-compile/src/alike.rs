//! What the object types of an interface or union have alike: by that their rows are filtered and ordered.

use fraiseql_model::artifact::Encoding;

use crate::database::Element;
use crate::draft::Drafts;
use crate::family::{Families, Family};
use crate::findings::Findings;
use crate::object::{Binding, BoundColumn, BoundField, BoundObject, no_key};
use crate::reading::Reading;
use crate::scalar::Class;

/// Binds the interfaces without a relation of their own, and the unions, by name.
pub(crate) fn bind<'a>(
    findings: &mut Findings,
    families: &'a Families<'a>,
    drafts: &'a Drafts<'a, 'a>,
    objects: &[BoundObject<'a>],
) -> Vec<BoundObject<'a>> {
    let mut commons = Vec::new();
    for family in families.iter().filter(|family| !family.has_relation()) {
        let members: Vec<&BoundObject<'_>> = family
            .members
            .iter()
            .filter_map(|name| objects.iter().find(|object| object.name == *name))
            .collect();
        for member in members.iter().filter(|member| member.draft.key.is_empty()) {
            findings.add(member.place, no_key(member.draft));
        }
        let Some(first) = members.first() else { continue };
        let Some(draft) = drafts.get(first.name) else { continue };
        commons.push(BoundObject {
            name: family.name,
            place: family.place,
            draft,
            relation: first.relation,
            fields: fields(family, &members),
            reading: Reading::default(),
        });
    }
    commons
}

fn fields<'a>(family: &Family<'a>, members: &[&BoundObject<'a>]) -> Vec<BoundField<'a>> {
    let Some(interface) = family.interface else { return Vec::new() };
    let mut fields = Vec::new();
    for definition in &interface.fields {
        let name = definition.name.as_str();
        let find = |object: &BoundObject<'a>| {
            object.fields.iter().find(|field| field.name == name).map(|field| field.binding.clone())
        };
        let Some(bindings) = members.iter().map(|object| find(object)).collect::<Option<Vec<_>>>() else {
            continue;
        };
        let mut bindings = bindings.into_iter();
        let Some(first) = bindings.next() else { continue };
        if bindings.all(|other| are_alike(&first, &other)) {
            fields.push(BoundField { name, binding: first });
        }
    }
    fields
}

/// True when one filter and one order serve both.
fn are_alike(left: &Binding<'_>, right: &Binding<'_>) -> bool {
    match (left, right) {
        (Binding::Column(left), Binding::Column(right)) => are_alike_columns(left, right),
        (Binding::ToOne(left), Binding::ToOne(right)) | (Binding::ToMany(left), Binding::ToMany(right)) => {
            left.target == right.target
        }
        _ => false,
    }
}

fn are_alike_columns(left: &BoundColumn<'_>, right: &BoundColumn<'_>) -> bool {
    let same = |left: &Element, right: &Element| match &left.class {
        // PostgreSQL finds a common type for those of one class, but not for these.
        Class::Opaque(_) => left.sql == right.sql,
        class => *class == right.class && left.list == right.list,
    };
    let labelled = left.value.encoding == Encoding::Label;
    left.value.graphql == right.value.graphql
        && labelled == (right.value.encoding == Encoding::Label)
        && same(&left.element, &right.element)
}
