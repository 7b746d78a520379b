//! Interfaces, unions and global ids: what compiles, and everything that is said about the rest.

use fraiseql_compile::{Source, compile};
use fraiseql_model::artifact::{AbstractType, Field, QueryField};

use crate::compiling::artifact;
use crate::world::world;

const ZOO: &str = "
table album
  album_id int4 pk
  title varchar
  artist_id int4 -> artist.artist_id index
table artist
  artist_id int4 pk
  name varchar
table track
  track_id int8 pk
  name text
  artist_id int4? -> artist.artist_id index
table place
  label text
enum species dog cat
table animal
  id int4 pk
  kind species
  name varchar
  owner_id int4? -> artist.artist_id index
  barks bool?
  lives int4?
table party
  id int4 pk
  kind text
  name text
table person
  id int4 pk -> party.id
  born date?
table company
  nick text
table remark
  id int4 pk
  subject_type text?
  subject_id int4?
  word text?
function pets() -> setof row animal
";

const QUERY: &str = "type Query { albums: [Album!]! }\ntype Album @relation(name: \"album\") { albumId: Int! title: String! }\n";

/// Completes a fragment by what every schema needs, and returns what is said about it.
fn check(fragment: &str) -> String {
    let text = format!("{QUERY}{}", fragment.trim_start());
    let compiled = compile(Source { file: "schema.graphql", text: &text }, &world(ZOO), "0.0.0-test");
    let told: Vec<String> = compiled.diagnostics.iter().map(|found| found.render(Some(&text))).collect();
    told.join("\n")
}

#[test]
fn interfaces_over_relations_have_what_their_types_have_alike() {
    let artifact = artifact(
        r#"
"Has a title."
interface Titled { title: String! artist: Artist words: [Remark!]! }
interface Node { nodeId: ID! }
union Found = Album | Track
type Query { titled: [Titled!]! found: [Found!]! node(id: ID!): Node nodes(ids: [ID!]!): [Node]! }
type Artist implements Node @relation(name: "artist") { nodeId: ID! artistId: Int! found: [Found!]! }
type Album implements Titled & Node @relation(name: "album") {
  nodeId: ID! title: String! artist: Artist! words: [Remark!]! @reference(columns: ["album_id"], target: ["subject_id"])
}
type Track implements Titled @relation(name: "track") {
  title: String! @column(name: "name") artist: Artist
  words: [Remark!]! @reference(columns: ["artist_id"], target: ["subject_id"])
}
type Remark @relation(name: "remark") { id: Int! }
extend union Found = Artist
extend type Artist { albums: [Album!]! tracks: [Track!]! }
"#
        .replace("found: [Found!]! }\ntype Album", "found: [Works!]! }\nunion Works = Album | Track\ntype Album")
        .as_str(),
        &world(ZOO),
    );
    insta::assert_snapshot!(artifact.sdl, @r#"
"Has a title."
interface Titled {
  title: String!
  artist: Artist
  words(where: RemarkFilter, orderBy: [RemarkOrderBy!], limit: Int, offset: Int): [Remark!]!
}

interface Node {
  nodeId: ID!
}

union Found = Album | Track | Artist

type Query {
  titled(where: TitledFilter, orderBy: [TitledOrderBy!], limit: Int, offset: Int): [Titled!]!
  found(limit: Int, offset: Int): [Found!]!
  node(id: ID!): Node
  nodes(ids: [ID!]!): [Node]!
}

type Artist implements Node {
  nodeId: ID!
  artistId: Int!
  found(limit: Int, offset: Int): [Works!]!
  albums(where: AlbumFilter, orderBy: [AlbumOrderBy!], limit: Int, offset: Int): [Album!]!
  tracks(where: TrackFilter, orderBy: [TrackOrderBy!], limit: Int, offset: Int): [Track!]!
}

union Works = Album | Track

type Album implements Titled & Node {
  nodeId: ID!
  title: String!
  artist: Artist!
  words(where: RemarkFilter, orderBy: [RemarkOrderBy!], limit: Int, offset: Int): [Remark!]!
}

type Track implements Titled {
  title: String!
  artist: Artist
  words(where: RemarkFilter, orderBy: [RemarkOrderBy!], limit: Int, offset: Int): [Remark!]!
}

type Remark {
  id: Int!
}

input ArtistFilter {
  artistId: IntFilter
  albums: AlbumListFilter
  tracks: TrackListFilter
  _and: [ArtistFilter!]
  _or: [ArtistFilter!]
  _not: ArtistFilter
}

input ArtistOrderBy {
  artistId: OrderDirection
}

input AlbumFilter {
  title: StringFilter
  artist: ArtistFilter
  words: RemarkListFilter
  _and: [AlbumFilter!]
  _or: [AlbumFilter!]
  _not: AlbumFilter
}

input AlbumListFilter {
  some: AlbumFilter
  none: AlbumFilter
  every: AlbumFilter
}

input AlbumOrderBy {
  title: OrderDirection
  artist: ArtistOrderBy
}

input TrackFilter {
  title: StringFilter
  artist: ArtistFilter
  words: RemarkListFilter
  _and: [TrackFilter!]
  _or: [TrackFilter!]
  _not: TrackFilter
}

input TrackListFilter {
  some: TrackFilter
  none: TrackFilter
  every: TrackFilter
}

input TrackOrderBy {
  title: OrderDirection
  artist: ArtistOrderBy
}

input RemarkFilter {
  id: IntFilter
  _and: [RemarkFilter!]
  _or: [RemarkFilter!]
  _not: RemarkFilter
}

input RemarkListFilter {
  some: RemarkFilter
  none: RemarkFilter
  every: RemarkFilter
}

input RemarkOrderBy {
  id: OrderDirection
}

input TitledFilter {
  title: StringFilter
  artist: ArtistFilter
  words: RemarkListFilter
  _and: [TitledFilter!]
  _or: [TitledFilter!]
  _not: TitledFilter
}

input TitledOrderBy {
  title: OrderDirection
  artist: ArtistOrderBy
}

input IntFilter {
  eq: Int
  neq: Int
  in: [Int!]
  nin: [Int!]
  isnull: Boolean
  gt: Int
  gte: Int
  lt: Int
  lte: Int
}

input StringFilter {
  eq: String
  neq: String
  in: [String!]
  nin: [String!]
  isnull: Boolean
  gt: String
  gte: String
  lt: String
  lte: String
  contains: String
  icontains: String
  startswith: String
  istartswith: String
  endswith: String
  iendswith: String
  like: String
  ilike: String
  nlike: String
  nilike: String
  regex: String
  iregex: String
  nregex: String
  niregex: String
}

enum OrderDirection {
  ASC
  DESC
  ASC_NULLS_FIRST
  ASC_NULLS_LAST
  DESC_NULLS_FIRST
  DESC_NULLS_LAST
}
"#);
    let Field::Polymorphic(found) = &artifact.objects["Artist"].fields["found"] else { panic!("not bound") };
    assert_eq!((found.list, found.members.len(), found.discriminator.as_deref()), (true, 2, None));
    assert_eq!(artifact.objects["Artist"].fields["nodeId"], Field::GlobalId);
    let node = |list: bool, argument: &str| QueryField::Node {
        interface: "Node".to_owned(),
        argument: argument.to_owned(),
        list,
    };
    assert_eq!(artifact.query["node"], node(false, "id"));
    assert_eq!(artifact.query["nodes"], node(true, "ids"));
}

#[test]
fn inheritance_reads_the_columns_that_it_needs_and_no_others() {
    let artifact = artifact(
        r#"
interface Animal @relation(name: "animal") @discriminator(column: "kind") { id: Int! name: String! }
type Dog implements Animal @variant(value: "dog") { id: Int! name: String! barks: Boolean }
type Cat implements Animal @variant(value: "cat") { id: Int! name: String! lives: Int }
interface Party @relation(name: "party") @discriminator(column: "kind") { id: Int! name: String! }
type Person implements Party @relation(name: "person") @variant(value: "person") { id: Int! name: String! born: Date }
type Query { animals: [Animal!]! animal(id: Int!): Animal cats: [Cat!]! parties: [Party!]! person(id: Int!): Person }
"#,
        &world(ZOO),
    );
    insta::assert_snapshot!(artifact.sdl, @r#"
interface Animal {
  id: Int!
  name: String!
}

type Dog implements Animal {
  id: Int!
  name: String!
  barks: Boolean
}

type Cat implements Animal {
  id: Int!
  name: String!
  lives: Int
}

interface Party {
  id: Int!
  name: String!
}

type Person implements Party {
  id: Int!
  name: String!
  born: Date
}

type Query {
  animals(where: AnimalFilter, orderBy: [AnimalOrderBy!], limit: Int, offset: Int): [Animal!]!
  animal(id: Int!): Animal
  cats(where: CatFilter, orderBy: [CatOrderBy!], limit: Int, offset: Int): [Cat!]!
  parties(where: PartyFilter, orderBy: [PartyOrderBy!], limit: Int, offset: Int): [Party!]!
  person(id: Int!): Person
}

input CatFilter {
  id: IntFilter
  name: StringFilter
  lives: IntFilter
  _and: [CatFilter!]
  _or: [CatFilter!]
  _not: CatFilter
}

input CatOrderBy {
  id: OrderDirection
  name: OrderDirection
  lives: OrderDirection
}

input AnimalFilter {
  id: IntFilter
  name: StringFilter
  _and: [AnimalFilter!]
  _or: [AnimalFilter!]
  _not: AnimalFilter
}

input AnimalOrderBy {
  id: OrderDirection
  name: OrderDirection
}

input PartyFilter {
  id: IntFilter
  name: StringFilter
  _and: [PartyFilter!]
  _or: [PartyFilter!]
  _not: PartyFilter
}

input PartyOrderBy {
  id: OrderDirection
  name: OrderDirection
}

input IntFilter {
  eq: Int
  neq: Int
  in: [Int!]
  nin: [Int!]
  isnull: Boolean
  gt: Int
  gte: Int
  lt: Int
  lte: Int
}

input StringFilter {
  eq: String
  neq: String
  in: [String!]
  nin: [String!]
  isnull: Boolean
  gt: String
  gte: String
  lt: String
  lte: String
  contains: String
  icontains: String
  startswith: String
  istartswith: String
  endswith: String
  iendswith: String
  like: String
  ilike: String
  nlike: String
  nilike: String
  regex: String
  iregex: String
  nregex: String
  niregex: String
}

enum OrderDirection {
  ASC
  DESC
  ASC_NULLS_FIRST
  ASC_NULLS_LAST
  DESC_NULLS_FIRST
  DESC_NULLS_LAST
}

"A date: 2026-01-31."
scalar Date @specifiedBy(url: "https://www.rfc-editor.org/rfc/rfc3339")
"#);
    let shown = |found: &AbstractType| {
        let members = found.members.iter().map(|member| {
            let join: Vec<String> =
                member.join.iter().map(|pair| format!(" {}={}", pair.local, pair.remote)).collect();
            format!("{} {}{}", member.object, member.value.as_deref().unwrap_or("-"), join.concat())
        });
        let discriminator = found.discriminator.as_deref().unwrap_or("-");
        format!("{discriminator}: {}", members.collect::<Vec<_>>().join(", "))
    };
    assert_eq!(shown(&artifact.abstracts["Animal"]), "kind: Dog dog, Cat cat");
    assert_eq!(shown(&artifact.abstracts["Party"]), "kind: Person person id=id");
    let reads: Vec<String> = artifact
        .manifest
        .reads
        .iter()
        .map(|(relation, read)| {
            format!("{relation}: {}", read.columns.keys().cloned().collect::<Vec<_>>().join(" "))
        })
        .collect();
    assert_eq!(
        reads,
        ["public.animal: barks id kind lives name", "public.party: id kind name", "public.person: born id"]
    );
}

#[test]
fn a_reference_is_told_by_a_column() {
    let artifact = artifact(
        r#"
union Subject = Album | Artist
type Query { remarks: [Remark!]! }
type Remark @relation(name: "remark") {
  subject: Subject @reference(columns: ["subject_id"], discriminator: "subject_type")
}
type Album @relation(name: "album") { albumId: Int! }
type Artist @relation(name: "artist") @variant(value: "person") { artistId: Int! }
"#,
        &world(ZOO),
    );
    let Field::Polymorphic(found) = &artifact.objects["Remark"].fields["subject"] else {
        panic!("not bound")
    };
    let members: Vec<String> = found
        .members
        .iter()
        .map(|member| format!("{} {}", member.value.as_deref().unwrap(), member.on[0].remote))
        .collect();
    assert_eq!(members, ["Album album_id", "person artist_id"]);
    assert_eq!(found.discriminator.as_deref(), Some("subject_type"));
}

#[test]
fn types_that_do_not_keep_an_interface() {
    insta::assert_snapshot!(check(r#"
interface Titled { title: String! size: Int }
interface Named implements Titled { title: String! size: Int name: String }
type Track implements Titled & Nmed @relation(name: "track") { title: String @column(name: "name") }
type Artist implements Named @relation(name: "artist") { name: Int title: String! @column(name: "name") size: Int @column(name: "artist_id") }
interface Empty { title: String! }
interface Bare @relation(name: "animal") @discriminator(column: "kind") { id: Int! }
extend type Artist { nothing: [Empty!]! }
extend type Query { empty: [Empty!]! titled(id: Int!): Titled list: [Titled!]! }
extend type Query implements Empty { title: String! }
extend interface Nothing { a: Int }
"#), @r#"
error[FQ-SDL-002]: Track implements Titled without its field size
 --> schema.graphql:5:23
  |
5 | type Track implements Titled & Nmed @relation(name: "track") { title: String @column(name: "name") }
  |                       ^^^^^^
  = help: add size: Int to Track

error[FQ-SDL-003]: there is no interface Nmed
 --> schema.graphql:5:32
  |
5 | type Track implements Titled & Nmed @relation(name: "track") { title: String @column(name: "name") }
  |                                ^^^^
  = help: did you mean "Named"?

error[FQ-SDL-002]: Track.title is String, but Titled.title is String!
 --> schema.graphql:5:71
  |
5 | type Track implements Titled & Nmed @relation(name: "track") { title: String @column(name: "name") }
  |                                                                       ^^^^^^
  = why: whoever asks for Titled.title relies on its type
  = help: write String! in both, or a narrower type here

error[FQ-SDL-002]: Artist implements Named, but not Titled
 --> schema.graphql:6:24
  |
6 | type Artist implements Named @relation(name: "artist") { name: Int title: String! @column(name: "name") size: Int @column(name: "artist_id") }
  |                        ^^^^^
  = why: Named implements Titled, and a type names all of its interfaces
  = help: Artist implements Named & Titled

error[FQ-SDL-002]: Artist.name is Int, but Named.name is String
 --> schema.graphql:6:64
  |
6 | type Artist implements Named @relation(name: "artist") { name: Int title: String! @column(name: "name") size: Int @column(name: "artist_id") }
  |                                                                ^^^
  = why: whoever asks for Named.name relies on its type
  = help: write String in both, or a narrower type here

error[FQ-SDL-008]: Artist.name is Int, but column public.artist.name is varchar
 --> schema.graphql:6:64
  |
6 | type Artist implements Named @relation(name: "artist") { name: Int title: String! @column(name: "name") size: Int @column(name: "artist_id") }
  |                                                                ^^^
  = help: write String or ID

error[FQ-SDL-002]: no type belongs to interface Bare
 --> schema.graphql:8:11
  |
8 | interface Bare @relation(name: "animal") @discriminator(column: "kind") { id: Int! }
  |           ^^^^
  = why: it would never have a row
  = help: type ... implements Bare

error[FQ-SDL-002]: no type belongs to interface Empty
 --> schema.graphql:9:32
  |
9 | extend type Artist { nothing: [Empty!]! }
  |                                ^^^^^
  = why: Artist.nothing would never have a row
  = help: type ... implements Empty

error[FQ-SDL-002]: no type belongs to interface Empty
  --> schema.graphql:10:29
   |
10 | extend type Query { empty: [Empty!]! titled(id: Int!): Titled list: [Titled!]! }
   |                             ^^^^^
   = why: Query.empty would never have a row
   = help: type ... implements Empty

error[FQ-SDL-012]: Query.titled does not say which row of which type
  --> schema.graphql:10:38
   |
10 | extend type Query { empty: [Empty!]! titled(id: Int!): Titled list: [Titled!]! }
   |                                      ^^^^^^
   = why: the types of Titled have keys of their own
   = help: return a list: [Titled!]!

error[FQ-SDL-017]: Query cannot implement Empty
  --> schema.graphql:11:30
   |
11 | extend type Query implements Empty { title: String! }
   |                              ^^^^^
   = why: the rows of an interface come from relations, those of a root type from nowhere

error[FQ-SDL-013]: Query.title does not say what it calls
  --> schema.graphql:11:38
   |
11 | extend type Query implements Empty { title: String! }
   |                                      ^^^^^
   = help: add @function(name: ...)

error[FQ-SDL-003]: there is no type Nothing to extend
  --> schema.graphql:12:18
   |
12 | extend interface Nothing { a: Int }
   |                  ^^^^^^^
"#);
}

#[test]
fn unions_of_what_is_no_object() {
    insta::assert_snapshot!(check(r#"
union Any = Album | Titel | Int | Album
interface Title { title: String! }
union None @deprecated
extend union Nobody = Album
type Place @relation(name: "place") { label: String! }
union Keyless = Place | Album
extend type Query { any: Any keyless: [Keyless!]! }
"#), @r#"
error[FQ-SDL-003]: Any cannot have Titel, which is no object type
 --> schema.graphql:3:21
  |
3 | union Any = Album | Titel | Int | Album
  |                     ^^^^^

error[FQ-SDL-003]: Any cannot have Int, which is no object type
 --> schema.graphql:3:29
  |
3 | union Any = Album | Titel | Int | Album
  |                             ^^^

error[FQ-SDL-002]: Any has two members named Album
 --> schema.graphql:3:35
  |
3 | union Any = Album | Titel | Int | Album
  |                                   ^^^^^

error[FQ-SDL-002]: union None has no members
 --> schema.graphql:5:7
  |
5 | union None @deprecated
  |       ^^^^

error[FQ-SDL-004]: @deprecated cannot stand on a union
 --> schema.graphql:5:13
  |
5 | union None @deprecated
  |             ^^^^^^^^^^
  = why: it belongs on a field, an argument, an enum value and a field of an input type

error[FQ-SDL-003]: there is no type Nobody to extend
 --> schema.graphql:6:14
  |
6 | extend union Nobody = Album
  |              ^^^^^^

error[FQ-SDL-012]: nothing identifies the rows of Place
 --> schema.graphql:7:6
  |
7 | type Place @relation(name: "place") { label: String! }
  |      ^^^^^
  = why: public.place has no primary key and no unique key without nulls
  = help: say what does: @relation(name: ..., key: ["..."])

error[FQ-SDL-012]: Query.any does not say which row of which type
 --> schema.graphql:9:21
  |
9 | extend type Query { any: Any keyless: [Keyless!]! }
  |                     ^^^
  = why: the types of Any have keys of their own
  = help: return a list: [Any!]!
"#);
}

#[test]
fn discriminators_that_tell_nothing() {
    insta::assert_snapshot!(check(r#"
interface Animal @relation(name: "animal") @discriminator(column: "knd") { id: Int! }
type Dog implements Animal { id: Int! }
"#), @r#"
error[FQ-SDL-007]: public.animal has no column "knd"
 --> schema.graphql:3:59
  |
3 | interface Animal @relation(name: "animal") @discriminator(column: "knd") { id: Int! }
  |                                                           ^^^^^^^^^^^^^
  = help: did you mean "kind"?
"#);
    insta::assert_snapshot!(check(r#"
interface Animal @relation(name: "animal") { id: Int! }
type Dog implements Animal { id: Int! }
"#), @r#"
error[FQ-SDL-005]: interface Animal does not say which column tells the type
 --> schema.graphql:3:11
  |
3 | interface Animal @relation(name: "animal") { id: Int! }
  |           ^^^^^^
  = help: add @discriminator(column: "..."), and @variant(value: "...") to each type
"#);
    insta::assert_snapshot!(check(r#"
interface Animal @relation(name: "animal") @discriminator(column: "kind") { id: Int! }
type Dog implements Animal { id: Int! }
type Cat implements Animal @variant(value: "lion") { id: Int! }
type Tom implements Animal @variant(value: "cat") @write(insert: true) { id: Int! }
type Kitty implements Animal @variant(value: "cat") { id: Int! lives: Int! }
type Firm implements Animal @variant(value: "dog") @relation(name: "company") { id: Int! nick: String! }
interface Party @relation(name: "party") @discriminator(column: "kind") { id: Int! }
type Both implements Animal & Party @variant(value: "dog") { id: Int! }
interface Lost @discriminator(column: "kind") { id: Int! }
extend type Query { pets: [Animal!]! @function dog: Dog remark: [Remark!]! }
type Remark @relation(name: "remark") { pet: Cat! @reference(columns: ["subject_id"], target: ["id"]) }
"#), @r#"
error[FQ-SDL-005]: Dog does not say which rows of Animal it is
 --> schema.graphql:4:6
  |
4 | type Dog implements Animal { id: Int! }
  |      ^^^
  = why: the column kind tells the type of a row
  = help: add @variant(value: "dog")

error[FQ-SDL-015]: Tom is told from others in public.animal by a discriminator
 --> schema.graphql:6:58
  |
6 | type Tom implements Animal @variant(value: "cat") @write(insert: true) { id: Int! }
  |                                                          ^^^^^^^^^^^^
  = why: the rows of such types are read only so far
  = help: take @write away, or write a function and call it with @function

error[FQ-SDL-005]: two types of Animal have the value "cat"
 --> schema.graphql:7:30
  |
7 | type Kitty implements Animal @variant(value: "cat") { id: Int! lives: Int! }
  |                              ^^^^^^^^^^^^^^^^^^^^^^

error[FQ-SDL-009]: Kitty.lives is marked ! but column public.animal.lives can be null
 --> schema.graphql:7:71
  |
7 | type Kitty implements Animal @variant(value: "cat") { id: Int! lives: Int! }
  |                                                                       ^^^
  = help: write Int, or add @neverNull if you know that no null comes

error[FQ-SDL-011]: public.company does not share the key of public.animal
 --> schema.graphql:8:6
  |
8 | type Firm implements Animal @variant(value: "dog") @relation(name: "company") { id: Int! nick: String! }
  |      ^^^^
  = why: the rows of the type are found by the key of the interface's relation
  = help: make its primary key a foreign key to it

error[FQ-SDL-007]: public.company has no column "id"
 --> schema.graphql:8:81
  |
8 | type Firm implements Animal @variant(value: "dog") @relation(name: "company") { id: Int! nick: String! }
  |                                                                                 ^^

error[FQ-SDL-017]: Both implements Animal and Party, each with a relation
  --> schema.graphql:10:6
   |
10 | type Both implements Animal & Party @variant(value: "dog") { id: Int! }
   |      ^^^^
   = why: one relation and one column tell which rows are of a type
   = help: take @relation and @discriminator from Animal or from Party

error[FQ-SDL-005]: two types of Animal have the value "dog"
  --> schema.graphql:10:37
   |
10 | type Both implements Animal & Party @variant(value: "dog") { id: Int! }
   |                                     ^^^^^^^^^^^^^^^^^^^^^^

error[FQ-SDL-005]: interface Lost has a discriminator and no relation
  --> schema.graphql:11:16
   |
11 | interface Lost @discriminator(column: "kind") { id: Int! }
   |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   = help: say which relation has the column: @relation(name: "...")

error[FQ-SDL-017]: public.pets returns rows of every type in public.animal
  --> schema.graphql:12:28
   |
12 | extend type Query { pets: [Animal!]! @function dog: Dog remark: [Remark!]! }
   |                            ^^^^^^
   = why: Animal is told from others by a discriminator
   = help: return another relation, or ask for the rows without the function

error[FQ-SDL-009]: Remark.pet is marked ! but its row of public.animal can be null
  --> schema.graphql:13:46
   |
13 | type Remark @relation(name: "remark") { pet: Cat! @reference(columns: ["subject_id"], target: ["id"]) }
   |                                              ^^^
   = help: write Cat, or add @neverNull if you know that no null comes
"#);
}

#[test]
fn references_that_lead_nowhere() {
    insta::assert_snapshot!(check(r#"
union Subject = Album | Artist
type Artist @relation(name: "artist") { artistId: Int! }
type Remark @relation(name: "remark") {
  a: Subject
  b: Subject @reference(columns: ["subject_id"], discriminator: "subjekt_type")
  c: Subject @reference(columns: ["word"], discriminator: "subject_type")
  d: Subject! @reference(columns: ["subject_id"], discriminator: "subject_type")
  e: [Subject!]! @reference(columns: ["subject_id"], discriminator: "subject_type")
  f: Album @reference(columns: ["subject_id"], target: ["album_id"], discriminator: "subject_type")
  g: Album @reference(columns: ["subject_id"])
  h: Subject @reference(columns: ["subject_id", "id"], discriminator: "subject_type")
  i: Subject @column(name: "id")
  j: Subject @reference(columns: ["subject_id"], discriminator: "id")
}
"#), @r#"
error[FQ-SDL-011]: no foreign key of public.remark leads to public.album
 --> schema.graphql:6:3
  |
6 |   a: Subject
  |   ^
  = help: say which columns are equal: @reference(columns: ["..."], target: ["..."])

error[FQ-SDL-007]: public.remark has no column "subjekt_type"
 --> schema.graphql:7:50
  |
7 |   b: Subject @reference(columns: ["subject_id"], discriminator: "subjekt_type")
  |                                                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: did you mean "subject_type"?

error[FQ-SDL-008]: word is text, and album_id of public.album is int4
 --> schema.graphql:8:14
  |
8 |   c: Subject @reference(columns: ["word"], discriminator: "subject_type")
  |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = why: PostgreSQL has no = for these two

error[FQ-SDL-009]: Remark.d is marked ! but the row that it leads to can be null
 --> schema.graphql:9:6
  |
9 |   d: Subject! @reference(columns: ["subject_id"], discriminator: "subject_type")
  |      ^^^^^^^
  = help: write Subject, or add @neverNull if you know that no null comes

error[FQ-SDL-005]: Remark.e is a list, and its rows are of one type each
  --> schema.graphql:10:54
   |
10 |   e: [Subject!]! @reference(columns: ["subject_id"], discriminator: "subject_type")
   |                                                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   = help: leave "discriminator" away

error[FQ-SDL-005]: Remark.f leads to Album, whose rows are of one type
  --> schema.graphql:11:70
   |
11 |   f: Album @reference(columns: ["subject_id"], target: ["album_id"], discriminator: "subject_type")
   |                                                                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   = help: leave "discriminator" away; it is for unions, and interfaces without @relation

error[FQ-SDL-005]: @reference needs "target", a list of strings such as ["artist_id"], not empty
  --> schema.graphql:12:12
   |
12 |   g: Album @reference(columns: ["subject_id"])
   |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

error[FQ-SDL-005]: "columns" names 2, but Album is found by 1
  --> schema.graphql:13:14
   |
13 |   h: Subject @reference(columns: ["subject_id", "id"], discriminator: "subject_type")
   |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   = help: name the columns of every type's relation with "target"

error[FQ-SDL-011]: no foreign key of public.remark leads to public.album
  --> schema.graphql:14:3
   |
14 |   i: Subject @column(name: "id")
   |   ^
   = help: say which columns are equal: @reference(columns: ["..."], target: ["..."])

error[FQ-SDL-005]: @column on Remark.i, which is no column but a Subject
  --> schema.graphql:14:14
   |
14 |   i: Subject @column(name: "id")
   |              ^^^^^^^^^^^^^^^^^^^
   = help: to say which columns lead there: @reference(columns: [...], target: [...])

error[FQ-SDL-008]: "Album" is no whole number, as the column id has them
  --> schema.graphql:15:50
   |
15 |   j: Subject @reference(columns: ["subject_id"], discriminator: "id")
   |                                                  ^^^^^^^^^^^^^^^^^^^
   = help: write the number in quotes: @variant(value: "1")

error[FQ-SDL-008]: "Artist" is no whole number, as the column id has them
  --> schema.graphql:15:50
   |
15 |   j: Subject @reference(columns: ["subject_id"], discriminator: "id")
   |                                                  ^^^^^^^^^^^^^^^^^^^
   = help: write the number in quotes: @variant(value: "1")
"#);
}

#[test]
fn global_ids_that_are_none() {
    insta::assert_snapshot!(check(r#"
interface Node { id: ID! }
type Place implements Node @relation(name: "place") { id: ID! label: String! }
type Artist implements Node @relation(name: "artist") { id: ID! @column(name: "artist_id") }
extend type Query { node(id: ID!): Node! nodes(ids: [ID!]!): [Node!]! other(id: Int!): Node }
"#), @r#"
error[FQ-SDL-012]: nothing identifies the rows of Place
 --> schema.graphql:4:6
  |
4 | type Place implements Node @relation(name: "place") { id: ID! label: String! }
  |      ^^^^^
  = why: public.place has no primary key and no unique key without nulls
  = help: say what does: @relation(name: ..., key: ["..."])

error[FQ-SDL-005]: @column says nothing: Artist.id is the global id
 --> schema.graphql:5:65
  |
5 | type Artist implements Node @relation(name: "artist") { id: ID! @column(name: "artist_id") }
  |                                                                 ^^^^^^^^^^^^^^^^^^^^^^^^^^

error[FQ-SDL-019]: Query.node is no field for global ids
 --> schema.graphql:6:21
  |
6 | extend type Query { node(id: ID!): Node! nodes(ids: [ID!]!): [Node!]! other(id: Int!): Node }
  |                     ^^^^
  = why: an id of which there is no row gives null
  = help: write node(id: ID!): Node, or nodes(ids: [ID!]!): [Node]!

error[FQ-SDL-019]: Query.nodes is no field for global ids
 --> schema.graphql:6:42
  |
6 | extend type Query { node(id: ID!): Node! nodes(ids: [ID!]!): [Node!]! other(id: Int!): Node }
  |                                          ^^^^^
  = why: an id of which there is no row gives null
  = help: write node(id: ID!): Node, or nodes(ids: [ID!]!): [Node]!

error[FQ-SDL-019]: Query.other is no field for global ids
 --> schema.graphql:6:71
  |
6 | extend type Query { node(id: ID!): Node! nodes(ids: [ID!]!): [Node!]! other(id: Int!): Node }
  |                                                                       ^^^^^
  = why: an id of which there is no row gives null
  = help: write node(id: ID!): Node, or nodes(ids: [ID!]!): [Node]!
"#);
}

#[test]
fn variants_members_and_documents_do_not_mix() {
    let zoo = world(&format!(
        "{ZOO}\ntable shelf\n  id int4 pk\n  data jsonb?\n  title text?\nfunction bark(a animal) -> text\nfunction report() -> setof table\n"
    ));
    let check = |fragment: &str| {
        let text = format!("{QUERY}{fragment}");
        let compiled = compile(Source { file: "schema.graphql", text: &text }, &zoo, "0.0.0-test");
        let told: Vec<String> = compiled.diagnostics.iter().map(|found| found.render(Some(&text))).collect();
        told.join("\n")
    };
    insta::assert_snapshot!(check(r#"interface Animal @relation(name: "animal") @discriminator(column: "kind") { id: Int! }
type Dog implements Animal @variant(value: "dog") { id: Int! bark: String @function(name: "bark") }
interface Node { nodeId: ID! }
union Any = Shelf | Leaf
type Shelf implements Node @relation(name: "shelf") {
  nodeId: ID! @json(column: "data")
  any: Any @json(column: "data")
  animal: Animal @json(column: "data")
  leaf: Leaf @json(column: "data")
}
type Leaf { any: Any title: String }
interface Read @read(aggregate: true) { title: String! }
type Title implements Read @relation(name: "album") { title: String! }
"#), @r#"
error[FQ-SDL-017]: Dog.bark takes a row, but those of Dog are some of an interface's
 --> schema.graphql:4:62
  |
4 | type Dog implements Animal @variant(value: "dog") { id: Int! bark: String @function(name: "bark") }
  |                                                              ^^^^
  = why: a function takes the whole row of a relation
  = help: let a view compute it, or give the type a relation of its own

error[FQ-SDL-005]: @json says nothing: Shelf.nodeId is the global id
 --> schema.graphql:8:15
  |
8 |   nodeId: ID! @json(column: "data")
  |               ^^^^^^^^^^^^^^^^^^^^^

error[FQ-SDL-017]: Any is a union, whose rows are in relations and nowhere else
 --> schema.graphql:9:8
  |
9 |   any: Any @json(column: "data")
  |        ^^^

error[FQ-SDL-017]: Animal is an interface, whose rows are in relations and nowhere else
  --> schema.graphql:10:11
   |
10 |   animal: Animal @json(column: "data")
   |           ^^^^^^

error[FQ-SDL-006]: type Leaf does not say where its rows come from
  --> schema.graphql:13:6
   |
13 | type Leaf { any: Any title: String }
   |      ^^^^
   = help: type Leaf @relation(name: "leaf")

error[FQ-SDL-017]: Any is a union, whose rows are in relations and nowhere else
  --> schema.graphql:13:18
   |
13 | type Leaf { any: Any title: String }
   |                  ^^^

error[FQ-SDL-004]: @read cannot stand on an interface
  --> schema.graphql:14:17
   |
14 | interface Read @read(aggregate: true) { title: String! }
   |                 ^^^^
   = why: it belongs on an object type
"#);
}
