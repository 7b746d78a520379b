//! Proposes a schema for a database that has none. What it writes compiles unchanged.

mod naming;
mod proposal;
mod sdl;

use fraiseql_model::catalog::{Catalog, LeftOut, RelationKind};

use crate::analysis::{Analysis, analyse};
use crate::compile::{Source, compile};
use crate::database::Database;
use crate::directive::DIRECTIVES;
use crate::findings::Findings;
use crate::init::proposal::Proposal;
use crate::init::sdl::{Writable, schema};
use crate::{grants, roles, syntax, write};

/// What to propose.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// Whether to ask for aggregates and connections beside every list. Default: true.
    pub reads: bool,
    /// Whether to ask for generated writes wherever the database allows them. Default: true.
    pub writes: bool,
    /// The role that the GRANTs are for. Default: `fraiseql_service`.
    pub role: String,
}

impl Default for InitOptions {
    fn default() -> Self {
        Self { reads: true, writes: true, role: "fraiseql_service".to_owned() }
    }
}

/// What is proposed.
#[derive(Clone, Debug)]
pub struct InitOutput {
    /// The content of `schema.graphql`.
    pub schema: String,
    /// The content of `directives.graphql`.
    pub directives: String,
    /// SQL that creates the service's role and grants it what the schema uses, see [`crate::grants`], and
    /// the roles of the owner, of readers and of backups.
    pub grants: String,
    /// What exists and is not in the schema, or only in part, and why.
    pub notes: Vec<LeftOut>,
}

/// Proposes a schema for everything in the catalog.
///
/// The schema compiles against the same catalog without errors (proved by
/// `what_init_writes_compiles`), unless the catalog has nothing that GraphQL can show: then it has
/// no root field, and `notes` say why. The same catalog always gives the same text.
pub fn init(catalog: &Catalog, options: &InitOptions) -> InitOutput {
    let database = Database::new(catalog);
    let mut proposal = Proposal::of(&database);
    let mut notes = catalog.left_out.clone();
    notes.append(&mut proposal.notes);
    let mut text = schema(&database, &proposal, false, &[]);
    let mut writable = Vec::new();
    if options.writes {
        writable = self::writable(&text, catalog, &mut notes);
        text = schema(&database, &proposal, false, &writable);
    }
    let compiled = |text: &str| compile(Source { file: "schema.graphql", text }, catalog, "").artifact;
    let mut artifact = None;
    if options.reads {
        let more = schema(&database, &proposal, true, &writable);
        artifact = compiled(&more);
        match artifact {
            Some(_) => text = more,
            // The names of what is generated meet those of the database, which come first.
            None => notes.push(LeftOut {
                what: "aggregates and connections".to_owned(),
                why: "their names are taken; ask for them with @read, type by type".to_owned(),
            }),
        }
    }
    let artifact = artifact.or_else(|| compiled(&text));
    let grants = artifact.map_or_else(String::new, |artifact| {
        let service = grants::grants(&artifact, catalog, &options.role);
        service + &roles::roles(&artifact, catalog, &options.role)
    });
    InitOutput { schema: text, directives: DIRECTIVES.to_owned(), grants, notes }
}

/// Returns what can be written through each type of a schema without writes.
fn writable(text: &str, catalog: &Catalog, notes: &mut Vec<LeftOut>) -> Vec<Writable> {
    let mut findings = Findings::new("schema.graphql");
    let document = syntax::parse(&mut findings, "schema.graphql", text);
    analyse(&mut findings, &document, catalog, |_, analysis: &Analysis<'_, '_>| {
        let mut writable = Vec::new();
        for object in analysis.objects {
            let possible = write::possible(object, (&[], &[]), analysis.database, analysis.server_version);
            let verbs = [
                ("inserts", &possible.insert),
                ("updates", &possible.update),
                ("deletes", &possible.delete),
                ("upserts", &possible.upsert),
            ];
            // That a view cannot be written surprises nobody.
            let is_table = matches!(
                object.relation.kind,
                RelationKind::Table | RelationKind::PartitionedTable | RelationKind::ForeignTable
            );
            let mut told: Vec<(String, Vec<&str>)> = Vec::new();
            for (verb, result) in &verbs {
                if let (true, Err(refusal)) = (is_table, result) {
                    match told.iter_mut().find(|(why, _)| *why == refusal.message) {
                        Some((_, verbs)) => verbs.push(verb),
                        None => told.push((refusal.message.clone(), vec![verb])),
                    }
                }
            }
            notes.extend(told.into_iter().map(|(why, verbs)| LeftOut {
                what: format!("{} of {}", crate::findings::listed(&verbs), object.relation.name),
                why,
            }));
            writable.push(Writable {
                object: object.name.to_owned(),
                verbs: [
                    ("insert", possible.insert.is_ok()),
                    ("update", possible.update.is_ok()),
                    ("delete", possible.delete.is_ok()),
                    ("upsert", possible.upsert.is_ok()),
                ],
            });
        }
        writable
    })
}
