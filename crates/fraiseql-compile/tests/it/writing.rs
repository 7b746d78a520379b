//! What writes offer beyond plain columns, and what is said when they cannot be.

use fraiseql_compile::{Source, compile};

use crate::world::world;

const SHOP: &str = "
table artist
  id int4 pk default
  name text
  version int4 default
  seen int8?
  counted int4 generated
table album
  id int4 pk default
  title text
  artist_id int4 -> artist.id index
table chart
  id int4 pk
  place int4 novalid
composite result __typename text message text artist_id int4
composite plain message text
function register(name text) -> public.result volatile
function silent(name text) -> public.plain volatile
function noted(name text) -> jsonb volatile
function ranks() -> setof public.plain
function notes() -> public.result
";

#[track_caller]
fn told(fragment: &str) -> String {
    let text = format!("type Query {{ artists: [Artist!]! }}\n{}", fragment.trim_start());
    let source = Source { file: "schema.graphql", text: &text };
    let compiled = compile(source, &world(SHOP), "0.0.0-test");
    let told: Vec<String> = compiled.diagnostics.iter().map(|found| found.render(Some(&text))).collect();
    told.join("\n")
}

/// Returns the definitions of the public schema whose first line contains a word.
fn offered(fragment: &str, word: &str) -> String {
    let text = format!("type Query {{ artists: [Artist!]! }}\n{}", fragment.trim_start());
    let source = Source { file: "schema.graphql", text: &text };
    let compiled = compile(source, &world(SHOP), "0.0.0-test");
    let sdl = compiled.artifact.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics)).sdl;
    let parts = sdl.split("\n\n").filter(|part| part.lines().next().is_some_and(|line| line.contains(word)));
    parts.collect::<Vec<_>>().join("\n")
}

const BOTH: &str = r#"
type Artist @relation(name: "artist") @write(insert: true, upsert: true) { id: Int! name: String! albums: [Album!]! }
type Album @relation(name: "album") @write(insert: true) { id: Int! title: String! artistId: Int! artist: Artist! }
"#;

#[test]
fn related_rows_are_offered_where_both_types_insert() {
    insta::assert_snapshot!(offered(BOTH, "Input"), @r#"
input ArtistInsertInput {
  id: Int
  name: String!
  albums: AlbumNestedListInput
}
input ArtistNestedInput {
  data: ArtistInsertInput!
  onConflict: ArtistConflict
}
input AlbumInsertInput {
  id: Int
  title: String!
  artistId: Int
  artist: ArtistNestedInput
}
input AlbumNestedListInput {
  data: [AlbumInsertInput!]!
}
"#);
    let one = BOTH.replace("@write(insert: true) {", "{");
    assert!(!offered(&one, "Input").contains("Nested"));
}

#[test]
fn versions_that_count_nothing() {
    let artist = |write: &str, fields: &str| {
        told(&format!("type Artist @relation(name: \"artist\") {write} {{ id: Int! {fields} }}"))
    };
    let write = "@write(update: true)";
    insta::assert_snapshot!(artist(write, "name: String! @version"), @r#"
error[FQ-SDL-005]: Artist.name cannot be a @version: it must be smallint, integer or bigint
 --> schema.graphql:2:85
  |
2 | type Artist @relation(name: "artist") @write(update: true) { id: Int! name: String! @version }
  |                                                                                     ^^^^^^^^
  = help: ALTER TABLE "public"."artist" ADD version int NOT NULL DEFAULT 1
"#);
    insta::assert_snapshot!(artist(write, "seen: BigInt @version"), @r#"
error[FQ-SDL-005]: Artist.seen cannot be a @version: it may be NULL, which equals no version
 --> schema.graphql:2:84
  |
2 | type Artist @relation(name: "artist") @write(update: true) { id: Int! seen: BigInt @version }
  |                                                                                    ^^^^^^^^
  = help: ALTER TABLE "public"."artist" ADD version int NOT NULL DEFAULT 1
"#);
    insta::assert_snapshot!(artist(write, "counted: Int! @version"), @r#"
error[FQ-SDL-005]: Artist.counted cannot be a @version: the database computes it
 --> schema.graphql:2:85
  |
2 | type Artist @relation(name: "artist") @write(update: true) { id: Int! counted: Int! @version }
  |                                                                                     ^^^^^^^^
  = help: ALTER TABLE "public"."artist" ADD version int NOT NULL DEFAULT 1
"#);
    insta::assert_snapshot!(artist(write, "version: Int! @version again: Int! @column(name: \"version\") @version"), @r#"
error[FQ-SDL-005]: Artist.again is a second @version beside version
 --> schema.graphql:2:131
  |
2 | type Artist @relation(name: "artist") @write(update: true) { id: Int! version: Int! @version again: Int! @column(name: "version") @version }
  |                                                                                                                                   ^^^^^^^^
  = why: a row has one version
"#);
    insta::assert_snapshot!(artist("", "version: Int! @version"), @r#"
error[FQ-SDL-005]: @version on Artist.version says nothing
 --> schema.graphql:2:65
  |
2 | type Artist @relation(name: "artist")  { id: Int! version: Int! @version }
  |                                                                 ^^^^^^^^
  = why: it guards the generated updates and deletes, and the type asks for none
  = help: add @write(update: true) to Artist
"#);
    let fine = "type Artist @relation(name: \"artist\") @write(update: true, delete: true) { id: Int! name: String! version: Int! @version }";
    insta::assert_snapshot!(offered(fine, "Mutation "), @r#"
type Mutation {
  "Updates the one with this key; null when there is none."
  updateArtist(id: Int!, expectedVersion: Int!, set: ArtistSetInput!): Artist
  "Updates all that the filter lets through."
  updateArtists(where: ArtistFilter!, set: ArtistSetInput!): ArtistMutationResult
  "Deletes the one with this key and returns it; null when there is none."
  deleteArtist(id: Int!, expectedVersion: Int!): Artist
  "Deletes all that the filter lets through."
  deleteArtists(where: ArtistFilter!): ArtistMutationResult
}
"#);
}

#[test]
fn unions_that_no_function_decides() {
    let schema = |returns: &str, members: &str| {
        told(&format!(
            "type Artist @relation(name: \"artist\") {{ id: Int! }}\ntype Mutation {{ register(name: String!): {returns} }}\n{members}"
        ))
    };
    let register = "Outcome @function(name: \"register\")";
    insta::assert_snapshot!(schema(register, "union Outcome = Done | Failed\ntype Done { artist: Artist }\ntype Failed { mesage: String tries: Int }"), @r#"
error[FQ-SDL-007]: Done.artist reads "artist", which the function does not return
 --> schema.graphql:5:13
  |
5 | type Done { artist: Artist }
  |             ^^^^^^
  = help: there are __typename, message and artist_id; say which with @column(name: ...)

error[FQ-SDL-007]: Failed.mesage reads "mesage", which the function does not return
 --> schema.graphql:6:15
  |
6 | type Failed { mesage: String tries: Int }
  |               ^^^^^^
  = help: there are __typename, message and artist_id; say which with @column(name: ...)

error[FQ-SDL-007]: Failed.tries reads "tries", which the function does not return
 --> schema.graphql:6:30
  |
6 | type Failed { mesage: String tries: Int }
  |                              ^^^^^
  = help: there are __typename, message and artist_id; say which with @column(name: ...)
"#);
    insta::assert_snapshot!(schema("Outcome @function(name: \"silent\")", "union Outcome = Failed\ntype Failed { message: String }"), @r#"
error[FQ-SDL-008]: Mutation.register is the union Outcome, but public.silent does not return an outcome
 --> schema.graphql:3:42
  |
3 | type Mutation { register(name: String!): Outcome @function(name: "silent") }
  |                                          ^^^^^^^
  = why: which member it is must be said by the function
  = help: let it return jsonb with "__typename", or one row with a column __typename or succeeded; and write Outcome
"#);
    insta::assert_snapshot!(schema("[Outcome] @function(name: \"register\")", "union Outcome = Failed\ntype Failed { message: String }"), @r#"
error[FQ-SDL-008]: Mutation.register is the union Outcome, but public.register does not return an outcome
 --> schema.graphql:3:43
  |
3 | type Mutation { register(name: String!): [Outcome] @function(name: "register") }
  |                                           ^^^^^^^
  = why: which member it is must be said by the function
  = help: let it return jsonb with "__typename", or one row with a column __typename or succeeded; and write Outcome
"#);
    insta::assert_snapshot!(schema(register, "union Outcome = Artist | Failed | Nobody\ntype Failed { message: Int all: [Artist] more(a: Int): String }"), @r#"
error[FQ-SDL-017]: Artist has a relation and cannot be a member of an outcome itself
 --> schema.graphql:4:17
  |
4 | union Outcome = Artist | Failed | Nobody
  |                 ^^^^^^
  = help: make a type for the success with a field of type Artist

error[FQ-SDL-003]: there is no type Nobody
 --> schema.graphql:4:35
  |
4 | union Outcome = Artist | Failed | Nobody
  |                                   ^^^^^^

error[FQ-SDL-008]: Failed.message is Int, but "message" of its result is text
 --> schema.graphql:5:24
  |
5 | type Failed { message: Int all: [Artist] more(a: Int): String }
  |                        ^^^
  = help: write String or ID

error[FQ-SDL-017]: Failed.all cannot be [Artist]
 --> schema.graphql:5:28
  |
5 | type Failed { message: Int all: [Artist] more(a: Int): String }
  |                            ^^^
  = why: a list of rows cannot be read from a result: give the rows in a JSON field

error[FQ-SDL-007]: Failed.more reads "more", which the function does not return
 --> schema.graphql:5:42
  |
5 | type Failed { message: Int all: [Artist] more(a: Int): String }
  |                                          ^^^^
  = help: there are __typename, message and artist_id; say which with @column(name: ...)

error[FQ-SDL-019]: Failed.more reads the function's result and takes no arguments
 --> schema.graphql:5:47
  |
5 | type Failed { message: Int all: [Artist] more(a: Int): String }
  |                                               ^^^^^^
"#);
    assert_eq!(
        schema(
            "Outcome! @function(name: \"noted\")",
            "union Outcome = Done | Failed\ntype Done { artist: Artist! }\ntype Failed { any: Decimal! }"
        ),
        ""
    );
}

#[test]
fn rows_that_only_functions_return() {
    let artist = "type Artist @relation(name: \"artist\") { id: Int! rank: Rank }";
    let schema = |query: &str, rank: &str| {
        told(&format!("extend type Query {{ {query} }}\n{artist}\ntype Rank {rank}"))
    };
    let fields = "{ message: String }";
    insta::assert_snapshot!(schema("ranks: [Rank!]! @function", fields), @r#"
error[FQ-SDL-011]: Artist.rank leads to Rank, whose rows only functions return
 --> schema.graphql:3:56
  |
3 | type Artist @relation(name: "artist") { id: Int! rank: Rank }
  |                                                        ^^^^
  = help: give Rank a @relation, or take the field away
"#);
    insta::assert_snapshot!(schema("ranks: [Rank!]! @function notes: Rank @function all: [Rank!]!", "{ message: Int gone: String }"), @r#"
error[FQ-SDL-008]: Query.notes is Rank, but public.notes returns other columns
 --> schema.graphql:2:54
  |
2 | extend type Query { ranks: [Rank!]! @function notes: Rank @function all: [Rank!]! }
  |                                                      ^^^^
  = why: Rank has those of public.ranks
  = help: define another type for it

error[FQ-SDL-013]: Query.all returns Rank, whose rows only functions return
 --> schema.graphql:2:69
  |
2 | extend type Query { ranks: [Rank!]! @function notes: Rank @function all: [Rank!]! }
  |                                                                     ^^^
  = help: say which: add @function(name: ...)

error[FQ-SDL-011]: Artist.rank leads to Rank, whose rows only functions return
 --> schema.graphql:3:56
  |
3 | type Artist @relation(name: "artist") { id: Int! rank: Rank }
  |                                                        ^^^^
  = help: give Rank a @relation, or take the field away

error[FQ-SDL-008]: Rank.message is Int, but column public.ranks.message is text
 --> schema.graphql:4:22
  |
4 | type Rank { message: Int gone: String }
  |                      ^^^
  = help: write String or ID

error[FQ-SDL-007]: public.ranks has no column "gone"
 --> schema.graphql:4:26
  |
4 | type Rank { message: Int gone: String }
  |                          ^^^^
"#);
    insta::assert_snapshot!(schema("ranks: [Rank!]! @function", "@write(insert: true) { message: String! }"), @r#"
error[FQ-SDL-011]: Artist.rank leads to Rank, whose rows only functions return
 --> schema.graphql:3:56
  |
3 | type Artist @relation(name: "artist") { id: Int! rank: Rank }
  |                                                        ^^^^
  = help: give Rank a @relation, or take the field away

error[FQ-SDL-015]: public.ranks is a view that PostgreSQL cannot write through
 --> schema.graphql:4:18
  |
4 | type Rank @write(insert: true) { message: String! }
  |                  ^^^^^^^^^^^^
  = help: take @write away, or write a function and call it with @function

error[FQ-SDL-009]: Rank.message is marked ! but column public.ranks.message can be null
 --> schema.graphql:4:43
  |
4 | type Rank @write(insert: true) { message: String! }
  |                                           ^^^^^^
  = help: write String, or add @neverNull if you know that no null comes
"#);
}
