//! The subscription type: bound as Query is, with the same arguments and the same refusals.

use fraiseql_model::artifact::QueryField;

use crate::compiling::artifact;
use crate::refusing::check;
use crate::world::world;

const MUSIC: &str = "
table album
  album_id int4 pk
  title varchar
function newest(n int4) -> setof row album
";

#[test]
fn fields_are_bound_as_those_of_query_are() {
    let artifact = artifact(
        r#"
type Query { albums: [Album!]! }
"What changes."
type Subscription { albums: [Album!]! }
extend type Subscription {
  album(albumId: Int!): Album
  newest(n: Int!): [Album!]! @function(name: "newest")
}
type Album @relation(name: "album") { albumId: Int! title: String! }
"#,
        &world(MUSIC),
    );
    let (_, subscription) = artifact.sdl.split_once("\"What").unwrap();
    insta::assert_snapshot!(subscription.split_once("}\n").unwrap().0, @r#"
 changes."
type Subscription {
  albums(where: AlbumFilter, orderBy: [AlbumOrderBy!], limit: Int, offset: Int): [Album!]!
  album(albumId: Int!): Album
  newest(n: Int!, where: AlbumFilter, orderBy: [AlbumOrderBy!], limit: Int, offset: Int): [Album!]!
"#);
    let found: Vec<_> = artifact.subscription.iter().map(|(name, field)| (name.as_str(), field)).collect();
    let [("album", album), ("albums", albums), ("newest", newest)] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert!(matches!(album, QueryField::Lookup { .. }));
    assert!(matches!(albums, QueryField::List { .. }));
    assert!(matches!(newest, QueryField::Function(_)));
    assert!(artifact.manifest.reads["public.album"].columns["album_id"].contains("Subscription.album"));
    assert!(artifact.manifest.functions["public.newest"].used_by.contains("Subscription.newest"));
}

#[test]
fn a_schema_without_it_is_what_it_was() {
    let artifact = artifact(
        r#"type Query { albums: [Album!]! } type Album @relation(name: "album") { albumId: Int! }"#,
        &world(MUSIC),
    );
    let (_, bytes) = artifact.seal();
    assert!(!String::from_utf8(bytes).unwrap().contains("subscription"));
}

#[test]
fn what_cannot_be_bound_is_refused_as_in_query() {
    insta::assert_snapshot!(check(r#"type Subscription { artist: Artist  artistz: [Artistz!]!  plays: Int }
schema { subscription: Live }"#), @r#"
error[FQ-SDL-012]: Subscription.artist does not say which row
 --> schema.graphql:3:21
  |
3 | type Subscription { artist: Artist  artistz: [Artistz!]!  plays: Int }
  |                     ^^^^^^
  = why: such a field returns at most one row
  = help: a row is found by (artistId: Int!); or return a list: [Artist!]!

error[FQ-SDL-003]: there is no type Artistz
 --> schema.graphql:3:47
  |
3 | type Subscription { artist: Artist  artistz: [Artistz!]!  plays: Int }
  |                                               ^^^^^^^
  = help: did you mean Artist?

error[FQ-SDL-013]: Subscription.plays does not say what it calls
 --> schema.graphql:3:59
  |
3 | type Subscription { artist: Artist  artistz: [Artistz!]!  plays: Int }
  |                                                           ^^^^^
  = help: add @function(name: ...)

error[FQ-SDL-017]: the subscription type must be called Subscription
 --> schema.graphql:4:24
  |
4 | schema { subscription: Live }
  |                        ^^^^
  = help: leave `schema { ... }` away and use these names
"#);
}
