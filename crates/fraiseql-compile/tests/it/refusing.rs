//! Schemas that do not compile, and everything that is said about them.

use fraiseql_compile::{Source, compile};
use fraiseql_model::catalog::Catalog;

use crate::world::world;

const SHOP: &str = "
table artist
  artist_id int4 pk
  name varchar?
  mood mood?
  tags text[]?
  balance numeric?
  plays int8
table album
  album_id int4 pk
  title varchar
  artist_id int4 -> artist.artist_id
  producer_id int4? -> artist.artist_id index
  released timestamptz?
table audit.entry
  line text?
table archive.paper
  id int4 pk
table attic.paper
  id int4 pk
view titles updatable
  album_id int4 from album.album_id
  title varchar from album.title
view artist_names
  artist_id int4 from artist.artist_id
  label text?
matview stat
  n int8?
table secret noinsert nodelete
  id int4 pk
  code text
  hidden text
table counter
  id int4 pk always
  seen int4 generated
partitioned event
  id int8 pk
  artist_id int4 -> artist.artist_id
enum mood happy sad
enum feeling good bad
function top(n int4) -> setof row album
function top_artist(n int8, kind text =) -> row artist
function newest() -> row album volatile
function count_albums(artist int4) -> int8
function two(a int4) -> int4
function two(a text) -> int4
function odd(int4) -> int4
function many(variadic xs int4[]) -> int4
function report() -> setof table
function fired() -> trigger
function log(line text) -> void volatile
function words() -> setof text
";

fn told(text: &str, catalog: &Catalog) -> String {
    let source = Source { file: "schema.graphql", text };
    let compiled = compile(source, catalog, "0.0.0-test");
    let told: Vec<String> = compiled.diagnostics.iter().map(|found| found.render(Some(text))).collect();
    told.join("\n")
}

/// Completes a fragment by what every schema needs, and compiles it.
pub fn check(fragment: &str) -> String {
    let text = format!(
        "type Query {{ artists: [Artist!]! }}\ntype Artist @relation(name: \"artist\") {{ artistId: Int! }}\n{}",
        fragment.trim_start()
    );
    told(&text, &world(SHOP))
}

#[test]
fn broken_syntax() {
    insta::assert_snapshot!(told("type Query { artists: [Artist!! }\ntype Artist @relation(name: \"artits\") { artistId: Int! }", &world(SHOP)), @r#"
error[FQ-SDL-001]: expected "]", got !
 --> schema.graphql:1:31
  |
1 | type Query { artists: [Artist!! }
  |                               ^

error[FQ-SDL-006]: the database has no table or view "artits"
 --> schema.graphql:2:23
  |
2 | type Artist @relation(name: "artits") { artistId: Int! }
  |                       ^^^^^^^^^^^^^^
  = help: did you mean "artist"?
"#);
    insta::assert_snapshot!(told("type Query {", &world(SHOP)), @r#"
error[FQ-SDL-001]: expected Field Definition
 --> schema.graphql:1:13
  |
1 | type Query {
  |             ^
"#);
    insta::assert_snapshot!(told("", &world(SHOP)), @r#"
error[FQ-SDL-001]: the file is empty
 --> schema.graphql:1:1
  |
1 | 
  | ^
  = help: type Query { ... }
"#);
    insta::assert_snapshot!(told("tipe Query { a: Int }", &world(SHOP)), @r#"
error[FQ-SDL-001]: expected a definition, found "tipe"
 --> schema.graphql:1:1
  |
1 | tipe Query { a: Int }
  | ^^^^
  = help: did you mean "type"?
"#);
    insta::assert_snapshot!(told("type Query { a: \"", &world(SHOP)), @r#"
error[FQ-SDL-001]: unexpected end of data while lexing string value
 --> schema.graphql:1:17
  |
1 | type Query { a: "
  |                 ^

error[FQ-SDL-001]: expected a Type
 --> schema.graphql:1:18
  |
1 | type Query { a: "
  |                  ^
"#);
}

#[test]
fn relations_that_are_not_there() {
    insta::assert_snapshot!(check(r#"type A @relation(name: "artst") { artistId: Int! }"#), @r#"
error[FQ-SDL-006]: the database has no table or view "artst"
 --> schema.graphql:3:18
  |
3 | type A @relation(name: "artst") { artistId: Int! }
  |                  ^^^^^^^^^^^^^
  = help: did you mean "artist"?
"#);
    insta::assert_snapshot!(check(r#"type A @relation(name: "paper") { id: Int! }"#), @r#"
error[FQ-SDL-006]: relations named "paper" are in the schemas archive and attic
 --> schema.graphql:3:18
  |
3 | type A @relation(name: "paper") { id: Int! }
  |                  ^^^^^^^^^^^^^
  = help: say which: @relation(name: "paper", schema: "archive")
"#);
    insta::assert_snapshot!(check(r#"type A @relation(name: "artist", schema: "audit") { id: Int! }"#), @r#"
error[FQ-SDL-006]: the database has no table or view "audit.artist"
 --> schema.graphql:3:18
  |
3 | type A @relation(name: "artist", schema: "audit") { id: Int! }
  |                  ^^^^^^^^^^^^^^
  = help: it is in the schema "public"
"#);
    insta::assert_snapshot!(check("type Albums { albumId: Int! }"), @r#"
error[FQ-SDL-006]: type Albums does not say where its rows come from
 --> schema.graphql:3:6
  |
3 | type Albums { albumId: Int! }
  |      ^^^^^^
  = help: type Albums @relation(name: "album")
"#);
    insta::assert_snapshot!(check(r#"type A @relation(name: "entry") { line: String }"#), @"");
}

#[test]
fn columns_that_are_not_there_or_do_not_fit() {
    insta::assert_snapshot!(check(r#"type A @relation(name: "artist") {
  nam: String
  label: String @column(name: "labl")
  plays: Int!
  balance: Float
  tags: String
  name: [String]
  mood: Feeling
  artistId: Strin!
  release: DateTime
}
enum Feeling { good bad }"#), @r#"
error[FQ-SDL-007]: public.artist has no column "nam"
 --> schema.graphql:4:3
  |
4 |   nam: String
  |   ^^^
  = help: did you mean "name"? Then name the field so, or add @column(name: "name")

error[FQ-SDL-007]: public.artist has no column "labl"
 --> schema.graphql:5:25
  |
5 |   label: String @column(name: "labl")
  |                         ^^^^^^^^^^^^

error[FQ-SDL-008]: A.plays is Int, but column public.artist.plays is int8
 --> schema.graphql:6:10
  |
6 |   plays: Int!
  |          ^^^
  = why: Int has 32 bits and a JSON number is rounded beyond 2^53; BigInt travels as a string
  = help: write BigInt or ID

error[FQ-SDL-008]: A.balance is Float, but column public.artist.balance is numeric
 --> schema.graphql:7:12
  |
7 |   balance: Float
  |            ^^^^^
  = why: Float would round; Decimal travels as a string
  = help: write Decimal

error[FQ-SDL-008]: A.tags is String, but column public.artist.tags is text[]
 --> schema.graphql:8:9
  |
8 |   tags: String
  |         ^^^^^^
  = help: write [String] or [ID]

error[FQ-SDL-008]: A.name is [String], but column public.artist.name is varchar
 --> schema.graphql:9:10
  |
9 |   name: [String]
  |          ^^^^^^
  = help: write String or ID

error[FQ-SDL-008]: A.mood is Feeling, but column public.artist.mood is mood
  --> schema.graphql:10:9
   |
10 |   mood: Feeling
   |         ^^^^^^^
   = help: write String or an enum with @enum(name: "mood")

error[FQ-SDL-003]: there is no type Strin
  --> schema.graphql:11:13
   |
11 |   artistId: Strin!
   |             ^^^^^
   = help: did you mean String?

error[FQ-SDL-007]: public.artist has no column "release"
  --> schema.graphql:12:3
   |
12 |   release: DateTime
   |   ^^^^^^^
"#);
}

#[test]
fn nulls_that_can_come() {
    insta::assert_snapshot!(check(r#"type A @relation(name: "artist") {
  name: String!
  tags: [String!]
  mood: String @neverNull
}
type B @relation(name: "album") { released: DateTime! @neverNull  producer: Artist! }"#), @r#"
error[FQ-SDL-009]: A.name is marked ! but column public.artist.name can be null
 --> schema.graphql:4:9
  |
4 |   name: String!
  |         ^^^^^^
  = help: write String, or add @neverNull if you know that no null comes

error[FQ-SDL-009]: A.tags promises elements that are never null
 --> schema.graphql:5:10
  |
5 |   tags: [String!]
  |          ^^^^^^
  = why: an element of a PostgreSQL array can be NULL, and no constraint forbids it
  = help: write [String]

error[FQ-SDL-005]: @neverNull says nothing, for A.mood may be null
 --> schema.graphql:6:16
  |
6 |   mood: String @neverNull
  |                ^^^^^^^^^^
  = help: write String! or take @neverNull away

error[FQ-SDL-009]: B.producer is marked ! but its row of public.artist can be null
 --> schema.graphql:8:77
  |
8 | type B @relation(name: "album") { released: DateTime! @neverNull  producer: Artist! }
  |                                                                             ^^^^^^
  = help: write Artist, or add @neverNull if you know that no null comes
"#);
}

#[test]
fn references_that_are_not_clear() {
    insta::assert_snapshot!(check(r#"type Album @relation(name: "album") { albumId: Int!  by: Artist  artist: Artist!  producer: Artist }
extend type Artist { albums: [Album!]!  album: Album  names: [Names!]! }
type Names @relation(name: "artist_names") { label: String  artist: Artist  albums: [Album!]! @reference(columns: ["artist_id"], target: ["titel", "x"])  y: [Album!]! @reference(columns: ["label"], target: ["album_id"]) }"#), @r#"
error[FQ-SDL-010]: Album.by could follow 2 foreign keys
 --> schema.graphql:3:54
  |
3 | type Album @relation(name: "album") { albumId: Int!  by: Artist  artist: Artist!  producer: Artist }
  |                                                      ^^
  = help: add one of
          @reference(columns: ["artist_id"], target: ["artist_id"])  for album_artist_id_fkey
          @reference(columns: ["producer_id"], target: ["artist_id"])  for album_producer_id_fkey

error[FQ-SDL-010]: Artist.albums could follow 2 foreign keys
 --> schema.graphql:4:22
  |
4 | extend type Artist { albums: [Album!]!  album: Album  names: [Names!]! }
  |                      ^^^^^^
  = help: add one of
          @reference(columns: ["artist_id"], target: ["artist_id"])  for album_artist_id_fkey
          @reference(columns: ["artist_id"], target: ["producer_id"])  for album_producer_id_fkey

error[FQ-SDL-011]: no foreign key of public.artist leads to public.album
 --> schema.graphql:4:41
  |
4 | extend type Artist { albums: [Album!]!  album: Album  names: [Names!]! }
  |                                         ^^^^^
  = why: the foreign key album_artist_id_fkey leads here from many rows
  = help: write [Album!]!

error[FQ-SDL-011]: no foreign key of public.artist_names leads to public.artist
 --> schema.graphql:4:55
  |
4 | extend type Artist { albums: [Album!]!  album: Album  names: [Names!]! }
  |                                                       ^^^^^
  = help: say which columns are equal: @reference(columns: ["..."], target: ["..."])

error[FQ-SDL-011]: no foreign key of public.artist_names leads to public.artist
 --> schema.graphql:5:61
  |
5 | type Names @relation(name: "artist_names") { label: String  artist: Artist  albums: [Album!]! @reference(columns: ["artist_id"], target: ["titel", "x"])  y: [Album!]! @reference(columns: ["label"], target: ["album_id"]) }
  |                                                             ^^^^^^
  = help: say which columns are equal: @reference(columns: ["..."], target: ["..."])

error[FQ-SDL-005]: "columns" names 1 and "target" names 2
 --> schema.graphql:5:95
  |
5 | type Names @relation(name: "artist_names") { label: String  artist: Artist  albums: [Album!]! @reference(columns: ["artist_id"], target: ["titel", "x"])  y: [Album!]! @reference(columns: ["label"], target: ["album_id"]) }
  |                                                                                               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = why: the first must equal the first, the second the second, and so on

error[FQ-SDL-008]: label is text and album_id is int4
 --> schema.graphql:5:168
  |
5 | type Names @relation(name: "artist_names") { label: String  artist: Artist  albums: [Album!]! @reference(columns: ["artist_id"], target: ["titel", "x"])  y: [Album!]! @reference(columns: ["label"], target: ["album_id"]) }
  |                                                                                                                                                                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = why: PostgreSQL has no = for these two
"#);
}

#[test]
fn missing_indexes_are_warnings() {
    insta::assert_snapshot!(check(r#"type Album @relation(name: "album") { albumId: Int! }
type Event @relation(name: "event") { id: BigInt! }
extend type Artist { events: [Event!]!  albums: [Album!]! @reference(columns: ["artist_id"], target: ["artist_id"]) }"#), @r#"
warning[FQ-SDL-016]: public.event has no index on artist_id
 --> schema.graphql:5:22
  |
5 | extend type Artist { events: [Event!]!  albums: [Album!]! @reference(columns: ["artist_id"], target: ["artist_id"]) }
  |                      ^^^^^^
  = why: each row with Artist.events makes PostgreSQL read the whole table
  = help: CREATE INDEX ON "public"."event" ("artist_id");

warning[FQ-SDL-016]: public.album has no index on artist_id
 --> schema.graphql:5:41
  |
5 | extend type Artist { events: [Event!]!  albums: [Album!]! @reference(columns: ["artist_id"], target: ["artist_id"]) }
  |                                         ^^^^^^
  = why: each row with Artist.albums makes PostgreSQL read the whole table
  = help: CREATE INDEX CONCURRENTLY ON "public"."album" ("artist_id");
"#);
}

/// Checks that a rule of rows of albums is refused, by the first of what is said about it.
#[track_caller]
fn check_rows(directives: &str, expected: &[&str]) {
    let said = check(&format!(
        "type Album @relation(name: \"album\") {directives} {{ albumId: Int! }}\nextend type Query {{ albums: [Album!]! }}"
    ));
    for part in expected {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
}

#[test]
fn rules_of_rows_that_say_nothing_sound() {
    check_rows(
        r#"@auth(rows: {tittle: {eq: "x"}})"#,
        &[
            "FQ-SDL-007",
            "public.album has no column \"tittle\"",
            "did you mean \"title\"?",
            "schema.graphql:3:",
        ],
    );
    check_rows(r#"@auth(rows: {title: "x"})"#, &["a column is compared by operators", "title: {eq: ...}"]);
    check_rows(r#"@auth(rows: {title: {equals: "x"}})"#, &["\"equals\" does not compare columns"]);
    check_rows(r#"@auth(rows: {title: {eq: null}})"#, &["for null use isnull"]);
    check_rows(r#"@auth(rows: {title: {eq: {claims: "sub"}}})"#, &["with a value or with a claim"]);
    check_rows(r#"@auth(rows: {title: {in: "x"}})"#, &["takes a list or a claim"]);
    check_rows(r#"@auth(rows: {title: {isnull: "no"}})"#, &["isnull is true or false"]);
    check_rows(r#"@auth(rows: "title = 'x'")"#, &["FQ-SDL-005", "is a condition such as"]);
    check_rows(r#"@auth(rule: "own")"#, &["there is no row rule \"own\"", "@rowRule(name: \"own\""]);
    check_rows(r#"@auth(rule: "own", rows: {})"#, &["stand together"]);
    check_rows(r#"@auth(rows: {}) @auth"#, &["@auth asks for nothing"]);
    check_rows(r#"@authWrite(rows: {})"#, &["@authWrite says nothing here"]);
    let deep = format!("@auth(rows: {}{{}}{})", "{_not: ".repeat(20), "}".repeat(20));
    check_rows(&deep, &["nested too deep"]);
    check_rows(r#"@preset(column: "title", claim: "sub")"#, &["@preset says nothing here"]);
    let write = "@write(insert: true)";
    check_rows(&format!("{write} @preset(column: \"x\", claim: \"sub\")"), &["has no column \"x\""]);
    let twice = "@preset(column: \"title\", claim: \"a\") @preset(column: \"title\", claim: \"b\")";
    check_rows(&format!("{write} {twice}"), &["title is preset twice"]);
    let said = check(r#"extend type Query { a: String @function(name: "lower") @auth(rows: {}) }"#);
    assert!(said.contains("stand on types, not on Query.a"), "{said}");
}

#[test]
fn guards_that_guard_nothing() {
    insta::assert_snapshot!(check(r#"interface Named { label: String @auth(roles: ["x"]) }
type Album implements Named @relation(name: "album") @auth @authWrite(roles: ["x"]) { albumId: Int! label: String @column(name: "title") @auth(signedIn: false) }
extend type Query { albums: [Album!]! @authWrite(roles: "x") }"#), @r#"
    error[FQ-SDL-004]: @auth cannot stand on Named.label, a field of an interface
     --> schema.graphql:3:19
      |
    3 | interface Named { label: String @auth(roles: ["x"]) }
      |                   ^^^^^
      = why: whoever may not use the field of one of its types may not use it here
      = help: write it on the field of each type that it is meant for

    error[FQ-SDL-005]: @auth asks for nothing
     --> schema.graphql:4:54
      |
    4 | type Album implements Named @relation(name: "album") @auth @authWrite(roles: ["x"]) { albumId: Int! label: String @column(name: "title") @auth(signedIn: false) }
      |                                                      ^^^^^
      = help: say for whom: @auth(roles: ["editor"])

    error[FQ-SDL-005]: @authWrite says nothing here
     --> schema.graphql:4:60
      |
    4 | type Album implements Named @relation(name: "album") @auth @authWrite(roles: ["x"]) { albumId: Int! label: String @column(name: "title") @auth(signedIn: false) }
      |                                                            ^^^^^^^^^^^^^^^^^^^^^^^^
      = why: no writes are generated for Album
      = help: add @write(...), or take @authWrite away

    error[FQ-SDL-005]: @auth asks for nothing
     --> schema.graphql:4:138
      |
    4 | type Album implements Named @relation(name: "album") @auth @authWrite(roles: ["x"]) { albumId: Int! label: String @column(name: "title") @auth(signedIn: false) }
      |                                                                                                                                          ^^^^^^^^^^^^^^^^^^^^^^
      = help: say for whom: @auth(roles: ["editor"])

    error[FQ-SDL-005]: @authWrite says nothing on Query.albums
     --> schema.graphql:5:39
      |
    5 | extend type Query { albums: [Album!]! @authWrite(roles: "x") }
      |                                       ^^^^^^^^^^^^^^^^^^^^^^
      = help: use @auth
    "#);
}

#[test]
fn directives_that_say_nothing() {
    insta::assert_snapshot!(check(r#"type A @relation(nam: "artist", key: []) @wirte { artistId: Int! @relation(name: "x") @column @column(name: 3) }
type B @relation(name: "artist") @relation(name: "artist") @write { artistId: Int! @deprecated(reason: 5) @foo }
type C @relation(name: "artist_names", key: ["artist_id", "nope"]) @write(insert: "yes") { artistId: Int! }"#), @r#"
    error[FQ-SDL-005]: @relation needs "name", a string, in quotes
     --> schema.graphql:3:8
      |
    3 | type A @relation(nam: "artist", key: []) @wirte { artistId: Int! @relation(name: "x") @column @column(name: 3) }
      |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error[FQ-SDL-005]: @relation has no argument "nam"
     --> schema.graphql:3:18
      |
    3 | type A @relation(nam: "artist", key: []) @wirte { artistId: Int! @relation(name: "x") @column @column(name: 3) }
      |                  ^^^^^^^^^^^^^
      = help: did you mean "name"?

    error[FQ-SDL-005]: "key" of @relation is a list of strings such as ["artist_id"], not empty
     --> schema.graphql:3:38
      |
    3 | type A @relation(nam: "artist", key: []) @wirte { artistId: Int! @relation(name: "x") @column @column(name: 3) }
      |                                      ^^

    error[FQ-SDL-004]: there is no directive @wirte
     --> schema.graphql:3:43
      |
    3 | type A @relation(nam: "artist", key: []) @wirte { artistId: Int! @relation(name: "x") @column @column(name: 3) }
      |                                           ^^^^^
      = help: did you mean @write?

    error[FQ-SDL-004]: @relation cannot stand on a field
     --> schema.graphql:3:67
      |
    3 | type A @relation(nam: "artist", key: []) @wirte { artistId: Int! @relation(name: "x") @column @column(name: 3) }
      |                                                                   ^^^^^^^^
      = why: it belongs on an object type and an interface

    error[FQ-SDL-005]: @column needs "name", a string, in quotes
     --> schema.graphql:3:87
      |
    3 | type A @relation(nam: "artist", key: []) @wirte { artistId: Int! @relation(name: "x") @column @column(name: 3) }
      |                                                                                       ^^^^^^^

    error[FQ-SDL-005]: "name" of @column is a string, in quotes
     --> schema.graphql:3:109
      |
    3 | type A @relation(nam: "artist", key: []) @wirte { artistId: Int! @relation(name: "x") @column @column(name: 3) }
      |                                                                                                             ^

    error[FQ-SDL-005]: @relation stands here twice
     --> schema.graphql:4:35
      |
    4 | type B @relation(name: "artist") @relation(name: "artist") @write { artistId: Int! @deprecated(reason: 5) @foo }
      |                                   ^^^^^^^^

    error[FQ-SDL-005]: @write asks for nothing
     --> schema.graphql:4:60
      |
    4 | type B @relation(name: "artist") @relation(name: "artist") @write { artistId: Int! @deprecated(reason: 5) @foo }
      |                                                            ^^^^^^
      = help: say what: @write(insert: true, update: true, delete: true, upsert: true)

    error[FQ-SDL-005]: "reason" of @deprecated is a string, in quotes
     --> schema.graphql:4:104
      |
    4 | type B @relation(name: "artist") @relation(name: "artist") @write { artistId: Int! @deprecated(reason: 5) @foo }
      |                                                                                                        ^

    error[FQ-SDL-004]: there is no directive @foo
     --> schema.graphql:4:108
      |
    4 | type B @relation(name: "artist") @relation(name: "artist") @write { artistId: Int! @deprecated(reason: 5) @foo }
      |                                                                                                            ^^^
      = help: a field may have @json, @column, @reference, @neverNull, @version, @function, @auth, @authWrite and @deprecated

    error[FQ-SDL-007]: public.artist_names has no column "nope"
     --> schema.graphql:5:40
      |
    5 | type C @relation(name: "artist_names", key: ["artist_id", "nope"]) @write(insert: "yes") { artistId: Int! }
      |                                        ^^^^^^^^^^^^^^^^^^^^^^^^^^

    error[FQ-SDL-005]: "insert" of @write is true or false
     --> schema.graphql:5:83
      |
    5 | type C @relation(name: "artist_names", key: ["artist_id", "nope"]) @write(insert: "yes") { artistId: Int! }
      |                                                                                   ^^^^^
    "#);
}

#[test]
fn enums_that_differ() {
    insta::assert_snapshot!(check(r#"enum Mood { happy  said }
enum Feeling @enum(name: "feling") { good }
enum Other { a }
enum Twice @enum(name: "mood") { happy  glad @label(name: "happy")  sad }
extend type Artist { mood: Mood }"#), @r#"
error[FQ-SDL-018]: Mood lacks 'sad' of public.mood
 --> schema.graphql:3:6
  |
3 | enum Mood { happy  said }
  |      ^^^^
  = why: a row with such a label could not be shown

error[FQ-SDL-018]: public.mood has no label 'said'
 --> schema.graphql:3:20
  |
3 | enum Mood { happy  said }
  |                    ^^^^
  = help: said @label(name: "sad")

error[FQ-SDL-018]: the database has no enum "feling"
 --> schema.graphql:4:20
  |
4 | enum Feeling @enum(name: "feling") { good }
  |                    ^^^^^^^^^^^^^^
  = help: did you mean "feeling"?

error[FQ-SDL-018]: enum Other stands for no enum of the database
 --> schema.graphql:5:6
  |
5 | enum Other { a }
  |      ^^^^^
  = why: no column of an enum type uses it, and its name is not that of one
  = help: enum Other @enum(name: "other")

error[FQ-SDL-018]: happy and glad stand for the same label 'happy'
 --> schema.graphql:6:53
  |
6 | enum Twice @enum(name: "mood") { happy  glad @label(name: "happy")  sad }
  |                                                     ^^^^^^^^^^^^^
"#);
}

#[test]
fn arguments_that_nobody_can_use() {
    insta::assert_snapshot!(told(r#"type Query {
  artists(where: String): [Artist!]!
  artist(artistId: Int): Artist
  byName(name: String!): Artist
  byNothing: Artist
  strict(artistId: Int!): Artist!
  other(nam: String!): Artist
  byMood(tags: String!): Artist
}
type Artist @relation(name: "artist") { artistId(x: Int): Int!  name: String  tags: [String] }"#, &world(SHOP)), @r#"
error[FQ-SDL-019]: Query.artists cannot have an argument "where" of yours
 --> schema.graphql:2:11
  |
2 |   artists(where: String): [Artist!]!
  |           ^^^^^^^^^^^^^
  = why: lists get where, orderBy, limit and offset by themselves
  = help: leave the arguments away; for others, write a function and @function(name: ...)

error[FQ-SDL-019]: argument artistId is Int, it must be Int!
 --> schema.graphql:3:20
  |
3 |   artist(artistId: Int): Artist
  |                    ^^^
  = why: every argument of a lookup is required, and of the type of its field

error[FQ-SDL-012]: name is no unique key of public.artist
 --> schema.graphql:4:3
  |
4 |   byName(name: String!): Artist
  |   ^^^^^^
  = why: such a field returns at most one row
  = help: a row is found by (artistId: Int!); or return a list: [Artist!]!

error[FQ-SDL-012]: Query.byNothing does not say which row
 --> schema.graphql:5:3
  |
5 |   byNothing: Artist
  |   ^^^^^^^^^
  = why: such a field returns at most one row
  = help: a row is found by (artistId: Int!); or return a list: [Artist!]!

error[FQ-SDL-009]: Query.strict is marked ! but a row that may not exist can be null
 --> schema.graphql:6:27
  |
6 |   strict(artistId: Int!): Artist!
  |                           ^^^^^^
  = help: write Artist, or add @neverNull if you know that no null comes

error[FQ-SDL-019]: Artist has no column field "nam" to look it up by
 --> schema.graphql:7:9
  |
7 |   other(nam: String!): Artist
  |         ^^^
  = help: did you mean "name"?

error[FQ-SDL-019]: Artist.tags cannot be looked up by
 --> schema.graphql:8:10
  |
8 |   byMood(tags: String!): Artist
  |          ^^^^
  = why: PostgreSQL has no = for its type

error[FQ-SDL-019]: Artist.artistId is a column and takes no arguments
  --> schema.graphql:10:50
   |
10 | type Artist @relation(name: "artist") { artistId(x: Int): Int!  name: String  tags: [String] }
   |                                                  ^^^^^^
"#);
}

#[test]
fn functions_that_do_not_fit() {
    insta::assert_snapshot!(check(r#"type Album @relation(name: "album") { albumId: Int! }
extend type Query {
  top(n: Int): [Album!]! @function
  topLimited(limit: Int! @parameter(name: "n")): [Album!]! @function(name: "top")
  topOne(n: Int!): Album @function(name: "top")
  topArtist(m: Int!): Artist @function
  topArtists(n: Int!): Album @function(name: "top_artist")
  newest: Album @function
  tpo: [Album!]! @function
  counted(artist: String!): BigInt @function(name: "count_albums")
  count: Int @function(name: "count_albums")
  two(a: Float!): Int @function
  odd(x: Int!): Int! @function
  many(xs: [Int!]!): Int @function
  report: [Album!]! @function
  fired: Int @function
  log(line: String!): Boolean @function
  words: String @function
  plain: String
  obj(n: Artist!): [Album!]! @function(name: "top")
}
extend type Mutation {
  log(line: String!): String @function
  insertThing: Artist
}"#), @r#"
error[FQ-SDL-019]: parameter "n" of public.top must be given, but argument n may be left out
 --> schema.graphql:5:7
  |
5 |   top(n: Int): [Album!]! @function
  |       ^
  = help: write Int!, or give a default: Int = null

error[FQ-SDL-014]: Query.topLimited gets the argument "limit" by itself
 --> schema.graphql:6:14
  |
6 |   topLimited(limit: Int! @parameter(name: "n")): [Album!]! @function(name: "top")
  |              ^^^^^
  = help: call yours otherwise, with @parameter(name: "n")

error[FQ-SDL-008]: Query.topOne is Album, but public.top returns SETOF public.album
 --> schema.graphql:7:20
  |
7 |   topOne(n: Int!): Album @function(name: "top")
  |                    ^^^^^
  = help: write [Album!]!

error[FQ-SDL-019]: public.top_artist has no parameter "m"
 --> schema.graphql:8:13
  |
8 |   topArtist(m: Int!): Artist @function
  |             ^
  = help: did you mean "n"? m: ... @parameter(name: "n")

error[FQ-SDL-008]: Query.topArtists is Album, but public.top_artist returns public.artist
 --> schema.graphql:9:24
  |
9 |   topArtists(n: Int!): Album @function(name: "top_artist")
  |                        ^^^^^
  = help: write Artist

error[FQ-SDL-020]: Query.newest calls public.newest, which may write
  --> schema.graphql:10:3
   |
10 |   newest: Album @function
   |   ^^^^^^
   = why: queries run in read-only transactions, and the function is declared VOLATILE
   = help: declare it STABLE if it only reads, or move the field to Mutation

error[FQ-SDL-013]: the database has no function "tpo"
  --> schema.graphql:11:18
   |
11 |   tpo: [Album!]! @function
   |                  ^^^^^^^^^
   = help: did you mean "top"?

error[FQ-SDL-008]: argument artist is String, but parameter "artist" of public.count_albums is int4
  --> schema.graphql:12:19
   |
12 |   counted(artist: String!): BigInt @function(name: "count_albums")
   |                   ^^^^^^
   = help: write Int or ID

error[FQ-SDL-019]: Query.count does not give the parameter "artist" of public.count_albums
  --> schema.graphql:13:3
   |
13 |   count: Int @function(name: "count_albums")
   |   ^^^^^
   = why: it is int4 and has no default
   = help: add the argument artist: Int!

error[FQ-SDL-013]: none of the 2 functions public.two fits Query.two
  --> schema.graphql:14:3
   |
14 |   two(a: Float!): Int @function
   |   ^^^
   = why: an overload is chosen by the names and types of the arguments
   = help: there are
           public.two(a int4)
           public.two(a text)

error[FQ-SDL-009]: Query.odd is marked ! but what public.odd returns can be null
  --> schema.graphql:15:17
   |
15 |   odd(x: Int!): Int! @function
   |                 ^^^
   = help: write Int, or add @neverNull if you know that no null comes

error[FQ-SDL-017]: Query.report is [Album!], but public.report returns a table of its own
  --> schema.graphql:17:12
   |
17 |   report: [Album!]! @function
   |            ^^^^^
   = why: the columns of RETURNS TABLE and of OUT parameters belong to no relation
   = help: return a type without @relation that has fields for them, or rows of a table or view

error[FQ-SDL-017]: Query.fired is Int, but public.fired returns a type that has no place in GraphQL
  --> schema.graphql:18:10
   |
18 |   fired: Int @function
   |          ^^^

error[FQ-SDL-020]: Query.log calls public.log, which may write
  --> schema.graphql:19:3
   |
19 |   log(line: String!): Boolean @function
   |   ^^^
   = why: queries run in read-only transactions, and the function is declared VOLATILE
   = help: declare it STABLE if it only reads, or move the field to Mutation

error[FQ-SDL-008]: Query.log is Boolean, but public.log returns void
  --> schema.graphql:19:23
   |
19 |   log(line: String!): Boolean @function
   |                       ^^^^^^^
   = why: a query must return something
   = help: move the field to Mutation

error[FQ-SDL-008]: Query.words is String, but public.words returns SETOF text
  --> schema.graphql:20:10
   |
20 |   words: String @function
   |          ^^^^^^
   = help: write a list of scalars

error[FQ-SDL-013]: Query.plain does not say what it calls
  --> schema.graphql:21:3
   |
21 |   plain: String
   |   ^^^^^
   = help: add @function(name: ...)

error[FQ-SDL-019]: Artist is an object type, which cannot be an argument
  --> schema.graphql:22:10
   |
22 |   obj(n: Artist!): [Album!]! @function(name: "top")
   |          ^^^^^^

error[FQ-SDL-008]: Mutation.log is String, but public.log returns void
  --> schema.graphql:25:23
   |
25 |   log(line: String!): String @function
   |                       ^^^^^^
   = help: write Boolean: true when the call succeeded

error[FQ-SDL-013]: Mutation.insertThing does not say what it calls
  --> schema.graphql:26:3
   |
26 |   insertThing: Artist
   |   ^^^^^^^^^^^
   = help: add @function(name: ...), or ask for generated writes with @write on the type
"#);
}

#[test]
fn writes_that_cannot_be() {
    insta::assert_snapshot!(check(r#"type Stat @relation(name: "stat") @write(insert: true) { n: BigInt }
type Names @relation(name: "artist_names") @write(update: true) { label: String }
type Entry @relation(name: "entry", schema: "audit") @write(delete: true) { line: String }
type Secret @relation(name: "secret") @write(insert: true, update: true, delete: true) { code: String! }
type Album @relation(name: "album") @write(insert: true, upsert: true) { title: String! }
type Title @relation(name: "titles") @write(insert: true, update: true) { albumId: Int!  title: String! }
type Counter @relation(name: "counter") @write(insert: true, update: true, upsert: true) { id: Int!  seen: Int! }"#), @r#"
error[FQ-SDL-015]: public.stat is a materialised view
 --> schema.graphql:3:42
  |
3 | type Stat @relation(name: "stat") @write(insert: true) { n: BigInt }
  |                                          ^^^^^^^^^^^^
  = help: take @write away, or write a function and call it with @function

error[FQ-SDL-015]: public.artist_names is a view that PostgreSQL cannot write through
 --> schema.graphql:4:51
  |
4 | type Names @relation(name: "artist_names") @write(update: true) { label: String }
  |                                                   ^^^^^^^^^^^^
  = help: take @write away, or write a function and call it with @function

error[FQ-SDL-012]: audit.entry has no key to find written rows again by
 --> schema.graphql:5:61
  |
5 | type Entry @relation(name: "entry", schema: "audit") @write(delete: true) { line: String }
  |                                                             ^^^^^^^^^^^^
  = help: add a primary key, or take @write away

error[FQ-SDL-015]: the role that read the catalog has no INSERT on public.secret
 --> schema.graphql:6:46
  |
6 | type Secret @relation(name: "secret") @write(insert: true, update: true, delete: true) { code: String! }
  |                                              ^^^^^^^^^^^^
  = help: GRANT INSERT ON "public"."secret" TO ...; or take it out of @write

error[FQ-SDL-012]: no unique key of public.secret has all of its columns as fields
 --> schema.graphql:6:60
  |
6 | type Secret @relation(name: "secret") @write(insert: true, update: true, delete: true) { code: String! }
  |                                                            ^^^^^^^^^^^^
  = why: a client must be able to say which row it means
  = help: add fields for id

error[FQ-SDL-015]: the role that read the catalog has no DELETE on public.secret
 --> schema.graphql:6:74
  |
6 | type Secret @relation(name: "secret") @write(insert: true, update: true, delete: true) { code: String! }
  |                                                                          ^^^^^^^^^^^^
  = help: GRANT DELETE ON "public"."secret" TO ...; or take it out of @write

error[FQ-SDL-015]: Album has no field for album_id and artist_id
 --> schema.graphql:7:44
  |
7 | type Album @relation(name: "album") @write(insert: true, upsert: true) { title: String! }
  |                                            ^^^^^^^^^^^^
  = why: every insert must give what is NOT NULL without a default
  = help: add the field, give the column a default, or take insert and upsert out of @write

error[FQ-SDL-015]: Title has no field for artist_id
 --> schema.graphql:8:45
  |
8 | type Title @relation(name: "titles") @write(insert: true, update: true) { albumId: Int!  title: String! }
  |                                             ^^^^^^^^^^^^
  = why: every insert must give what is NOT NULL without a default
  = help: add the field, give the column a default, or take insert and upsert out of @write

error[FQ-SDL-015]: Counter has no field that can be written
 --> schema.graphql:9:48
  |
9 | type Counter @relation(name: "counter") @write(insert: true, update: true, upsert: true) { id: Int!  seen: Int! }
  |                                                ^^^^^^^^^^^^
  = why: the database computes every column
"#);
}

#[test]
fn names_that_are_taken() {
    insta::assert_snapshot!(check(r#"type ArtistFilter @relation(name: "album") { albumId: Int! }
type Date @relation(name: "album") { albumId: Int!  _and: String @column(name: "title") }
type ArtistList @relation(name: "artist") { artistId: Int!  mood: Mood  artists: [Artist!]! @reference(columns: ["artist_id"], target: ["artist_id"])  lists: [ArtistList!]! @reference(columns: ["artist_id"], target: ["artist_id"]) }
enum Mood { happy sad }
enum OrderDirection { good bad }
enum Null { good bad }
extend type Mutation { insertArtist(a: String!): Boolean @function(name: "log") }
extend type Artist @write(insert: true) { artistId: Int! __x: Int  lists: [ArtistList!]! @reference(columns: ["artist_id"], target: ["artist_id"]) }
type Artist @relation(name: "artist") { artistId: Int! }"#), @r#"
error[FQ-SDL-014]: the name ArtistFilter is taken
 --> schema.graphql:3:6
  |
3 | type ArtistFilter @relation(name: "album") { albumId: Int! }
  |      ^^^^^^^^^^^^
  = why: it is generated for Artist
  = help: call your type otherwise

error[FQ-SDL-014]: Date is the name of a scalar
 --> schema.graphql:4:6
  |
4 | type Date @relation(name: "album") { albumId: Int!  _and: String @column(name: "title") }
  |      ^^^^

error[FQ-SDL-014]: two types would be generated under the name ArtistListFilter
 --> schema.graphql:5:6
  |
5 | type ArtistList @relation(name: "artist") { artistId: Int!  mood: Mood  artists: [Artist!]! @reference(columns: ["artist_id"], target: ["artist_id"])  lists: [ArtistList!]! @reference(columns: ["artist_id"], target: ["artist_id"]) }
  |      ^^^^^^^^^^
  = why: one for Artist, one for ArtistList
  = help: call one of them otherwise

error[FQ-SDL-014]: the name OrderDirection is taken
 --> schema.graphql:7:6
  |
7 | enum OrderDirection { good bad }
  |      ^^^^^^^^^^^^^^
  = why: every schema with lists has it
  = help: call your type otherwise

error[FQ-SDL-018]: enum OrderDirection stands for no enum of the database
 --> schema.graphql:7:6
  |
7 | enum OrderDirection { good bad }
  |      ^^^^^^^^^^^^^^
  = why: no column of an enum type uses it, and its name is not that of one
  = help: enum OrderDirection @enum(name: "order_direction")

error[FQ-SDL-014]: NullFilter is the filter of several scalars
 --> schema.graphql:8:6
  |
8 | enum Null { good bad }
  |      ^^^^
  = help: call the type otherwise than Null

error[FQ-SDL-014]: the name insertArtist is taken
 --> schema.graphql:9:24
  |
9 | extend type Mutation { insertArtist(a: String!): Boolean @function(name: "log") }
  |                        ^^^^^^^^^^^^
  = why: it is generated for Artist, which has @write
  = help: call your field otherwise

error[FQ-SDL-019]: public.log has no parameter "a"
 --> schema.graphql:9:37
  |
9 | extend type Mutation { insertArtist(a: String!): Boolean @function(name: "log") }
  |                                     ^
  = help: it is public.log(line text)

error[FQ-SDL-015]: Artist has no field for plays
  --> schema.graphql:10:27
   |
10 | extend type Artist @write(insert: true) { artistId: Int! __x: Int  lists: [ArtistList!]! @reference(columns: ["artist_id"], target: ["artist_id"]) }
   |                           ^^^^^^^^^^^^
   = why: every insert must give what is NOT NULL without a default
   = help: add the field, give the column a default, or take insert and upsert out of @write

error[FQ-SDL-002]: Artist has two fields named artistId
  --> schema.graphql:10:43
   |
10 | extend type Artist @write(insert: true) { artistId: Int! __x: Int  lists: [ArtistList!]! @reference(columns: ["artist_id"], target: ["artist_id"]) }
   |                                           ^^^^^^^^

error[FQ-SDL-002]: __x begins with two underscores
  --> schema.graphql:10:58
   |
10 | extend type Artist @write(insert: true) { artistId: Int! __x: Int  lists: [ArtistList!]! @reference(columns: ["artist_id"], target: ["artist_id"]) }
   |                                                          ^^^
   = why: GraphQL keeps such names for introspection

error[FQ-SDL-007]: public.artist has no column "__x"
  --> schema.graphql:10:58
   |
10 | extend type Artist @write(insert: true) { artistId: Int! __x: Int  lists: [ArtistList!]! @reference(columns: ["artist_id"], target: ["artist_id"]) }
   |                                                          ^^^

error[FQ-SDL-002]: there are two types named Artist
  --> schema.graphql:11:6
   |
11 | type Artist @relation(name: "artist") { artistId: Int! }
   |      ^^^^^^
   = help: to add to a type, write `extend type Artist`
"#);
}

#[test]
fn what_is_not_compiled() {
    insta::assert_snapshot!(check(r#"input Thing { a: Int }
scalar Money
scalar Int
type Subscription { a: Int }
directive @mine on OBJECT
schema { query: Root }
extend type Nobody { a: Int }
extend type Artist { nested: [[Int]] }
query { artists { artistId } }
enum Empty
type Nothing @relation(name: "artist")"#), @r#"
error[FQ-SDL-017]: there is no scalar Money
 --> schema.graphql:4:8
  |
4 | scalar Money
  |        ^^^^^
  = why: scalars of your own are not compiled: nothing would say how their values travel
  = help: known are BigInt, Bytes, Date, DateRange, DateTime, Decimal, Int4Range, Int8Range, Interval, JSON, LocalDateTime, NumRange, Time, TsRange, TstzRange, UUID

error[FQ-SDL-002]: Int is built in and cannot be declared
 --> schema.graphql:5:8
  |
5 | scalar Int
  |        ^^^

error[FQ-SDL-013]: Subscription.a does not say what it calls
 --> schema.graphql:6:21
  |
6 | type Subscription { a: Int }
  |                     ^
  = help: add @function(name: ...)

error[FQ-SDL-017]: directives of your own (@mine) are not compiled
 --> schema.graphql:7:12
  |
7 | directive @mine on OBJECT
  |            ^^^^
  = why: only the directives of directives.graphql have a meaning here

error[FQ-SDL-017]: the query type must be called Query
 --> schema.graphql:8:17
  |
8 | schema { query: Root }
  |                 ^^^^
  = help: leave `schema { ... }` away and use these names

error[FQ-SDL-003]: there is no type Nobody to extend
 --> schema.graphql:9:13
  |
9 | extend type Nobody { a: Int }
  |             ^^^^^^

error[FQ-SDL-017]: Artist.nested is a list of lists
  --> schema.graphql:10:32
   |
10 | extend type Artist { nested: [[Int]] }
   |                                ^^^

error[FQ-SDL-002]: an operation cannot stand in a schema
  --> schema.graphql:11:1
   |
11 | query { artists { artistId } }
   | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   = help: keep operations in files of their own

error[FQ-SDL-002]: enum Empty has no values
  --> schema.graphql:12:6
   |
12 | enum Empty
   |      ^^^^^

error[FQ-SDL-018]: enum Empty stands for no enum of the database
  --> schema.graphql:12:6
   |
12 | enum Empty
   |      ^^^^^
   = why: no column of an enum type uses it, and its name is not that of one
   = help: enum Empty @enum(name: "empty")

error[FQ-SDL-002]: type Nothing has no fields
  --> schema.graphql:13:6
   |
13 | type Nothing @relation(name: "artist")
   |      ^^^^^^^
"#);
}

#[test]
fn defaults_that_are_no_values() {
    insta::assert_snapshot!(check(r#"type Album @relation(name: "album") { albumId: Int! }
extend type Query {
  top(n: Int! = "x"): [Album!]! @function
  topArtist(n: Int! = 99999999999): Artist @function
  fine(n: Int = 1, kind: String = null @deprecated): Artist @function(name: "top_artist")
  other(n: Int! = null): Artist @function(name: "top_artist")
  late(n: Int! @deprecated): Artist @function(name: "top_artist")
}"#), @r#"
error[FQ-SDL-019]: "x" is no Int!
 --> schema.graphql:5:17
  |
5 |   top(n: Int! = "x"): [Album!]! @function
  |                 ^^^

error[FQ-SDL-019]: 99999999999 is no Int!
 --> schema.graphql:6:23
  |
6 |   topArtist(n: Int! = 99999999999): Artist @function
  |                       ^^^^^^^^^^^

error[FQ-SDL-019]: null is no Int!
 --> schema.graphql:8:19
  |
8 |   other(n: Int! = null): Artist @function(name: "top_artist")
  |                   ^^^^

error[FQ-SDL-002]: argument n is required and cannot be deprecated
 --> schema.graphql:9:8
  |
9 |   late(n: Int! @deprecated): Artist @function(name: "top_artist")
  |        ^
  = why: nobody could leave it out
"#);
}

#[test]
fn mistakes_far_apart_are_all_told() {
    insta::assert_snapshot!(told("type Query { a @deprecated: Int }\ntype A @relation(name: \"artist\") { artistId: Int! x }\ntype B @relation(name: \"artits\") { artistId: Int! }\ntipe C", &world(SHOP)), @r#"
error[FQ-SDL-001]: expected a type
 --> schema.graphql:1:16
  |
1 | type Query { a @deprecated: Int }
  |                ^

error[FQ-SDL-001]: expected a type
 --> schema.graphql:2:53
  |
2 | type A @relation(name: "artist") { artistId: Int! x }
  |                                                     ^

error[FQ-SDL-006]: the database has no table or view "artits"
 --> schema.graphql:3:18
  |
3 | type B @relation(name: "artits") { artistId: Int! }
  |                  ^^^^^^^^^^^^^^
  = help: did you mean "artist"?

error[FQ-SDL-001]: expected a definition, found "tipe"
 --> schema.graphql:4:1
  |
4 | tipe C
  | ^^^^
  = help: did you mean "type"?
"#);
}

const PAPERS: &str = "
table paper
  id int4 pk
  data jsonb
  title text
table note
  text varchar
function paper_words(paper public.paper) -> setof text
function paper_size(paper public.paper, unit text) -> int4 volatile
function other(n int4) -> int4
";

#[test]
fn documents_that_cannot_be_read() {
    insta::assert_snapshot!(told(r#"type Query { papers: [Paper!]! }
type Paper @relation(name: "paper") @json(column: "dat") { id: Int! pages: Int lines: Int }
"#, &world(PAPERS)), @r#"
    error[FQ-SDL-007]: public.paper has no column "dat"
     --> schema.graphql:2:43
      |
    2 | type Paper @relation(name: "paper") @json(column: "dat") { id: Int! pages: Int lines: Int }
      |                                           ^^^^^^^^^^^^^
      = help: did you mean "data"?
    "#);
    insta::assert_snapshot!(told(r#"type Query { papers: [Paper!]! }
type Paper @relation(name: "paper") { id: Int! a: Int @json b: Int @json(column: "title") c: Int @json(column: "data", key: 7) part(n: Int): Part @json(column: "data") bytes: Bytes @json(column: "data") }
type Part { word(n: Int): String paper: Paper @reference(columns: ["id"], target: ["id"]) }
"#, &world(PAPERS)), @r#"
    error[FQ-SDL-005]: @json does not say which column
     --> schema.graphql:2:55
      |
    2 | type Paper @relation(name: "paper") { id: Int! a: Int @json b: Int @json(column: "title") c: Int @json(column: "data", key: 7) part(n: Int): Part @json(column: "data") bytes: Bytes @json(column: "data") }
      |                                                       ^^^^^
      = help: @json(column: "data"), here or on the type

    error[FQ-SDL-008]: public.paper.title is no JSON document
     --> schema.graphql:2:74
      |
    2 | type Paper @relation(name: "paper") { id: Int! a: Int @json b: Int @json(column: "title") c: Int @json(column: "data", key: 7) part(n: Int): Part @json(column: "data") bytes: Bytes @json(column: "data") }
      |                                                                          ^^^^^^^^^^^^^^^

    error[FQ-SDL-005]: "key" of @json is a string, in quotes
     --> schema.graphql:2:125
      |
    2 | type Paper @relation(name: "paper") { id: Int! a: Int @json b: Int @json(column: "title") c: Int @json(column: "data", key: 7) part(n: Int): Part @json(column: "data") bytes: Bytes @json(column: "data") }
      |                                                                                                                             ^

    error[FQ-SDL-019]: Paper.part is read from a document and takes no arguments
     --> schema.graphql:2:133
      |
    2 | type Paper @relation(name: "paper") { id: Int! a: Int @json b: Int @json(column: "title") c: Int @json(column: "data", key: 7) part(n: Int): Part @json(column: "data") bytes: Bytes @json(column: "data") }
      |                                                                                                                                     ^^^^^^

    error[FQ-SDL-017]: Bytes cannot be read from a document
     --> schema.graphql:2:176
      |
    2 | type Paper @relation(name: "paper") { id: Int! a: Int @json b: Int @json(column: "title") c: Int @json(column: "data", key: 7) part(n: Int): Part @json(column: "data") bytes: Bytes @json(column: "data") }
      |                                                                                                                                                                                ^^^^^

    error[FQ-SDL-019]: Part.word is read from a document and takes no arguments
     --> schema.graphql:3:18
      |
    3 | type Part { word(n: Int): String paper: Paper @reference(columns: ["id"], target: ["id"]) }
      |                  ^^^^^^

    error[FQ-SDL-017]: Part.paper has @reference, but Part is read from documents
     --> schema.graphql:3:47
      |
    3 | type Part { word(n: Int): String paper: Paper @reference(columns: ["id"], target: ["id"]) }
      |                                               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      = why: within a document there are no rows to refer from
      = help: give the field that reads the document an object type of its own
    "#);
}

#[test]
fn computed_fields_that_cannot_be() {
    insta::assert_snapshot!(told(r#"type Query { papers: [Paper!]! }
type Paper @relation(name: "paper") { id: Int! words: [String] @function(name: "paper_words") size(unit: String!): Int @function(name: "paper_size") other: Int @function words2(n: Int): [String] @function(name: "paper_words") @column(name: "title") }
"#, &world(PAPERS)), @r#"
    error[FQ-SDL-020]: Paper.size calls public.paper_size, which may write
     --> schema.graphql:2:95
      |
    2 | type Paper @relation(name: "paper") { id: Int! words: [String] @function(name: "paper_words") size(unit: String!): Int @function(name: "paper_size") other: Int @function words2(n: Int): [String] @function(name: "paper_words") @column(name: "title") }
      |                                                                                               ^^^^
      = why: queries run in read-only transactions, and the function is declared VOLATILE
      = help: declare it STABLE if it only reads

    error[FQ-SDL-013]: public.other does not take a row of public.paper first
     --> schema.graphql:2:161
      |
    2 | type Paper @relation(name: "paper") { id: Int! words: [String] @function(name: "paper_words") size(unit: String!): Int @function(name: "paper_size") other: Int @function words2(n: Int): [String] @function(name: "paper_words") @column(name: "title") }
      |                                                                                                                                                                 ^^^^^^^^^
      = why: a computed field calls its function with the row that it stands on
      = help: CREATE FUNCTION public.other(paper "public"."paper", ...)

    error[FQ-SDL-019]: public.paper_words has no parameter "n"
     --> schema.graphql:2:178
      |
    2 | type Paper @relation(name: "paper") { id: Int! words: [String] @function(name: "paper_words") size(unit: String!): Int @function(name: "paper_size") other: Int @function words2(n: Int): [String] @function(name: "paper_words") @column(name: "title") }
      |                                                                                                                                                                                  ^
      = help: it is public.paper_words(paper paper)

    error[FQ-SDL-004]: @column says nothing beside @function
     --> schema.graphql:2:227
      |
    2 | type Paper @relation(name: "paper") { id: Int! words: [String] @function(name: "paper_words") size(unit: String!): Int @function(name: "paper_size") other: Int @function words2(n: Int): [String] @function(name: "paper_words") @column(name: "title") }
      |                                                                                                                                                                                                                                   ^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn reads_that_cannot_be_generated() {
    insta::assert_snapshot!(told(r#"type Query { papers: [Paper!]! papersAggregate: [Paper!]! notes: [Note!]! }
type Paper @relation(name: "paper") @read(aggregate: true) { id: Int! }
type Note @relation(name: "note") @read(connection: true, pages: true) { text: String! }
type Word @relation(name: "note") @read { text: String! }
type PaperKey @relation(name: "note") { text: String! }
type Lines @relation(name: "note") @read(connection: true) { text: String! }
"#, &world(PAPERS)), @r#"
    error[FQ-SDL-014]: the name papersAggregate is taken
     --> schema.graphql:1:32
      |
    1 | type Query { papers: [Paper!]! papersAggregate: [Paper!]! notes: [Note!]! }
      |                                ^^^^^^^^^^^^^^^
      = why: it is generated beside papers, for Paper has @read
      = help: call your field otherwise

    error[FQ-SDL-005]: @read has no argument "pages"
     --> schema.graphql:3:59
      |
    3 | type Note @relation(name: "note") @read(connection: true, pages: true) { text: String! }
      |                                                           ^^^^^^^^^^^

    error[FQ-SDL-005]: @read asks for nothing
     --> schema.graphql:4:35
      |
    4 | type Word @relation(name: "note") @read { text: String! }
      |                                   ^^^^^
      = help: say what: @read(aggregate: true, connection: true, distinct: true)

    error[FQ-SDL-014]: the name PaperKey is taken
     --> schema.graphql:5:6
      |
    5 | type PaperKey @relation(name: "note") { text: String! }
      |      ^^^^^^^^
      = why: it is generated for Paper
      = help: call your type otherwise

    error[FQ-SDL-012]: Lines has no key to find its rows again by
     --> schema.graphql:6:42
      |
    6 | type Lines @relation(name: "note") @read(connection: true) { text: String! }
      |                                          ^^^^^^^^^^^^^^^^
      = why: a cursor is the place of a row in an order, which only a key makes total
      = help: say it: @relation(name: ..., key: [...]), or take connection out of @read
    "#);
}
