//! Schemas that compile: the public schema, the bindings, the manifest.

use fraiseql_compile::{Source, compile};
use fraiseql_model::artifact::Artifact;
use fraiseql_model::catalog::Catalog;

use crate::world::world;

#[track_caller]
pub fn artifact(text: &str, catalog: &Catalog) -> Artifact {
    let source = Source { file: "schema.graphql", text };
    let compiled = compile(source, catalog, "0.0.0-test");
    let told: Vec<String> = compiled.diagnostics.iter().map(|found| found.render(Some(text))).collect();
    let artifact = compiled.artifact.unwrap_or_else(|| panic!("{}", told.concat()));
    fraiseql_engine::Schema::load(artifact.clone())
        .unwrap_or_else(|error| panic!("{error}\n{}", artifact.sdl));
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

#[test]
fn functions_of_every_shape() {
    let artifact = artifact(
        r#"
type Query {
  top(n: Int! = 3, kinds: [Mood!]): [Artist!]! @function
  newest: Artist! @function(name: "newest_artist") @neverNull
  total(of: Int!): BigInt @function(name: "count_albums")
  odd(x: Int!, y: Int = null): Int @function
  moods: [Mood!]! @function @neverNull
  blob(id: UUID!): Bytes @function(name: "twin")
  blobByName(name: String!): Bytes @function(name: "twin")
}
type Artist @relation(name: "artist") { artistId: Int!  mood: Mood }
enum Mood { happy  so_so @label(name: "so so") }
type Mutation {
  rename(artist: Int!, title: String): Artist @function(schema: "shop")
  log(line: String! @parameter(name: "p_line")): Boolean! @function
  "Two ways."
  tags(ids: [ID!]!): [String] @function @deprecated
}
"#,
        &world(
            "
table artist
  artist_id int4 pk
  mood mood?
enum mood happy \"so so\"
function top(n int8, kinds mood[] =) -> setof row artist
function newest_artist() -> row artist
function count_albums(of int4) -> int8
function odd(int4, int4) -> int4
function moods() -> setof mood
function twin(id uuid) -> bytea
function twin(name text) -> bytea
function shop.rename(artist int4, title text =) -> row artist volatile
function log(p_line text) -> void volatile
function tags(ids int8[]) -> text[] volatile
",
        ),
    );
    insta::assert_snapshot!(artifact.sdl.split("input ArtistFilter").next().unwrap(), @r#"
type Query {
  top(n: Int! = 3, kinds: [Mood!], where: ArtistFilter, orderBy: [ArtistOrderBy!], limit: Int, offset: Int): [Artist!]!
  newest: Artist!
  total(of: Int!): BigInt
  odd(x: Int!, y: Int = null): Int
  moods: [Mood!]!
  blob(id: UUID!): Bytes
  blobByName(name: String!): Bytes
}

type Artist {
  artistId: Int!
  mood: Mood
}

enum Mood {
  happy
  so_so
}

type Mutation {
  rename(artist: Int!, title: String): Artist
  log(line: String!): Boolean!
  "Two ways."
  tags(ids: [ID!]!): [String] @deprecated
}
"#);
    insta::assert_snapshot!(serde_json::to_string_pretty(&artifact.query).unwrap(), @r#"
{
  "blob": {
    "function": {
      "function": {
        "schema": "public",
        "name": "twin"
      },
      "arguments": [
        {
          "argument": "id",
          "parameter": "id",
          "value": {
            "graphql": "UUID",
            "sql": "\"pg_catalog\".\"uuid\"",
            "list": false,
            "encoding": "plain"
          }
        }
      ],
      "returns": {
        "value": {
          "value": {
            "graphql": "Bytes",
            "sql": "\"pg_catalog\".\"bytea\"",
            "list": false,
            "encoding": "base64"
          },
          "set": false,
          "non_null": "nullable"
        }
      }
    }
  },
  "blobByName": {
    "function": {
      "function": {
        "schema": "public",
        "name": "twin"
      },
      "arguments": [
        {
          "argument": "name",
          "parameter": "name",
          "value": {
            "graphql": "String",
            "sql": "\"pg_catalog\".\"text\"",
            "list": false,
            "encoding": "plain"
          }
        }
      ],
      "returns": {
        "value": {
          "value": {
            "graphql": "Bytes",
            "sql": "\"pg_catalog\".\"bytea\"",
            "list": false,
            "encoding": "base64"
          },
          "set": false,
          "non_null": "nullable"
        }
      }
    }
  },
  "moods": {
    "function": {
      "function": {
        "schema": "public",
        "name": "moods"
      },
      "arguments": [],
      "returns": {
        "value": {
          "value": {
            "graphql": "Mood",
            "sql": "\"public\".\"mood\"",
            "list": false,
            "encoding": "label"
          },
          "set": true,
          "non_null": "trusted"
        }
      }
    }
  },
  "newest": {
    "function": {
      "function": {
        "schema": "public",
        "name": "newest_artist"
      },
      "arguments": [],
      "returns": {
        "object": {
          "object": "Artist",
          "set": false,
          "non_null": "trusted"
        }
      }
    }
  },
  "odd": {
    "function": {
      "function": {
        "schema": "public",
        "name": "odd"
      },
      "arguments": [
        {
          "argument": "x",
          "parameter": "",
          "value": {
            "graphql": "Int",
            "sql": "\"pg_catalog\".\"int4\"",
            "list": false,
            "encoding": "plain"
          }
        },
        {
          "argument": "y",
          "parameter": "",
          "value": {
            "graphql": "Int",
            "sql": "\"pg_catalog\".\"int4\"",
            "list": false,
            "encoding": "plain"
          }
        }
      ],
      "returns": {
        "value": {
          "value": {
            "graphql": "Int",
            "sql": "\"pg_catalog\".\"int4\"",
            "list": false,
            "encoding": "plain"
          },
          "set": false,
          "non_null": "nullable"
        }
      }
    }
  },
  "top": {
    "function": {
      "function": {
        "schema": "public",
        "name": "top"
      },
      "arguments": [
        {
          "argument": "n",
          "parameter": "n",
          "value": {
            "graphql": "Int",
            "sql": "\"pg_catalog\".\"int8\"",
            "list": false,
            "encoding": "plain"
          }
        },
        {
          "argument": "kinds",
          "parameter": "kinds",
          "value": {
            "graphql": "Mood",
            "sql": "\"public\".\"mood\"",
            "list": true,
            "encoding": "label"
          }
        }
      ],
      "returns": {
        "object": {
          "object": "Artist",
          "set": true,
          "non_null": "proven"
        }
      }
    }
  },
  "total": {
    "function": {
      "function": {
        "schema": "public",
        "name": "count_albums"
      },
      "arguments": [
        {
          "argument": "of",
          "parameter": "of",
          "value": {
            "graphql": "Int",
            "sql": "\"pg_catalog\".\"int4\"",
            "list": false,
            "encoding": "plain"
          }
        }
      ],
      "returns": {
        "value": {
          "value": {
            "graphql": "BigInt",
            "sql": "\"pg_catalog\".\"int8\"",
            "list": false,
            "encoding": "text"
          },
          "set": false,
          "non_null": "nullable"
        }
      }
    }
  }
}
"#);
    insta::assert_snapshot!(serde_json::to_string_pretty(&artifact.mutation).unwrap(), @r#"
{
  "log": {
    "function": {
      "function": {
        "schema": "public",
        "name": "log"
      },
      "arguments": [
        {
          "argument": "line",
          "parameter": "p_line",
          "value": {
            "graphql": "String",
            "sql": "\"pg_catalog\".\"text\"",
            "list": false,
            "encoding": "plain"
          }
        }
      ],
      "returns": "void"
    }
  },
  "rename": {
    "function": {
      "function": {
        "schema": "shop",
        "name": "rename"
      },
      "arguments": [
        {
          "argument": "artist",
          "parameter": "artist",
          "value": {
            "graphql": "Int",
            "sql": "\"pg_catalog\".\"int4\"",
            "list": false,
            "encoding": "plain"
          }
        },
        {
          "argument": "title",
          "parameter": "title",
          "value": {
            "graphql": "String",
            "sql": "\"pg_catalog\".\"text\"",
            "list": false,
            "encoding": "plain"
          }
        }
      ],
      "returns": {
        "object": {
          "object": "Artist",
          "set": false,
          "non_null": "nullable"
        }
      }
    }
  },
  "tags": {
    "function": {
      "function": {
        "schema": "public",
        "name": "tags"
      },
      "arguments": [
        {
          "argument": "ids",
          "parameter": "ids",
          "value": {
            "graphql": "ID",
            "sql": "\"pg_catalog\".\"int8\"",
            "list": true,
            "encoding": "text"
          }
        }
      ],
      "returns": {
        "value": {
          "value": {
            "graphql": "String",
            "sql": "\"pg_catalog\".\"text\"",
            "list": true,
            "encoding": "plain"
          },
          "set": false,
          "non_null": "nullable"
        }
      }
    }
  }
}
"#);
    insta::assert_snapshot!(serde_json::to_string_pretty(&artifact.manifest).unwrap(), @r#"
{
  "reads": {
    "public.artist": {
      "columns": {
        "artist_id": [
          "Artist",
          "Artist.artistId"
        ],
        "mood": [
          "Artist.mood"
        ]
      },
      "column_types": {
        "artist_id": "\"pg_catalog\".\"int4\"",
        "mood": "\"public\".\"mood\""
      },
      "non_null": [
        "artist_id"
      ],
      "whole_row": true
    }
  },
  "writes": {},
  "types": {
    "public.mood": {
      "graphql": "Mood",
      "labels_read": [
        "happy",
        "so so"
      ],
      "labels_written": [
        "happy",
        "so so"
      ]
    }
  },
  "functions": {
    "public.count_albums": {
      "arguments": {
        "of": "\"pg_catalog\".\"int4\""
      },
      "returns": "\"pg_catalog\".\"int8\"",
      "used_by": [
        "Query.total"
      ]
    },
    "public.log": {
      "arguments": {
        "p_line": "\"pg_catalog\".\"text\""
      },
      "returns": "void",
      "used_by": [
        "Mutation.log"
      ]
    },
    "public.moods": {
      "arguments": {},
      "returns": "SETOF \"public\".\"mood\"",
      "used_by": [
        "Query.moods"
      ]
    },
    "public.newest_artist": {
      "arguments": {},
      "returns": "\"public\".\"artist\"",
      "used_by": [
        "Query.newest"
      ]
    },
    "public.odd": {
      "arguments": {
        "$1": "\"pg_catalog\".\"int4\"",
        "$2": "\"pg_catalog\".\"int4\""
      },
      "returns": "\"pg_catalog\".\"int4\"",
      "used_by": [
        "Query.odd"
      ]
    },
    "public.tags": {
      "arguments": {
        "ids": "\"pg_catalog\".\"int8\"[]"
      },
      "returns": "\"pg_catalog\".\"text\"[]",
      "used_by": [
        "Mutation.tags"
      ]
    },
    "public.top": {
      "arguments": {
        "kinds": "\"public\".\"mood\"[]",
        "n": "\"pg_catalog\".\"int8\""
      },
      "returns": "SETOF \"public\".\"artist\"",
      "used_by": [
        "Query.top"
      ]
    },
    "public.twin(\"pg_catalog\".\"text\")": {
      "arguments": {
        "name": "\"pg_catalog\".\"text\""
      },
      "returns": "\"pg_catalog\".\"bytea\"",
      "used_by": [
        "Query.blobByName"
      ]
    },
    "public.twin(\"pg_catalog\".\"uuid\")": {
      "arguments": {
        "id": "\"pg_catalog\".\"uuid\""
      },
      "returns": "\"pg_catalog\".\"bytea\"",
      "used_by": [
        "Query.blob"
      ]
    },
    "shop.rename": {
      "arguments": {
        "artist": "\"pg_catalog\".\"int4\"",
        "title": "\"pg_catalog\".\"text\""
      },
      "returns": "\"public\".\"artist\"",
      "used_by": [
        "Mutation.rename"
      ]
    }
  }
}
"#);
}

/// The convention of three ids: the integer key is never shown, the UUID is.
#[test]
fn a_hidden_key_is_written_through_another() {
    let artifact = artifact(
        r#"
type Query { user(id: ID!): User }
type User @relation(name: "tb_user") @write(insert: true, update: true, delete: true, upsert: true) { id: ID!  email: String!  age: Int }
"#,
        &world(
            "
table tb_user
  pk_user int4 pk always
  id uuid unique default
  email email unique
  age positive?
  added timestamptz default
  first_id int4?
domain email = citext
domain positive = int4
",
        ),
    );
    let mutations = artifact.sdl.split("type Mutation").nth(1).unwrap();
    insta::assert_snapshot!(mutations.split("input IDFilter").next().unwrap(), @r#"
 {
  "Inserts one."
  insertUser(object: UserInsertInput!): User
  "Inserts many."
  insertUsers(objects: [UserInsertInput!]!): UserMutationResult
  "Updates the one with this key; null when there is none."
  updateUser(id: ID!, set: UserSetInput!): User
  "Updates all that the filter lets through."
  updateUsers(where: UserFilter!, set: UserSetInput!): UserMutationResult
  "Deletes the one with this key and returns it; null when there is none."
  deleteUser(id: ID!): User
  "Deletes all that the filter lets through."
  deleteUsers(where: UserFilter!): UserMutationResult
  "Inserts one, or updates the one that has the same key."
  upsertUser(object: UserInsertInput!, onConflict: UserConflict!): User
  "Inserts many, or updates those that have the same key."
  upsertUsers(objects: [UserInsertInput!]!, onConflict: UserConflict!): UserMutationResult
}

input UserFilter {
  id: IDFilter
  email: StringFilter
  age: IntFilter
  _and: [UserFilter!]
  _or: [UserFilter!]
  _not: UserFilter
}

input UserInsertInput {
  id: ID
  email: String!
  age: Int
}

input UserSetInput {
  id: ID
  email: String
  age: Int
}

enum UserConflict {
  EMAIL
  ID
}

type UserMutationResult {
  affectedRows: Int!
  returning: [User!]!
}
"#);
    insta::assert_snapshot!(serde_json::to_string_pretty(&artifact.manifest).unwrap(), @r#"
{
  "reads": {
    "public.tb_user": {
      "columns": {
        "age": [
          "User.age"
        ],
        "email": [
          "User.email"
        ],
        "id": [
          "Mutation.deleteUser",
          "Mutation.updateUser",
          "Query.user",
          "User.id"
        ],
        "pk_user": [
          "User"
        ]
      },
      "column_types": {
        "age": "\"public\".\"positive\"",
        "email": "\"public\".\"email\"",
        "id": "\"pg_catalog\".\"uuid\"",
        "pk_user": "\"pg_catalog\".\"int4\""
      },
      "non_null": [
        "email",
        "id"
      ],
      "whole_row": false
    }
  },
  "writes": {
    "public.tb_user": {
      "insert": {
        "required": [
          "email"
        ],
        "optional": [
          "age",
          "id"
        ],
        "omitted": [
          "added",
          "first_id",
          "pk_user"
        ]
      },
      "update": [
        "age",
        "email",
        "id"
      ],
      "delete": true,
      "conflict_keys": [
        [
          "email"
        ],
        [
          "id"
        ]
      ]
    }
  },
  "types": {
    "public.citext": {
      "graphql": "String",
      "labels_read": [],
      "labels_written": []
    },
    "public.email": {
      "graphql": "String",
      "labels_read": [],
      "labels_written": []
    },
    "public.positive": {
      "graphql": "Int",
      "labels_read": [],
      "labels_written": []
    }
  },
  "functions": {}
}
"#);
    assert_eq!(artifact.objects["User"].key, ["pk_user"]);
}

#[test]
fn views_follow_the_keys_of_their_tables() {
    let catalog = world(
        "
table artist
  artist_id int4 pk
  name varchar
table album
  album_id int4 pk
  artist_id int4 -> artist.artist_id
  title text
view v_album
  id int4 from album.album_id
  artist int4 from album.artist_id
  title text? from album.title
  artist_name varchar from artist.name
view v_artist updatable
  id int4 from artist.artist_id
  name varchar from artist.name
  shout text?
",
    );
    let text = r#"
type Query { albums: [Album!]!  album(id: Int!): Album  artist(id: Int!): Artist }
type Album @relation(name: "v_album", key: ["id"]) { id: Int!  title: String! @neverNull  by: Artist! @neverNull }
type Artist @relation(name: "v_artist") @write(insert: true, update: true) { id: Int!  name: String!  shout: String  albums: [Album!]! }
"#;
    let artifact = artifact(text, &catalog);
    insta::assert_snapshot!(serde_json::to_string(&artifact.objects["Album"]).unwrap(), @r#"{"relation":{"schema":"public","name":"v_album"},"key":["id"],"fields":{"by":{"to_one":{"target":"Artist","on":[{"local":"artist","remote":"id"}],"non_null":"trusted"}},"id":{"column":{"column":"id","value":{"graphql":"Int","sql":"\"pg_catalog\".\"int4\"","list":false,"encoding":"plain"},"non_null":"proven"}},"title":{"column":{"column":"title","value":{"graphql":"String","sql":"\"pg_catalog\".\"text\"","list":false,"encoding":"plain"},"non_null":"trusted"}}}}"#);
    insta::assert_snapshot!(serde_json::to_string(&artifact.objects["Artist"]).unwrap(), @r#"{"relation":{"schema":"public","name":"v_artist"},"key":["id"],"fields":{"albums":{"to_many":{"target":"Album","on":[{"local":"id","remote":"artist"}],"non_null":"proven"}},"id":{"column":{"column":"id","value":{"graphql":"Int","sql":"\"pg_catalog\".\"int4\"","list":false,"encoding":"plain"},"non_null":"proven"}},"name":{"column":{"column":"name","value":{"graphql":"String","sql":"\"pg_catalog\".\"varchar\"","list":false,"encoding":"plain"},"non_null":"proven"}},"shout":{"column":{"column":"shout","value":{"graphql":"String","sql":"\"pg_catalog\".\"text\"","list":false,"encoding":"plain"},"non_null":"nullable"}}}}"#);
    let input = artifact.sdl.split("input ArtistInsertInput").nth(1).unwrap();
    insta::assert_snapshot!(input.split('}').next().unwrap(), @r#"
{
 id: Int!
 name: String!
"#);
    let source = Source { file: "schema.graphql", text };
    let told: Vec<String> =
        compile(source, &catalog, "").diagnostics.iter().map(|found| found.message.clone()).collect();
    assert_eq!(told, ["public.album has no index on artist_id"]);
}

#[test]
fn filters_offer_what_postgresql_can_compare() {
    let artifact = artifact(
        r#"
type Query { samples: [Sample!]! }
type Sample @relation(name: "sample") {
  a: Boolean  b: Int  c: ID  d: ID  e: ID  f: Mood  g: String  h: String  i: String  j: JSON  k: JSON
  l: [Int]  m: [JSON]  n: Bytes  o: DateRange  p: Feeling  q: [Feeling]  r: [String]  s: Float
}
enum Mood { sad }
enum Feeling @enum(name: "mood") { sad }
"#,
        &world(
            "
domain feeling = mood
composite address street text
enum mood sad
table sample
  a bool?
  b int2?
  c int8?
  d uuid?
  e text?
  f mood?
  g mood?
  h inet?
  i xml?
  j jsonb?
  k address?
  l int4[]?
  m jsonb[]?
  n bytea?
  o daterange?
  p feeling?
  q feeling[]?
  r text[]?
  s float4?
",
        ),
    );
    let filter = artifact.sdl.split("input SampleFilter").nth(1).unwrap();
    insta::assert_snapshot!(filter.split("enum OrderDirection").next().unwrap(), @r"
     {
      a: BooleanFilter
      b: IntFilter
      c: IDFilter
      d: IDFilter
      e: TextIDFilter
      f: MoodFilter
      g: OrderedStringFilter
      h: NetworkFilter
      i: NullFilter
      j: JSONFilter
      k: NullFilter
      l: IntListFilter
      m: NullFilter
      n: BytesFilter
      o: DateRangeFilter
      p: NullFilter
      q: FeelingListFilter
      r: StringListFilter
      s: FloatFilter
      _and: [SampleFilter!]
      _or: [SampleFilter!]
      _not: SampleFilter
    }

    input SampleOrderBy {
      a: OrderDirection
      b: OrderDirection
      c: OrderDirection
      d: OrderDirection
      e: OrderDirection
      f: OrderDirection
      g: OrderDirection
      h: OrderDirection
      n: OrderDirection
      o: OrderDirection
      p: OrderDirection
      s: OrderDirection
    }

    input BooleanFilter {
      eq: Boolean
      neq: Boolean
      in: [Boolean!]
      nin: [Boolean!]
      isnull: Boolean
    }

    input BytesFilter {
      eq: Bytes
      neq: Bytes
      in: [Bytes!]
      nin: [Bytes!]
      isnull: Boolean
    }

    input DateRangeFilter {
      eq: DateRange
      neq: DateRange
      in: [DateRange!]
      nin: [DateRange!]
      isnull: Boolean
      contains_value: Date
      contains: DateRange
      contained_by: DateRange
      overlaps: DateRange
      strictly_left: DateRange
      strictly_right: DateRange
      not_left: DateRange
      not_right: DateRange
      adjacent: DateRange
    }

    input FeelingListFilter {
      eq: [Feeling!]
      neq: [Feeling!]
      isnull: Boolean
      array_contains: [Feeling!]
      array_contained_by: [Feeling!]
      array_overlaps: [Feeling!]
      len_eq: Int
      len_neq: Int
      len_gt: Int
      len_gte: Int
      len_lt: Int
      len_lte: Int
    }

    input FloatFilter {
      eq: Float
      neq: Float
      in: [Float!]
      nin: [Float!]
      isnull: Boolean
      gt: Float
      gte: Float
      lt: Float
      lte: Float
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

    input IntListFilter {
      eq: [Int!]
      neq: [Int!]
      isnull: Boolean
      array_contains: [Int!]
      array_contained_by: [Int!]
      array_overlaps: [Int!]
      len_eq: Int
      len_neq: Int
      len_gt: Int
      len_gte: Int
      len_lt: Int
      len_lte: Int
    }

    input JSONFilter {
      eq: JSON
      neq: JSON
      isnull: Boolean
      contains: JSON
      contained_by: JSON
      has_key: String
      has_any_key: [String!]
      has_all_keys: [String!]
      path_exists: String
      path_match: String
    }

    input MoodFilter {
      eq: Mood
      neq: Mood
      in: [Mood!]
      nin: [Mood!]
      isnull: Boolean
    }

    input NetworkFilter {
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
      contained_by: String
      overlaps: String
    }

    input NullFilter {
      isnull: Boolean
    }

    input OrderedStringFilter {
      eq: String
      neq: String
      in: [String!]
      nin: [String!]
      isnull: Boolean
      gt: String
      gte: String
      lt: String
      lte: String
    }

    input StringListFilter {
      eq: [String!]
      neq: [String!]
      isnull: Boolean
      array_contains: [String!]
      array_contained_by: [String!]
      array_overlaps: [String!]
      len_eq: Int
      len_neq: Int
      len_gt: Int
      len_gte: Int
      len_lt: Int
      len_lte: Int
    }

    input TextIDFilter {
      eq: ID
      neq: ID
      in: [ID!]
      nin: [ID!]
      isnull: Boolean
      gt: ID
      gte: ID
      lt: ID
      lte: ID
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
    ");
    let Some(fraiseql_model::artifact::Field::Column(listed)) = artifact.objects["Sample"].fields.get("q")
    else {
        panic!("a column");
    };
    assert_eq!(listed.value.sql, "\"public\".\"feeling\"", "PostgreSQL compares arrays of one type only");
}

#[test]
fn what_the_author_says_stays_and_what_binds_goes() {
    let artifact = artifact(
        r#"
"""
The root.
"""
type Query { artist(
  "Which one."
  artistId: Int!): Artist @deprecated(reason: "say \"artists\"") }
extend type Query { artists: [Artist!]! }
"Named."
scalar BigInt @specifiedBy(url: "https://example.org/bigint")
type Artist @relation(name: "artist") { "Its number." artistId: Int!  sold: BigInt }
extend type Artist { mood: Mood }
"How it feels." enum Mood { "Good." happy @deprecated }
"#,
        &world("table artist\n  artist_id int4 pk\n  sold int8?\n  mood mood?\nenum mood happy"),
    );
    insta::assert_snapshot!(artifact.sdl.split("input ArtistFilter").next().unwrap(), @r#"
"The root."
type Query {
  artist("Which one." artistId: Int!): Artist @deprecated(reason: "say \"artists\"")
  artists(where: ArtistFilter, orderBy: [ArtistOrderBy!], limit: Int, offset: Int): [Artist!]!
}

"Named."
scalar BigInt @specifiedBy(url: "https://example.org/bigint")

type Artist {
  "Its number."
  artistId: Int!
  sold: BigInt
  mood: Mood
}

"How it feels."
enum Mood {
  "Good."
  happy @deprecated
}
"#);
}
