//! Interfaces and unions: which object types belong to each, and whether these keep its promises.

use std::collections::BTreeMap;

use apollo_compiler::Name;
use apollo_compiler::ast::{FieldDefinition, Type};
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;

use crate::document::{Authored, AuthoredObject};
use crate::findings::{Findings, Place, suggesting};

/// The interfaces and unions of a document, by name.
#[derive(Debug, Default)]
pub(crate) struct Families<'d> {
    by_name: BTreeMap<&'d str, Family<'d>>,
}

/// An interface or a union.
#[derive(Debug)]
pub(crate) struct Family<'d> {
    pub(crate) name: &'d str,
    pub(crate) place: Place,
    /// The object types, in the order of the document or of the union.
    pub(crate) members: Vec<&'d str>,
    /// `None` for a union.
    pub(crate) interface: Option<&'d AuthoredObject<'d>>,
    /// Its only field, when it stands for global ids.
    pub(crate) global_id: Option<&'d str>,
}

impl<'d> Families<'d> {
    /// Sorts object types into interfaces and unions; what does not fit is in `findings`.
    pub(crate) fn read(findings: &mut Findings, authored: &'d Authored<'d>) -> Self {
        let mut families = Self::default();
        for interface in &authored.interfaces {
            let members = authored.objects.iter().filter(|object| implements(object, interface.name));
            families.by_name.insert(
                interface.name,
                Family {
                    name: interface.name,
                    place: interface.place,
                    members: members.map(|object| object.name).collect(),
                    interface: Some(interface),
                    global_id: global_id(interface),
                },
            );
        }
        for union in &authored.unions {
            let is_object =
                |name: &&&Name| authored.objects.iter().any(|object| object.name == name.as_str());
            for name in union.members.iter().filter(|name| !is_object(name)) {
                findings.add(name.location(), no_member(authored, union.name, name));
            }
            let members = union.members.iter().filter(is_object).map(|name| name.as_str()).collect();
            let (name, place) = (union.name, union.place);
            families.by_name.insert(name, Family { name, place, members, interface: None, global_id: None });
        }
        for object in authored.objects.iter().chain(&authored.interfaces) {
            families.check(findings, authored, object);
        }
        families
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Family<'d>> {
        self.by_name.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Family<'d>> {
        self.by_name.values()
    }

    /// Returns the interfaces with a relation of their own that a type implements.
    pub(crate) fn bases<'f>(
        &'f self,
        object: &'f AuthoredObject<'d>,
    ) -> impl Iterator<Item = &'f Family<'d>> {
        let families = object.implements.iter().filter_map(|name| self.get(name));
        families.filter(|family| family.has_relation())
    }

    /// Returns true when a field of a type is its global id.
    pub(crate) fn is_global_id(&self, object: &AuthoredObject<'_>, field: &str) -> bool {
        let families = object.implements.iter().filter_map(|name| self.get(name));
        families.into_iter().any(|family| family.global_id == Some(field))
    }

    fn check(&self, findings: &mut Findings, authored: &Authored<'d>, object: &AuthoredObject<'d>) {
        for name in &object.implements {
            let Some(interface) = self.get(name).and_then(|family| family.interface) else {
                let message = format!("there is no interface {name}");
                let known = authored.interfaces.iter().map(|interface| interface.name);
                let error = Diagnostic::error(&errors::SDL_UNKNOWN_TYPE, message);
                findings.add(name.location(), suggesting(error, name, known));
                continue;
            };
            for above in interface.implements.iter().filter(|above| !implements(object, above)) {
                let message = format!("{} implements {name}, but not {above}", object.name);
                let error = Diagnostic::error(&errors::SDL_INVALID, message)
                    .why(format!("{name} implements {above}, and a type names all of its interfaces"))
                    .hint(format!("{} implements {name} & {above}", object.name));
                findings.add(name.location(), error);
            }
            for promised in &interface.fields {
                let kept = object.fields.iter().find(|field| field.name == promised.name);
                match kept {
                    Some(kept) => self.check_field(findings, object, interface, kept, promised),
                    None => findings.add(name.location(), missing(object, interface, promised)),
                }
            }
        }
    }

    fn check_field(
        &self,
        findings: &mut Findings,
        object: &AuthoredObject<'_>,
        interface: &AuthoredObject<'_>,
        kept: &FieldDefinition,
        promised: &FieldDefinition,
    ) {
        let place = kept.ty.inner_named_type().location();
        let owner = |object: &AuthoredObject<'_>| format!("{}.{}", object.name, promised.name);
        let (own, its) = (owner(object), owner(interface));
        if !self.fits(&kept.ty, &promised.ty) {
            let message = format!("{own} is {}, but {its} is {}", kept.ty, promised.ty);
            let error = Diagnostic::error(&errors::SDL_INVALID, message)
                .why(format!("whoever asks for {its} relies on its type"))
                .hint(format!("write {} in both, or a narrower type here", promised.ty));
            findings.add(place, error);
        } else if kept.ty.is_list() && kept.ty.inner_named_type() != promised.ty.inner_named_type() {
            let message = format!("{own} is a list of {}", kept.ty.inner_named_type());
            let error = Diagnostic::error(&errors::SDL_UNSUPPORTED, message)
                .why(format!("{its} is a list of another type, so its filter would be another too"))
                .hint(format!("write {}", promised.ty));
            findings.add(place, error);
        }
    }

    /// True when every value of `narrow` is one of `wide`: section 3.6 of the specification,
    /// IsValidImplementationFieldType.
    fn fits(&self, narrow: &Type, wide: &Type) -> bool {
        match (narrow, wide) {
            (Type::NonNullNamed(narrow), Type::NonNullNamed(wide) | Type::Named(wide))
            | (Type::Named(narrow), Type::Named(wide)) => narrow == wide || self.is_part(narrow, wide),
            (Type::NonNullList(narrow), Type::NonNullList(wide) | Type::List(wide))
            | (Type::List(narrow), Type::List(wide)) => self.fits(narrow, wide),
            _ => false,
        }
    }

    fn is_part(&self, narrow: &str, wide: &str) -> bool {
        let is_member = self.get(wide).is_some_and(|family| family.members.contains(&narrow));
        let interface = self.get(narrow).and_then(|family| family.interface);
        is_member || interface.is_some_and(|interface| implements(interface, wide))
    }
}

impl Family<'_> {
    /// True for an interface that is bound to a relation.
    pub(crate) fn has_relation(&self) -> bool {
        let directives = self.interface.map_or(&[][..], |interface| interface.directives.as_slice());
        directives.iter().any(|directive| directive.name == "relation")
    }

    /// Returns that the field `owner` would never have a row.
    pub(crate) fn empty(&self, owner: &str) -> Diagnostic {
        let word = if self.interface.is_some() { "interface" } else { "union" };
        let message = format!("no type belongs to {word} {}", self.name);
        Diagnostic::error(&errors::SDL_INVALID, message)
            .why(format!("{owner} would never have a row"))
            .hint(format!("type ... implements {}", self.name))
    }
}

fn implements(object: &AuthoredObject<'_>, interface: &str) -> bool {
    object.implements.iter().any(|name| *name == interface)
}

/// Returns the field of `interface Node { id: ID! }`, the global object identification of Relay.
fn global_id<'d>(interface: &AuthoredObject<'d>) -> Option<&'d str> {
    let [field] = interface.fields.as_slice() else { return None };
    let is_id = matches!(&field.ty, Type::NonNullNamed(name) if name == "ID");
    let bound = interface.directives.iter().any(|directive| directive.name == "relation");
    (interface.name == "Node" && is_id && field.arguments.is_empty() && !bound).then(|| field.name.as_str())
}

fn no_member(authored: &Authored<'_>, union: &str, name: &Name) -> Diagnostic {
    let message = format!("{union} cannot have {name}, which is no object type");
    let error = Diagnostic::error(&errors::SDL_UNKNOWN_TYPE, message);
    suggesting(error, name, authored.object_names())
}

fn missing(
    object: &AuthoredObject<'_>,
    interface: &AuthoredObject<'_>,
    promised: &FieldDefinition,
) -> Diagnostic {
    let message =
        format!("{} implements {} without its field {}", object.name, interface.name, promised.name);
    Diagnostic::error(&errors::SDL_INVALID, message)
        .hint(format!("add {}: {} to {}", promised.name, promised.ty, object.name))
}
