//! Generated writes: what a relation allows, and the mutation fields that follow.

use std::collections::BTreeMap;

use fraiseql_model::artifact::{KeyArgument, MutationField};
use fraiseql_model::catalog::{Relation, RelationKind};
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;
use fraiseql_model::row_rule::Preset;

use crate::casing::{capitalised, upper_snake_case};
use crate::database::{Database, Writing};
use crate::findings::{Findings, listed};
use crate::nesting::{self, Nested};
use crate::object::{BoundColumn, BoundObject};
use crate::plural::plural_or_many;
use crate::row_rule::presets;
use crate::version;

/// `ON CONFLICT` on partitioned tables came with this `server_version_num`.
const PARTITIONED_UPSERT: u32 = 110_000;

/// The argument of the single forms that the version is compared with.
pub(crate) const EXPECTED_VERSION: &str = "expectedVersion";

/// Why something cannot be written, ready to be shown.
pub(crate) type Refusal = Box<Diagnostic>;

/// What can be written through an object type.
#[derive(Debug)]
pub(crate) struct Possible<'o, 'a> {
    pub(crate) insert: Result<(), Refusal>,
    pub(crate) update: Result<(), Refusal>,
    pub(crate) delete: Result<(), Refusal>,
    pub(crate) upsert: Result<(), Refusal>,
    /// Fields that an insert may give.
    inserted: Vec<InsertField<'o, 'a>>,
    /// Fields of the key that picks one row.
    key: Vec<&'a str>,
    conflicts: BTreeMap<String, Vec<String>>,
}

/// A field of an insert.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InsertField<'o, 'a> {
    pub(crate) name: &'a str,
    pub(crate) column: &'o BoundColumn<'a>,
    pub(crate) required: bool,
    /// True when a nested row can give it, so that the input itself must not insist.
    pub(crate) relaxed: bool,
}

/// The writes that are generated for an object type.
#[derive(Debug)]
pub(crate) struct Writes<'o, 'a> {
    pub(crate) object: &'o BoundObject<'a>,
    pub(crate) insert: bool,
    pub(crate) update: bool,
    pub(crate) delete: bool,
    pub(crate) upsert: bool,
    pub(crate) inserted: Vec<InsertField<'o, 'a>>,
    /// Arguments of the single forms, with the fields that they are for.
    pub(crate) key: Vec<KeyArgument>,
    /// From values of `XConflict` to columns.
    pub(crate) conflicts: BTreeMap<String, Vec<String>>,
    /// Fields of an insert that are rows of their own.
    pub(crate) nested: Vec<Nested<'a>>,
    /// The field that counts updates.
    pub(crate) version: Option<&'a str>,
    /// Columns that the caller's claims fill.
    pub(crate) presets: Vec<Preset>,
}

/// Returns the writes that the types ask for with `@write`; what cannot be is in `findings`.
pub(crate) fn bind<'o, 'a>(
    findings: &mut Findings,
    objects: &'o [BoundObject<'a>],
    database: &Database<'_>,
    server_version: u32,
) -> Vec<Writes<'o, 'a>> {
    let mut all = Vec::new();
    let nested: Vec<_> = objects.iter().map(|object| nesting::nested(object, objects, database)).collect();
    let taken = nesting::taken(&nested);
    for (object, nested) in objects.iter().zip(&nested) {
        let version = version::bind(findings, object, database);
        let Some(usage) = object.draft.applied.get("write") else {
            if let Some(preset) = object.draft.applied.get("preset") {
                let message = "@preset says nothing here";
                let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message)
                    .why(format!("no writes are generated for {}", object.name))
                    .hint("add @write(...), or take @preset away");
                findings.add(preset.place, error);
            }
            continue;
        };
        let asked = ["insert", "update", "delete", "upsert"].map(|name| usage.flag(name));
        if asked == [false; 4] {
            let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, "@write asks for nothing")
                .hint("say what: @write(insert: true, update: true, delete: true, upsert: true)");
            findings.add(usage.place, error);
            continue;
        }
        let presets = presets(findings, object, database);
        let given: Vec<&str> = nesting::given(nested).collect();
        let mut possible = possible(object, (&given, &presets), database, server_version);
        for field in &mut possible.inserted {
            let column = field.column.column.name.as_str();
            field.relaxed = given.contains(&column) || taken.contains(&(object.name, column));
        }
        let results = [&possible.insert, &possible.update, &possible.delete, &possible.upsert];
        let mut told: Vec<&Refusal> = Vec::new();
        for (name, (asked, result)) in
            ["insert", "update", "delete", "upsert"].iter().zip(asked.iter().zip(results))
        {
            if let (true, Err(refusal)) = (asked, result)
                && !told.contains(&refusal)
            {
                told.push(refusal);
                findings.add(usage.place_of(name), (**refusal).clone());
            }
        }
        let [insert, update, delete, upsert] = asked;
        all.push(Writes {
            object,
            insert,
            update,
            delete,
            upsert,
            inserted: possible.inserted,
            key: key_arguments(&possible.key, version),
            conflicts: possible.conflicts,
            nested: nested.clone(),
            version,
            presets,
        });
    }
    all
}

/// Returns what can be written through an object type. Nested rows can give the columns `given`, claims
/// fill the presets.
pub(crate) fn possible<'o, 'a>(
    object: &'o BoundObject<'a>,
    (given, presets): (&[&str], &[Preset]),
    database: &Database<'_>,
    server_version: u32,
) -> Possible<'o, 'a> {
    let relation = object.relation;
    let mut inserted = insertable(object, database);
    inserted.retain(|field| !presets.iter().any(|preset| preset.column == field.column.column.name));
    let filled = presets.iter().map(|preset| preset.column.as_str());
    let given: Vec<&str> = given.iter().copied().chain(filled).collect();
    let keys = &object.draft.keys;
    let identity = keys.iter().find(|key| key.columns == object.draft.key);
    let key = identity.into_iter().chain(keys).find_map(|key| object.key_fields(key));
    let key: Option<Vec<&str>> = key.map(|fields| fields.into_iter().map(|(name, _)| name).collect());
    let conflicts = conflicts(object, database, &inserted, presets);
    let writable = writable(object);
    let allowed = |granted: bool, verb: &str| {
        writable.clone()?;
        if granted { Ok(()) } else { Err(not_granted(relation, verb)) }
    };
    let found = key.is_some();
    let keyed = || if found { Ok(()) } else { Err(no_key_fields(object)) };
    let insert = allowed(relation.privileges.insert, "INSERT")
        .and_then(|()| complete(object, &given, database, &inserted));
    let update = allowed(relation.privileges.update, "UPDATE")
        .and_then(|()| keyed())
        .and_then(|()| if inserted.is_empty() { Err(nothing_to_set(object)) } else { Ok(()) });
    let delete = allowed(relation.privileges.delete, "DELETE").and_then(|()| keyed());
    let upsert = insert
        .clone()
        .and_then(|()| allowed(relation.privileges.update, "UPDATE"))
        .and_then(|()| can_upsert(object, server_version, &conflicts));
    Possible { insert, update, delete, upsert, inserted, key: key.unwrap_or_default(), conflicts }
}

impl<'o, 'a> Writes<'o, 'a> {
    /// Returns the fields that an update may set: the version is counted, not set.
    pub(crate) fn settable(&self) -> impl Iterator<Item = &InsertField<'o, 'a>> {
        self.inserted.iter().filter(|field| Some(field.name) != self.version)
    }

    /// Returns the generated fields of the mutation type, by name, in a fixed order.
    pub(crate) fn fields(&self) -> Vec<(String, MutationField)> {
        let object = || self.object.name.to_owned();
        let key = || self.key.clone();
        let conflicts = || self.conflicts.clone();
        let (one, many) = stems(self.object.name);
        let mut fields = Vec::new();
        if self.insert {
            fields.push((format!("insert{one}"), MutationField::InsertOne { object: object() }));
            fields.push((format!("insert{many}"), MutationField::InsertMany { object: object() }));
        }
        if self.update {
            let (object_one, key) = (object(), key());
            fields.push((format!("update{one}"), MutationField::UpdateOne { object: object_one, key }));
            fields.push((format!("update{many}"), MutationField::UpdateMany { object: object() }));
        }
        if self.delete {
            let (object_one, key) = (object(), key());
            fields.push((format!("delete{one}"), MutationField::DeleteOne { object: object_one, key }));
            fields.push((format!("delete{many}"), MutationField::DeleteMany { object: object() }));
        }
        if self.upsert {
            let field = MutationField::UpsertOne { object: object(), conflicts: conflicts() };
            fields.push((format!("upsert{one}"), field));
            let field = MutationField::UpsertMany { object: object(), conflicts: conflicts() };
            fields.push((format!("upsert{many}"), field));
        }
        fields
    }
}

/// Returns what generated mutations are called after: `Artist` and `Artists`.
pub(crate) fn stems(object: &str) -> (String, String) {
    (capitalised(object), capitalised(&plural_or_many(object)))
}

/// The first field of each column that is not computed by the database.
fn insertable<'o, 'a>(object: &'o BoundObject<'a>, database: &Database<'_>) -> Vec<InsertField<'o, 'a>> {
    let mut fields: Vec<InsertField<'_, '_>> = Vec::new();
    for (name, column) in object.columns().filter(|(_, column)| column.key.is_none()) {
        let writing = database.writing(object.relation, column.column);
        let again = fields.iter().any(|field| field.column.column.name == column.column.name);
        if writing != Writing::Never && !again {
            fields.push(InsertField { name, column, required: writing == Writing::Required, relaxed: false });
        }
    }
    fields
}

fn key_arguments(key: &[&str], version: Option<&str>) -> Vec<KeyArgument> {
    let mut taken = vec!["set".to_owned()];
    taken.extend(version.map(|_| EXPECTED_VERSION.to_owned()));
    let mut arguments = Vec::new();
    for field in key {
        let mut argument = (*field).to_owned();
        while taken.contains(&argument) {
            argument.push_str("Key");
        }
        taken.push(argument.clone());
        arguments.push(KeyArgument { argument, field: (*field).to_owned() });
    }
    arguments
}

/// The unique constraints whose columns an insert can all give, by the names of `XConflict`.
fn conflicts(
    object: &BoundObject<'_>,
    database: &Database<'_>,
    inserted: &[InsertField<'_, '_>],
    presets: &[Preset],
) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for key in database.keys(object.relation) {
        let field = |column: &String| {
            let given = inserted.iter().find(|field| field.column.column.name == *column);
            let preset = presets.iter().find(|preset| preset.column == *column);
            given.map(|field| field.name.to_owned()).or_else(|| Some(preset?.column.clone()))
        };
        let Some(fields) = key.columns.iter().map(field).collect::<Option<Vec<_>>>() else { continue };
        if found.values().any(|known| crate::draft::same_columns(known, &key.columns)) {
            continue;
        }
        let name = if key.primary {
            "PRIMARY_KEY".to_owned()
        } else {
            let names: Vec<String> = fields.iter().map(|field| upper_snake_case(field)).collect();
            names.join("_")
        };
        let mut unique = name.clone();
        let mut number = 2;
        while found.contains_key(&unique) || (!key.primary && unique == "PRIMARY_KEY") {
            unique = format!("{name}_{number}");
            number += 1;
        }
        found.insert(unique, key.columns);
    }
    found
}

fn writable(object: &BoundObject<'_>) -> Result<(), Refusal> {
    let relation = object.relation;
    if object.draft.restricted {
        let message = format!("{} is told from others in {} by a discriminator", object.name, relation.name);
        let error = Diagnostic::error(&errors::SDL_NOT_WRITABLE, message)
            .why("the rows of such types are read only so far")
            .hint("take @write away, or write a function and call it with @function");
        return Err(Box::new(error));
    }
    if !relation.updatable {
        let what = match relation.kind {
            RelationKind::View => "a view that PostgreSQL cannot write through",
            RelationKind::MaterializedView => "a materialised view",
            RelationKind::ForeignTable => "a foreign table that cannot be written",
            RelationKind::Table | RelationKind::PartitionedTable => "a table that cannot be written",
        };
        let message = format!("{} is {what}", relation.name);
        let error = Diagnostic::error(&errors::SDL_NOT_WRITABLE, message);
        let hint = "take @write away, or write a function and call it with @function";
        return Err(Box::new(error.hint(hint)));
    }
    if object.draft.key.is_empty() {
        let message = format!("{} has no key to find written rows again by", relation.name);
        let error = Diagnostic::error(&errors::SDL_NO_KEY, message);
        return Err(Box::new(match relation.kind {
            RelationKind::View => {
                error.hint(format!("say it: @relation(name: \"{}\", key: [...])", relation.name.name))
            }
            _ => error.hint("add a primary key, or take @write away"),
        }));
    }
    Ok(())
}

fn not_granted(relation: &Relation, verb: &str) -> Refusal {
    let message = format!("the role that read the catalog has no {verb} on {}", relation.name);
    let hint = format!("GRANT {verb} ON {} TO ...; or take it out of @write", relation.name.sql());
    Box::new(Diagnostic::error(&errors::SDL_NOT_WRITABLE, message).hint(hint))
}

fn no_key_fields(object: &BoundObject<'_>) -> Refusal {
    let message = format!("no unique key of {} has all of its columns as fields", object.relation.name);
    let error = Diagnostic::error(&errors::SDL_NO_KEY, message)
        .why("a client must be able to say which row it means")
        .hint(format!("add fields for {}", listed(&object.draft.key)));
    Box::new(error)
}

fn nothing_to_set(object: &BoundObject<'_>) -> Refusal {
    let message = format!("{} has no field that can be written", object.name);
    let error = Diagnostic::error(&errors::SDL_NOT_WRITABLE, message);
    Box::new(error.why("the database computes every column"))
}

/// Tells whether an insert can give every column that the relation requires.
fn complete(
    object: &BoundObject<'_>,
    given: &[&str],
    database: &Database<'_>,
    inserted: &[InsertField<'_, '_>],
) -> Result<(), Refusal> {
    if inserted.is_empty() && given.is_empty() {
        return Err(nothing_to_set(object));
    }
    let lacks =
        |name: &str| !given.contains(&name) && !inserted.iter().any(|field| field.column.column.name == name);
    let mut missing = database.required(object.relation);
    missing.retain(|name| lacks(name));
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("{} has no field for {}", object.name, listed(&missing));
    let error = Diagnostic::error(&errors::SDL_NOT_WRITABLE, message)
        .why("every insert must give what is NOT NULL without a default")
        .hint("add the field, give the column a default, or take insert and upsert out of @write");
    Err(Box::new(error))
}

fn can_upsert(
    object: &BoundObject<'_>,
    server_version: u32,
    conflicts: &BTreeMap<String, Vec<String>>,
) -> Result<(), Refusal> {
    let relation = object.relation;
    let refuse = |why: &str| {
        let message = format!("{} cannot be upserted", relation.name);
        let error = Diagnostic::error(&errors::SDL_NOT_WRITABLE, message);
        Err(Box::new(error.why(why.to_owned()).hint("take upsert out of @write")))
    };
    match relation.kind {
        RelationKind::ForeignTable => refuse("PostgreSQL has no ON CONFLICT DO UPDATE for foreign tables"),
        RelationKind::PartitionedTable if server_version < PARTITIONED_UPSERT => {
            refuse("PostgreSQL has ON CONFLICT for partitioned tables from version 11")
        }
        _ if conflicts.is_empty() => {
            let message = format!("no unique key of {} can be given by an insert", relation.name);
            let error = Diagnostic::error(&errors::SDL_NO_KEY, message)
                .why("ON CONFLICT needs a unique constraint, all of whose columns are fields")
                .hint("take upsert out of @write");
            Err(Box::new(error))
        }
        _ => Ok(()),
    }
}
