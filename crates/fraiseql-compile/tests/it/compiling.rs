//! Schemas that compile: the public schema, the bindings, the manifest.

use fraiseql_compile::{Source, compile};
use fraiseql_model::artifact::Artifact;
use fraiseql_model::catalog::Catalog;

use crate::world::world;

#[track_caller]
pub fn artifact(text: &str, catalog: &Catalog) -> Artifact {
    let source = Source {
        file: "schema.graphql",
        text,
    };
    let compiled = compile(source, catalog, "0.0.0-test");
    let told: Vec<String> = compiled.diagnostics.iter().map(|found| found.render(Some(text))).collect();
    let artifact = compiled.artifact.unwrap_or_else(|| panic!("{}", told.concat()));
    fraiseql_engine::Schema::load(artifact.clone()).unwrap_or_else(|error| panic!("{error}\n{}", artifact.sdl));
    artifact
}

const MUSIC: &str = "
table artist
  artist_id int4 pk
  name varchar?
table album
  album_id int4 pk
  title varchar
  artist_id int4 -> artist.artist_id index
";

#[test]
fn a_small_schema() {
    let artifact = artifact(
        r#"
type Query { artists: [Artist!]!  artist(artistId: Int!): Artist  albums: [Album!]! }
"An artist."
type Artist @relation(name: "artist") @write(insert: true, update: true, delete: true, upsert: true) {
  artistId: Int!
  name: String
  albums: [Album!]!
}
type Album @relation(name: "album") {
  albumId: ID!
  title: String!
  artist: Artist!
}
"#,
        &world(MUSIC),
    );
    insta::assert_snapshot!(artifact.sdl, @r#"
type Query {
  artists(where: ArtistFilter, orderBy: [ArtistOrderBy!], limit: Int, offset: Int): [Artist!]!
  artist(artistId: Int!): Artist
  albums(where: AlbumFilter, orderBy: [AlbumOrderBy!], limit: Int, offset: Int): [Album!]!
}

"An artist."
type Artist {
  artistId: Int!
  name: String
  albums(where: AlbumFilter, orderBy: [AlbumOrderBy!], limit: Int, offset: Int): [Album!]!
}

type Album {
  albumId: ID!
  title: String!
  artist: Artist!
}

type Mutation {
  "Inserts one."
  insertArtist(object: ArtistInsertInput!): Artist
  "Inserts many."
  insertArtists(objects: [ArtistInsertInput!]!): ArtistMutationResult
  "Updates the one with this key; null when there is none."
  updateArtist(artistId: Int!, set: ArtistSetInput!): Artist
  "Updates all that the filter lets through."
  updateArtists(where: ArtistFilter!, set: ArtistSetInput!): ArtistMutationResult
  "Deletes the one with this key and returns it; null when there is none."
  deleteArtist(artistId: Int!): Artist
  "Deletes all that the filter lets through."
  deleteArtists(where: ArtistFilter!): ArtistMutationResult
  "Inserts one, or updates the one that has the same key."
  upsertArtist(object: ArtistInsertInput!, onConflict: ArtistConflict!): Artist
  "Inserts many, or updates those that have the same key."
  upsertArtists(objects: [ArtistInsertInput!]!, onConflict: ArtistConflict!): ArtistMutationResult
}

input ArtistFilter {
  artistId: IntFilter
  name: StringFilter
  albums: AlbumListFilter
  _and: [ArtistFilter!]
  _or: [ArtistFilter!]
  _not: ArtistFilter
}

input ArtistOrderBy {
  artistId: OrderDirection
  name: OrderDirection
}

input ArtistInsertInput {
  artistId: Int!
  name: String
}

input ArtistSetInput {
  artistId: Int
  name: String
}

enum ArtistConflict {
  PRIMARY_KEY
}

type ArtistMutationResult {
  affectedRows: Int!
  returning: [Artist!]!
}

input AlbumFilter {
  albumId: IDFilter
  title: StringFilter
  artist: ArtistFilter
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
  albumId: OrderDirection
  title: OrderDirection
  artist: ArtistOrderBy
}

input IDFilter {
  eq: ID
  neq: ID
  in: [ID!]
  nin: [ID!]
  isnull: Boolean
  gt: ID
  gte: ID
  lt: ID
  lte: ID
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
    insta::assert_snapshot!(serde_json::to_string_pretty(&artifact.objects).unwrap(), @r#"
{
  "Album": {
    "relation": {
      "schema": "public",
      "name": "album"
    },
    "key": [
      "album_id"
    ],
    "fields": {
      "albumId": {
        "column": {
          "column": "album_id",
          "value": {
            "graphql": "ID",
            "sql": "\"pg_catalog\".\"int4\"",
            "list": false,
            "encoding": "text"
          },
          "non_null": "proven"
        }
      },
      "artist": {
        "to_one": {
          "target": "Artist",
          "on": [
            {
              "local": "artist_id",
              "remote": "artist_id"
            }
          ],
          "non_null": "proven"
        }
      },
      "title": {
        "column": {
          "column": "title",
          "value": {
            "graphql": "String",
            "sql": "\"pg_catalog\".\"varchar\"",
            "list": false,
            "encoding": "plain"
          },
          "non_null": "proven"
        }
      }
    }
  },
  "Artist": {
    "relation": {
      "schema": "public",
      "name": "artist"
    },
    "key": [
      "artist_id"
    ],
    "fields": {
      "albums": {
        "to_many": {
          "target": "Album",
          "on": [
            {
              "local": "artist_id",
              "remote": "artist_id"
            }
          ],
          "non_null": "proven"
        }
      },
      "artistId": {
        "column": {
          "column": "artist_id",
          "value": {
            "graphql": "Int",
            "sql": "\"pg_catalog\".\"int4\"",
            "list": false,
            "encoding": "plain"
          },
          "non_null": "proven"
        }
      },
      "name": {
        "column": {
          "column": "name",
          "value": {
            "graphql": "String",
            "sql": "\"pg_catalog\".\"varchar\"",
            "list": false,
            "encoding": "plain"
          },
          "non_null": "nullable"
        }
      }
    }
  }
}
"#);
    insta::assert_snapshot!(serde_json::to_string_pretty(&artifact.mutation).unwrap(), @r#"
{
  "deleteArtist": {
    "delete_one": {
      "object": "Artist",
      "key": [
        {
          "argument": "artistId",
          "field": "artistId"
        }
      ]
    }
  },
  "deleteArtists": {
    "delete_many": {
      "object": "Artist"
    }
  },
  "insertArtist": {
    "insert_one": {
      "object": "Artist"
    }
  },
  "insertArtists": {
    "insert_many": {
      "object": "Artist"
    }
  },
  "updateArtist": {
    "update_one": {
      "object": "Artist",
      "key": [
        {
          "argument": "artistId",
          "field": "artistId"
        }
      ]
    }
  },
  "updateArtists": {
    "update_many": {
      "object": "Artist"
    }
  },
  "upsertArtist": {
    "upsert_one": {
      "object": "Artist",
      "conflicts": {
        "PRIMARY_KEY": [
          "artist_id"
        ]
      }
    }
  },
  "upsertArtists": {
    "upsert_many": {
      "object": "Artist",
      "conflicts": {
        "PRIMARY_KEY": [
          "artist_id"
        ]
      }
    }
  }
}
"#);
    insta::assert_snapshot!(serde_json::to_string_pretty(&artifact.manifest).unwrap(), @r#"
{
  "reads": {
    "public.album": {
      "columns": {
        "album_id": [
          "Album",
          "Album.albumId"
        ],
        "artist_id": [
          "Album.artist",
          "Artist.albums"
        ],
        "title": [
          "Album.title"
        ]
      },
      "column_types": {
        "album_id": "\"pg_catalog\".\"int4\"",
        "artist_id": "\"pg_catalog\".\"int4\"",
        "title": "\"pg_catalog\".\"varchar\""
      },
      "non_null": [
        "album_id",
        "artist_id",
        "title"
      ],
      "whole_row": false
    },
    "public.artist": {
      "columns": {
        "artist_id": [
          "Album.artist",
          "Artist",
          "Artist.albums",
          "Artist.artistId",
          "Mutation.deleteArtist",
          "Mutation.updateArtist",
          "Query.artist"
        ],
        "name": [
          "Artist.name"
        ]
      },
      "column_types": {
        "artist_id": "\"pg_catalog\".\"int4\"",
        "name": "\"pg_catalog\".\"varchar\""
      },
      "non_null": [
        "artist_id"
      ],
      "whole_row": false
    }
  },
  "writes": {
    "public.artist": {
      "insert": {
        "required": [
          "artist_id"
        ],
        "optional": [
          "name"
        ],
        "omitted": []
      },
      "update": [
        "artist_id",
        "name"
      ],
      "delete": true,
      "conflict_keys": [
        [
          "artist_id"
        ]
      ]
    }
  },
  "types": {},
  "functions": {}
}
"#);
}
