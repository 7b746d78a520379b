//! From a schema and a catalog to an artifact.

use std::collections::BTreeMap;

use fraiseql_model::access::Access;
use fraiseql_model::artifact::{
    ARTIFACT_FORMAT, AbstractType, Artifact, ColumnField, Field, Member, MutationField, ObjectType,
    QueryField,
};
use fraiseql_model::catalog::Catalog;
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;

use crate::analysis::{Analysis, analyse};
use crate::family::Family;
use crate::findings::Findings;
use crate::object::{Binding, BoundObject};
use crate::root::{BoundRoot, RootBinding};
use crate::{access, manifest, nesting, public, syntax};

/// A schema to compile.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The file's name as the user wrote it; diagnostics repeat it.
    pub file: &'a str,
    /// Its content.
    pub text: &'a str,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The artifact, its digest filled in; `None` when any diagnostic is an error.
    pub artifact: Option<Artifact>,
    /// Errors and warnings in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiles a schema against a catalog.
///
/// Every problem is told in one run. The same schema and the same database, whatever the order of
/// the catalog's lists, give the same artifact to the byte (proved by
/// `the_order_of_the_catalog_does_not_matter`). Any text at all gives diagnostics, never a panic
/// (proved by `no_text_makes_it_panic`). `compiler_version` is written into the artifact.
pub fn compile(source: Source<'_>, catalog: &Catalog, compiler_version: &str) -> Compiled {
    let mut findings = Findings::new(source.file);
    let document = syntax::parse(&mut findings, source.file, source.text);
    let broken = syntax::broken(&findings);
    let artifact = analyse(&mut findings, &document, catalog, |findings, analysis| {
        check_mutation(findings, analysis);
        let sdl = public::schema(findings, analysis);
        if !findings.has_errors() {
            syntax::validate(findings, &document);
        }
        let access = access::read(findings, analysis);
        (!findings.has_errors()).then(|| artifact(analysis, sdl, access, compiler_version))
    });
    if !broken.is_empty() {
        syntax::drop_consequences(&mut findings, &document, &broken);
    }
    Compiled { artifact, diagnostics: findings.finish() }
}

fn check_mutation(findings: &mut Findings, analysis: &Analysis<'_, '_>) {
    if let Some(mutation) = &analysis.authored.mutation
        && mutation.fields.is_empty()
    {
        let error = Diagnostic::error(&errors::SDL_INVALID, "type Mutation has no fields")
            .hint("leave it away: it is generated when a type has @write");
        findings.add(mutation.place, error);
    }
}

fn artifact(analysis: &Analysis<'_, '_>, sdl: String, access: Access, compiler_version: &str) -> Artifact {
    let objects =
        analysis.objects.iter().map(|object| (object.name.to_owned(), object_type(analysis, object)));
    let enums = analysis.enums.iter().filter_map(|(name, bound)| {
        let binding = bound.binding.clone()?;
        Some(((*name).to_owned(), binding))
    });
    let (artifact, _) = Artifact {
        format: ARTIFACT_FORMAT,
        digest: String::new(),
        compiler: compiler_version.to_owned(),
        sdl,
        objects: objects.collect(),
        enums: enums.collect(),
        query: query(analysis, &analysis.query),
        mutation: mutation(analysis),
        manifest: manifest::manifest(analysis, &access),
        abstracts: abstracts(analysis),
        documents: analysis
            .documents
            .iter()
            .map(|(name, fields)| ((*name).to_owned(), fields.clone()))
            .collect(),
        subscription: query(analysis, &analysis.subscription),
        writes: nesting::rules(analysis),
        operations: Vec::new(),
        inputs: analysis.inputs.bindings(),
        access,
    }
    .seal();
    artifact
}

fn object_type(analysis: &Analysis<'_, '_>, object: &BoundObject<'_>) -> ObjectType {
    let field = |binding: &Binding<'_>| match binding {
        Binding::Column(column) => Field::Column(ColumnField {
            column: column.column.name.clone(),
            value: column.value.clone(),
            non_null: column.non_null,
            key: column.key.clone(),
        }),
        Binding::Document(document) => Field::Document(document.clone()),
        Binding::ToOne(reference) => Field::ToOne(reference.clone()),
        Binding::ToMany(reference) => Field::ToMany(reference.clone()),
        Binding::Polymorphic(reference) => Field::Polymorphic(reference.clone()),
        Binding::GlobalId => Field::GlobalId,
        Binding::Computed(call) => Field::Computed(call.call.clone()),
    };
    let bound = object.fields.iter().map(|bound| (bound.name.to_owned(), field(&bound.binding)));
    let derived = object.fields.iter().flat_map(|bound| match bound.binding.listed() {
        Some(target) => analysis.reading(target).fields(bound.name),
        None => Vec::new(),
    });
    ObjectType {
        relation: object.relation.name.clone(),
        key: object.draft.key.clone(),
        fields: bound.chain(derived.map(|(name, derived)| (name, Field::Derived(derived)))).collect(),
        rows: if object.draft.rows {
            let columns = object.relation.columns.iter();
            columns.map(|column| (column.name.clone(), column.sql_type.sql())).collect()
        } else {
            Vec::new()
        },
    }
}

fn abstracts(analysis: &Analysis<'_, '_>) -> BTreeMap<String, AbstractType> {
    let member = |name: &str, family: &Family<'_>| {
        let inherited = analysis.drafts.inherited.get(family.name);
        let heir = inherited.and_then(|found| found.members.get(name));
        Member {
            object: name.to_owned(),
            value: heir.map(|heir| heir.value.clone()),
            join: heir.map_or_else(Vec::new, |heir| heir.join.clone()),
        }
    };
    let families = analysis.families.iter();
    families
        .map(|family| {
            let members = family.members.iter().map(|name| member(name, family)).collect();
            let inherited = analysis.drafts.inherited.get(family.name);
            let discriminator = inherited.map(|found| found.discriminator.clone());
            (family.name.to_owned(), AbstractType { members, discriminator })
        })
        .collect()
}

fn query(analysis: &Analysis<'_, '_>, roots: &[BoundRoot<'_>]) -> BTreeMap<String, QueryField> {
    let field = |binding: &RootBinding<'_>| match binding {
        RootBinding::List { object } => QueryField::List { object: (*object).to_owned() },
        RootBinding::Lookup { object, key } => {
            QueryField::Lookup { object: (*object).to_owned(), key: key.clone() }
        }
        RootBinding::Node { interface, argument, list } => QueryField::Node {
            interface: (*interface).to_owned(),
            argument: (*argument).to_owned(),
            list: *list,
        },
        RootBinding::Call(call) => QueryField::Function(call.call.clone()),
    };
    let bound = roots.iter().map(|root| (root.name.to_owned(), field(&root.binding)));
    let derived = roots.iter().flat_map(|root| match root.binding.listed() {
        Some(object) => analysis.reading(object).fields(root.name),
        None => Vec::new(),
    });
    bound.chain(derived.map(|(name, derived)| (name, QueryField::Derived(derived)))).collect()
}

fn mutation(analysis: &Analysis<'_, '_>) -> BTreeMap<String, MutationField> {
    let called = analysis.mutation.iter().filter_map(|root| match &root.binding {
        RootBinding::Call(call) => Some((root.name.to_owned(), MutationField::Function(call.call.clone()))),
        _ => None,
    });
    let generated = analysis.writes.iter().flat_map(|writes| writes.fields());
    called.chain(generated).collect()
}
