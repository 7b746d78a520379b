//! A small artifact by hand: artists and their albums.

use std::collections::BTreeMap;

use fraiseql_engine::Schema;
use fraiseql_model::artifact::{
    ARTIFACT_FORMAT, Artifact, ColumnField, ColumnPair, Encoding, Field, KeyArgument, MutationField, NonNull,
    ObjectType, QueryField, Reference, ValueType,
};
use fraiseql_model::catalog::QualifiedName;
use fraiseql_model::manifest::Manifest;

const SDL: &str = r"
type Query {
  artists(where: ArtistFilter, orderBy: [ArtistOrderBy!], limit: Int, offset: Int): [Artist!]!
  artist(artistId: Int!): Artist
}
type Mutation { deleteArtist(artistId: Int!): Artist }
type Artist {
  artistId: Int!
  name: String
  albums(where: AlbumFilter, orderBy: [AlbumOrderBy!], limit: Int, offset: Int): [Album!]!
}
type Album { albumId: Int! title: String! artist: Artist! }
input ArtistFilter {
  _and: [ArtistFilter!] _or: [ArtistFilter!] _not: ArtistFilter
  artistId: IntFilter name: StringFilter albums: AlbumListFilter
}
input AlbumFilter { _and: [AlbumFilter!] title: StringFilter artist: ArtistFilter }
input AlbumListFilter { some: AlbumFilter every: AlbumFilter none: AlbumFilter }
input IntFilter { eq: Int in: [Int!] isnull: Boolean }
input StringFilter { eq: String in: [String!] contains: String isnull: Boolean }
input ArtistOrderBy { artistId: OrderDirection name: OrderDirection }
input AlbumOrderBy { title: OrderDirection artist: ArtistOrderBy }
enum OrderDirection { ASC DESC }
";

fn column(name: &str, graphql: &str, sql: &str) -> Field {
    let value = ValueType {
        graphql: graphql.to_owned(),
        sql: format!("\"pg_catalog\".\"{sql}\""),
        list: false,
        encoding: Encoding::Plain,
    };
    Field::Column(ColumnField { column: name.to_owned(), value, non_null: NonNull::Nullable, key: None })
}

fn reference(target: &str) -> Reference {
    let on = vec![ColumnPair { local: "artist_id".to_owned(), remote: "artist_id".to_owned() }];
    Reference { target: target.to_owned(), on, non_null: NonNull::Proven }
}

fn object(table: &str, key: &str, fields: Vec<(&str, Field)>) -> ObjectType {
    ObjectType {
        relation: QualifiedName::new("public", table),
        key: vec![key.to_owned()],
        fields: fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect(),
        rows: Vec::new(),
    }
}

/// Returns the schema, loaded.
pub(crate) fn schema() -> Schema {
    let artist = object(
        "artist",
        "artist_id",
        vec![
            ("artistId", column("artist_id", "Int", "int4")),
            ("name", column("name", "String", "varchar")),
            ("albums", Field::ToMany(reference("Album"))),
        ],
    );
    let album = object(
        "album",
        "album_id",
        vec![
            ("albumId", column("album_id", "Int", "int4")),
            ("title", column("title", "String", "varchar")),
            ("artist", Field::ToOne(reference("Artist"))),
        ],
    );
    let key = vec![KeyArgument { argument: "artistId".to_owned(), field: "artistId".to_owned() }];
    let artist_name = "Artist".to_owned();
    let artifact = Artifact {
        format: ARTIFACT_FORMAT,
        digest: String::new(),
        compiler: "test".to_owned(),
        sdl: SDL.to_owned(),
        objects: BTreeMap::from([(artist_name.clone(), artist), ("Album".to_owned(), album)]),
        enums: BTreeMap::new(),
        query: BTreeMap::from([
            ("artists".to_owned(), QueryField::List { object: artist_name.clone() }),
            ("artist".to_owned(), QueryField::Lookup { object: artist_name.clone(), key: key.clone() }),
        ]),
        mutation: BTreeMap::from([(
            "deleteArtist".to_owned(),
            MutationField::DeleteOne { object: artist_name, key },
        )]),
        manifest: Manifest::default(),
        abstracts: BTreeMap::new(),
        documents: BTreeMap::new(),
        subscription: BTreeMap::new(),
        writes: BTreeMap::new(),
        operations: Vec::new(),
        inputs: BTreeMap::new(),
        access: Default::default(),
    };
    Schema::load(artifact).expect("the fixture is sound")
}
