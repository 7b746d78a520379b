//! The passes over a schema in their order, and what they found out.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use apollo_compiler::ast::Document;
use fraiseql_model::artifact::Field;
use fraiseql_model::catalog::Catalog;

use crate::alike;
use crate::author_input::Inputs;
use crate::column::Vocabulary;
use crate::database::Database;
use crate::document::Authored;
use crate::draft::Drafts;
use crate::enumeration::{self, BoundEnum};
use crate::family::Families;
use crate::findings::Findings;
use crate::json;
use crate::object::{self, BoundObject};
use crate::reading::Reading;
use crate::root::{BoundRoot, RootBinder, RootFields};
use crate::rows;
use crate::write::{self, Writes};

/// A schema, bound to a database. Complete only when nothing is wrong with it.
pub(crate) struct Analysis<'o, 'a> {
    pub(crate) authored: &'a Authored<'a>,
    pub(crate) database: &'a Database<'a>,
    pub(crate) families: &'a Families<'a>,
    pub(crate) drafts: &'a Drafts<'a, 'a>,
    pub(crate) enums: &'a BTreeMap<&'a str, BoundEnum>,
    pub(crate) inputs: &'a Inputs<'a>,
    pub(crate) objects: &'o [BoundObject<'a>],
    /// Interfaces without a relation, and unions, with the fields that all of their types have alike.
    pub(crate) commons: &'o [BoundObject<'a>],
    pub(crate) by_name: BTreeMap<&'a str, &'o BoundObject<'a>>,
    pub(crate) query: Vec<BoundRoot<'a>>,
    pub(crate) mutation: Vec<BoundRoot<'a>>,
    pub(crate) subscription: Vec<BoundRoot<'a>>,
    pub(crate) writes: Vec<Writes<'o, 'a>>,
    /// Object types that are read from JSON documents.
    pub(crate) documents: BTreeMap<&'a str, BTreeMap<String, Field>>,
    pub(crate) server_version: u32,
}

impl Analysis<'_, '_> {
    /// Returns what is generated for the lists of an object type.
    pub(crate) fn reading(&self, object: &str) -> Reading {
        self.by_name.get(object).map_or_else(Reading::default, |object| object.reading)
    }
}

/// Runs every pass, whatever the ones before it found, and hands the result to `then`.
pub(crate) fn analyse<R>(
    findings: &mut Findings,
    document: &Document,
    catalog: &Catalog,
    then: impl FnOnce(&mut Findings, &Analysis<'_, '_>) -> R,
) -> R {
    let authored = Authored::read(findings, document);
    let database = Database::new(catalog);
    let families = Families::read(findings, &authored);
    let made = OnceCell::new();
    let rows = rows::relations(&authored, &database);
    let drafts = Drafts::read(findings, &authored, &database, &families, (&made, &rows));
    let enums = enumeration::bind(findings, &authored, &drafts, &database);
    let inputs = Inputs::read(findings, &authored);
    let words = Vocabulary {
        database: &database,
        enums: &enums,
        inputs: &inputs,
        objects: authored.object_names().collect(),
        outcomes: &authored.outcomes,
        families: &families,
        refused: &authored.refused,
    };
    inputs.check(findings, &words);
    let objects = object::bind(findings, &drafts, &families, &words);
    let commons = alike::bind(findings, &families, &drafts, &objects);
    let documents = json::documents(findings, &drafts, &objects, &words);
    let roots = RootFields::read(findings, &authored);
    let binder = RootBinder {
        drafts: &drafts,
        families: &families,
        objects: objects.iter().map(|object| (object.name, object)).collect(),
        words: &words,
    };
    let query = binder.query(findings, &roots);
    let mutation = binder.mutation(findings, &roots);
    let subscription = binder.subscription(findings, &roots);
    let writes = write::bind(findings, &objects, &database, catalog.server_version);
    let by_name = objects.iter().map(|object| (object.name, object)).collect();
    let analysis = Analysis {
        authored: &authored,
        database: &database,
        families: &families,
        drafts: &drafts,
        enums: &enums,
        inputs: &inputs,
        objects: &objects,
        commons: &commons,
        by_name,
        query,
        mutation,
        subscription,
        writes,
        documents,
        server_version: catalog.server_version,
    };
    then(findings, &analysis)
}
