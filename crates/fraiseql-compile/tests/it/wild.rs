//! Nothing makes it panic, and nothing but the database decides what comes out.

use fraiseql_compile::{InitOptions, Source, compile, init};
use fraiseql_model::catalog::*;
use fraiseql_model::diagnostic::Severity;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::world::{chinook, name, type_ref, world};

/// Pieces that mean something somewhere, to put where they mean nothing.
const PIECES: &[&str] = &[
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "!",
    ":",
    "@",
    "\"",
    "\"\"\"",
    "#",
    "$",
    "...",
    "|",
    "&",
    "=",
    "\n",
    "é",
    "\u{feff}",
    "\0",
    "type",
    "enum",
    "extend",
    "input",
    "interface",
    "union",
    "scalar",
    "schema",
    "directive",
    "query",
    "on",
    "@relation",
    "@column",
    "@reference",
    "@write(insert: true)",
    "@function",
    "@enum",
    "@label",
    "@neverNull",
    "@parameter",
    "name",
    "\"artist\"",
    "Artist",
    "Query",
    "Mutation",
    "Subscription",
    "Int",
    "[Int]",
    "true",
    "null",
    "99999999999999999999",
    "-0.5e9",
    "__x",
    "_and",
    "where",
    "implements",
    "ArtistFilter",
];

#[derive(Clone, Debug)]
enum Edit {
    Remove(Index, Index),
    Insert(Index, &'static str),
    Repeat(Index, Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<Index>(), any::<Index>()).prop_map(|(at, length)| Edit::Remove(at, length)),
        (any::<Index>(), select(PIECES)).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        (any::<Index>(), any::<Index>(), any::<Index>())
            .prop_map(|(from, length, to)| Edit::Repeat(from, length, to)),
    ]
}

fn apply(text: &mut Vec<char>, edit: &Edit) {
    match edit {
        Edit::Remove(at, length) if !text.is_empty() => {
            let start = at.index(text.len());
            let end = (start + 1 + length.index(20)).min(text.len());
            text.drain(start..end);
        }
        Edit::Insert(at, piece) => {
            let at = at.index(text.len() + 1);
            text.splice(at..at, piece.chars());
        }
        Edit::Repeat(from, length, to) if !text.is_empty() => {
            let start = from.index(text.len());
            let end = (start + 1 + length.index(60)).min(text.len());
            let piece: Vec<char> = text[start..end].to_vec();
            let at = to.index(text.len() + 1);
            text.splice(at..at, piece);
        }
        _ => {}
    }
}

/// Compiles anything; whatever comes out must hold together.
fn survives(text: &str, catalog: &Catalog) -> Result<(), TestCaseError> {
    let compiled = compile(Source { file: "schema.graphql", text }, catalog, "test");
    let failed = compiled.diagnostics.iter().any(|found| found.severity == Severity::Error);
    prop_assert_eq!(compiled.artifact.is_none(), failed);
    for found in &compiled.diagnostics {
        prop_assert!(!found.render(Some(text)).is_empty());
    }
    if let Some(artifact) = compiled.artifact {
        let loaded = fraiseql_engine::Schema::load(artifact.clone());
        prop_assert!(loaded.is_ok(), "{:?}\n{}", loaded.err(), artifact.sdl);
    }
    Ok(())
}

const RICH: &str = r#"
type Query { artists: [Artist!]! artist(artistId: Int!): Artist top(n: Int = 3): [Artist!]! @function mood: Mood @function }
"An artist." type Artist @relation(name: "artist") @write(insert: true, update: true, delete: true, upsert: true) {
  artistId: Int! name: String @deprecated(reason: "old") mood: Mood tags: [String] albums: [Album!]! label: String @column(name: "label_text")
}
type Album @relation(name: "album", key: ["album_id"]) { albumId: ID! title: String! artist: Artist! @reference(columns: ["artist_id"], target: ["artist_id"]) }
enum Mood { happy so_so @label(name: "so so") }
scalar UUID
extend type Mutation { rename(artist: Int!, name: String = "x" @parameter(name: "title")): Boolean @function }
"#;

const RICH_WORLD: &str = "
table artist
  artist_id int4 pk default
  name varchar?
  mood mood?
  tags text[]?
  label_text text?
table album
  album_id int4
  title varchar
  artist_id int4 -> artist.artist_id
enum mood happy \"so so\"
function top(n int4) -> setof row artist
function mood() -> mood
function rename(artist int4, title text) -> void volatile
";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(edits in vec(edit(), 1..8)) {
        let mut text: Vec<char> = RICH.chars().collect();
        edits.iter().for_each(|edit| apply(&mut text, edit));
        survives(&text.into_iter().collect::<String>(), &world(RICH_WORLD))?;
    }

    #[test]
    fn no_noise_makes_it_panic(pieces in vec(select(PIECES), 0..40)) {
        survives(&pieces.join(" "), &world(RICH_WORLD))?;
    }

    #[test]
    fn what_init_writes_compiles(catalog in catalogs()) {
        let output = init(&catalog, &InitOptions::default());
        let compiled = compile(Source { file: "schema.graphql", text: &output.schema }, &catalog, "test");
        let errors: String = compiled
            .diagnostics
            .iter()
            .filter(|found| found.severity == Severity::Error)
            .map(|found| found.render(Some(&output.schema)))
            .collect();
        prop_assert!(errors.is_empty() || !output.schema.contains("type Query"), "{}\n{}", errors, output.schema);
        survives(&output.schema, &catalog)?;
        // Nothing is lost on the way: every column that is not left out is a field.
        let columns: usize = catalog.relations.iter().map(|relation| relation.columns.len()).sum();
        let bound: usize = compiled.artifact.iter().flat_map(|artifact| artifact.objects.values()).map(|object| {
            let columns = object.fields.values().filter(|field| matches!(field, fraiseql_model::artifact::Field::Column(_)));
            columns.count()
        }).sum();
        let left_out = output.notes.iter().filter(|note| note.what.starts_with("column ")).count();
        prop_assert_eq!(columns, bound + left_out);
    }
}

const NAMES: &[&str] = &[
    "id",
    "user",
    "users",
    "user_id",
    "userId",
    "User ID",
    "query",
    "Mutation",
    "String",
    "date",
    "media",
    "person",
    "people",
    "user_filter",
    "user_list",
    "users_order_by",
    "set",
    "where",
    "_and",
    "__typename",
    "2fa",
    "größe",
    "名前",
    "",
    "a b",
    "a_b",
    "aB",
    "A_B",
    "order_direction",
    "null",
    "status",
    "series",
    "UPPER",
    "v_user",
    "tb_user",
    "parent_id",
    "artist_many",
    "artist",
    "artists",
    "many",
    "\"quoted\"",
    "back\\slash",
    "new\nline",
    "object",
    "objects",
    "on_conflict",
    "int_filter",
    "mood",
    "mood_enum",
    "subscription",
    "affected_rows",
];

const TYPES: &[&str] = &[
    "int4",
    "int8",
    "text",
    "uuid",
    "bool",
    "jsonb",
    "bytea",
    "mood",
    "mood[]",
    "email",
    "tags",
    "address",
    "citext",
    "xml",
    "int4range",
    "inet",
    "feeling",
    "timestamptz",
    "numeric",
    "tags[]",
];

fn catalogs() -> impl Strategy<Value = Catalog> {
    let relation =
        (select(&["public", "public", "shop", "Other Schema"][..]), select(NAMES), 0..5_u8, columns());
    (vec(relation, 0..12), vec((any::<Index>(), any::<Index>(), any::<Index>(), any::<bool>()), 0..14))
        .prop_map(|(relations, references)| {
            let mut catalog = world(
                "domain email = citext\ndomain tags = text[]\ncomposite address street text\n\
                 enum mood happy \"so so\" so_so true\nenum feeling",
            );
            for (schema, relation, kind, columns) in relations {
                let found = QualifiedName::new(schema, relation);
                if catalog.relation(&found).is_none() {
                    catalog.relations.push(random_relation(found, kind, columns));
                }
            }
            catalog.relations.sort_by(|left, right| left.name.cmp(&right.name));
            for (from, to, column, validated) in references {
                refer(&mut catalog, from, to, column, validated);
            }
            catalog
        })
}

type RandomColumn = (&'static str, &'static str, u8, bool);

fn columns() -> impl Strategy<Value = Vec<RandomColumn>> {
    vec((select(NAMES), select(TYPES), 0..6_u8, any::<bool>()), 0..8)
}

fn random_relation(found: QualifiedName, kind: u8, random: Vec<RandomColumn>) -> Relation {
    let kind = [
        RelationKind::Table,
        RelationKind::PartitionedTable,
        RelationKind::View,
        RelationKind::MaterializedView,
        RelationKind::ForeignTable,
    ][usize::from(kind)];
    let mut columns: Vec<Column> = Vec::new();
    let mut unique_keys = Vec::new();
    for (column, sql_type, extra, nullable) in random {
        if columns.iter().any(|found| found.name == column) {
            continue;
        }
        if extra == 1 {
            unique_keys.push(Key { name: format!("{column}_key"), columns: vec![column.to_owned()] });
        }
        columns.push(Column {
            name: column.to_owned(),
            sql_type: type_ref(sql_type),
            nullability: if nullable { Nullability::Nullable } else { Nullability::NotNull },
            has_default: extra == 2,
            generated: match extra {
                3 => Generated::Expression,
                4 => Generated::IdentityAlways,
                _ => Generated::No,
            },
            comment: (extra == 5).then(|| "it's a \"\"\"comment\"\"\"\n  \\".to_owned()),
            origin: None,
        });
    }
    let primary_key = columns
        .first()
        .filter(|column| column.nullability != Nullability::Nullable)
        .map(|column| Key { name: "pkey".to_owned(), columns: vec![column.name.clone()] });
    Relation {
        name: found,
        kind,
        comment: None,
        updatable: kind != RelationKind::MaterializedView,
        columns,
        primary_key,
        unique_keys,
        foreign_keys: Vec::new(),
        indexes: Vec::new(),
        privileges: Privileges { insert: true, update: true, delete: true },
    }
}

/// Adds a foreign key, if the two have columns for it; views get origins instead.
fn refer(catalog: &mut Catalog, from: Index, to: Index, column: Index, validated: bool) {
    if catalog.relations.is_empty() {
        return;
    }
    let target = catalog.relations[to.index(catalog.relations.len())].clone();
    let count = catalog.relations.len();
    let relation = &mut catalog.relations[from.index(count)];
    let (Some(first), false) = (target.columns.first(), relation.columns.is_empty()) else { return };
    let at = column.index(relation.columns.len());
    relation.columns[at].sql_type = first.sql_type.clone();
    if matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView) {
        relation.columns[at].origin =
            Some(ColumnOrigin { relation: target.name.clone(), column: first.name.clone() });
        return;
    }
    relation.foreign_keys.push(ForeignKey {
        name: format!("fkey_{at}_{}", relation.foreign_keys.len()),
        columns: vec![relation.columns[at].name.clone()],
        target: target.name.clone(),
        target_columns: vec![first.name.clone()],
        validated,
    });
}

#[test]
fn the_order_of_the_catalog_does_not_matter() {
    for (catalog, text) in
        [(chinook(), init(&chinook(), &InitOptions::default()).schema), (world(RICH_WORLD), RICH.to_owned())]
    {
        let bytes = |catalog: &Catalog| {
            let compiled = compile(Source { file: "schema.graphql", text: &text }, catalog, "test");
            compiled.artifact.unwrap().seal().1
        };
        let mut turned = catalog.clone();
        turned.relations.reverse();
        turned.types.reverse();
        turned.functions.reverse();
        turned.relations.iter_mut().for_each(|relation| {
            relation.foreign_keys.reverse();
            relation.indexes.reverse();
        });
        assert_eq!(bytes(&catalog), bytes(&catalog), "twice");
        assert_eq!(bytes(&catalog), bytes(&turned), "turned around");
        assert_eq!(
            init(&catalog, &InitOptions::default()).schema,
            init(&turned, &InitOptions::default()).schema
        );
    }
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    for text in [
        format!("type Query {{ a: {}Int{} }}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("type Query @a(b: {}1{}) {{ a: Int }}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("query {}{}", "{ a ".repeat(100_000), "}".repeat(100_000)),
        "{".repeat(100_000),
        "type Query { a: Int } ".repeat(10_000),
    ] {
        let compiled = compile(Source { file: "schema.graphql", text: &text }, &chinook(), "test");
        assert!(compiled.artifact.is_none());
    }
    assert_eq!(name("a.b"), QualifiedName::new("a", "b"));
}
